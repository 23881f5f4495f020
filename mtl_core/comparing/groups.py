"""Runs that differ in nothing but their seed, taken together, and what tells such groups apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mtl_core.comparing.chance import Interval, interval
from mtl_core.store import Run
from mtl_core.store.alike import RUN, group_id, has_lean, in_words, is_foreign, lean_settings, settings_of

Key = tuple[str, str]  # task, metric
LOSS = "loss"
MOST = 1e60  # a number beyond is no result: a network that came apart, and its square would be no number any more


@dataclass(frozen=True)
class Metric:
    """A number of the final test. The loss is shown but does not count in Δm, Δp and ranks: its unit is the scheme's business."""

    task: str
    name: str
    task_title: str
    title: str
    higher_is_better: bool
    unit: str = ""
    is_headline: bool = False

    @property
    def key(self) -> Key:
        return self.task, self.name

    @property
    def is_score(self) -> bool:
        return self.name != LOSS

    @property
    def label(self) -> str:
        return f"{self.task_title}: {self.title}"


@dataclass(frozen=True)
class Group:
    """Runs with one config but for seed and name.

    ``settings``: the first one's; ``lean``: the same without what it would have been anyway, by which groups are matched.
    ``runs``: all of them; ``by_seed``: those with a final test, the newest of each seed. ``depth``: how many stages are shared.
    """

    id: str
    name: str
    settings: Mapping[str, Any]
    depth: int | None
    runs: tuple[Run, ...]
    by_seed: Mapping[int, Run] = field(default_factory=dict)
    lean: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        return str(self.settings["weighting.name"])

    @property
    def seeds(self) -> list[int]:
        return list(self.by_seed)

    @property
    def is_single_task(self) -> bool:
        """Whether it trains separate networks, all counting alike: the usual baseline."""
        return self.depth == 0 and self.scheme == "equal"

    @property
    def is_foreign(self) -> bool:
        """Whether it was trained elsewhere: its settings are not known."""
        return RUN in self.settings

    @property
    def knobs(self) -> dict[str, Any]:
        """The knobs of its scheme."""
        return {key: value for key, value in self.settings.items() if key.startswith("weighting.") and key != "weighting.name"}

    @cached_property
    def values(self) -> dict[Key, dict[int, float]]:
        """Test numbers by metric and seed, those that are not finite, or beyond all measure, left out."""
        found: dict[Key, dict[int, float]] = {}
        for seed, run in self.by_seed.items():
            for task, numbers in (run.result or {})["test"].items():
                for name, value in numbers.items():
                    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < MOST:
                        found.setdefault((task, name), {})[seed] = float(value)
        return found

    @property
    def lacking(self) -> dict[Key, list[int]]:
        """The seeds that were tested and have no such number, by metric."""
        keys = [metric.key for metric in metrics_of([self], tested_only=False) if metric.is_score]
        found = {key: [seed for seed in self.by_seed if seed not in self.values.get(key, {})] for key in keys}
        return {key: seeds for key, seeds in found.items() if seeds}

    @cached_property
    def intervals(self) -> dict[Key, Interval]:
        return {key: interval(list(values.values())) for key, values in self.values.items()}

    @cached_property
    def duration(self) -> Interval | None:
        """Seconds of training of the runs that count."""
        spent = [float((run.result or {}).get("seconds") or run.seconds) for run in self.by_seed.values()]
        return interval(spent) if spent else None

    @property
    def seconds(self) -> float | None:
        """Mean seconds of training of the runs that count."""
        return None if self.duration is None else self.duration.mean


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Groups in the order of their first runs, named by what tells them apart.

    A run that was trained elsewhere stands alone under its own name: nobody knows what it has in common with others.
    """
    lean = _leans(runs)
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(group_id(lean[run.id]), []).append(run)
    groups = [_as_group(name, mine, lean[mine[0].id]) for name, mine in found.items()]
    varied = differences([group for group in groups if not group.is_foreign])  # of the others nothing is known
    named = [_name(group, varied) for group in groups]
    return [replace(group, name=name) for group, name in zip(groups, _told_apart(groups, named), strict=True)]


def _told_apart(groups: Sequence[Group], names: Sequence[str]) -> list[str]:
    """Names of which no two are the same: with so much of a group's id as that takes."""
    for length in (4, len(groups[0].id) if groups else 0):
        counts = Counter(names)
        told = [name if counts[name] == 1 else f"{name} #{one.id[:length]}" for one, name in zip(groups, names, strict=True)]
        if len(set(told)) == len(told):
            return told
    return [f"{name} #{one.id}" for one, name in zip(groups, names, strict=True)]


def differences(groups: Sequence[Group]) -> dict[str, list[Any]]:
    """The settings that are not the same in all groups: setting -> value per group, None where a group leaves it as it is anyway."""
    keys = dict.fromkeys(key for group in groups for key in group.lean)
    varied = [key for key in keys if any(group.lean.get(key) != groups[0].lean.get(key) for group in groups)]
    return {key: [group.settings.get(key) for group in groups] for key in varied}


def metrics_of(groups: Sequence[Group], *, tested_only: bool = True) -> list[Metric]:
    """Every metric that a group was tested with, task by task in the data set's order, each task's loss last.

    What a run from elsewhere calls a metric, and which way it takes it to be better, counts only where none of ours has it.

    Args:
        tested_only: leave out those of which no group has a number.
    """
    found: dict[Key, Metric] = {}
    for group in sorted(groups, key=lambda group: group.is_foreign):
        for run in group.by_seed.values():
            for task in (run.spec or {}).get("tasks", ()):
                _add_metrics(found, task)
    tested = {key for group in groups for key in group.values}
    return [metric for key, metric in found.items() if key in tested or not tested_only]


def trained_on(run: Run) -> str:
    """Machine and device; two devices of one kind in a machine are alike, so that times of a queue over both compare."""
    return f"{run.host} {(run.spec or {}).get('device') or run.device}".strip()


def _alone(run: Run) -> dict[str, Any]:
    return {RUN: run.id} if is_foreign(run.spec) else {}


def _lean(run: Run) -> dict[str, Any]:
    return lean_settings(run.config, run.spec) | _alone(run)


def _leans(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Their settings in few words, by run. One that waits has none yet: those of a run with its config are its own."""
    ours = [(run, group_id(lean_settings(run.config, None))) for run in runs if not is_foreign(run.spec)]
    begun = {as_written: _lean(run) for run, as_written in ours if has_lean(run.spec)}
    waiting = {run.id: begun[as_written] for run, as_written in ours if not has_lean(run.spec) and as_written in begun}
    return {run.id: _lean(run) for run in runs} | waiting


def _as_group(name: str, runs: Sequence[Run], lean: Mapping[str, Any]) -> Group:
    settings = settings_of(runs[0].config) | _alone(runs[0])
    by_seed: dict[int, Run] = {}
    for run in sorted(runs, key=lambda run: (run.created, run.id)):
        if (run.result or {}).get("test"):
            by_seed[int(run.config["training"]["seed"])] = run
    depth = settings.get("architecture.depth")
    for run in runs:
        if depth is None and run.spec is not None and not is_foreign(run.spec):
            depth = len(run.spec.get("shared_stages", ()))
    return Group(name, "", settings, depth, tuple(runs), dict(sorted(by_seed.items())), lean)


def _name(group: Group, varied: Mapping[str, list[Any]]) -> str:
    """Scheme with its knobs, depth, and every other setting that differs between the groups."""
    if group.is_foreign:
        return group.runs[0].name
    knobs = [f"{key.partition('.')[2]} {in_words(value)}" for key, value in group.knobs.items() if key != "weighting.weights"]
    weights = [in_words(group.knobs["weighting.weights"])] if group.knobs.get("weighting.weights") else []
    parts = ["single task" if group.is_single_task else " ".join([group.scheme, *weights])]
    parts += knobs if not group.is_single_task else []
    if group.depth is not None and not group.is_single_task:
        parts.append(f"depth {group.depth}")
    parts += [
        f"{key.partition('.')[2] or key} {in_words(group.settings.get(key))}"
        for key in varied
        if not key.startswith("weighting.") and key not in ("architecture.depth", "architecture.name", "dataset.name")
    ]
    parts += [str(group.settings[key]) for key in ("architecture.name", "dataset.name") if key in varied]
    return ", ".join(parts)


def _add_metrics(found: dict[Key, Metric], task: Mapping[str, Any]) -> None:
    name, title = str(task["name"]), str(task["title"])
    for place, metric in enumerate(task["metrics"]):
        unit, is_up = str(metric.get("unit", "")), bool(metric["higher_is_better"])
        found.setdefault(
            (name, metric["name"]),
            Metric(name, str(metric["name"]), title, str(metric["title"]), is_up, unit, is_headline=place == 0),
        )
    found.setdefault((name, LOSS), Metric(name, LOSS, title, "Loss", higher_is_better=False))
