"""Draws scenes: one handwritten digit, turned, scaled and coloured, on a crop of a photograph.

The drawing runs on the device, in chunks. Legend: N scenes, S pixels of a scene's side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mtl_core.datasets._digits import base_digits
from mtl_core.datasets._photos import photo_atlas
from mtl_core.datasets._recipe import Recipe, turned

CHUNK = 1024  # scenes drawn at once
GLYPH = 40  # pixels of the enlarged digit's side: 8 drawn pixels and a margin of 1 on each side, 4 times
INK = 0.5  # opacity from which a pixel belongs to the digit
LUMA = (0.299, 0.587, 0.114)  # brightness of red, green and blue (ITU-R BT.601)
CONTRAST = 0.45  # difference in brightness between a digit and what it covers
CALM = 0.6  # how much of a photograph's own contrast is kept, so that a digit can be read on it


def draw_scenes(recipe: Recipe, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pictures, float32 [N, 3, S, S] in 0..1, and masks, bool [N, S, S]."""
    images, masks = [], []
    glyphs, atlas = _glyphs().to(device), photo_atlas().to(device)
    for start in range(0, len(recipe.base), CHUNK):
        part = recipe.part(start, start + CHUNK, device)
        opacity = _draw_digits(part, glyphs, size)
        ground = _cut_photos(part, atlas, size)
        colour = _readable_colour(part.colour, ground, opacity)[:, :, None, None]
        images.append(ground + (colour - ground) * opacity[:, None])
        masks.append(opacity > INK)
    return torch.cat(images), torch.cat(masks)


def tight_boxes(masks: Tensor) -> Tensor:
    """The smallest box around each mask: x1 y1 x2 y2 in pixels, far edges exclusive, float32 [N, 4]. Empty masks: 0 0 0 0."""
    edges = []
    for axis in (1, 2):  # over rows, to find columns; then over columns
        hit = masks.any(dim=axis)
        last = hit.shape[1] - hit.flip(1).int().argmax(dim=1)
        edges.append((hit.int().argmax(dim=1), last * hit.any(dim=1)))
    (x1, x2), (y1, y2) = edges
    return torch.stack([x1, y1, x2, y2], dim=1).float()


def _glyphs() -> Tensor:
    """The base digits enlarged, with smooth but clear edges: opacity in 0..1, [1797, GLYPH, GLYPH]."""
    images, _ = base_digits()
    padded = functional.pad(images, (1, 1, 1, 1))[:, None]
    large = functional.interpolate(padded, (GLYPH, GLYPH), mode="bicubic", align_corners=False)[:, 0]
    return ((large - 0.45) * 1.6 + 0.5).clamp(0, 1)


def _draw_digits(part: Recipe, glyphs: Tensor, size: int) -> Tensor:
    """Opacity of each pixel, [N, S, S]: each scene's pixels are looked up in its digit."""
    # the digit's frame is 8 of the glyph's 10 units, and sampling coordinates run from −1 to 1
    zoom = (2 * 0.8 / part.scale)[:, None]
    pixels = (torch.arange(size, device=glyphs.device) + 0.5) / size
    x = ((pixels - part.centre[:, :1]) * zoom)[:, None, :]
    y = ((pixels - part.centre[:, 1:]) * zoom)[:, :, None]
    grid = torch.stack(turned(x, y, -part.turn[:, None, None]), dim=3)
    return functional.grid_sample(glyphs[part.base][:, None], grid, mode="bilinear", align_corners=False)[:, 0]


def _cut_photos(part: Recipe, atlas: Tensor, size: int) -> Tensor:
    """The crops, with softened contrast, [N, 3, S, S]. One lookup: the scenes are stacked into one tall picture."""
    steps = (torch.arange(size, device=atlas.device) + 0.5) / size
    x_steps = torch.where(part.is_mirrored[:, None], 1 - steps, steps)
    x = part.corner[:, :1] + part.side[:, None] * x_steps
    y = part.corner[:, 1:] + part.side[:, None] * steps
    n, (height, width) = len(part.side), atlas.shape[1:]
    grid = torch.stack(
        [(2 * x / width - 1)[:, None, :].expand(n, size, size), (2 * y / height - 1)[:, :, None].expand(n, size, size)],
        dim=-1,
    )
    tall = functional.grid_sample(
        atlas[None], grid.reshape(1, n * size, size, 2), mode="bilinear", padding_mode="border", align_corners=False
    )
    crops = tall.reshape(3, n, size, size).transpose(0, 1)
    mean = crops.mean(dim=(2, 3), keepdim=True)
    return mean + CALM * (crops - mean)


def _readable_colour(colour: Tensor, ground: Tensor, opacity: Tensor) -> Tensor:
    """The colour made lighter or darker until it stands out from what the digit covers, [N, 3]."""
    weights = torch.tensor(LUMA, device=ground.device)
    covered = (ground * opacity[:, None]).sum(dim=(2, 3)) / opacity.sum(dim=(1, 2)).clamp(min=1)[:, None]
    behind = (covered * weights).sum(dim=1)
    wanted = torch.where(behind < 0.5, behind + CONTRAST, behind - CONTRAST)[:, None]
    now = (colour * weights).sum(dim=1, keepdim=True)
    darker = colour * (wanted / now.clamp(min=1e-3))
    lighter = 1 - (1 - colour) * ((1 - wanted) / (1 - now).clamp(min=1e-3))
    return torch.where(wanted < now, darker, lighter).clamp(0, 1)
