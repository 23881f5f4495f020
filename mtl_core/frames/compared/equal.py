"""Every group at the same step and after the same time of training: what validation had to say by then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mtl_core.comparing import Interval
from mtl_core.comparing.chance import interval
from mtl_core.comparing.groups import trained_on
from mtl_core.frames.compared._kept import Kept
from mtl_core.records import Column, Scalars
from mtl_core.store import Run

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

AT_STEPS, AT_TIME = "equal steps", "equal time"
COLUMNS = ("group", "metric", "at", "mean", "low", "high", "seeds", "step", "seconds")
_KEPT: Kept[Scalars] = Kept()


@dataclass(frozen=True)
class Common:
    """Where runs can be compared: at the smallest of their last validations.

    ``step`` and ``seconds`` are None where no run has validated; ``devices``: where they trained.
    """

    step: int | None
    seconds: float | None
    devices: tuple[str, ...]

    @property
    def times_compare(self) -> bool:
        """Whether all trained on one device; only then does a second mean the same for all."""
        return len(self.devices) == 1


def common_place(compared: Compared) -> Common:
    """The step and the training time that every run has reached; runs from elsewhere, whose steps may be anything, hold nobody back."""
    found = _series(compared)
    foreign = {group.name for group in compared.comparison.groups if group.is_foreign}
    found = [one for one in found if one[0] not in foreign] or found
    runs = [run for _, run, _ in found]
    steps = [int(series.steps[-1]) for _, _, series in found]
    seconds = [float(series.times[-1]) for _, _, series in found if series.times[-1] > 0]
    devices = sorted({trained_on(run) for run in runs})
    is_timed = len(seconds) == len(found)  # runs from elsewhere may come without times
    return Common(min(steps, default=None), min(seconds, default=None) if is_timed else None, tuple(devices))


def equal_table(compared: Compared, choice: str) -> pd.DataFrame:
    """A row per group, metric and kind of equality: the mean over seeds of the last validation by then, with its 95 % interval.

    Args:
        choice: "task|name" of one metric; "" for all of them.

    Returns:
        ``step`` and ``seconds``: the mean over seeds of where that validation was made.
    """
    found, common = _series(compared), common_place(compared)
    rows = []
    for metric in compared.comparison.metrics:
        key = "|".join(metric.key)
        if choice not in ("", key):
            continue
        for at, limit in ((AT_STEPS, common.step), (AT_TIME, common.seconds)):
            mine = [(name, _last(series, metric.key, at, limit)) for name, _, series in found]
            for group in dict.fromkeys(name for name, _ in mine):
                seen = [one for name, one in mine if name == group and one is not None]
                if seen:
                    value, step, seconds = (interval([one[n] for one in seen]) for n in range(3))
                    rows.append((group, key, at, *_ends(value), value.n, step.mean, seconds.mean))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(("mean", "low", "high", "step", "seconds"), "float64"))


def _ends(value: Interval) -> tuple[float, float | None, float | None]:
    return value.mean, value.low, value.high


def _series(compared: Compared) -> list[tuple[str, Run, Scalars]]:
    """Group, run and validations of every run that counts and has validated."""
    found = []
    for group in compared.comparison.tested:
        for run in group.by_seed.values():
            series = _KEPT.reading(compared.store, run, "validation", partial(_read, compared, run))
            if len(series.steps):
                found.append((group.name, run, series))
    return found


def _read(compared: Compared, run: Run) -> Scalars:
    nothing = Scalars("validation", (), np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty((0, 0), np.float32))
    return compared.store.read(run.id, "validation") or nothing


def _last(series: Scalars, key: tuple[str, str], at: str, limit: float | None) -> tuple[float, float, float] | None:
    """The last number of a metric up to a step or a time, and the step and the seconds of that validation."""
    if limit is None or Column(*key) not in series.columns:
        return None
    places = series.steps if at == AT_STEPS else series.times
    values = series.values[:, series.columns.index(Column(*key))]
    seen = np.flatnonzero((places <= limit) & np.isfinite(values))
    if not len(seen):
        return None
    n = seen[-1]
    return float(values[n]), float(series.steps[n]), float(series.times[n])
