"""Fully connected layers, the trunk of the teaching examples."""

from __future__ import annotations

from functools import partial
from math import prod

from torch import nn

from mtl_core.architectures.trunks import TRUNKS, Stage, Trunk
from mtl_core.tasks import Shape


@TRUNKS.register
class MLP(Trunk):
    """Plain fully connected layers: for vectors, and for pictures taken as long vectors."""

    title = "Fully connected net"
    default_width = 128
    default_layers = 2

    @classmethod
    def stages(cls, input_shape: Shape, *, width: int, layers: int) -> list[Stage]:
        stages = []
        features = prod(input_shape)
        for layer in range(layers):
            build = partial(_stage, features, width, is_first=layer == 0 and len(input_shape) > 1)
            stages.append(Stage(f"layer {layer + 1}", build, (width,)))
            features = width
        return stages


def _stage(features: int, width: int, *, is_first: bool) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()] if is_first else []
    # tanh: smooth, and what the teacher networks of the lessons are made of
    return nn.Sequential(*layers, nn.Linear(features, width), nn.Tanh())
