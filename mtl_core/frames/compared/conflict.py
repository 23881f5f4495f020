"""Conflict side by side: cosines of pairs of tasks in many runs, each group against its own noise floor.

Cosines are those across the halves of a batch, as ``analysis`` explains: that of a task with itself is the noise floor.

Legend: N measured steps, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_core import analysis
from mtl_core.comparing.chance import Interval, interval
from mtl_core.frames.compared._averages import Floats, Series, over_seeds
from mtl_core.frames.compared._kept import Kept
from mtl_core.frames.compared.lines import Line, line_frame, said, shown
from mtl_core.frames.conflict import mean_from, stack, stretches
from mtl_core.frames.series import PLACE, moving_average
from mtl_core.store import Run

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

AT_MOST = 240  # measured steps of a run, evenly thinned
LAST = 3  # the summary is of the last third
N_STRETCHES, IN_EACH = 20, 4  # shares of conflict: at most so many on a line, each of about so many measured steps or more
PAIR, FLOOR = "the pair", "noise floor"


@dataclass(frozen=True)
class Cosines:
    """Cosines across the halves on all shared parameters: ``cross`` [N, T, T] at ``steps``, ``epochs``, ``times`` [N]."""

    steps: NDArray[np.int64]
    epochs: Floats
    times: Floats
    cross: Floats


_COSINES: Kept[Cosines] = Kept()


def pair_table(compared: Compared, choice: str) -> pd.DataFrame:
    """One pair of tasks ("task|other") over training: [step or epoch or time, side, group, line, seeds, part, value, low, high, n].

    ``side`` says what it is: the pair's cosine, or the mean of both tasks' cosines with themselves, the noise floor. ``value`` is
    the mean over the seeds' smoothed cosines, ``low`` to ``high`` its 95 % interval.
    """
    lines, sides = [], []
    for group, runs in shown(compared):
        found = [(run, one) for run in runs if (one := _pair_of(compared, run, choice)) is not None]
        for side, name in enumerate((PAIR, FLOOR)):
            series = [_series(compared, cosines, values[:, [side]]) for _, (cosines, values) in found]
            numbers = over_seeds(series, AT_MOST)
            if len(numbers.places):
                lines.append(Line(group.name, f"{group.id}, {name}", said([run for run, _ in found]), numbers))
                sides.append(name)
    return line_frame(lines, compared, side=sides)


def share_table(compared: Compared, choice: str) -> pd.DataFrame:
    """The share of pairs of tasks below zero: [step or epoch or time, group, line, seeds, part, value, low, high, n].

    Each number is of a stretch of about four measured steps or more, at its middle; ``low`` to ``high`` is the 95 % interval over seeds.
    """
    del choice
    lines = []
    for group, runs in shown(compared):
        found = [(run, one) for run in runs if (one := _cosines(compared, run)) is not None]
        numbers = over_seeds([_shares(compared, one) for _, one in found], N_STRETCHES)
        if len(numbers.places):
            lines.append(Line(group.name, group.id, said([run for run, _ in found]), numbers))
    return line_frame(lines, compared)


def summary_table(compared: Compared, choice: str) -> pd.DataFrame:
    """The last third of training of one pair ("task|other"), a row per group.

    Returns:
        [group, seeds, cosine, low, high, floor, floor_low, floor_high, n, measurements]: means over ``n`` seeds of the means over
        their last measured steps (``measurements`` of them in all), with 95 % intervals, NaN for one seed.
    """
    rows: list[tuple[Any, ...]] = []
    for group, runs in shown(compared):
        found = [(run, values[-max(1, len(values) // LAST) :]) for run, values in _pairs(compared, runs, choice)]
        means = [(run, analysis.mean_over(values), len(values)) for run, values in found]
        known = [(run, mean, n) for run, mean, n in means if np.isfinite(mean).all()]
        if known:
            pair, floor = (_ends(interval([float(mean[side]) for _, mean, _ in known])) for side in range(2))
            total = sum(n for _, _, n in known)
            rows.append((group.name, said([run for run, _, _ in known]), *pair, *floor, len(known), total))
    columns = ["group", "seeds", "cosine", "low", "high", "floor", "floor_low", "floor_high", "n", "measurements"]
    kinds = dict.fromkeys(columns[2:8], "float64") | {"n": "int64", "measurements": "int64"}
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def left_out(compared: Compared) -> dict[str, str]:
    """The groups that have no conflict to show, by id, and for each why."""
    return {group.id: why for group, runs in shown(compared) if (why := _why_not(compared, runs))}


def _why_not(compared: Compared, runs: Sequence[Run]) -> str:
    if not runs:
        return ""  # the legend says that they have not begun
    specs = [run.spec or {} for run in runs]
    if any(spec.get("origin") for spec in specs):
        return "trained elsewhere, so nobody measured their gradients"
    if not any(spec.get("shared_stages") for spec in specs):
        return "no parameters are shared at depth 0, so no task can pull against another"
    if not any(len(spec.get("tasks", ())) > 1 for spec in specs):
        return "one task alone has nobody to pull against"
    if all(_cosines(compared, run) is None for run in runs):
        return "no gradients were measured"
    return ""


def _pairs(compared: Compared, runs: Sequence[Run], choice: str) -> list[tuple[Run, Floats]]:
    found = ((run, _pair_of(compared, run, choice)) for run in runs)
    return [(run, one[1]) for run, one in found if one is not None]


def _pair_of(compared: Compared, run: Run, choice: str) -> tuple[Cosines, Floats] | None:
    """A run's cosines and, for the pair, [N, 2]: its cosine and its floor; None if the run lacks one of the two tasks."""
    tasks = [str(task["name"]) for task in (run.spec or {}).get("tasks", ())]
    places = ((i, j) for i in range(len(tasks)) for j in range(len(tasks)) if i != j)
    pair = next(((i, j) for i, j in places if f"{tasks[i]}|{tasks[j]}" == choice), None)
    cosines = None if pair is None else _cosines(compared, run)
    if pair is None or cosines is None:
        return None
    i, j = pair
    floor = (cosines.cross[:, i, i] + cosines.cross[:, j, j]) / 2
    return cosines, np.stack([cosines.cross[:, i, j], floor], axis=1)


def _cosines(compared: Compared, run: Run) -> Cosines | None:
    """What a run measured, evenly thinned; None where it measured nothing that could conflict."""
    spec = run.spec or {}
    n_stages, n_tasks = len(spec.get("shared_stages", ())), len(spec.get("tasks", ()))
    if n_stages == 0 or n_tasks < 2:
        return None

    def read() -> Cosines:
        measured = stack(compared.store.measurements(run.id, at_most=AT_MOST), n_stages=n_stages, n_tasks=n_tasks)
        cross = analysis.cross_cosines(analysis.over_stages(measured.gramian), measured.counts)
        return Cosines(measured.steps, measured.epochs, measured.times, cross)

    found = _COSINES.reading(compared.store, run, AT_MOST, read)
    return found if len(found.steps) else None


def _series(compared: Compared, cosines: Cosines, values_N1: Floats) -> Series:
    return _axis(compared, cosines), moving_average(values_N1, cosines.steps, compared.smooth)[:, 0]


def _shares(compared: Compared, cosines: Cosines) -> Series:
    n = len(cosines.steps)
    starts, _ = stretches(n, min(N_STRETCHES, max(1, n // IN_EACH)))
    share = analysis.conflict_fraction(cosines.cross)
    means = mean_from(np.stack([_axis(compared, cosines), share], axis=1), starts)
    return means[:, 0], means[:, 1]


def _axis(compared: Compared, cosines: Cosines) -> Floats:
    every = dict(zip(PLACE, (cosines.steps, cosines.epochs, cosines.times), strict=True))
    places: Floats = every[compared.x].astype(np.float64)
    return places


def _ends(found: Interval) -> tuple[float, float, float]:
    nan = float("nan")
    return found.mean, nan if found.low is None else found.low, nan if found.high is None else found.high
