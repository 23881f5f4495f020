"""Who is best in one column of a table, and who cannot be told from the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mtl_core.comparing.chance import Interval


@dataclass(frozen=True)
class Standing:
    """``best``: the id of the group with the best mean; ``alike``: the others whose 95 % interval overlaps that of the best."""

    best: str | None
    alike: frozenset[str]


def standing(column: Mapping[str, Interval], *, higher_is_better: bool) -> Standing:
    """Compare a column's means, by group id. A group with one seed cannot be told from the best, nor others from it.

    >>> column = {"a": Interval(1.0, 0.9, 1.1, 3), "b": Interval(2.0, 1.8, 2.2, 3), "c": Interval(1.9, 1.7, 2.1, 3)}
    >>> standing(column, higher_is_better=True)
    Standing(best='b', alike=frozenset({'c'}))
    """
    if not column:
        return Standing(None, frozenset())
    best = max(column, key=lambda one: column[one].mean if higher_is_better else -column[one].mean)
    return Standing(best, frozenset(one for one in column if one != best and column[one].overlaps(column[best])))
