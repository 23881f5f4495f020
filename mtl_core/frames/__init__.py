"""From stored numbers to tidy tables: one row per step and series, ready to draw, to test and to export.

Smoothing happens here, on everything that was read, before any figure thins or cuts: a smoothed curve must not depend on the
window in which it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from mtl_core.frames.affinity import affinity_frame, affinity_matrix_frame
from mtl_core.frames.balance import condition_frame, stationarity_frame
from mtl_core.frames.conflict import (
    N_BINS,
    Measured,
    change_frame,
    cosine_frame,
    matrix_frame,
    norm_frame,
    stack,
    stage_frame,
)
from mtl_core.frames.pairs import fraction_frame, histogram_frame, pair_frame, triad_frame
from mtl_core.frames.samples import preview_frame, report_frame
from mtl_core.frames.series import CURVES, below, curves, export, export_parts, moving_average
from mtl_core.frames.what_if import what_if_frame
from mtl_core.records import Affinity, Measurement, Split
from mtl_core.store import Store

__all__ = [
    "CURVES",
    "N_BINS",
    "N_NOW",
    "SOURCES",
    "Measured",
    "RunFrames",
    "curves",
    "export",
    "export_parts",
    "moving_average",
    "preview_frame",
    "report_frame",
]

N_NOW = 20  # measured steps that "now" means: one alone is too noisy to read


@dataclass(frozen=True)
class RunFrames:
    """The tables of one run that its figures read, each loaded once: make a new one per tick of a page.

    Args:
        spec: what the run is (``Run.spec``).
        first: first step of the window in view, as ``last``; None for the whole run.
        points: at most so many numbers per series.
        smooth: time constant in steps.
        at_most: at most so many measured steps, evenly thinned.
        preview_step: which preview; the last if None.
        what_if_step: which measured step the schemes are asked about; the last one in the window if None.
    """

    store: Store
    run_id: str
    spec: Mapping[str, Any]
    first: int | None = None
    last: int | None = None
    points: int = 800
    smooth: float = 0.0
    at_most: int = 300
    preview_step: int | None = None
    what_if_step: int | None = None

    def table(self, source: str) -> pd.DataFrame:
        """The table of that name: one of ``SOURCES``, which is what a figure's ``source`` says."""
        return SOURCES[source](self)

    @property
    def tasks(self) -> list[str]:
        return [task["name"] for task in self.spec["tasks"]]

    @property
    def stages(self) -> list[str]:
        return list(self.spec["shared_stages"])

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Training and validation series, one below the other."""
        window: dict[str, Any] = {"first": self.first, "last": self.last, "points": self.points, "smooth": self.smooth}
        splits: tuple[Split, ...] = ("train", "validation")
        return below([curves(self.store, self.run_id, split, **window) for split in splits])

    @cached_property
    def measured(self) -> Measured:
        """The measurements in the window, evenly thinned."""
        return self._read(limit=None if self.last is None else self._n_inside, at_most=self.at_most)

    @cached_property
    def now(self) -> Measured:
        """The last ``N_NOW`` measurements in the window."""
        before = self._n_inside - N_NOW
        if before <= 0:
            return self._read(limit=self._n_inside)
        border = self.store.measurements(self.run_id, after_step=self._after, limit=before, at_most=1)[-1].step
        return self._read(after=border, limit=N_NOW)

    @cached_property
    def affinities(self) -> list[Affinity]:
        """What was seen of the tasks' affinity in the window, evenly thinned."""
        at_most = self.at_most // 2  # T² curves, against T(T − 1)/2 of cosines
        if self.last is None:
            return self.store.affinities(self.run_id, after_step=self._after, at_most=at_most)
        found = self.store.affinities(self.run_id, after_step=self._after)
        inside = [one for one in found if one.step <= self.last]
        return inside[:: max(1, -(-len(inside) // at_most))]

    @property
    def affinities_now(self) -> list[Affinity]:
        """The last ``N_NOW`` of them; thinned ones where there are many."""
        return self.affinities[-N_NOW:]

    @cached_property
    def what_if(self) -> pd.DataFrame:
        """What every scheme would have done at one step: the one table that loads torch, for the schemes."""
        step = self.last if self.what_if_step is None else self.what_if_step
        run = self.store.run(self.run_id)
        return what_if_frame(self.store.measurement(self.run_id, step), self.tasks, self.spec.get("weighting", ""), run.config)

    @property
    def _after(self) -> int:
        return -1 if self.first is None else self.first - 1

    @cached_property
    def _n_inside(self) -> int:
        before = 0 if self.first is None else _n_until(self.store, self.run_id, self.first - 1)
        until = self.store.n_measurements(self.run_id) if self.last is None else _n_until(self.store, self.run_id, self.last)
        return max(until - before, 0)

    def _read(self, *, limit: int | None, after: int | None = None, at_most: int | None = None) -> Measured:
        found: list[Measurement] = []
        if limit != 0:
            start = self._after if after is None else after
            found = self.store.measurements(self.run_id, after_step=start, limit=limit, at_most=at_most)
        return stack(found, n_stages=len(self.stages), n_tasks=len(self.tasks))


def _n_until(store: Store, run_id: str, step: int) -> int:
    """How many measurements lie at or before a step, by bisection: each question reads a single one."""
    low, high = 0, store.n_measurements(run_id)
    while low < high:
        middle = (low + high + 1) // 2
        is_inside = store.measurements(run_id, limit=middle, at_most=1)[-1].step <= step
        low, high = (middle, high) if is_inside else (low, middle - 1)
    return low


SOURCES: dict[str, Callable[[RunFrames], pd.DataFrame]] = {
    "curves": lambda run: run.curves,
    "cosines": lambda run: cosine_frame(run.measured, run.tasks, run.smooth),
    "matrix": lambda run: matrix_frame(run.now, run.tasks),
    "stages": lambda run: stage_frame(run.measured, run.stages),
    "pairs": lambda run: pair_frame(run.measured, run.tasks, run.smooth),
    "histograms": lambda run: histogram_frame(run.measured, run.tasks),
    "fractions": lambda run: fraction_frame(run.measured),
    "triad": lambda run: triad_frame(run.measured, run.tasks),
    "stationarity": lambda run: stationarity_frame(run.measured, run.smooth),
    "conditions": lambda run: condition_frame(run.measured, run.smooth),
    "affinities": lambda run: affinity_frame(run.affinities, run.tasks, run.smooth),
    "affinity_matrix": lambda run: affinity_matrix_frame(run.affinities_now, run.tasks),
    "what_if": lambda run: run.what_if,
    "norms": lambda run: norm_frame(run.measured, run.tasks, run.smooth),
    "changes": lambda run: change_frame(run.measured, run.tasks, run.smooth),
    "preview": lambda run: preview_frame(run.store, run.run_id, run.spec, run.preview_step),
    "report": lambda run: report_frame(run.spec),
}
