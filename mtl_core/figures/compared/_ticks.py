"""Values as places along an axis with words at them: numbers, logarithms where they span much, and names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

SPANS_MUCH = 20.0  # largest by smallest value from which an axis is logarithmic
MISSING = "–"
MOST_NAMES = 26
_APART = 0.045  # least distance of two ticks, as a share of the axis


class Scaled(NamedTuple):
    """``places`` of the values, the ``ends`` of the axis, and its ``ticks`` with their ``texts``."""

    places: list[float]
    ends: tuple[float, float]
    ticks: list[float]
    texts: list[str]


def numbers(values: pd.Series, *, most: int = 8) -> Scaled:
    """A numeric axis, with ticks at the values themselves while they are few; what is missing stands below, at "–".

    >>> numbers(pd.Series([0.001, 0.1, None])).texts
    ['–', '0.001', '0.1']
    >>> numbers(pd.Series([0.001, 0.1])).places
    [-3.0, -1.0]
    """
    given = sorted({float(value) for value in values if _is_number(value)})
    is_log = bool(given) and given[0] > 0 and given[-1] / given[0] >= SPANS_MUCH
    low, high = (_place(given[0], is_log), _place(given[-1], is_log)) if given else (0.0, 0.0)
    span = (high - low) or max(1.0, abs(high))
    at = given if len(given) <= most else _decades(given) if is_log else _round_numbers(low, high)
    if len(given) > most and len(at) < 2:
        at = [given[0], given[-1]]
    ticks = _thinned([(_place(value, is_log), f"{value:.4g}".replace("-", "−")) for value in at], span)
    below = low - 0.15 * span
    if not all(_is_number(value) for value in values):
        ticks.insert(0, (below, MISSING))
    places = [_place(float(value), is_log) if _is_number(value) else below for value in values]
    bottom = below if ticks and ticks[0][1] == MISSING else low
    ends = (bottom - 0.03 * span, high + 0.03 * span) if high > low else (bottom - 0.5 * span, high + 0.5 * span)
    return Scaled(places, ends, [place for place, _ in ticks], [text for _, text in ticks])


def categories(values: Sequence[str]) -> Scaled:
    """An axis of names, the first on top; what is missing stands at the bottom.

    >>> categories(["mgda", "–", "equal"]).texts
    ['–', 'mgda', 'equal']
    """
    names = sorted(
        {value for value in values if value != MISSING}, key=lambda name: (len(name) > 0, name.lower()), reverse=True
    )
    names = ([MISSING] if MISSING in values else []) + names
    place = {name: float(n) for n, name in enumerate(names)}
    every = math.ceil(len(names) / MOST_NAMES)
    shown = names[::every]
    ends = (-0.4, len(names) - 0.6) if len(names) > 1 else (-1.0, 1.0)
    return Scaled([place[value] for value in values], ends, [place[name] for name in shown], shown)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _place(value: float, is_log: bool) -> float:
    return round(math.log10(value), 9) if is_log else float(value)


def _decades(given: Sequence[float]) -> list[float]:
    low, high = math.log10(given[0]), math.log10(given[-1])
    marks = [digit * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for digit in (1, 3)]
    return [mark for mark in marks if given[0] <= mark * (1 + 1e-9) and mark <= given[-1] * (1 + 1e-9)]


def _round_numbers(low: float, high: float) -> list[float]:
    """Four to nine round numbers between the two."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _thinned(ticks: Sequence[tuple[float, str]], span: float) -> list[tuple[float, str]]:
    """Without those that would stand on the one before."""
    kept: list[tuple[float, str]] = []
    for tick in ticks:
        if not kept or tick[0] - kept[-1][0] >= _APART * span:
            kept.append(tick)
    return kept
