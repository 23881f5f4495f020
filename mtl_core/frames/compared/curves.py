"""Losses, metrics and weights of many runs side by side: seeds together as mean and band, or every run by itself.

Legend: N places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_core.comparing import Group
from mtl_core.frames.compared._averages import Averaged, Floats, over_seeds
from mtl_core.frames.compared._kept import Kept
from mtl_core.frames.compared.lines import Line, line_frame, said, seed_of, shown
from mtl_core.frames.series import export_parts, moving_average
from mtl_core.records import SPLITS, Split
from mtl_core.store import Curve, Run, Store

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

WHO = ("run", "run_name", "group", "seed", "state")  # of whom an exported number is
EXPORTED = (*WHO, "step", "epoch", "time", "split", "task", "name", "value")
ROUNDS = 4  # each makes the window so much narrower as a curve has places
_CURVES: Kept[Curve] = Kept()


def curve_table(compared: Compared, choice: str) -> pd.DataFrame:
    """One series of every group: [step or epoch or time, group, line, seeds, part, value, low, high, n].

    ``choice`` is "split|name|task". Of seeds together ``value`` is the mean of their smoothed curves and ``low`` to ``high`` its 95 %
    interval; of a run by itself ``value`` is its smoothed curve and ``low`` to ``high`` what happened in the bucket of steps behind
    each number. Validation is as measured, never smoothed.
    """
    lines = []
    for group, runs in shown(compared):
        found = [(run, one) for run in runs if (one := run_line(compared, run, choice)) is not None]
        if compared.apart:
            lines += [Line(group.name, run.id, f"seed {seed_of(run)}, run {run.id}", one) for run, one in found]
        elif found:
            together = over_seeds([(one.places, one.value) for _, one in found], compared.points // 2)
            lines.append(Line(group.name, group.id, said([run for run, _ in found]), together))
    return line_frame([line._replace(numbers=_cut(line.numbers, compared)) for line in lines], compared)


def run_line(compared: Compared, run: Run, choice: str) -> Averaged | None:
    """One series of one run, with the band of what its buckets hold; None if the run has no such series, or no such axis."""
    split = next((split for split in SPLITS if choice.startswith(f"{split}|")), None)
    if split is None:
        return None
    curve = _read(compared, run, split)
    names = [f"{split}|{column.name}|{column.task}" for column in curve.columns]
    if choice not in names or not len(curve.steps):
        return None
    c = names.index(choice)
    places = _places(curve, compared.x)
    rises = np.diff(np.maximum.accumulate(places), prepend=places[0] - 1) > 0
    if rises.sum() == 1 < len(rises):  # a run from elsewhere that has no times
        return None
    value = moving_average(curve.mean[:, [c]], curve.steps, compared.smooth if split == "train" else 0.0)[:, 0]
    n = np.ones(len(places), dtype=np.int64)
    line = Averaged(places, value, curve.low[:, c].astype(np.float64), curve.high[:, c].astype(np.float64), n, 0 * n)
    return line.where(rises & np.isfinite(value))


def export_compared(store: Store, groups: Sequence[Group]) -> Iterator[pd.DataFrame]:
    """Everything that the runs of these groups recorded, at full resolution, in parts that fit in memory.

    Each part has the columns ``EXPORTED``.
    """
    for group in groups:
        for run in group.runs:
            facts: dict[str, Any] = dict(zip(WHO, (run.id, run.name, group.name, seed_of(run), run.state), strict=True))
            for part in export_parts(store, run.id):
                yield part.assign(**facts)[list(EXPORTED)]


def _read(compared: Compared, run: Run, split: Split) -> Curve:
    """The run's curve in the window, and a little before it, where the average settles."""
    first, last = _steps(compared, run, split)
    lead = 5 * compared.smooth if split == "train" else 0.0
    start = None if first is None else max(0, first - int(np.ceil(lead)))
    return _curve(compared, run, split, start, last)


def _steps(compared: Compared, run: Run, split: Split) -> tuple[int | None, int | None]:
    """The steps between which the window lies; on another axis than steps they differ from run to run."""
    if compared.first is None or compared.last is None:
        return None, None
    if compared.x == "step":
        return int(np.floor(compared.first)), int(np.ceil(compared.last))
    first, last = None, None
    for _ in range(ROUNDS):
        curve = _curve(compared, run, split, first, last)
        if not len(curve.steps):
            break
        places = np.maximum.accumulate(_places(curve, compared.x))
        before = int(np.searchsorted(places, compared.first)) - 2  # a place ends its bucket: the one before it began there
        after = int(np.searchsorted(places, compared.last)) + 1
        found = int(curve.steps[max(before, 0)]), int(curve.steps[min(after, len(places) - 1)])
        if found == (first, last):
            break
        first, last = found
    return first, last


def _curve(compared: Compared, run: Run, split: Split, first: int | None, last: int | None) -> Curve:
    def read() -> Curve:
        return compared.store.curve(run.id, split, first=first, last=last, points=compared.points)

    return _CURVES.reading(compared.store, run, (split, first, last, compared.points), read)


def _places(curve: Curve, x: str) -> Floats:
    every: dict[str, NDArray[np.generic]] = {"step": curve.steps, "epoch": curve.epochs, "time": curve.times}
    return every[x].astype(np.float64)


def _cut(line: Averaged, compared: Compared) -> Averaged:
    """What lies in the window."""
    if compared.first is None or compared.last is None:
        return line
    return line.where((line.places >= compared.first) & (line.places <= compared.last))
