"""A fair comparison of runs: seeds taken together, every number with its interval, and a warning for each rule that is broken.

The rules are those on which the field's critics insist (Kurin et al. 2022, Xin et al. 2022): several seeds, equal budgets,
the same data, static weights as rivals, per-task numbers beside every average, and nothing selected on the test split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mtl_core import scores
from mtl_core.comparing.chance import Interval, Paired, paired
from mtl_core.comparing.deltas import Floats, Pair, pair
from mtl_core.comparing.groups import Group, Key, Metric, differences, group_runs, metrics_of
from mtl_core.comparing.rules import Warned, check
from mtl_core.comparing.standing import Standing, standing
from mtl_core.comparing.verdicts import Verdict, verdicts
from mtl_core.store import Run
from mtl_core.store.alike import in_words, settings_of

__all__ = [
    "Comparison",
    "Group",
    "Interval",
    "Key",
    "Metric",
    "Paired",
    "Standing",
    "Verdict",
    "Warned",
    "compare",
    "in_words",
    "is_static",
    "settings_of",
    "standing",
    "with_baseline",
]

ROOM = 0.1  # how far beyond the worst point the hypervolume's reference lies, as a share of the range
_UNMATCHED = ("weighting.", "architecture.depth", "measure.")  # may differ from a baseline's


@dataclass(frozen=True)
class Comparison:
    """Groups of runs side by side.

    ``chosen``: the id of the group that serves as everybody's baseline; None: each group's single-task baseline, where it is
    among the groups.
    """

    groups: tuple[Group, ...]
    chosen: str | None = None

    @cached_property
    def metrics(self) -> list[Metric]:
        return metrics_of(self.groups)

    @property
    def scored(self) -> list[Metric]:
        """The metrics that count in Δm, Δp and ranks."""
        return [metric for metric in self.metrics if metric.is_score]

    @cached_property
    def ranked(self) -> list[Metric]:
        """Those over which ranks and the usual front go: what runs from elsewhere alone have is left out, unless all are such."""
        known = {key for group in self.tested if not group.is_foreign for key in group.values}
        return [metric for metric in self.scored if metric.key in known] or self.scored

    @cached_property
    def tested(self) -> tuple[Group, ...]:
        """The groups with a test result."""
        return tuple(group for group in self.groups if group.by_seed)

    @cached_property
    def varied(self) -> dict[str, list[Any]]:
        """The settings in which the groups differ: setting -> value per group."""
        return differences(self.groups)

    def group(self, group_id: str) -> Group | None:
        return next((group for group in self.groups if group.id == group_id), None)

    def baseline_of(self, group: Group) -> Group | None:
        """What Δm measures that group against: the chosen one, else separate networks with the same data, tasks and training."""
        if self.chosen is not None:
            return self.group(self.chosen)
        wanted = _matched(group)
        return next((one for settings, one in self._single_task if settings == wanted), None)

    @cached_property
    def delta_m(self) -> dict[str, Interval]:
        """Δm by group id, in percent, lower is better: over metrics, from the means over seeds of both sides.

        Its interval holds the scatter of both; that of a baseline with one seed is unknown and missing. A baseline against
        itself is 0, without interval.
        """
        return self._against_baseline(lambda pair: -pair.by_metric(_alike(pair)))

    @cached_property
    def delta_p(self) -> dict[str, Interval]:
        """Δp by group id, in percent, higher is better: inside each task, then over tasks; intervals as for ``delta_m``."""
        return self._against_baseline(lambda pair: pair.by_task(_alike(pair)))

    def weighed_delta(self, weights: Mapping[str, float]) -> dict[str, Interval]:
        """Δp under other task weights: the weighted mean over tasks (weights need not sum to 1), where it exists.

        Raises ValueError unless at least one weight is positive and none negative.
        """
        _refuse(weights)
        return self._against_baseline(lambda pair: pair.by_task(weights) if _covers(weights, pair) else None)

    def weighed_delta_m(self, weights: Mapping[str, float]) -> dict[str, Interval]:
        """Δm under other task weights: the mean over metrics, each of which counts as much as its task. As ``weighed_delta``."""
        _refuse(weights)
        return self._against_baseline(lambda pair: -pair.by_metric(weights) if _covers(weights, pair) else None)

    def gains(self, group: Group) -> dict[str, float]:
        """Each task's mean relative improvement over the baseline in percent (higher is better); {} without a baseline."""
        found = self._pairs.get(group.id)
        if found is None:
            return {}
        per_task: dict[str, list[float]] = {}
        for metric, gain in zip(found.metrics, found.gains.tolist(), strict=True):
            per_task.setdefault(metric.task, []).append(gain)
        return {task: math.fsum(mine) / len(mine) for task, mine in per_task.items()}

    @cached_property
    def mean_rank(self) -> dict[str, float]:
        """Mean rank over the metrics by group id, 1 = best, among the groups that have all metrics."""
        full = [group for group in self.tested if all(metric.key in group.intervals for metric in self.ranked)]
        if not full or not self.ranked:
            return {}
        table = [[group.intervals[metric.key].mean for metric in self.ranked] for group in full]
        ranks = scores.mean_rank(table, [metric.higher_is_better for metric in self.ranked])
        return {group.id: float(rank) for group, rank in zip(full, ranks, strict=True)}

    def overlaps(self, group: Group, reference: Group) -> dict[Key, bool]:
        """Per metric whether a group cannot be told from the reference by the 95 % intervals."""
        common = [key for key in group.intervals if key in reference.intervals]
        return {key: group.intervals[key].overlaps(reference.intervals[key]) for key in common}

    def paired(self, group: Group, reference: Group) -> dict[Key, Paired]:
        """Per metric the two groups seed by seed."""
        common = [key for key in group.values if key in reference.values]
        return {key: paired(group.values[key], reference.values[key]) for key in common}

    def verdicts(self, reference: Group) -> list[Verdict]:
        """Every other group against this one, metric by metric, with Holm's correction for all of these tests together."""
        return verdicts(self.tested, reference, self.scored)

    def standing(self, metric: Metric) -> Standing:
        """Who is best in a metric, and who cannot be told from the best."""
        column = {group.id: group.intervals[metric.key] for group in self.tested if metric.key in group.intervals}
        return standing(column, higher_is_better=metric.higher_is_better)

    def front_metrics(self) -> list[Metric]:
        """The two metrics that a front is drawn over unless somebody chooses: the headlines of the first two tasks."""
        headlines_first = sorted(self.ranked, key=lambda metric: not metric.is_headline)
        by_task: dict[str, Metric] = {}
        for metric in headlines_first:
            by_task.setdefault(metric.task, metric)
        return list(dict.fromkeys([*by_task.values(), *headlines_first]))[:2]

    def front(self, chosen: Sequence[Metric] | None = None) -> Front | None:
        """Who is beaten by nobody in two metrics, and how much area that covers; None where two metrics are not known."""
        pair = list(chosen or self.front_metrics())
        on = [group for group in self.tested if all(metric.key in group.intervals for metric in pair)]
        if len(pair) != 2 or not on:
            return None
        up = [metric.higher_is_better for metric in pair]
        points = [[group.intervals[metric.key].mean for metric in pair] for group in on]
        reference = [_beyond([point[m] for point in points], is_up) for m, is_up in enumerate(up)]
        area = {
            "all": scores.hypervolume(points, reference, up),
            "fixed": scores.hypervolume(
                [point for point, group in zip(points, on, strict=True) if is_static(group)] or [reference], reference, up
            ),
        }
        beaten_by_none = scores.on_front(points, up)
        members = frozenset(group.id for group, is_on in zip(on, beaten_by_none, strict=True) if is_on)
        return Front((pair[0], pair[1]), members, (reference[0], reference[1]), area["all"], area["fixed"])

    @cached_property
    def warnings(self) -> list[Warned]:
        """Every rule of a fair comparison that these runs break."""
        bases = {group.id: self.baseline_of(group) for group in self.tested}
        bare = [group for group in self.tested if bases[group.id] is None]
        hoped = {group.id: _matched(group) for group in self.groups if group.is_single_task and not group.by_seed}
        without = [group for group in bare if _matched(group) not in hoped.values()]
        lacking = [_matched(group) for group in bare]
        awaited = [group for group in self.groups if group.id in hoped and hoped[group.id] in lacking]
        used = {base.id: base for group_id, base in bases.items() if base is not None and base.id != group_id}
        lost = [group for group in self.tested if bases[group.id] is not None and group.id not in self._pairs]
        return check(self.groups, without_baseline=without, awaited=awaited, baselines=list(used.values()), incomparable=lost)

    @cached_property
    def _single_task(self) -> list[tuple[dict[str, Any], Group]]:
        """What may serve as a baseline: separate networks, with the settings that others must share with them."""
        return [(_matched(group), group) for group in self.tested if group.is_single_task]

    @cached_property
    def _pairs(self) -> dict[str, Pair]:
        """Each group beside its baseline, by group id, where both have numbers that compare."""
        found = {}
        for group in self.tested:
            baseline = self.baseline_of(group)
            both = None if baseline is None else pair(group, baseline, self.scored)
            if both is not None:
                found[group.id] = both
        return found

    def _against_baseline(self, shares: Callable[[Pair], Floats | None]) -> dict[str, Interval]:
        """The gains over the baseline in percent, weighed by each metric's share; a group without shares is left out."""
        found = {}
        for group in self.tested:
            both = self._pairs.get(group.id)
            shares_M = None if both is None else shares(both)
            if both is None or shares_M is None:
                continue
            is_itself = self.baseline_of(group) is group
            found[group.id] = Interval(0.0, None, None, len(both.method_SM)) if is_itself else both.weighed(shares_M)
        return found


@dataclass(frozen=True)
class Front:
    """Two metrics: the groups that nobody beats in both, and the area dominated up to ``reference`` by all groups, and by those
    with fixed weights alone."""

    metrics: tuple[Metric, Metric]
    members: frozenset[str]
    reference: tuple[float, float]
    hypervolume: float
    fixed_hypervolume: float


def compare(runs: Sequence[Run], *, baseline: str | None = None) -> Comparison:
    """Put runs side by side.

    Args:
        runs: of any state; those without a final test are named in a warning.
        baseline: the id of a run whose group is the baseline of all; None: the single-task one of each.

    Raises:
        ValueError: no runs, or a baseline that is not among them or has no test result.
    """
    if not runs:
        raise ValueError("there is nothing to compare: name at least one run")
    groups = tuple(group_runs(list({run.id: run for run in runs}.values())))
    if baseline is None:
        return Comparison(groups)
    chosen = next((group for group in groups if any(run.id == baseline for run in group.runs)), None)
    if chosen is None:
        raise ValueError(f"the baseline {baseline} is not among the runs compared: add it to them")
    if not chosen.by_seed:
        raise ValueError(f"the baseline {baseline} has no test result yet: wait until it has ended, or choose another")
    return Comparison(groups, chosen.id)


def with_baseline(comparison: Comparison, group_id: str | None) -> Comparison:
    """The same groups against another baseline."""
    return replace(comparison, chosen=group_id)


def is_static(group: Group) -> bool:
    """Whether its weights are set beforehand and stay: a point of the scalarisation front."""
    return group.scheme in ("fixed", "equal") and bool(group.depth)


def _matched(group: Group) -> dict[str, Any]:
    """The settings that a group shares with its baseline."""
    return {key: value for key, value in group.lean.items() if not key.startswith(_UNMATCHED)}


def _alike(pair: Pair) -> dict[str, float]:
    """All tasks count the same."""
    return dict.fromkeys([metric.task for metric in pair.metrics], 1.0)


def _refuse(weights: Mapping[str, float]) -> None:
    if min(weights.values(), default=0) < 0 or not sum(weights.values()) > 0:
        raise ValueError("task weights must not be negative, and one of them must be above zero")


def _covers(weights: Mapping[str, float], pair: Pair) -> bool:
    """Whether the weights say something of all tasks that a group has."""
    tasks = {metric.task for metric in pair.metrics}
    return tasks <= set(weights) and sum(weights[task] for task in tasks) > 0


def _beyond(values: Sequence[float], higher_is_better: bool) -> float:
    """A little worse than the worst."""
    span = (max(values) - min(values)) or abs(values[0]) or 1.0
    return min(values) - ROOM * span if higher_is_better else max(values) + ROOM * span
