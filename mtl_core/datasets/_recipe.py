"""Draws lots for scenes: which digit, how turned, how large, where, in which colour and on which piece of a photograph.

All chance is drawn on the CPU, so that every device draws the same scenes. Legend: N scenes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mtl_core.chance import stream
from mtl_core.datasets._digits import base_digits, base_split, draw
from mtl_core.datasets._photos import TILE, TITLES, tile_split
from mtl_core.records import Split

FAINT = 0.25  # ink from which a base digit's pixel counts for how far the digit reaches


@dataclass(frozen=True)
class Recipe:
    """What is to be drawn, N scenes: the base digit, its turn in degrees (counter-clockwise), the side of its 8 × 8 frame and
    its centre as shares of the picture; the photograph, and the crop's corner and side in pixels of the atlas; a colour.
    """

    base: Tensor
    turn: Tensor
    scale: Tensor
    centre: Tensor
    photo: Tensor
    corner: Tensor
    side: Tensor
    is_mirrored: Tensor
    colour: Tensor

    def part(self, start: int, stop: int, device: torch.device) -> Recipe:
        """Some of the scenes, on the device."""
        return Recipe(*(getattr(self, field.name)[start:stop].to(device) for field in fields(self)))


def write_recipe(split: Split, n: int, *, seed: int, size: int, max_turn: float, scales: tuple[float, float]) -> Recipe:
    """Draw lots for ``n`` scenes of a split. Every digit lies inside its picture, wherever it is."""
    chance = stream(seed, "scenes", split)
    base = draw(base_split(split, seed), n, chance)
    turn = (2 * torch.rand(n, generator=chance) - 1) * max_turn
    scale = scales[0] + (scales[1] - scales[0]) * torch.rand(n, generator=chance)
    low, high = _extents(base, turn, scale)
    margin = 1 / size
    room = (1 - 2 * margin - (high - low)).clamp(min=0)
    centre = margin - low + room * torch.rand(n, 2, generator=chance)
    photo = torch.randint(len(TITLES), (n,), generator=chance)
    corners = tile_split(split, seed)
    tile = corners[photo, torch.randint(corners.shape[1], (n,), generator=chance)]
    widest = TILE - 1  # half a pixel from the rim: a lookup mixes neighbouring pixels, and those beyond are another split's
    side = widest * (0.5 + 0.5 * torch.rand(n, generator=chance))
    corner = tile + 0.5 + (widest - side)[:, None] * torch.rand(n, 2, generator=chance)
    is_mirrored = torch.rand(n, generator=chance) < 0.5
    return Recipe(base, turn, scale, centre, photo, corner, side, is_mirrored, torch.rand(n, 3, generator=chance))


def turned(x: Tensor, y: Tensor, degrees: Tensor) -> tuple[Tensor, Tensor]:
    """Points after a turn about the origin, counter-clockwise as seen on a screen, where y points down.

    Written out, not as a matrix product: on a GPU that may run in TF32, and digits would land elsewhere than on a CPU.
    """
    angle = torch.deg2rad(degrees)
    sine, cosine = angle.sin(), angle.cos()
    return x * cosine + y * sine, y * cosine - x * sine


def _extents(base: Tensor, turn: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """How far each turned digit's ink reaches from its centre, as shares of the picture: lowest and highest (x, y), [N, 2]."""
    images, _ = base_digits()
    at = (torch.arange(8) - 3.5) / 8
    y, x = torch.meshgrid(at, at, indexing="ij")
    cells = torch.stack(turned(x.reshape(1, 64), y.reshape(1, 64), turn[:, None]), dim=2) * scale[:, None, None]
    is_blank = (images[base].reshape(-1, 64) < FAINT)[..., None]
    half = scale[:, None] / 16  # half a drawn pixel
    low = cells.masked_fill(is_blank, torch.inf).amin(dim=1) - half
    high = cells.masked_fill(is_blank, -torch.inf).amax(dim=1) + half
    return low, high
