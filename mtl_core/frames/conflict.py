"""What was measured of the gradients: cosines, norms and costs of many steps as tidy tables.

Legend: N measured steps, S shared stages, T tasks, K series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_core import analysis
from mtl_core.frames.series import PLACE, Floats, categories, moving_average
from mtl_core.records import Measurement

N_BINS = 60  # columns of the stage heatmap


class Measured(NamedTuple):
    """Measurements of N steps, stacked: steps, epochs, times [N]; the rest as in ``records.Measurement`` with N in front."""

    steps: NDArray[np.int64]
    epochs: Floats
    times: Floats
    gramian: Floats
    counts: Floats
    losses: Floats
    changes: Floats

    @property
    def full(self) -> Floats:
        """Inner products [N, T, T] of the tasks' whole-batch gradients on all shared parameters."""
        return analysis.full_gramian(analysis.over_stages(self.gramian)[:, None], self.counts)[:, 0]


def stack(measurements: Sequence[Measurement], *, n_stages: int, n_tasks: int) -> Measured:
    """Measurements on top of each other; none at all give arrays of length 0."""

    def arrays(name: str, *shape: int) -> Floats:
        return np.array([getattr(m, name) for m in measurements], dtype=np.float64).reshape(len(measurements), *shape)

    return Measured(
        np.array([m.step for m in measurements], dtype=np.int64),
        arrays("epoch"),
        arrays("time"),
        arrays("gramian", n_stages, 2 * n_tasks, 2 * n_tasks),
        arrays("counts", 2, n_tasks),
        arrays("losses", n_tasks),
        arrays("changes", n_tasks),
    )


def cosine_frame(measured: Measured, tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """Each pair of tasks at each measured step, over all shared stages: [step, epoch, time, task, other, cosine, cross, smooth].

    ``cosine`` is that of the whole batch; ``cross`` that across the halves, which for task = other is the noise floor (see
    ``analysis``); ``smooth`` is the average of ``cross``.
    """
    i, j = np.triu_indices(len(tasks))
    gramian = analysis.over_stages(measured.gramian)
    cosine = analysis.cosines(measured.full)[:, i, j]
    cross = analysis.cross_cosines(gramian, measured.counts)[:, i, j]
    values = {"cosine": cosine, "cross": cross, "smooth": moving_average(cross, measured.steps, smooth)}
    return by_step(measured, {"task": categories(tasks, i), "other": categories(tasks, j)}, values)


def matrix_frame(measured: Measured, tasks: Sequence[str]) -> pd.DataFrame:
    """Every ordered pair: [task, other, cross, cosine, denoised, similarity, below, n], means over all measured steps.

    ``below``: the share of them with a cross cosine under zero; ``n``: how many there were.
    """
    gramian = analysis.over_stages(measured.gramian)
    full = measured.full
    cross = analysis.cross_cosines(gramian, measured.counts)
    values = {
        "cross": analysis.mean_over(cross),
        "cosine": analysis.mean_over(analysis.cosines(full)),
        "denoised": analysis.denoised_cosines(gramian),
        "similarity": analysis.mean_over(analysis.magnitude_similarity(full)),
        "below": analysis.mean_over(np.where(np.isfinite(cross), cross < 0, np.nan)),
    }
    i, j = (index.reshape(-1) for index in np.indices((len(tasks), len(tasks))))
    frame = pd.DataFrame({"task": categories(tasks, i), "other": categories(tasks, j)})
    for name, matrix in values.items():
        frame[name] = matrix[i, j]
    frame["n"] = len(measured.steps)
    return frame if len(measured.steps) else frame.iloc[:0]


def stage_frame(measured: Measured, stages: Sequence[str]) -> pd.DataFrame:
    """Conflict per stage in at most ``N_BINS`` stretches of the run.

    Returns:
        [step, epoch, time, step_end, epoch_end, time_end, stage, cross, cosine, floor, below, floor_below, n]: means over the
        pairs of tasks and the ``n`` measured steps of a stretch; ``below`` and ``floor_below``: the share of pairs, and of
        tasks with themselves, that conflict.
    """
    cross = analysis.cross_cosines(measured.gramian, measured.counts[:, None])
    cosine = analysis.cosines(analysis.full_gramian(measured.gramian, measured.counts))
    per_step = {
        "cross": analysis.mean_over(analysis.upper(cross), -1),
        "cosine": analysis.mean_over(analysis.upper(cosine), -1),
        "floor": analysis.mean_over(np.diagonal(cross, axis1=-2, axis2=-1), -1),
        "below": analysis.conflict_fraction(cross),
        "floor_below": analysis.floor_conflict_fraction(cross),
    }
    starts, sizes = stretches(len(measured.steps), N_BINS)
    table: dict[str, Any] = {}
    for name, places in zip(PLACE, (measured.steps, measured.epochs, measured.times), strict=True):
        ends = _ends(places, starts)
        table |= {name: np.repeat(places[starts], len(stages)), f"{name}_end": np.repeat(ends, len(stages))}
    table["stage"] = categories(stages, np.tile(np.arange(len(stages)), len(starts)))
    for name, values in per_step.items():
        table[name] = mean_from(values, starts).reshape(-1)
    table["n"] = np.repeat(sizes, len(stages))
    return pd.DataFrame(table)


def stretches(n: int, at_most: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Where each of at most so many equal stretches of n rows begins, and how many rows it has.

    >>> stretches(7, 3)
    (array([0, 3, 5]), array([3, 2, 2]))
    """
    parts = [part for part in np.array_split(np.arange(n), min(at_most, max(n, 1))) if len(part)]
    return np.array([part[0] for part in parts], dtype=np.intp), np.array([len(part) for part in parts], dtype=np.int64)


def _ends(places: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[Any]:
    """Where each stretch ends: at the next one; the last is as long as the gap before it, a lone one has some width to be seen."""
    if not len(places):
        return places
    gap = places[-1] - places[-2] if len(places) > 1 else max(places[-1] * 0.01, 1)
    return np.append(places[starts[1:]], places[-1] + gap)


def mean_from(values_NS: Floats, starts: NDArray[np.intp]) -> Floats:
    """Means over the stretches of rows that begin at ``starts``, NaN left out; NaN where nothing is left."""
    is_known = np.isfinite(values_NS)
    if not len(starts):
        return values_NS
    total = np.add.reduceat(np.where(is_known, values_NS, 0.0), starts, axis=0)
    count = np.add.reduceat(is_known.astype(np.float64), starts, axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def norm_frame(measured: Measured, tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """How long each task's whole-batch gradient on the shared parameters is: [step, epoch, time, task, norm, smooth]."""
    norm = analysis.norms(measured.full)
    norm = np.where(measured.counts.sum(axis=1) > 0, norm, np.nan)
    values = {"norm": norm, "smooth": moving_average(norm, measured.steps, smooth)}
    return by_step(measured, {"task": categories(tasks, np.arange(len(tasks)))}, values)


def change_frame(measured: Measured, tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """What each step did to each task's loss, to first order: [step, epoch, time, task, change, percent, smooth].

    ``change`` is in units of the loss; ``percent`` in percent of the loss at that step (NaN where that is not positive), so
    that tasks of different scales compare; ``smooth`` is the average of ``percent``. Above zero the task pays.
    """
    losses = np.where(measured.losses > 0, measured.losses, np.nan)
    percent = 100 * measured.changes / losses
    values = {"change": measured.changes, "percent": percent, "smooth": moving_average(percent, measured.steps, smooth)}
    return by_step(measured, {"task": categories(tasks, np.arange(len(tasks)))}, values)


def by_step(measured: Measured, labels: Mapping[str, pd.Categorical], values: Mapping[str, Floats]) -> pd.DataFrame:
    """Arrays [N, K] with K labels as rows, series after series."""
    n, k = len(measured.steps), len(next(iter(labels.values())))
    table: dict[str, Any] = {
        name: np.tile(place, k) for name, place in zip(PLACE, (measured.steps, measured.epochs, measured.times), strict=True)
    }
    table |= {name: categories.repeat(n) for name, categories in labels.items()}
    table |= {name: array.T.reshape(-1) for name, array in values.items()}
    return pd.DataFrame(table)
