"""One number for every pair of values of two settings: by default, for each scheme at each sharing depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mtl_core.comparing import Comparison, Group, Interval, in_words
from mtl_core.frames.compared.settings import DEPTH, SCHEME, ordered, setting_title, value_of, varied_settings
from mtl_core.frames.compared.words import estimate

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

DELTA_M, DELTA_P, RANK = "delta_m", "delta_p", "rank"
COLUMNS = ("row", "column", "value", "low", "high", "text", "settings", "seeds", "shade", "is best", "like the best")


def heat_settings(comparison: Comparison) -> dict[str, str]:
    """The settings that may run along its sides, key to title."""
    keys = dict.fromkeys([SCHEME, DEPTH, *varied_settings(comparison)])
    return {key: setting_title(key) for key in keys}


def heat_table(compared: Compared, choice: str) -> pd.DataFrame:
    """A row per cell, cells without runs included, rows and columns in their order.

    Args:
        choice: measure, setting of the rows and of the columns, a line each; what is left out is Δm, scheme and depth.

    Returns:
        ``text``: the value with its margin, "–" without runs. ``value``: the mean over the groups of a cell; ``low`` and ``high``: of one group its 95 % interval, of several the
        least and largest of their means. ``settings``: how many groups. ``shade``: for Δm and Δp −1 to 1, above 0 better
        than the baseline; for the others 0, the worst here, to 1, the best. ``like the best``: not told apart from the best
        cell by the intervals; judged between cells of one group only, and where intervals exist.
    """
    measure, across, along = (*choice.split("\n"), "", "")[:3]
    found = compared.comparison
    values, is_up = _measured(found, measure)
    sides = heat_settings(found)
    row_key, column_key = across if across in sides else SCHEME, along if along in sides else DEPTH
    cells: dict[tuple[str, str], list[Group]] = {}
    for group in found.tested:
        if group.id in values:
            place = in_words(value_of(group, row_key)), in_words(value_of(group, column_key))
            cells.setdefault(place, []).append(group)
    if not cells:
        return pd.DataFrame(columns=list(COLUMNS))
    shown = [group for groups in cells.values() for group in groups]
    rows, columns = (ordered(value_of(group, key) for group in shown) for key in (row_key, column_key))
    table = pd.DataFrame(_cells(rows, columns, cells, values), columns=list(COLUMNS[:8]))
    table["shade"] = _shades(table["value"], is_up, around_zero=measure in ("", DELTA_M, DELTA_P))
    best = int(np.nanargmax(table["shade"].to_numpy(dtype=float)))
    table["is best"] = np.arange(len(table)) == best
    alone = {place: values[groups[0].id] for place, groups in cells.items() if len(groups) == 1}
    places = [(str(row), str(column)) for row, column in zip(table["row"], table["column"], strict=True)]
    rival = alone.get(places[best])
    table["like the best"] = [
        n != best and rival is not None and place in alone and measure != RANK and alone[place].overlaps(rival)
        for n, place in enumerate(places)
    ]
    return table


def _measured(found: Comparison, measure: str) -> tuple[Mapping[str, Interval], bool]:
    """The measure of each group that has it, and whether higher is better."""
    if measure in ("", DELTA_M):
        return with_zero(found, found.delta_m), False
    if measure == DELTA_P:
        return with_zero(found, found.delta_p), True
    if measure == RANK:
        return {group: Interval(rank, None, None, 1) for group, rank in found.mean_rank.items()}, False
    metric = next((metric for metric in found.metrics if "|".join(metric.key) == measure), None)
    if metric is None:
        return {}, True
    known = {group.id: group.intervals[metric.key] for group in found.tested if metric.key in group.intervals}
    return known, metric.higher_is_better


def with_zero(found: Comparison, deltas: Mapping[str, Interval]) -> dict[str, Interval]:
    """The differences from the baseline; its own is zero without any doubt."""
    own = {group.id for group in found.tested if found.baseline_of(group) is group}
    return {key: Interval(0.0, 0.0, 0.0, one.n) if key in own else one for key, one in deltas.items()}


def _cells(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], Sequence[Group]],
    values: Mapping[str, Interval],
) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        for column in columns:
            groups = cells.get((row, column), ())
            known = [values[group.id] for group in groups]
            means = [interval.mean for interval in known]
            seeds = sum(len(group.by_seed) for group in groups)
            if not known:
                yield row, column, math.nan, math.nan, math.nan, "–", 0, 0
            elif len(known) == 1:
                one = known[0]
                yield row, column, one.mean, one.low, one.high, estimate(one.mean, one.margin), 1, seeds
            else:
                mean = math.fsum(means) / len(means)
                yield row, column, mean, min(means), max(means), estimate(mean, None), len(means), seeds


def _shades(values: pd.Series, is_up: bool, *, around_zero: bool) -> pd.Series:
    better = values.astype(float) * (1 if is_up else -1)
    if around_zero:
        return better / (better.abs().max() or 1.0)
    low, high = better.min(), better.max()
    return (better - low) / (high - low) if high > low else better * 0 + 1
