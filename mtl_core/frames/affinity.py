"""What a step for one task alone would do for the others, as tidy tables.

Legend: N measured steps, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtl_core import analysis
from mtl_core.frames.series import categories, moving_average
from mtl_core.records import Affinity


def affinity_frame(affinities: Sequence[Affinity], tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """Each ordered pair at each measured step: [step, epoch, time, task, other, affinity, smooth].

    ``affinity``: by how much of itself the loss of ``other`` falls after a step for ``task`` alone; below zero it rises.
    """
    n, n_tasks = len(affinities), len(tasks)
    i, j = (index.reshape(-1) for index in np.indices((n_tasks, n_tasks)))
    values = np.array([one.values for one in affinities], dtype=np.float64).reshape(n, n_tasks * n_tasks)
    steps = np.array([one.step for one in affinities], dtype=np.int64)
    places = {
        "step": steps,
        "epoch": np.array([one.epoch for one in affinities], dtype=np.float64),
        "time": np.array([one.time for one in affinities], dtype=np.float64),
    }
    frame = pd.DataFrame({name: np.tile(place, n_tasks**2) for name, place in places.items()})
    frame["task"], frame["other"] = (categories(tasks, index).repeat(n) for index in (i, j))
    frame["affinity"] = values.T.reshape(-1)
    frame["smooth"] = moving_average(values, steps, smooth).T.reshape(-1)
    return frame


def affinity_matrix_frame(affinities: Sequence[Affinity], tasks: Sequence[str]) -> pd.DataFrame:
    """Each ordered pair: [task, other, affinity, helped, n], means over all measured steps; ``helped``: the share above zero."""
    n_tasks = len(tasks)
    values = np.array([one.values for one in affinities], dtype=np.float64).reshape(len(affinities), n_tasks, n_tasks)
    i, j = (index.reshape(-1) for index in np.indices((n_tasks, n_tasks)))
    frame = pd.DataFrame({"task": categories(tasks, i), "other": categories(tasks, j)})
    frame["affinity"] = analysis.mean_over(values)[i, j]
    frame["helped"] = analysis.mean_over(np.where(np.isfinite(values), values > 0, np.nan))[i, j]
    frame["n"] = len(affinities)
    return frame if len(affinities) else frame.iloc[:0]
