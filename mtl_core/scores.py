"""How good one strategy is beside another, from a table of metrics: Δm, Δp, mean rank, the Pareto front and its hypervolume.

Legend: M metrics, R runs or methods, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
MOST = 1e300  # of a relative change: beyond, its percents and their sum are no numbers any more


def gains(baseline: Sequence[float], method: Sequence[float], higher_is_better: Sequence[bool]) -> Floats:
    """The relative improvement in each metric [M] as a fraction, positive = better. Raises ValueError as ``delta_m``.

    >>> gains([4.0, 2.0], [3.0, 1.0], [True, False])
    array([-0.25,  0.5 ])
    """
    lengths = {"baseline": len(baseline), "method": len(method), "higher_is_better": len(higher_is_better)}
    if len(set(lengths.values())) > 1 or not lengths["baseline"]:
        said = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"there must be as many numbers of each kind, at least one, got {said}")
    before, after = np.asarray(baseline, dtype=np.float64), np.asarray(method, dtype=np.float64)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError("metrics must be finite numbers: leave out what was not measured, on both sides")
    if (before == 0).any():
        where = int((before == 0).argmax())
        raise ValueError(f"baseline number {where + 1} is 0, so no change relative to it exists: leave that metric out")
    sign = np.where(np.asarray(higher_is_better, dtype=bool), 1.0, -1.0)
    with np.errstate(over="ignore"):
        found: Floats = sign * (after - before) / np.abs(before)
    if not (np.abs(found) < MOST).all():
        where = int((~(np.abs(found) < MOST)).argmax())
        said = f"from {before[where]:g} to {after[where]:g} is a change beyond all percents"
        raise ValueError(f"baseline number {where + 1}: {said}: check the numbers, or leave that metric out")
    return found


def delta_m(baseline: Sequence[float], method: Sequence[float], higher_is_better: Sequence[bool]) -> float:
    """The mean over **metrics** of the relative change, in percent; **lower is better** (Maninis et al. 2019, as Navon et al. 2022 use it).

    Args:
        baseline: M metrics of the single-task baseline, none of them zero.
        method: the same metrics of the method.
        higher_is_better: which way each metric is better.

    Raises:
        ValueError: in a sentence, if the lengths differ, a number is not finite, or a baseline is zero.

    >>> delta_m([4.0, 2.0], [3.0, 1.0], [True, False])  # 25 % worse and 50 % better
    -12.5
    """
    return float(-100 * gains(baseline, method, higher_is_better).mean()) + 0.0  # no change is 0, not −0


def delta_p(
    baseline: Sequence[float],
    method: Sequence[float],
    higher_is_better: Sequence[bool],
    groups: Sequence[Sequence[int]] | None = None,
) -> float:
    """The mean over metrics inside each task, then over **tasks**, of the relative change, in percent; **higher is better** (Lin, Zhang 2023).

    Args:
        groups: the positions of each task's metrics; every metric is a task of its own if left out.

    Raises:
        ValueError: as ``delta_m``, and if a metric stands in no group or in two.

    >>> delta_p([4.0, 4.0, 2.0], [3.0, 4.0, 1.0], [True, True, False], groups=[[0, 1], [2]])  # −12.5 % and +50 %
    18.75
    """
    gained = gains(baseline, method, higher_is_better)
    chosen = [[m] for m in range(len(gained))] if groups is None else [list(group) for group in groups]
    if not all(chosen) or sorted(m for group in chosen for m in group) != list(range(len(gained))):
        raise ValueError(f"groups must hold each position 0..{len(gained) - 1} exactly once, none of them empty; got {chosen}")
    return float(100 * np.mean([gained[group].mean() for group in chosen]))


def mean_rank(table_RM: ArrayLike, higher_is_better: Sequence[bool]) -> Floats:
    """The mean over metrics of each method's rank [R], 1 = best; equals share the mean of their ranks. Depends on who is compared.

    >>> mean_rank([[0.9, 1.0], [0.8, 1.0], [0.7, 3.0]], [True, False])
    array([1.25, 1.75, 3.  ])
    """
    table = _oriented(table_RM, higher_is_better)
    better = (table[None, :, :] > table[:, None, :]).sum(axis=1)
    equal = (table[None, :, :] == table[:, None, :]).sum(axis=1)
    ranks: Floats = (better + (equal + 1) / 2).mean(axis=1)
    return ranks


def on_front(points_RM: ArrayLike, higher_is_better: Sequence[bool]) -> NDArray[np.bool_]:
    """Which points [R] no other one beats: as good in every metric and better in one.

    >>> on_front([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0]], [False, False])
    array([ True,  True, False])
    """
    table = _oriented(points_RM, higher_is_better)
    no_worse = (table[None, :, :] >= table[:, None, :]).all(axis=2)
    better = (table[None, :, :] > table[:, None, :]).any(axis=2)
    is_beaten: NDArray[np.bool_] = np.any(no_worse & better, axis=1)
    return ~is_beaten


def hypervolume(points_R2: ArrayLike, reference: Sequence[float], higher_is_better: Sequence[bool] = (False, False)) -> float:
    """The area that two-metric points dominate, up to a reference point that is worse than all that count (Zitzler, Thiele 1999).

    >>> hypervolume([[1, 3], [2, 2], [3, 1]], reference=[4, 4])
    6.0
    """
    points = -_oriented(points_R2, higher_is_better)  # both lower is better
    corner = -_oriented([reference], higher_is_better)[0]
    if points.shape[1] != 2:
        raise ValueError(f"a hypervolume is drawn over two metrics, got {points.shape[1]}: choose two")
    inside = points[(points < corner).all(axis=1)]
    if not len(inside):
        return 0.0
    steps = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
    lowest = np.minimum.accumulate(steps[:, 1])
    edges = [*steps[:, 0], corner[0]]
    return float(sum((right - left) * (corner[1] - low) for (left, right), low in zip(pairwise(edges), lowest, strict=True)))


def _oriented(table_RM: ArrayLike, higher_is_better: Sequence[bool]) -> Floats:
    """The table with every metric turned so that higher is better."""
    table = np.asarray(table_RM, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(higher_is_better):
        raise ValueError(f"the table must have one column per metric ({len(higher_is_better)}), got shape {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("metrics must be finite numbers: leave out runs or metrics that were not measured")
    oriented: Floats = table * np.where(np.asarray(higher_is_better, dtype=bool), 1.0, -1.0)
    return oriented
