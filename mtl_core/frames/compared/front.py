"""Who trades one metric for another: groups over two test metrics, and what fixed weights alone reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mtl_core.comparing import Comparison, Group, Interval, Metric, in_words, is_static

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

ENOUGH_MIXES = 9  # Xin et al. (2022) draw their fronts from at least as many
BEHIND, PERHAPS, CLEARLY = "behind", "beyond, perhaps by chance", "clearly beyond"
_NAMED = 4
COLUMNS = (
    *("group", "scheme", "depth", "seeds", "x", "x low", "x high", "y", "y low", "y high"),
    *("fixed weights", "baseline", "beaten by none", "on the front of fixed weights", "fixed weights and it"),
    *("x of the reference", "y of the reference"),
)


def pair_of(comparison: Comparison, choice: str) -> list[Metric]:
    """The two metrics that a choice ("task|metric", newline, "task|metric") names; the usual two if it names none."""
    known = {"|".join(metric.key): metric for metric in comparison.scored}
    pairs = ([one, other] for left, one in known.items() for right, other in known.items() if f"{left}\n{right}" == choice)
    return next(pairs, comparison.front_metrics())


def front_table(compared: Compared, choice: str) -> pd.DataFrame:
    """A row per group that has both metrics: mean and 95 % interval of each, and where it stands.

    ``fixed weights and it``: whether the group lies beyond what fixed weights reach; "clearly" only where the worse ends of
    its intervals are not reached by the better ends of any fixed mix.
    """
    found, pair = compared.comparison, pair_of(compared.comparison, choice)
    front = found.front(pair)
    if front is None:
        return pd.DataFrame(columns=list(COLUMNS))
    on = _with_both(found, pair)
    fixed = [group for group in on if is_static(group)]
    alone = replace(found, groups=tuple(fixed)).front(pair) if fixed else None
    baselines = {group["id"] for group in compared.spec["groups"] if group["is_baseline"]}
    rows = [
        (
            *(group.name, group.scheme, group.depth, len(group.by_seed)),
            *(end for metric in pair for end in _ends(group.intervals[metric.key])),
            *(is_static(group), group.id in baselines, group.id in front.members),
            *(alone is not None and group.id in alone.members, "" if is_static(group) else _beyond(group, fixed, pair)),
            *front.reference,
        )
        for group in on
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


@dataclass(frozen=True)
class Said:
    """What a front amounts to, in sentences."""

    mixes: str
    area: str
    beyond: str
    left_out: str = ""

    @property
    def sentences(self) -> list[str]:
        return [sentence for sentence in (self.mixes, self.area, self.beyond, self.left_out) if sentence]


def front_said(compared: Compared, choice: str) -> Said | None:
    """The same in words; None where there is no front."""
    found, pair = compared.comparison, pair_of(compared.comparison, choice)
    front = found.front(pair)
    if front is None:
        return None
    on = _with_both(found, pair)
    left_out = len(found.groups) - len(on)
    at = " and ".join(f"{place:.3g}" for place in front.reference)
    where = f"measured from {at}, a point a little worse than the worst in each metric"
    if any(is_static(group) for group in on):
        share = front.fixed_hypervolume / front.hypervolume if front.hypervolume else 0.0
        area = (
            f"Fixed weights alone cover {100 * share:.0f} % of the area that all {len(on)} groups cover "
            f"({front.fixed_hypervolume:.3g} of {front.hypervolume:.3g}, {where})."
        )
    else:
        these = f"The {len(on)} groups together cover" if len(on) > 1 else "The only group covers"
        area = f"{these} an area of {front.hypervolume:.3g} ({where})."
    without = f"{_count(left_out, 'group')} without both numbers cannot be drawn." if left_out else ""
    return Said(_mixes(on), area, _who_is_beyond(on, pair), without)


def _mixes(on: Sequence[Group]) -> str:
    fixed = [group for group in on if is_static(group)]
    mixes = {_mix(group.settings.get("weighting.weights")) for group in fixed}
    if not mixes:
        return (
            "No run with fixed weights is among these, so nothing shows what tuning the weights alone would reach: "
            "sweep the weights of the scheme fixed."
        )
    depths = {group.depth for group in fixed}
    deep = f", at {len(depths)} sharing depths," if len(depths) > 1 else ""
    if len(mixes) >= ENOUGH_MIXES:
        return f"{len(mixes)} mixes of fixed weights{deep} make the front."
    make = "makes" if len(mixes) == 1 else "make"
    return (
        f"Only {_count(len(mixes), 'mix', 'mixes')} of fixed weights{deep} {make} the front. One worth its name takes {ENOUGH_MIXES} or more: with few, "
        "a scheme may look better than tuned weights because the right mix was not tried."
    )


def _who_is_beyond(on: Sequence[Group], pair: Sequence[Metric]) -> str:
    fixed = [group for group in on if is_static(group)]
    others = [group for group in on if not is_static(group)]
    if not fixed or not others:
        return ""
    found = {group.name: _beyond(group, fixed, pair) for group in others}
    clearly, perhaps = ([name for name, where in found.items() if where == kind] for kind in (CLEARLY, PERHAPS))
    rest = len(found) - len(clearly) - len(perhaps)
    parts = [f"Clearly beyond the front of fixed weights: {_names(clearly) if clearly else 'nobody'}."]
    if perhaps:
        parts.append(f"Beyond it by the means, but perhaps by chance: {_names(perhaps)}.")
    if rest:
        parts.append(f"On it or behind it: {_count(rest, 'group')}; tuned weights do as well.")
    return " ".join(parts)


def _beyond(group: Group, fixed: Iterable[Group], pair: Sequence[Metric]) -> str:
    """Whether any fixed mix is as good in both metrics, by the means, then by the ends of the intervals."""
    rivals = list(fixed)
    if not rivals:
        return ""
    if any(_reaches(_corner(rival, pair, 0), _corner(group, pair, 0)) for rival in rivals):
        return BEHIND
    worst = _corner(group, pair, -1)
    best = [_corner(rival, pair, +1) for rival in rivals]
    if worst is None or any(_reaches(corner, worst) for corner in best):
        return PERHAPS
    return CLEARLY


def _corner(group: Group, pair: Sequence[Metric], sign: int) -> list[float] | None:
    """Mean (0), better (+1) or worse (−1) ends of both intervals, turned so that higher is better; None without intervals."""
    corner = []
    for metric in pair:
        interval, up = group.intervals[metric.key], 1 if metric.higher_is_better else -1
        if sign and interval.margin is None:
            return None
        corner.append(up * interval.mean + sign * (interval.margin or 0.0))
    return corner


def _reaches(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Whether one is as good as the other in both; true where nobody knows."""
    return one is None or other is None or all(mine >= yours for mine, yours in zip(one, other, strict=True))


def _with_both(found: Comparison, pair: Sequence[Metric]) -> list[Group]:
    return [group for group in found.tested if all(metric.key in group.intervals for metric in pair)]


def _ends(interval: Interval) -> tuple[float, float | None, float | None]:
    return interval.mean, interval.low, interval.high


def _mix(weights: Any) -> str:
    """What two mixes have in common if they are the same: their shares; "equal" for equal ones."""
    if not isinstance(weights, list | tuple) or not weights or len(set(weights)) == 1:
        return "equal"
    total = sum(weights)
    return in_words([round(weight / total, 6) for weight in weights]) if total else in_words(list(weights))


def _names(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return "; ".join([*names[:_NAMED], *([f"{rest} more"] if rest > 0 else [])])


def _count(number: int, what: str, many: str = "") -> str:
    return f"{number} {what if number == 1 else many or what + 's'}"
