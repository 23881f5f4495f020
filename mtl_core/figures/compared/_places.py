"""Names beside points: each on the side where it covers neither another name nor a point, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 860.0, 400.0  # pixels of the drawing, about
_LETTER, _LINE, _GAP = 6.6, 15.0, 9.0
_SIDES = ("right above", "right below", "left above", "left below")
_SHIFT = {"above": 11.0, "below": -11.0}


class Place(NamedTuple):
    """A point; up and right are larger."""

    x: float
    y: float


Ends = tuple[float, float]
Box = tuple[float, float, float, float]  # left, bottom, right, top


def place_labels(points: Sequence[Place], names: Sequence[str], wide: Ends, high: Ends) -> list[str]:
    """For each point the side of its name, "right above" and the like; "" for no name, or no room.

    Args:
        wide: from where to where the drawing goes, as ``high`` does upwards.

    >>> place_labels([Place(0, 0), Place(1, 1), Place(1, 0.99)], ["one", "other", ""], (0, 1), (0, 1))
    ['right above', 'left above', '']
    """
    at = list(zip(_in_pixels([p.x for p in points], wide, WIDTH), _in_pixels([p.y for p in points], high, HEIGHT), strict=True))
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in at]
    sides = []
    for n, ((x, y), name) in enumerate(zip(at, names, strict=True)):
        others = taken[:n] + taken[n + 1 :]
        side = next((side for side in _SIDES if name and _is_free(_box(x, y, name, side), others)), "")
        if side:
            taken.append(_box(x, y, name, side))
        sides.append(side)
    return sides


def _in_pixels(values: Sequence[float], ends: Ends, length: float) -> list[float]:
    low, high = ends
    return [length * ((value - low) / (high - low) if high > low else 0.5) for value in values]


def _box(x: float, y: float, name: str, side: str) -> Box:
    where, _, height = side.partition(" ")
    middle, width = y + _SHIFT[height], len(name) * _LETTER
    left = x + _GAP if where == "right" else x - _GAP - width
    return left, middle - _LINE / 2, left + width, middle + _LINE / 2


def _is_free(box: Box, others: Sequence[Box]) -> bool:
    left, bottom, right, top = box
    is_inside = left > -60 and right < WIDTH + 10
    return is_inside and not any(left < r and ll < right and bottom < t and b < top for ll, b, r, t in others)
