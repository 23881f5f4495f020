"""A small convolutional trunk that a laptop trains in a minute."""

from __future__ import annotations

from functools import partial

from torch import nn

from mtl_core.architectures.trunks import TRUNKS, Stage, Trunk
from mtl_core.tasks import Shape

SMALLEST = 8  # a side shorter than this is not halved again: boxes and angles need places to look at


@TRUNKS.register
class Conv(Trunk):
    """Convolutions that halve the picture and widen it: small enough for a laptop, good enough for digits and boxes.

    Each stage is two 3×3 convolutions with GroupNorm (Wu and He, 2018), which unlike BatchNorm keeps samples apart: halving
    a batch to measure the noise floor changes nothing.
    """

    title = "Small conv net"
    default_width = 24
    default_layers = 4

    @classmethod
    def stages(cls, input_shape: Shape, *, width: int, layers: int) -> list[Stage]:
        if len(input_shape) != 3:
            raise ValueError(f"trunk conv needs pictures, this data set gives {input_shape[0]} numbers: choose trunk mlp")
        stages = []
        channels, height, wide = input_shape
        for layer in range(layers):
            out = width * min(2**layer, 4)
            stride = 2 if min(height, wide) >= SMALLEST else 1
            height, wide = -(-height // stride), -(-wide // stride)
            build = partial(_stage, channels, out, stride)
            stages.append(Stage(f"conv {layer + 1}", build, (out, height, wide)))
            channels = out
        return stages


def _stage(channels: int, out: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(_groups(out), out),
        nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, padding=1, bias=False),
        nn.GroupNorm(_groups(out), out),
        nn.ReLU(inplace=True),
    )


def _groups(channels: int) -> int:
    """The largest number of groups up to 8 that divides the channels."""
    return next(groups for groups in range(min(8, channels), 0, -1) if channels % groups == 0)
