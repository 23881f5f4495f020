"""What every scheme would have done at one measured step, set against what was done, as a tidy table.

All of it follows from the Gramian G: with d = Jᵀw, the length of d is √(wᵀGw), the cosine of two steps wᵀGw′ over their lengths, and
the first-order change of task i's loss along −d is −(Gw)ᵢ. This table alone needs torch, for the schemes: it is loaded here,
when somebody asks.
Legend: T tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mtl_core import analysis
from mtl_core.frames.conflict import stack
from mtl_core.frames.series import Floats, categories
from mtl_core.records import Measurement

TAKEN = "taken"
COLUMNS = ["step", "scheme", "title", "task", "weight", "share", "cosine", "length", "change", "percent", "gain", "note"]
KNOWN = "What the optimiser made of it is on Who pays."
UNKNOWN = "Its weights are not known; the row has the measured changes, and only their signs and proportions count."


class _Step(NamedTuple):
    """Gramian [T, T], losses [T] and the weights [T] of the step that was taken."""

    gram: Floats
    losses: Floats
    taken: Floats


def what_if_frame(measurement: Measurement | None, tasks: Sequence[str], title: str, config: Mapping[str, Any]) -> pd.DataFrame:
    """A row per scheme and task, the step taken first, then equal weights, then those nearest to the step taken.

    Args:
        title: what the run's own scheme is called.
        config: the run's config as a mapping, for its scheme's knobs and its seed.

    Returns:
        [step, scheme, title, task, weight, share, cosine, length, change, percent, gain, note]. ``share``: weight over the sum
        of absolute weights. ``cosine`` and ``length``: the step against the one taken. ``change``: of the task's loss per unit of
        step length, to first order (below zero it falls); ``percent`` of its loss. ``gain``: the cosine of step and gradient,
        1 = falls as fast as a step of that length can make it, below zero it rises.
    """
    if measurement is None or len(tasks) == 0 or len(measurement.gramian) == 0:
        empty = pd.DataFrame({name: pd.Series(dtype="float64") for name in COLUMNS})
        return empty.astype({"step": "int64", "scheme": "str", "title": "str", "task": "str", "note": "str"})
    measured = stack([measurement], n_stages=len(measurement.gramian), n_tasks=len(tasks))
    full, last = measured.full[0], analysis.full_gramian(measured.gramian, measured.counts)[0, -1]
    losses = np.asarray(measurement.losses, dtype=np.float64)
    seed = int(config.get("training", {}).get("seed", 0))
    ask = import_module("mtl_core.what_if").answers
    answers = ask(full, losses, tuple(tasks), last_TT=last, seed=seed, chosen=config.get("weighting"))
    taken = np.where(np.isfinite(np.diagonal(full)), measurement.weights.astype(np.float64), np.nan)
    at = _Step(full, losses, taken)
    rows = [_rows(at, np.array(answer.weights), answer.scheme, answer.title, note=answer.note) for answer in answers]
    first, others = rows[:1], sorted(rows[1:], key=lambda part: (-part["cosine"].fillna(-2).iloc[0], part["title"].iloc[0]))
    own = _rows(at, taken, TAKEN, f"The step taken ({title})", note=KNOWN)
    if not np.isfinite(own["weight"]).any():
        own = _by_changes(own, measurement.changes.astype(np.float64), full, losses)
    frame = pd.concat([own, *first, *others], ignore_index=True)
    frame["task"] = categories(tasks, np.tile(np.arange(len(tasks)), len(rows) + 1))
    return frame.assign(step=measurement.step)[COLUMNS]


def _rows(at: _Step, weights: Floats, scheme: str, title: str, *, note: str) -> pd.DataFrame:
    """One scheme: T rows."""
    gram, losses, taken = at
    products, length = _products(weights, gram)
    _, taken_length = _products(taken, gram)
    norms = analysis.norms(gram)
    is_nil = np.isfinite(weights).any() and not length > 0
    with np.errstate(all="ignore"):
        change = -products / length if length > 0 else np.full(len(weights), np.nan)
        cosine = np.nansum(np.where(np.isfinite(taken), taken, 0.0) * products) / (length * taken_length)
        gain = np.clip(np.where(norms > 0, -change / norms, np.nan), -1, 1)
        percent = np.where(losses > 0, 100 * change / losses, np.nan)
    is_known = length > 0 and taken_length > 0
    return pd.DataFrame(
        {
            "scheme": scheme,
            "title": title,
            "weight": weights,
            "share": weights / np.nansum(np.abs(weights)) if np.nansum(np.abs(weights)) > 0 else np.nan,
            "cosine": float(np.clip(cosine, -1, 1)) if is_known else np.nan,
            "length": float(length / taken_length) if is_known else 0.0 if is_nil and taken_length > 0 else np.nan,
            "change": change,
            "percent": percent,
            "gain": gain,
            "note": " ".join(
                part for part in ("It stands still here: no step helps all tasks." if is_nil else "", note) if part
            ),
        }
    )


def _products(weights: Floats, gram: Floats) -> tuple[Floats, float]:
    """(Gw) [T] and |Jᵀw|; a length lost in the rounding of a float32 Gramian is 0, an unknown one NaN."""
    is_there = np.isfinite(np.diagonal(gram))
    if not np.isfinite(weights[is_there]).all() or not is_there.any():
        return np.full(len(weights), np.nan), float("nan")
    known = np.where(is_there, weights, 0.0)
    with np.errstate(all="ignore"):
        products: Floats = np.where(is_there, np.where(np.isfinite(gram), gram, 0.0) @ known, np.nan)
        square = float(known @ np.where(is_there, products, 0.0))
        longest = float(np.sum(np.abs(known) * np.where(is_there, analysis.norms(gram), 0.0))) ** 2
    if not np.isfinite(square):
        return np.full(len(weights), np.nan), float("nan")
    rounding = 4 * len(weights) * analysis.FLOAT32_EPS * longest
    return products, float(np.sqrt(square)) if square > rounding else 0.0


def _by_changes(own: pd.DataFrame, changes: Floats, gram: Floats, losses: Floats) -> pd.DataFrame:
    """The step taken where no weights are known: its measured changes, the largest of their gains as 1."""
    with np.errstate(all="ignore"):
        gain = -changes / analysis.norms(gram)
        gain = np.where(np.isfinite(gain), gain, np.nan)
        most = np.nanmax(np.abs(gain), initial=0.0)
        percent = np.where(losses > 0, 100 * changes / losses, np.nan)
    return own.assign(change=changes, percent=percent, gain=gain / most if most > 0 else np.nan, note=UNKNOWN)
