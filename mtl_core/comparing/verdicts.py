"""Seed by seed against a reference, and what may be claimed when many such tests are made at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mtl_core.comparing.chance import LEVEL, Paired, holm, paired
from mtl_core.comparing.groups import Group, Metric

Words = Literal["better", "worse", "no difference shown", "too few seeds to say"]
LEAST_PAIRS = 3  # with two, a t test has one degree of freedom and hardly any power


@dataclass(frozen=True)
class Verdict:
    """One group against the reference in one metric.

    ``corrected``: p-value of the paired t test after Holm's correction for all tests of the table; None if it was not tested.
    """

    group: Group
    metric: Metric
    paired: Paired
    corrected: float | None

    @property
    def words(self) -> Words:
        """What may be said at 5 %, with all tests of the table taken together."""
        if self.corrected is None or self.paired.difference is None:
            return "too few seeds to say"
        if self.corrected >= 1 - LEVEL or not self.paired.difference:
            return "no difference shown"
        return "better" if (self.paired.difference > 0) == self.metric.higher_is_better else "worse"


def verdicts(groups: Sequence[Group], reference: Group, metrics: Sequence[Metric]) -> list[Verdict]:
    """Every other group against the reference in every metric that both have, Holm-corrected over all of them."""
    found = [
        (group, metric, paired(group.values[metric.key], reference.values[metric.key]))
        for group in groups
        if group.id != reference.id
        for metric in metrics
        if metric.key in group.values and metric.key in reference.values
    ]
    tested = [n for n, (_, _, one) in enumerate(found) if one.n >= LEAST_PAIRS]
    p_values = [p for n in tested if (p := found[n][2].t) is not None]
    corrected = dict(zip(tested, holm(p_values), strict=True))
    return [Verdict(group, metric, one, corrected.get(n)) for n, (group, metric, one) in enumerate(found)]
