"""A fair comparison of runs: seeds taken together, every number with its interval, and a warning for each rule that is broken.

The rules are those on which the field's critics insist (Kurin et al. 2022, Xin et al. 2022): several seeds, equal budgets,
the same data, static weights as rivals, per-task numbers beside every average, and nothing selected on the test split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mtl_core import scores
from mtl_core.comparing.chance import Interval, Paired, interval, paired
from mtl_core.comparing.groups import Group, Key, Metric, differences, group_runs, in_words, metrics_of, settings_of
from mtl_core.comparing.rules import Warned, check
from mtl_core.store import Run

__all__ = ["Comparison", "Group", "Interval", "Key", "Metric", "Paired", "Warned", "compare", "in_words", "settings_of"]

ROOM = 0.1  # how far beyond the worst point the hypervolume's reference lies, as a share of the range
_UNMATCHED = ("weighting.", "architecture.depth", "measure.", "training.device")  # may differ from a baseline's


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
        return next((one for one in self.tested if one.is_single_task and _matched(one) == wanted), None)

    @cached_property
    def delta_m(self) -> dict[str, Interval]:
        """Δm by group id, in percent, lower is better: the mean over seeds of each seed against the baseline's mean."""
        return self._against_baseline(lambda before, after, up, _: scores.delta_m(before, after, up))

    @cached_property
    def delta_p(self) -> dict[str, Interval]:
        """Δp by group id, in percent, higher is better."""
        return self._against_baseline(scores.delta_p)

    def weighed_delta(self, weights: dict[str, float]) -> dict[str, float]:
        """Δp under other task weights: the weighted mean over tasks (weights need not sum to 1), where it exists.

        Raises ValueError unless at least one weight is positive and none negative.
        """
        if min(weights.values(), default=0) < 0 or not sum(weights.values()) > 0:
            raise ValueError("task weights must not be negative, and one of them must be above zero")
        found = {}
        for group in self.tested:
            per_task = self.gains(group)
            if per_task and set(per_task) <= set(weights):
                total = sum(weights[task] for task in per_task)
                if total > 0:
                    found[group.id] = sum(weights[task] * gain for task, gain in per_task.items()) / total
        return found

    def gains(self, group: Group) -> dict[str, float]:
        """Each task's mean relative improvement over the baseline in percent (higher is better); {} without a baseline."""
        baseline = self.baseline_of(group)
        if baseline is None or not self._is_measurable(group, baseline):
            return {}
        found: dict[str, float] = {}
        for task in dict.fromkeys(metric.task for metric in self._scores_of(group)):
            mine = [metric for metric in self._scores_of(group) if metric.task == task]
            before = [baseline.intervals[metric.key].mean for metric in mine]
            after = [group.intervals[metric.key].mean for metric in mine]
            found[task] = scores.delta_p(before, after, [metric.higher_is_better for metric in mine])
        return found

    @cached_property
    def mean_rank(self) -> dict[str, float]:
        """Mean rank over the metrics by group id, 1 = best, among the groups that have all metrics."""
        full = [group for group in self.tested if all(metric.key in group.intervals for metric in self.scored)]
        if not full or not self.scored:
            return {}
        table = [[group.intervals[metric.key].mean for metric in self.scored] for group in full]
        ranks = scores.mean_rank(table, [metric.higher_is_better for metric in self.scored])
        return {group.id: float(rank) for group, rank in zip(full, ranks, strict=True)}

    def overlaps(self, group: Group, reference: Group) -> dict[Key, bool]:
        """Per metric whether a group cannot be told from the reference by the 95 % intervals."""
        common = [key for key in group.intervals if key in reference.intervals]
        return {key: group.intervals[key].overlaps(reference.intervals[key]) for key in common}

    def paired(self, group: Group, reference: Group) -> dict[Key, Paired]:
        """Per metric the two groups seed by seed."""
        common = [key for key in group.values if key in reference.values]
        return {key: paired(group.values[key], reference.values[key]) for key in common}

    def front_metrics(self) -> list[Metric]:
        """The two metrics that a front is drawn over unless somebody chooses: the headlines of the first two tasks."""
        headlines = [metric for metric in self.scored if metric.is_headline]
        rest = [metric for metric in self.scored if not metric.is_headline]
        return [*headlines, *rest][:2]

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
        without = [group for group in self.tested if self.baseline_of(group) is None]
        return check(self.groups, without_baseline=without)

    def _scores_of(self, group: Group) -> list[Metric]:
        return [metric for metric in self.scored if metric.key in group.intervals]

    def _is_measurable(self, group: Group, baseline: Group) -> bool:
        """Whether each of the group's metrics has a baseline that is not zero; without any metric there is nothing to say."""
        mine = self._scores_of(group)
        return bool(mine) and all(metric.key in baseline.intervals and baseline.intervals[metric.key].mean for metric in mine)

    def _against_baseline(self, score: Any) -> dict[str, Interval]:
        found = {}
        for group in self.tested:
            baseline, mine = self.baseline_of(group), self._scores_of(group)
            if baseline is None or not self._is_measurable(group, baseline):
                continue
            before = [baseline.intervals[metric.key].mean for metric in mine]
            up = [metric.higher_is_better for metric in mine]
            tasks = list(dict.fromkeys(metric.task for metric in mine))
            places = [[m for m, metric in enumerate(mine) if metric.task == task] for task in tasks]
            full = [seed for seed in group.by_seed if all(seed in group.values[metric.key] for metric in mine)]
            seeds = [score(before, [group.values[metric.key][seed] for metric in mine], up, places) for seed in full]
            if seeds:
                found[group.id] = interval(seeds)
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
    return {key: value for key, value in group.settings.items() if not key.startswith(_UNMATCHED)}


def _beyond(values: Sequence[float], higher_is_better: bool) -> float:
    """A little worse than the worst."""
    span = (max(values) - min(values)) or abs(values[0]) or 1.0
    return min(values) - ROOM * span if higher_is_better else max(values) + ROOM * span
