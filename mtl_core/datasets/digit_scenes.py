"""Scenes with a handwritten digit: what it is, where it is, which pixels are its own, how it is turned, and what is behind."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mtl_core.batches import Examples
from mtl_core.datasets import DATASETS, Dataset, _digits, _photos
from mtl_core.datasets._recipe import Recipe, write_recipe
from mtl_core.datasets._scenes import draw_scenes, tight_boxes
from mtl_core.datasets._shift import shift
from mtl_core.records import Split
from mtl_core.registry import Knobs
from mtl_core.tasks import Shape, Task
from mtl_core.tasks.angle import Angle
from mtl_core.tasks.box import Box, BoxLoss
from mtl_core.tasks.classification import Classification
from mtl_core.tasks.mask import Mask, MaskLoss


class DigitScenesKnobs(Knobs):
    """How large, how many and how hard."""

    size: Literal[32, 48] = Field(
        32, title="Picture size", description="Pixels of a picture's side; 48 costs about twice the time."
    )
    scenes: int = Field(8000, ge=64, le=40_000, title="Training scenes", description="How many scenes to train on.")
    held_out: int = Field(
        1500, ge=64, le=10_000, title="Validation and test scenes", description="How many scenes each of the two splits has."
    )
    max_turn: float = Field(
        30.0,
        ge=0,
        le=180,
        title="Largest turn",
        description="Degrees to either side. Above 90, 6 and 9 become hard to tell apart.",
    )
    min_scale: float = Field(
        0.5,
        ge=0.3,
        le=0.85,
        title="Smallest digit",
        description="Height of the smallest digits, as a share of the picture's side.",
    )
    max_scale: float = Field(
        0.8,
        ge=0.3,
        le=0.85,
        title="Largest digit",
        description="Height of the largest digits, as a share of the picture's side.",
    )
    box_loss: BoxLoss = Field(
        "ciou", title="Loss of the box", description="1 − IoU, 1 − GIoU, 1 − CIoU, or smooth L1 on the coordinates."
    )
    box_l1: float = Field(
        0.0, ge=0, le=10, title="Smooth L1 beside it", description="How much smooth L1 is added to an IoU loss; 0 = none."
    )
    mask_loss: MaskLoss = Field(
        "bce", title="Loss of the mask", description="Cross-entropy per pixel, Dice overlap, or their sum."
    )

    @model_validator(mode="after")
    def _fits(self) -> DigitScenesKnobs:
        if self.min_scale > self.max_scale:
            raise ValueError(
                f"the smallest digit ({self.min_scale:g}) is larger than the largest ({self.max_scale:g}): "
                "lower min_scale or raise max_scale"
            )
        if self.box_loss == "smooth_l1" and self.box_l1 > 0:
            raise ValueError("the box loss is smooth_l1 already: set box_l1 to 0, or choose an IoU loss")
        return self


@DATASETS.register
class DigitScenes(Dataset):
    """Handwritten digits at random places, sizes, turns and colours on photographs: classify, detect, segment, and more.

    Both the digits and the photographs are real and come with scikit-learn: nothing is downloaded. Before anything is composed
    the 1797 digits are split 60 / 20 / 20 and each photograph is cut into tiles that belong to one split each, so a test scene
    shows neither a digit nor a piece of a photograph that training has seen. The box is tight around the mask, and the mask is
    where the digit covers at least half of what is behind. Turns are in degrees, counter-clockwise.
    """

    title = "Digit scenes"
    Knobs: ClassVar[type[Knobs]] = DigitScenesKnobs
    knobs: DigitScenesKnobs
    licence = f"{_digits.LICENCE} {_photos.LICENCE}"
    source = f"{_digits.SOURCE} {_photos.SOURCE}"
    default_tasks = ("digit", "box")
    usual_augment = 0.5

    @property
    def input_shape(self) -> Shape:
        """RGB pictures."""
        return (3, self.knobs.size, self.knobs.size)

    def tasks(self) -> list[Task]:
        """digit, box, mask, angle, photo."""
        knobs = self.knobs
        image = (knobs.size, knobs.size)
        return [
            Classification("digit", title="Digit", classes=[str(digit) for digit in range(10)]),
            Box("box", title="Box", image=image, loss=knobs.box_loss, l1=knobs.box_l1),
            Mask("mask", title="Mask", image=image, loss=knobs.mask_loss),
            Angle("angle", title="Turn"),
            Classification("photo", title="Photograph", classes=_photos.TITLES),
        ]

    def sizes(self) -> dict[Split, int]:
        """As the knobs say."""
        return {"train": self.knobs.scenes, "validation": self.knobs.held_out, "test": self.knobs.held_out}

    def recipe(self, split: Split, *, seed: int) -> Recipe:
        """What each scene of a split is made of, by number."""
        knobs = self.knobs
        scales = (knobs.min_scale, knobs.max_scale)
        return write_recipe(split, self.sizes()[split], seed=seed, size=knobs.size, max_turn=knobs.max_turn, scales=scales)

    def load(self, split: Split, *, seed: int, device: torch.device) -> Examples:
        """Draw a split's scenes."""
        recipe = self.recipe(split, seed=seed)
        images, masks = draw_scenes(recipe, self.knobs.size, device)
        _, labels = _digits.base_digits()
        targets = {
            "digit": labels[recipe.base].to(device),
            "box": tight_boxes(masks),
            "mask": masks,
            "angle": recipe.turn.to(device),
            "photo": recipe.photo.to(device),
        }
        return Examples(images, targets)

    def augment(self, examples: Examples, *, strength: float, generator: torch.Generator) -> Examples:
        """Moves each picture by up to a quarter of its side, as far as the digit stays whole, and varies brightness, contrast,
        colour and noise. Boxes and masks move along.

        Where the digit is, is read from the box or the mask among the targets; examples with neither are not moved.
        """
        if strength == 0:
            return examples
        images, targets = examples.inputs, dict(examples.targets)
        moves = torch.rand(len(images), 2, generator=generator)
        boxes = targets["box"] if "box" in targets else tight_boxes(targets["mask"]) if "mask" in targets else None
        if boxes is not None:
            moves = moves.to(images.device, non_blocking=True)
            offsets = _safe_offsets(moves, boxes, strength * self.knobs.size / 4, self.knobs.size)
            images = shift(images, offsets, outside="edge")
            if "box" in targets:
                targets["box"] = boxes + offsets.repeat(1, 2)
            if "mask" in targets:
                targets["mask"] = shift(targets["mask"][:, None], offsets, outside="zero")[:, 0]
        return Examples(_vary_light(images, strength, generator), targets, examples.labelled)


def _safe_offsets(moves: Tensor, boxes: Tensor, furthest: float, size: int) -> Tensor:
    """Whole pixels (x, y) to move by, int64 [N, 2]: evenly spread over what leaves the box inside, up to ``furthest``."""
    low = (-boxes[:, :2]).clamp(min=-furthest).ceil()
    high = (size - boxes[:, 2:]).clamp(max=furthest).floor()
    return (low + (moves * (high - low + 1)).floor().clamp(max=high - low)).long()


def _vary_light(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, colour cast and grain, kept in 0..1."""
    n = len(images)
    lots = torch.rand(n, 5, generator=generator).to(images.device, non_blocking=True)[:, :, None, None] * 2 - 1
    grain = torch.randn(n, 1, *images.shape[2:], generator=generator).to(images.device, non_blocking=True)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 1 + 0.4 * strength * lots[:, :1]
    brightness_and_cast = strength * (0.2 * lots[:, 1:2] + 0.1 * lots[:, 2:])
    return (mean + contrast * (images - mean) + brightness_and_cast + 0.05 * strength * grain).clamp(0, 1)
