"""Heads that several kinds of task build: from the trunk's features to a few numbers, or to a picture.

Legend: C channels, H × W places of a feature map, F features of a vector.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from mtl_core.tasks import Shape

GRID = 4  # a feature map is pooled to at most 4 × 4 places: coarse, but places
HIDDEN = 64


def numbers_head(features: Shape, n_outputs: int) -> nn.Module:
    """A head that gives ``n_outputs`` numbers per sample and knows where in the picture its evidence lies.

    A feature map (C, H, W) is pooled to a small grid, not to one place, and read by a hidden layer; a vector (F,) is read
    by a single linear layer, so that a narrow mlp trunk stays the bottleneck that a lesson makes it.
    """
    _check(features)
    if len(features) == 1:
        return nn.Sequential(nn.Linear(features[0], n_outputs))
    channels, height, width = features
    grid = (min(height, GRID), min(width, GRID))
    pool = [] if grid == (height, width) else [nn.AdaptiveAvgPool2d(grid)]
    hidden = nn.Linear(channels * prod(grid), HIDDEN)
    return nn.Sequential(*pool, nn.Flatten(), hidden, nn.ReLU(), nn.Linear(HIDDEN, n_outputs))


def anywhere_head(features: Shape, n_outputs: int) -> nn.Module:
    """A head that gives ``n_outputs`` numbers per sample, from the strongest sign of each channel wherever it shows.

    A vector (F,) has no places: it is read by a single linear layer.
    """
    _check(features)
    if len(features) == 1:
        return numbers_head(features, n_outputs)
    return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(features[0], n_outputs))


def picture_head(features: Shape, height: int, width: int) -> nn.Module:
    """A head that gives one number per pixel, [N, height, width].

    Each place of a feature map writes the square of pixels that it stands for (sub-pixel convolution, Shi et al., 2016,
    https://arxiv.org/abs/1609.05158); a vector (F,) writes all pixels by a single linear layer.
    """
    _check(features)
    if len(features) == 1:
        return nn.Sequential(nn.Linear(features[0], height * width), nn.Unflatten(1, (height, width)))
    channels, rows, columns = features
    factor = max(-(-height // rows), -(-width // columns))
    return nn.Sequential(
        nn.Conv2d(channels, HIDDEN, 1),
        nn.ReLU(),
        nn.Conv2d(HIDDEN, factor * factor, 3, padding=1),
        nn.PixelShuffle(factor),
        _Fit(height, width),
    )


class _Fit(nn.Module):
    """Drops the channel axis, and resizes where the feature map's sides do not divide the picture's."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)

    def forward(self, pixels: Tensor) -> Tensor:
        if pixels.shape[-2:] != self.size:
            pixels = nn.functional.interpolate(pixels, self.size, mode="bilinear", align_corners=False)
        return pixels.squeeze(1)


def _check(features: Shape) -> None:
    if len(features) not in (1, 3) or min(features) < 1:
        raise ValueError(f"a head reads a feature map (C, H, W) or a vector (F,), got {features}: let the trunk end in one")
