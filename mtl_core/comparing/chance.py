"""What chance alone would do: intervals of means over seeds, and paired tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

LEVEL = 0.95
LEAST_FOR_WILCOXON = 6  # with five pairs even a clean sweep has p = 1/16


@dataclass(frozen=True)
class Interval:
    """A mean over ``n`` seeds with its 95 % interval; without one (None) for a single seed."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def margin(self) -> float | None:
        """Half of its width."""
        return None if self.high is None else self.high - self.mean

    def overlaps(self, other: Interval) -> bool:
        """Whether the two cannot be told apart by their intervals; true where one of them has none.

        >>> Interval(1.0, 0.5, 1.5, 3).overlaps(Interval(1.8, 1.6, 2.0, 3)), Interval(1.0, None, None, 1).overlaps(Interval(9, 8, 10, 3))
        (False, True)
        """
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return True
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Paired:
    """Two groups on the seeds that both have: ``difference`` is the mean of theirs minus the reference's.

    ``t``: p-value of the paired t test (Student 1908), None below two seeds; ``wilcoxon``: of the exact signed-rank test
    (Wilcoxon 1945), None below six differences that are not zero, where it could show nothing at 5 %. Both two-sided.
    """

    n: int
    difference: float | None
    t: float | None
    wilcoxon: float | None


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval by Student's t. Raises ValueError for no values.

    >>> found = interval([1.0, 2.0, 3.0])  # 2 ± 4.303 · 1 / √3
    >>> round(found.low, 3), round(found.high, 3)
    (-0.484, 4.484)
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    margin = student_quantile((1 + LEVEL) / 2, n - 1) * _deviation(values, mean) / math.sqrt(n)
    return Interval(mean, mean - margin, mean + margin, n)


def paired(theirs: Mapping[int, float], reference: Mapping[int, float]) -> Paired:
    """Compare two groups seed by seed: values by seed."""
    common = sorted(set(theirs) & set(reference))
    differences = [theirs[seed] - reference[seed] for seed in common]
    n = len(differences)
    if not n:
        return Paired(0, None, None, None)
    mean = math.fsum(differences) / n
    return Paired(n, mean, _t_test(differences, mean), wilcoxon(differences))


def wilcoxon(differences: Sequence[float]) -> float | None:
    """Two-sided p-value of the exact signed-rank test: the share of all sign patterns that are at least as lopsided.

    Zeros are left out, ties share their mean rank. None below six differences.

    >>> wilcoxon([1, 2, 3, 4, 5, 6])  # the most lopsided of 2⁶ patterns, and its mirror image
    0.03125
    """
    sizes = sorted((abs(one), one > 0) for one in differences if one != 0)
    n = len(sizes)
    if n < LEAST_FOR_WILCOXON:
        return None
    starts = [0, *(k for k in range(1, n) if sizes[k][0] != sizes[k - 1][0]), n]
    ranks = [begin + end + 1 for begin, end in pairwise(starts) for _ in range(begin, end)]  # twice the mean rank: whole
    patterns = [1] + [0] * sum(ranks)  # how many sign patterns give each sum of positive ranks
    for rank in ranks:
        for total in range(len(patterns) - 1, rank - 1, -1):
            patterns[total] += patterns[total - rank]
    positive = sum(rank for rank, (_, is_up) in zip(ranks, sizes, strict=True) if is_up)
    smaller = min(positive, sum(ranks) - positive)
    return min(1.0, 2 * sum(patterns[: smaller + 1]) / (1 << n))


def student_inside(t: float, freedom: int) -> float:
    """P(|T| < t) for Student's t with whole degrees of freedom: a finite sum (Abramowitz, Stegun 1964, 26.7.3 and 26.7.4).

    >>> round(student_inside(12.706, 1), 4), round(student_inside(2.0, 2), 4)
    (0.95, 0.8165)
    """
    angle = math.atan2(abs(t), math.sqrt(freedom))
    square = math.cos(angle) ** 2
    term = math.cos(angle) if freedom % 2 else 1.0
    total = 0.0
    for k in range(3 if freedom % 2 else 2, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
    if freedom % 2:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


@lru_cache(maxsize=256)
def student_quantile(share: float, freedom: int) -> float:
    """The t below which that share of the distribution lies, for shares above one half.

    >>> round(student_quantile(0.975, 2), 3)
    4.303
    """
    low, high = 0.0, 1.0
    while student_inside(high, freedom) < 2 * share - 1:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_inside(middle, freedom) < 2 * share - 1 else (low, middle)
    return high


def _t_test(differences: Sequence[float], mean: float) -> float | None:
    n = len(differences)
    if n < 2:
        return None
    error = _deviation(differences, mean) / math.sqrt(n)
    if error == 0:  # all alike: no difference at all, or one without any doubt
        return 1.0 if mean == 0 else 0.0
    return max(0.0, 1 - student_inside(mean / error, n - 1))


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
