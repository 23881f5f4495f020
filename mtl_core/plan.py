"""A checked config: every name found, every knob in range, every choice fitting the others, before anything is loaded."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from mtl_core.architectures import ARCHITECTURES, Architecture, Report
from mtl_core.config import RunConfig
from mtl_core.datasets import DATASETS, Dataset
from mtl_core.registry import Knobs, Shelf, no_such, without_defaults
from mtl_core.tasks import Task
from mtl_core.weightings import WEIGHTINGS, Setting, Weighting


@dataclass(frozen=True)
class Plan:
    """What a config means: instances where they are cheap, classes with checked knobs where they are not."""

    config: RunConfig
    dataset: Dataset
    tasks: tuple[Task, ...]
    architecture: type[Architecture]
    architecture_knobs: Knobs
    weighting: type[Weighting]
    weighting_knobs: Any

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    @property
    def augment(self) -> float:
        """Strength of the augmentation: as asked for, or as is usual for the data set."""
        chosen = self.config.training.augment
        return self.dataset.usual_augment if chosen is None else chosen

    def report(self) -> Report:
        """Parameters and FLOPs of the network."""
        return self.architecture.report(self.architecture_knobs, input_shape=self.dataset.input_shape, tasks=self.tasks)

    def trunk_passes(self) -> float:
        """What the weighting makes a step cost the trunk, in backward passes."""
        return self.weighting.trunk_passes(self.weighting_knobs, len(self.tasks))

    def describe(self) -> dict[str, Any]:
        """What pages need to know of the run without torch, JSON-ready: tasks, stages, sizes, input shape, titles."""
        report = self.report()
        return {
            "dataset": self.dataset.title,
            "input_shape": list(self.dataset.input_shape),
            "sizes": self.dataset.sizes(),
            "tasks": [task.spec() for task in self.tasks],
            "all_tasks": [task.name for task in self.dataset.tasks()],
            "architecture": self.architecture.title,
            "stages": [stage.name for stage in report.stages],
            "shared_stages": [stage.name for stage in report.stages if stage.is_shared],
            "report": report.as_dict(),
            "weighting": self.weighting.title,
            "asks": self.weighting.asks,
            "trunk_passes": self.trunk_passes(),
            "scale": _as_published(self.weighting_knobs.scale, self.weighting.published_scale),
            "heads": _as_published(self.weighting_knobs.heads, self.weighting.published_heads),
            "lean": _without_seed(lean(self.config).to_mapping()),
        }


def check(config: RunConfig) -> Plan:
    """Find and fit everything the config names. Raises ValueError, one sentence with a remedy."""
    dataset_class, dataset_knobs = DATASETS.parse(config.dataset)
    dataset = dataset_class(dataset_knobs)
    tasks = _choose_tasks(dataset, config.tasks)
    names = [task.name for task in tasks]
    architecture, architecture_knobs = ARCHITECTURES.parse(config.architecture)
    n_stages = architecture.n_stages(architecture_knobs, dataset.input_shape)
    depth = getattr(architecture_knobs, "depth", None)
    if depth is not None and depth > n_stages:
        raise ValueError(f"depth must lie in 0..{n_stages}, got {depth}: this trunk has {n_stages} stages")
    weighting, weighting_knobs = WEIGHTINGS.parse(config.weighting)
    weighting.check(weighting_knobs, names)
    if config.training.order == "alternating" and weighting.asks != "losses":
        raise ValueError(
            f"alternating training shows {weighting.variant_name()} one task at a time, so there is nothing to balance: "
            "choose order joint, or a weighting that asks for losses only"
        )
    n_parts = weighting(weighting_knobs, Setting(tuple(names), (1,) * len(names))).n_parts
    if config.training.batch_size < 2 * n_parts:  # a measured step halves each part
        raise ValueError(
            f"{weighting.variant_name()} cuts each batch into {n_parts} independent parts: batch_size must be at least {2 * n_parts}, "
            f"got {config.training.batch_size}"
        )
    if config.training.augment and not dataset_class.describe()["can_augment"]:
        raise ValueError(f"dataset {dataset.variant_name()} has no augmentation: set training.augment to 0")
    return Plan(config, dataset, tuple(tasks), architecture, architecture_knobs, weighting, weighting_knobs)


def _without_seed(values: dict[str, Any]) -> dict[str, Any]:
    """Without its name, too: what runs that differ in nothing else have in common."""
    training = {key: value for key, value in values["training"].items() if key != "seed"}
    return {key: value for key, value in values.items() if key != "name"} | {"training": training}


def _as_published(chosen: str, published: str) -> str:
    return published if chosen == "published" else chosen


def lean(config: RunConfig) -> RunConfig:
    """The same run in the fewest words: without the knobs, tasks and depth that it has anyway. What does not fit stays.

    >>> lean(RunConfig(dataset={"name": "teacher", "noise": 0.1}, tasks=["a", "b"], architecture={"name": "hard_sharing", "depth": 2}))
    RunConfig(name='', dataset={'name': 'teacher'}, tasks=None, architecture={'name': 'hard_sharing'}, ...)
    """
    values, plan = config.to_mapping(), None
    with contextlib.suppress(ValueError):
        plan = check(config)
        if plan.task_names == tuple(plan.dataset.default_tasks):
            values.pop("tasks", None)
        n_stages = plan.architecture.n_stages(plan.architecture_knobs, plan.dataset.input_shape)
        if values["architecture"].get("depth") == n_stages:
            del values["architecture"]["depth"]
    shelves: dict[str, Shelf[Any]] = {"dataset": DATASETS, "architecture": ARCHITECTURES, "weighting": WEIGHTINGS}
    for part, shelf in shelves.items():
        with contextlib.suppress(ValueError):
            variant, knobs = shelf.parse(values[part])
            if part == "architecture" and plan is not None:
                knobs = variant.lean(knobs, plan.dataset.input_shape)
            values[part] = {"name": values[part]["name"], **without_defaults(variant.Knobs, knobs.model_dump(mode="json"))}
    return RunConfig.from_mapping(values)


def _choose_tasks(dataset: Dataset, chosen: list[str] | None) -> list[Task]:
    """The chosen tasks in the order given: fixed weights go by that order."""
    offered = {task.name: task for task in dataset.tasks()}
    names = list(dataset.default_tasks) if chosen is None else chosen
    for name in names:
        if name not in offered:
            raise ValueError(no_such(f"task of {dataset.variant_name()}", name, offered))
    return [offered[name] for name in names]
