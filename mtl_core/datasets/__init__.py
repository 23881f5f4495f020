"""Datasets: real input with several things to predict from it. One file per data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from mtl_core.batches import Examples
from mtl_core.records import Split
from mtl_core.registry import Knobs, Shelf, Variant
from mtl_core.tasks import Shape, Task


class Dataset(Variant, ABC):
    """A source of examples with several tasks.

    Args:
        knobs: checked values of the class's ``Knobs``.
    """

    licence: ClassVar[str]
    source: ClassVar[str]
    usual_augment: ClassVar[float] = 0.0  # strength of augmentation where a config leaves it open
    default_tasks: tuple[str, ...]  # of the class; an instance may have its own

    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs

    @property
    @abstractmethod
    def input_shape(self) -> Shape:
        """Shape of one input: (3, H, W) for images in 0..1, (F,) for vectors."""

    @abstractmethod
    def tasks(self) -> list[Task]:
        """All its tasks, in the order in which pages list and colour them. Cheap: loads no data."""

    @abstractmethod
    def sizes(self) -> dict[Split, int]:
        """How many examples each split has. Cheap: loads no data."""

    @abstractmethod
    def load(self, split: Split, *, seed: int, device: torch.device) -> Examples:
        """All examples of a split, on the device. The same seed gives the same examples; splits share no base sample."""

    def augment(self, examples: Examples, *, strength: float, generator: torch.Generator) -> Examples:
        """A changed copy of a training batch with targets that still fit; ``strength`` in 0..1. ValueError if it has none."""
        raise ValueError(f"dataset {self.variant_name()} has no augmentation: set training.augment to 0")

    @classmethod
    def describe(cls) -> dict[str, Any]:
        tasks = [task.spec() for task in cls(cls.Knobs()).tasks()]
        can_augment = cls.augment is not Dataset.augment
        facts = {"licence": cls.licence, "source": cls.source, "tasks": tasks, "default_tasks": list(cls.default_tasks)}
        return {**super().describe(), **facts, "can_augment": can_augment, "usual_augment": cls.usual_augment}


DATASETS: Shelf[Dataset] = Shelf("dataset", "mtl_core.datasets")
