"""Trunks: the layers between input and heads, as an ordered list of stages that can be shared or copied one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from mtl_core.registry import Shelf, Variant
from mtl_core.tasks import Shape


@dataclass(frozen=True)
class Stage:
    """A piece of a trunk: its name, how to build one copy of it (reads torch's global generator), and what comes out."""

    name: str
    build: Callable[[], nn.Module]
    output_shape: Shape


class Trunk(Variant, ABC):
    """A recipe for stages."""

    default_width: ClassVar[int]
    default_layers: ClassVar[int]

    @classmethod
    @abstractmethod
    def stages(cls, input_shape: Shape, *, width: int, layers: int) -> list[Stage]:
        """Its stages from input to output. Raises ValueError, with a remedy, for an input it cannot take."""


TRUNKS: Shelf[Trunk] = Shelf("trunk", "mtl_core.architectures.trunks")
