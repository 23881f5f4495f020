"""torchvision's ResNet-18, cut into its five stages."""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision.models.resnet import BasicBlock

from mtl_core.architectures.trunks import TRUNKS, Stage, Trunk
from mtl_core.tasks import Shape

SMALL_PICTURE = 64  # up to this side the stem keeps the resolution, as is usual on CIFAR


@TRUNKS.register
class ResNet18(Trunk):
    """The residual network that most papers train (He et al., 2016), from torchvision, started from scratch.

    Its BatchNorm is replaced by GroupNorm (Wu and He, 2018): normalising over the batch would tie samples together, so the two
    half-batches that a measurement compares would not be independent.
    """

    title = "ResNet-18"
    default_width = 64
    default_layers = 5

    @classmethod
    def stages(cls, input_shape: Shape, *, width: int, layers: int) -> list[Stage]:
        if len(input_shape) != 3:
            raise ValueError(f"trunk resnet18 needs pictures, this data set gives {input_shape[0]} numbers: choose trunk mlp")
        if (width, layers) != (64, 5):
            raise ValueError(
                f"trunk resnet18 has width 64 and 5 layers, got {width} and {layers}: leave both out, or choose conv"
            )
        channels, height, wide = input_shape
        is_small = min(height, wide) <= SMALL_PICTURE
        shrink = 1 if is_small else 4
        shape = (64, -(-height // shrink), -(-wide // shrink))
        stages = [Stage("stem", partial(_stem, channels, is_small), shape)]
        for block in range(1, 5):
            halves = 1 if block == 1 else 2
            shape = (64 * 2 ** (block - 1), -(-shape[1] // halves), -(-shape[2] // halves))
            stages.append(Stage(f"block {block}", partial(_block, block), shape))
        return stages


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(32, channels)


def _stem(channels: int, is_small: bool) -> nn.Module:
    if is_small:
        layers = [nn.Conv2d(channels, 64, 3, padding=1, bias=False), _group_norm(64), nn.ReLU(inplace=True)]
    else:
        layers = [nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False), _group_norm(64), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    return _start(nn.Sequential(*layers))


def _block(block: int) -> nn.Module:
    out = 64 * 2 ** (block - 1)
    channels, stride, downsample = out, 1, None
    if block > 1:
        channels, stride = out // 2, 2
        downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=2, bias=False), _group_norm(out))
    first = BasicBlock(channels, out, stride, downsample, norm_layer=_group_norm)
    return _start(nn.Sequential(first, BasicBlock(out, out, norm_layer=_group_norm)))


def _start(stage: nn.Module) -> nn.Module:
    """ResNet's own initialisation (He et al., 2015)."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return stage
