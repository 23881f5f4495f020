"""Curves of several seeds as one: their mean at common places, and how far chance alone would move it.

Legend: N places, K seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_core.comparing.chance import LEVEL, student_quantile

Floats = NDArray[np.float64]
SHORT = 0.05  # a stretch that lacks a seed and is shorter than this share of the whole is only ragged ends
Series = tuple[Floats, Floats]  # places and values [N] of one seed


class Averaged(NamedTuple):
    """N places: ``value`` the mean of the ``n`` seeds that have numbers there; ``low`` to ``high`` its 95 % interval, NaN for
    one seed; ``part`` counts up where a seed begins or ends, so that no line is drawn from one mean to that of others."""

    places: Floats
    value: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int64]
    part: NDArray[np.int64]

    def where(self, keep: NDArray[np.bool_]) -> Averaged:
        """Only these places."""
        numbers = (self.places[keep], self.value[keep], self.low[keep], self.high[keep])
        return Averaged(*numbers, self.n[keep], self.part[keep])


def over_seeds(series: Sequence[Series], most: int) -> Averaged:
    """The mean curve of seeds with its 95 % band (Student's t at each place).

    Where all have the same places these are kept, and the mean is the plain mean. Else each seed is interpolated at the places
    of all (at most ``most`` of them), never beyond its own first and last.
    """
    known = [one for one in map(_known, series) if len(one[0])]
    if not known:
        nothing, no_counts = np.empty(0), np.empty(0, np.int64)
        return Averaged(nothing, nothing, nothing, nothing, no_counts, no_counts)
    places, values = _together(known, most)
    n = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    margin = _margins(values, mean, n)
    part = np.cumsum(np.diff(n, prepend=n[:1]) != 0)
    keep = (n > 0) & ((n == n.max()) | (_lengths(places, part) >= SHORT * (places[-1] - places[0])))
    return Averaged(places, mean, mean - margin, mean + margin, n, part).where(keep)


def _known(one: Series) -> Series:
    is_known = np.isfinite(one[0]) & np.isfinite(one[1])
    return one[0][is_known], one[1][is_known]


def _together(known: Sequence[Series], most: int) -> tuple[Floats, Floats]:
    """Common places [N] and the seeds' values there [K, N], NaN where a seed has none."""
    first = known[0][0]
    if all(np.array_equal(places, first) for places, _ in known):
        return first, np.stack([values for _, values in known])
    places = np.unique(np.concatenate([places for places, _ in known]))
    places = places[places >= max(own[0] for own, _ in known)]  # where all have begun
    if len(places) > most:
        places = places[np.unique(np.linspace(0, len(places) - 1, most).round().astype(np.int64))]
    return places, np.stack([np.interp(places, *one, left=np.nan, right=np.nan) for one in known])


def _margins(values_KN: Floats, mean: Floats, n: NDArray[np.int64]) -> Floats:
    """Half of the 95 % intervals [N]; NaN below two seeds."""
    squares = np.where(np.isfinite(values_KN), (values_KN - mean) ** 2, 0.0).sum(axis=0)
    margin = np.full(len(n), np.nan)
    for count in np.unique(n[n > 1]):
        here = n == count
        margin[here] = student_quantile((1 + LEVEL) / 2, int(count) - 1) * np.sqrt(squares[here] / (count - 1) / count)
    return margin


def _lengths(places: Floats, part: NDArray[np.int64]) -> Floats:
    """How long the part is to which each place belongs."""
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    ends = np.append(starts[1:], len(part)) - 1
    lengths: Floats = (places[ends] - places[starts])[part - part[0]]
    return lengths
