"""What chance alone would do: intervals of means over seeds, paired tests, and what many tests at once may claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any

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


@dataclass(frozen=True)
class Scatter:
    """The variance of a mean over seeds, and on how many degrees of freedom it rests."""

    variance: float
    freedom: int


def interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval by Student's t. Raises ValueError for no values.

    >>> found = interval([1.0, 2.0, 3.0])  # 2 ± 4.303 · 1 / √3
    >>> round(found.low, 3), round(found.high, 3)
    (-0.484, 4.484)
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    mean, found = _mean(values), scatter(values)
    return Interval(mean, None, None, 1) if found is None else around(mean, [found], len(values))


def scatter(values: Sequence[float]) -> Scatter | None:
    """How far the mean of these values would move with other seeds; None for a single one."""
    n = len(values)
    return None if n < 2 else Scatter(_deviation(values, _mean(values)) ** 2 / n, n - 1)


def around(mean: float, parts: Sequence[Scatter], n: int) -> Interval:
    """The 95 % interval of a sum of independent means, with the degrees of freedom of Welch (1947) and Satterthwaite (1946).

    Args:
        parts: the scatter of each mean, at least one.
        n: how many seeds the interval is said to rest on.

    >>> found = around(0.0, [Scatter(0.5, 2), Scatter(0.5, 2)], 3)  # as certain as one mean on 4 degrees: ± 2.776
    >>> round(found.margin, 3)
    2.776
    """
    total = math.fsum(part.variance for part in parts)
    if total == 0:
        return Interval(mean, mean, mean, n)
    freedom = 1 / math.fsum((part.variance / total) ** 2 / part.freedom for part in parts)
    margin = student_quantile((1 + LEVEL) / 2, freedom) * math.sqrt(total)
    return Interval(mean, mean - margin, mean + margin, n)


def paired(theirs: Mapping[int, float], reference: Mapping[int, float]) -> Paired:
    """Compare two groups seed by seed: values by seed."""
    common = sorted(set(theirs) & set(reference))
    differences = [theirs[seed] - reference[seed] for seed in common]
    n = len(differences)
    if not n:
        return Paired(0, None, None, None)
    mean = _mean(differences)
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


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value after Holm's correction (1979): compare it with 0.05, and all claims hold together in 95 of 100 such families.

    The smallest is multiplied by how many there are, the next by one less, and so on; none falls below the one before it.

    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    n, so_far = len(p_values), 0.0
    corrected = [0.0] * n
    for rank, place in enumerate(sorted(range(n), key=lambda place: p_values[place])):
        so_far = max(so_far, min(1.0, (n - rank) * p_values[place]))
        corrected[place] = so_far
    return corrected


def student_outside(t: float, freedom: float) -> float:
    """P(|T| ≥ t) for Student's t.

    >>> round(student_outside(12.706, 1), 4), round(student_outside(2.0, 2), 4)
    (0.05, 0.1835)
    """
    return float(2 * _special().stdtr(freedom, -abs(t)))


@lru_cache(maxsize=1024)
def student_quantile(share: float, freedom: float) -> float:
    """The t below which that share of the distribution lies.

    >>> round(student_quantile(0.975, 2), 3)
    4.303
    """
    return float(_special().stdtrit(freedom, share))


def _special() -> Any:
    """SciPy's special functions, loaded when the first interval is asked for: 80 ms that pages without one do not pay."""
    return import_module("scipy.special")


def _t_test(differences: Sequence[float], mean: float) -> float | None:
    n = len(differences)
    if n < 2:
        return None
    error = _deviation(differences, mean) / math.sqrt(n)
    if error == 0:  # all alike: no difference at all, or one without any doubt
        return 1.0 if mean == 0 else 0.0
    return student_outside(mean / error, n - 1)


def _mean(values: Sequence[float]) -> float:
    """Never beyond the least or the largest: rounding must not tell groups apart whose seeds are all alike."""
    return min(max(math.fsum(values) / len(values), min(values)), max(values))


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
