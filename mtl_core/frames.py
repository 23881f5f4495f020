"""From stored numbers to tidy tables: one row per step and series, ready to draw, to test and to export.

Legend: N measured steps, S shared stages, T tasks. Smoothing happens here, on everything that was read, before any figure
thins or cuts: a smoothed curve must not depend on the window in which it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from mtl_core import analysis
from mtl_core.records import SPLITS, Column, Measurement, Split
from mtl_core.store import Store

Floats = NDArray[np.float64]
PLACE = ("step", "epoch", "time")
CURVES = [*PLACE, "split", "task", "name", "low", "high", "mean", "smooth"]
N_NOW = 20  # measured steps that "now" means: one alone is too noisy to read
N_BINS = 60  # columns of the stage heatmap


def curves(
    store: Store,
    run_id: str,
    split: Split,
    *,
    names: Sequence[str] | None = None,
    first: int | None = None,
    last: int | None = None,
    points: int = 1500,
    smooth: float = 0.0,
) -> pd.DataFrame:
    """A window of a run's series, thinned with every minimum and maximum kept.

    Args:
        names: which quantities ("loss", "weight" …); all if None.
        first: first step of the window; the run's start if None.
        last: last step of the window; the run's end if None.
        points: at most so many numbers per series: half as many rows, each with its low and its high.
        smooth: time constant in steps of the exponential average in ``smooth``; 0 = none.

    Returns:
        [step, epoch, time, split, task, name, low, high, mean, smooth]; time in seconds; task "" is the run as a whole.
    """
    lead = None if first is None else max(0, first - int(np.ceil(5 * smooth)))  # so that the average has settled by `first`
    curve = store.curve(run_id, split, first=lead, last=last, points=points)
    wanted = [c for c, column in enumerate(curve.columns) if names is None or column.name in names]
    inside = curve.steps >= (0 if first is None else first)
    smoothed = moving_average(curve.mean[:, wanted], curve.steps, smooth)
    columns = [curve.columns[c] for c in wanted]
    bands: dict[str, NDArray[Any]]
    bands = {"low": curve.low[:, wanted], "high": curve.high[:, wanted], "mean": curve.mean[:, wanted], "smooth": smoothed}
    places = (curve.steps[inside], curve.epochs[inside], curve.times[inside])
    return _long(places, columns, split, {name: values[inside] for name, values in bands.items()})[CURVES]


def moving_average(values_NC: NDArray[Any], steps: NDArray[Any], time_constant: float) -> Floats:
    """Exponential moving average [N, C] that forgets by distance in steps, so it looks the same at any level of detail.

    It starts unbiased at the first number (as Adam's moments, Kingma & Ba 2015) and passes over NaN: a gap stays a gap.
    """
    values = np.asarray(values_NC, dtype=np.float64)
    if time_constant <= 0 or len(values) == 0:
        return values.copy()
    at = np.asarray(steps, dtype=np.float64) / time_constant
    gap = at[1] - at[0] if len(at) > 1 else 1.0
    fresh = 1 - np.exp(-np.diff(at, prepend=at[0] - gap))  # the first weighs what the second does
    is_known = np.isfinite(values)
    sums = np.stack([np.where(is_known, values, 0.0), is_known.astype(np.float64)]) * fresh[:, None]
    carried, before = np.zeros((2, values.shape[1])), at[0]
    blocks = np.floor((at - at[0]) / 300)  # exp(300) is far from the largest float64
    for part in np.split(np.arange(len(at)), np.flatnonzero(np.diff(blocks)) + 1):
        grown = np.exp(at[part] - at[part[0]])[:, None]
        running = np.cumsum(sums[:, part] * grown, axis=1)
        sums[:, part] = (carried[:, None] * np.exp(before - at[part[0]]) + running) / grown
        carried, before = sums[:, part[-1]], at[part[-1]]
    average = np.divide(sums[0], sums[1], out=np.full_like(values, np.nan), where=sums[1] > 0)
    return np.where(is_known, average, np.nan)


def export_parts(store: Store, run_id: str, *, rows: int = 50_000) -> Iterator[pd.DataFrame]:
    """Everything a run recorded, at full resolution, in parts of so many steps: for runs too long to hold at once.

    Each part: [step, epoch, time, split, task, name, value].
    """
    for split in SPLITS:
        after_step = -1
        while (part := store.read(run_id, split, after_step=after_step, limit=rows)) is not None and len(part.steps):
            places = (part.steps, part.epochs, part.times)
            yield _long(places, list(part.columns), split, {"value": part.values})
            after_step = int(part.steps[-1])


def export(store: Store, run_id: str) -> pd.DataFrame:
    """Everything a run recorded, at full resolution: [step, epoch, time, split, task, name, value]."""
    parts = list(export_parts(store, run_id))
    nothing = _long((np.empty(0, np.int64), np.empty(0), np.empty(0)), [], "train", {"value": np.empty((0, 0))})
    return _below(parts) if parts else nothing


def _below(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables with the same columns, one below the other; categories stay categories."""
    kinds = ["split", "task", "name"]
    whole = pd.concat([frame.drop(columns=kinds) for frame in frames], ignore_index=True)
    for kind in kinds:
        whole[kind] = union_categoricals([frame[kind] for frame in frames])
    return whole[list(frames[0].columns)]


def _long(
    places: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    columns: Sequence[Column],
    split: Split,
    values: Mapping[str, NDArray[Any]],
) -> pd.DataFrame:
    """Arrays [N, C] as rows, series after series; task, name and split as categories (one byte each on the wire)."""
    n_rows, n_columns = len(places[0]), len(columns)
    frame = {name: np.tile(place, n_columns) for name, place in zip(PLACE, places, strict=True)}
    table = pd.DataFrame(frame)
    table["split"] = _names(SPLITS, np.full(len(table), SPLITS.index(split)))
    for key, labels in (("task", [c.task for c in columns]), ("name", [c.name for c in columns])):
        known = list(dict.fromkeys(labels))
        table[key] = _names(known, np.repeat([known.index(label) for label in labels], n_rows))
    for name, array in values.items():
        table[name] = array.T.reshape(-1).astype(np.float32)
    return table


class Measured(NamedTuple):
    """Measurements of N steps, stacked: steps, epochs, times [N]; the rest as in ``records.Measurement`` with N in front."""

    steps: NDArray[np.int64]
    epochs: Floats
    times: Floats
    gramian: Floats
    counts: Floats
    losses: Floats
    changes: Floats

    def part(self, which: slice) -> Measured:
        """Some of the steps."""
        return Measured(**{name: array[which] for name, array in self._asdict().items()})


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
    cosine = analysis.cosines(analysis.full_gramian(gramian[:, None], measured.counts)[:, 0])[:, i, j]
    cross = analysis.cross_cosines(gramian, measured.counts)[:, i, j]
    values = {"cosine": cosine, "cross": cross, "smooth": moving_average(cross, measured.steps, smooth)}
    return _by_step(measured, {"task": _names(tasks, i), "other": _names(tasks, j)}, values)


def matrix_frame(measured: Measured, tasks: Sequence[str]) -> pd.DataFrame:
    """Every ordered pair over the last ``N_NOW`` measured steps: [task, other, cross, cosine, denoised, similarity, below, n].

    Means over those steps; ``below``: the share of them with a cross cosine under zero; ``n``: how many there were.
    """
    now = measured.part(slice(-N_NOW, None))
    gramian = analysis.over_stages(now.gramian)
    full = analysis.full_gramian(gramian[:, None], now.counts)[:, 0]
    cross = analysis.cross_cosines(gramian, now.counts)
    values = {
        "cross": analysis.mean_over(cross),
        "cosine": analysis.mean_over(analysis.cosines(full)),
        "denoised": analysis.denoised_cosines(gramian),
        "similarity": analysis.mean_over(analysis.magnitude_similarity(full)),
        "below": analysis.mean_over(np.where(np.isfinite(cross), cross < 0, np.nan)),
    }
    i, j = (index.reshape(-1) for index in np.indices((len(tasks), len(tasks))))
    frame = pd.DataFrame({"task": _names(tasks, i), "other": _names(tasks, j)})
    for name, matrix in values.items():
        frame[name] = matrix[i, j]
    frame["n"] = len(now.steps)
    return frame if len(now.steps) else frame.iloc[:0]


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
    n = len(measured.steps)
    bins = [part for part in np.array_split(np.arange(n), min(N_BINS, max(n, 1))) if len(part)]
    starts = np.array([part[0] for part in bins], dtype=np.intp)
    table: dict[str, Any] = {}
    for name, places in zip(PLACE, (measured.steps, measured.epochs, measured.times), strict=True):
        ends = np.append(places[starts[1:]], places[-1:] + np.diff(places)[-1:].sum()) if n else places
        table |= {name: np.repeat(places[starts], len(stages)), f"{name}_end": np.repeat(ends, len(stages))}
    table["stage"] = _names(stages, np.tile(np.arange(len(stages)), len(bins)))
    for name, values in per_step.items():
        table[name] = _mean_from(values, starts).reshape(-1)
    table["n"] = np.repeat([len(part) for part in bins], len(stages)).astype(int)
    return pd.DataFrame(table)


def _mean_from(values_NS: Floats, starts: NDArray[np.intp]) -> Floats:
    """Means over the stretches of rows that begin at ``starts``, NaN left out; NaN where nothing is left."""
    is_known = np.isfinite(values_NS)
    if not len(starts):
        return values_NS
    total = np.add.reduceat(np.where(is_known, values_NS, 0.0), starts, axis=0)
    count = np.add.reduceat(is_known.astype(np.float64), starts, axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def norm_frame(measured: Measured, tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """How long each task's whole-batch gradient on the shared parameters is: [step, epoch, time, task, norm, smooth]."""
    gramian = analysis.over_stages(measured.gramian)
    norm = analysis.norms(analysis.full_gramian(gramian[:, None], measured.counts)[:, 0])
    norm = np.where(measured.counts.sum(axis=1) > 0, norm, np.nan)
    values = {"norm": norm, "smooth": moving_average(norm, measured.steps, smooth)}
    return _by_step(measured, {"task": _names(tasks, np.arange(len(tasks)))}, values)


def change_frame(measured: Measured, tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """What each step did to each task's loss, to first order: [step, epoch, time, task, change, percent, smooth].

    ``change`` is in units of the loss; ``percent`` in percent of the loss at that step (NaN where that is not positive), so
    that tasks of different scales compare; ``smooth`` is the average of ``percent``. Above zero the task pays.
    """
    losses = np.where(measured.losses > 0, measured.losses, np.nan)
    percent = 100 * measured.changes / losses
    values = {"change": measured.changes, "percent": percent, "smooth": moving_average(percent, measured.steps, smooth)}
    return _by_step(measured, {"task": _names(tasks, np.arange(len(tasks)))}, values)


def report_frame(spec: Mapping[str, Any]) -> pd.DataFrame:
    """The blocks of a network, input to output: [order, stage, task, is_shared, n_parameters, flops, shape].

    ``task`` is "" for a shared stage; a stage with a copy per task has a row for each. Heads come last, with stage "head".
    """
    report, tasks = spec["report"], [task["name"] for task in spec["tasks"]]
    rows: list[tuple[Any, ...]] = []
    for order, stage in enumerate(report["stages"]):
        for task in [""] if stage["is_shared"] else tasks:
            rows.append((order, stage["name"], task, bool(stage["is_shared"]), *_sizes(stage)))
    for task in tasks:
        rows.append((len(report["stages"]), "head", task, False, *_sizes(report["heads"][task])))
    return pd.DataFrame(rows, columns=["order", "stage", "task", "is_shared", "n_parameters", "flops", "shape"])


def preview_frame(store: Store, run_id: str, spec: Mapping[str, Any], step: int | None = None) -> pd.DataFrame:
    """Sample predictions, a row per example and task: [step, example, task, input, target, prediction].

    The last three hold arrays or numbers as in ``records.Preview``; ``target`` is None where the label is missing.
    """
    columns = ["step", "example", "task", "input", "target", "prediction"]
    preview = store.preview(run_id, step)
    rows: list[tuple[Any, ...]] = []
    for task in [task["name"] for task in spec["tasks"]] if preview is not None else []:
        assert preview is not None
        arrays = preview.arrays
        if f"prediction/{task}" not in arrays:
            continue
        labelled = arrays.get(f"labelled/{task}")
        for n, (values, target, guess) in enumerate(
            zip(arrays["inputs"], arrays[f"target/{task}"], arrays[f"prediction/{task}"], strict=True)
        ):
            is_known = labelled is None or bool(labelled[n])
            rows.append((preview.step, n, task, values, target if is_known else None, guess))
    return pd.DataFrame(rows, columns=columns).sort_values(["example"], kind="stable", ignore_index=True)


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
        return _below([curves(self.store, self.run_id, split, **window) for split in splits])

    @cached_property
    def measured(self) -> Measured:
        """The measurements in the window."""
        after = -1 if self.first is None else self.first - 1
        found = self.store.measurements(self.run_id, after_step=after, at_most=self.at_most)
        if self.last is not None:
            found = [m for m in found if m.step <= self.last]
        return stack(found, n_stages=len(self.stages), n_tasks=len(self.tasks))


SOURCES: dict[str, Callable[[RunFrames], pd.DataFrame]] = {
    "curves": lambda run: run.curves,
    "cosines": lambda run: cosine_frame(run.measured, run.tasks, run.smooth),
    "matrix": lambda run: matrix_frame(run.measured, run.tasks),
    "stages": lambda run: stage_frame(run.measured, run.stages),
    "norms": lambda run: norm_frame(run.measured, run.tasks, run.smooth),
    "changes": lambda run: change_frame(run.measured, run.tasks, run.smooth),
    "preview": lambda run: preview_frame(run.store, run.run_id, run.spec, run.preview_step),
    "report": lambda run: report_frame(run.spec),
}


def _by_step(measured: Measured, labels: Mapping[str, pd.Categorical], values: Mapping[str, Floats]) -> pd.DataFrame:
    """Arrays [N, K] with K labels as rows, series after series."""
    n, k = len(measured.steps), len(next(iter(labels.values())))
    table: dict[str, Any] = {
        name: np.tile(place, k) for name, place in zip(PLACE, (measured.steps, measured.epochs, measured.times), strict=True)
    }
    table |= {name: categories.repeat(n) for name, categories in labels.items()}
    table |= {name: array.T.reshape(-1) for name, array in values.items()}
    return pd.DataFrame(table)


def _names(names: Sequence[str], index: NDArray[Any]) -> pd.Categorical:
    return pd.Categorical.from_codes(index.astype(int), categories=pd.Index(list(names), dtype="str"))


def _sizes(stage: Mapping[str, Any]) -> tuple[int, int, str]:
    return int(stage["n_parameters"]), int(stage["flops"]), " × ".join(str(n) for n in stage["output_shape"])
