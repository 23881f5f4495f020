"""Moves each picture of a batch by its own whole number of pixels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def shift(images: Tensor, offsets: Tensor, *, outside: Literal["edge", "zero"]) -> Tensor:
    """Moved pictures, [N, C, H, W], in the memory layout of what came in.

    Args:
        offsets: pixels to the right and down, int64 [N, 2].
        outside: what comes in from beyond the frame: the edge's own pixels again, or zeros.
    """
    n, _, height, width = images.shape
    x = torch.arange(width, device=images.device) - offsets[:, :1]
    y = torch.arange(height, device=images.device) - offsets[:, 1:]
    which = torch.arange(n, device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[which, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]]
    moved = moved.permute(0, 3, 1, 2)
    if outside == "zero":
        is_inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[:, None, None, :]
        moved = moved * is_inside
    layout = torch.contiguous_format if images.is_contiguous() else torch.channels_last
    return moved.contiguous(memory_format=layout)
