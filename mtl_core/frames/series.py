"""Losses, metrics and weights: windows of series for the screen, and everything at full resolution for export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from mtl_core.records import SPLITS, Column, Split
from mtl_core.store import Store

Floats = NDArray[np.float64]
PLACE = ("step", "epoch", "time")
CURVES = [*PLACE, "split", "task", "name", "low", "high", "mean", "smooth"]


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
    return below(parts) if parts else nothing


def below(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
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
    table["split"] = categories(SPLITS, np.full(len(table), SPLITS.index(split)))
    for key, labels in (("task", [c.task for c in columns]), ("name", [c.name for c in columns])):
        known = list(dict.fromkeys(labels))
        table[key] = categories(known, np.repeat([known.index(label) for label in labels], n_rows))
    for name, array in values.items():
        table[name] = array.T.reshape(-1).astype(np.float32)
    return table


def categories(names: Sequence[str], index: NDArray[Any]) -> pd.Categorical:
    return pd.Categorical.from_codes(index.astype(int), categories=pd.Index(list(names), dtype="str"))
