"""How far the tasks are from a stand-off, and how badly their gradients are conditioned, step by step.

Legend: N measured steps, T tasks.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtl_core import analysis
from mtl_core.frames.conflict import Measured, by_step
from mtl_core.frames.series import Floats, categories, moving_average

MEASURES = ("relative", "absolute")
LENGTHS = ("as they are", "made equally long")


def stationarity_frame(measured: Measured, smooth: float = 0.0) -> pd.DataFrame:
    """The shortest mix of the tasks' gradients: [step, epoch, time, measure, value, smooth].

    ``absolute``: its length, ``analysis.min_norm``; ``relative``: that over the mean length of the gradients it mixes.
    """
    full = measured.full
    shortest = analysis.min_norm(full)
    mean_length = analysis.mean_over(analysis.norms(full), -1)
    relative = np.divide(shortest, mean_length, out=np.full_like(shortest, np.nan), where=mean_length > 0)
    return _two(measured, np.stack([relative, shortest], axis=1), "measure", MEASURES, smooth)


def condition_frame(measured: Measured, smooth: float = 0.0) -> pd.DataFrame:
    """Condition numbers of the gradients' matrix: [step, epoch, time, lengths, value, smooth]; the average is of the logarithm.

    ``as they are`` counts gaps in length and angles, ``made equally long`` angles alone.
    """
    full = measured.full
    unit = analysis.cosines(full)  # a gradient of zero has none: it stays out
    values = np.stack([analysis.condition_number(full), analysis.condition_number(unit)], axis=1)
    return _two(measured, values, "lengths", LENGTHS, smooth, is_log=True)


def _two(
    measured: Measured, values: Floats, column: str, names: tuple[str, str], smooth: float, *, is_log: bool = False
) -> pd.DataFrame:
    with np.errstate(divide="ignore"):
        averaged = moving_average(np.log(values) if is_log else values, measured.steps, smooth)
    averaged = np.exp(averaged) if is_log else averaged
    return by_step(measured, {column: categories(names, np.arange(2))}, {"value": values, "smooth": averaged})
