"""How far a group has moved from its baseline, in percent, and how far chance alone would have moved it.

Legend: S seeds, M metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_core import scores
from mtl_core.comparing.chance import Interval, around, scatter
from mtl_core.comparing.groups import MOST, Group, Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A group beside its baseline: the metrics of the group, and both sides' numbers on the seeds that have all of them."""

    metrics: tuple[Metric, ...]
    method_SM: Floats
    baseline_SM: Floats

    @property
    def higher_is_better(self) -> list[bool]:
        return [metric.higher_is_better for metric in self.metrics]

    @property
    def gains(self) -> Floats:
        """The relative improvement of the means in each metric, in percent [M]."""
        before, after = _means(self.baseline_SM), _means(self.method_SM)
        return 100 * scores.gains(before.tolist(), after.tolist(), self.higher_is_better)

    def by_task(self, weights: Mapping[str, float]) -> Floats:
        """The share of each metric [M] where tasks count by these weights and a task's metrics alike; they sum to 1.

        Raises ValueError if the tasks' weights sum to zero.
        """
        tasks = [metric.task for metric in self.metrics]
        return _shares([weights[task] / tasks.count(task) for task in tasks])

    def by_metric(self, weights: Mapping[str, float]) -> Floats:
        """The share of each metric [M] where it counts as much as its task: of two tasks of one weight, the one with more metrics
        has more; they sum to 1. Raises ValueError as ``by_task``."""
        return _shares([weights[metric.task] for metric in self.metrics])

    def weighed(self, shares_M: Floats) -> Interval:
        """The sum of the gains times these shares, in percent, with its 95 % interval over both sides' seeds.

        The interval follows from the delta method: near the means the score is linear in the metrics of either side, so each
        seed of the method, and each of the baseline, adds one number, and the two variances add up, with the degrees of
        freedom of Welch and Satterthwaite. The metrics of one run may depend on each other; the two sides are taken as
        independent. No interval for a method with one seed; of a baseline with one seed the scatter is unknown and left out.
        """
        before, after = _means(self.baseline_SM), _means(self.method_SM)
        sign = np.where(self.higher_is_better, 1.0, -1.0)
        by_method = self.method_SM @ (100 * shares_M * sign / np.abs(before))
        by_baseline = self.baseline_SM @ (-100 * shares_M * sign * after / (before * np.abs(before)))
        mean, own, theirs = float(shares_M @ self.gains) + 0.0, scatter(by_method.tolist()), scatter(by_baseline.tolist())
        if own is None:
            return Interval(mean, None, None, 1)
        return around(mean, [own] if theirs is None else [own, theirs], len(by_method))


def pair(group: Group, baseline: Group, scored: Sequence[Metric]) -> Pair | None:
    """The two side by side, if the baseline has each of the group's metrics and none of them is zero on average."""
    mine = tuple(metric for metric in scored if metric.key in group.values)
    method, before = _table(group, mine), _table(baseline, mine)
    if not method.size or not before.size:
        return None
    rounding = np.finfo(np.float64).eps * np.abs(before).max(axis=0)  # of a mean: one this small is 0 whose terms cancel
    if not (np.abs(before.mean(axis=0)) > np.maximum(1 / MOST, rounding)).all():
        return None
    return Pair(mine, method, before)


def _shares(weights: Sequence[float]) -> Floats:
    total = sum(weights)
    if not total > 0:
        raise ValueError("the weights of the tasks that a group has must not all be zero: raise one of them")
    return np.array([weight / total for weight in weights])


def _means(values_SM: Floats) -> Floats:
    """Of each metric [M]; that of numbers which are all alike is that number, which rounding would otherwise miss."""
    means: Floats = np.clip(values_SM.mean(axis=0), values_SM.min(axis=0), values_SM.max(axis=0))
    return means


def _table(group: Group, metrics: Sequence[Metric]) -> Floats:
    """Its numbers [S, M], on the seeds that have all of these metrics."""
    values = [group.values.get(metric.key, {}) for metric in metrics]
    seeds = [seed for seed in group.by_seed if all(seed in one for one in values)]
    return np.array([[one[seed] for one in values] for seed in seeds], dtype=np.float64)
