"""Architectures: which layers the tasks share. One file per way of sharing; trunks have a shelf of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from mtl_core.registry import Knobs, Shelf, Variant
from mtl_core.tasks import Shape, Task


@dataclass(frozen=True)
class StageReport:
    """One stage of the trunk (or the heads): parameters of one copy, multiply-adds × 2 of one copy on one sample."""

    name: str
    is_shared: bool
    n_copies: int
    n_parameters: int
    flops: int
    output_shape: Shape


@dataclass(frozen=True)
class Report:
    """What sharing costs and saves. FLOPs are those of one sample's forward pass (a multiply-add counts as two).

    ``n_separate``: parameters of one separate network per task with the same trunk. ``flops_shared``: the part of ``flops``
    spent in shared stages, which is what one more trunk backward pass per task multiplies.
    """

    stages: tuple[StageReport, ...]
    heads: dict[str, StageReport]
    n_shared: int
    n_per_task: dict[str, int]
    n_total: int
    n_separate: int
    flops: int
    flops_shared: int
    flops_separate: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class Architecture(nn.Module, Variant, ABC):
    """A network with several outputs, one per task."""

    title: ClassVar[str]

    @classmethod
    @abstractmethod
    def n_stages(cls, knobs: Knobs, input_shape: Shape) -> int:
        """How many stages its trunk has: the largest depth."""

    @classmethod
    @abstractmethod
    def create(cls, knobs: Knobs, *, input_shape: Shape, tasks: Sequence[Task], seed: int) -> Architecture:
        """Build it with seeded weights. A task's own layers depend on seed and task name alone, not on the other tasks."""

    @classmethod
    @abstractmethod
    def report(cls, knobs: Knobs, *, input_shape: Shape, tasks: Sequence[Task]) -> Report:
        """Parameters and FLOPs, without allocating the network."""

    @classmethod
    def lean(cls, knobs: Knobs, input_shape: Shape) -> Knobs:
        """The same choice with what it would come to anyway left to it, as in ``trunk: auto``."""
        return knobs

    @abstractmethod
    def represent(self, inputs: Tensor) -> Tensor:
        """The shared representation, which every task's own layers start from; the inputs themselves if nothing is shared."""

    @abstractmethod
    def decode(self, representation: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Outputs by task name from the shared representation, for the tasks asked for (all if None)."""

    def forward(self, inputs: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Outputs by task name, for the tasks asked for (all if None)."""
        return self.decode(self.represent(inputs), tasks)

    @abstractmethod
    def shared_stages(self) -> list[tuple[str, list[nn.Parameter]]]:
        """The shared stages from input to output, by name; empty at depth 0."""

    @abstractmethod
    def own_parameters(self, task: str) -> list[nn.Parameter]:
        """The parameters that only this task uses."""


ARCHITECTURES: Shelf[Architecture] = Shelf("architecture", "mtl_core.architectures")
