"""Two handwritten digits on top of each other: read the left one and the right one."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from mtl_core.batches import Examples
from mtl_core.chance import stream
from mtl_core.datasets import DATASETS, Dataset, _digits
from mtl_core.datasets._digits import base_digits, base_split, draw
from mtl_core.datasets._shift import shift
from mtl_core.records import Split
from mtl_core.registry import Knobs
from mtl_core.tasks import Shape, Task
from mtl_core.tasks.classification import Classification


class MultiDigitsKnobs(Knobs):
    """How much the digits overlap, and how many pairs there are."""

    canvas: Literal[10, 12] = Field(
        12,
        title="Canvas",
        description="Pixels of a picture's side: on 12 the two 8 × 8 digits share 4 × 4 pixels, on 10 6 × 6.",
    )
    pairs: int = Field(8000, ge=64, le=200_000, title="Training pairs", description="How many pairs to train on.")
    held_out: int = Field(
        2000, ge=64, le=50_000, title="Validation and test pairs", description="How many pairs each of the two splits has."
    )


@DATASETS.register
class MultiDigits(Dataset):
    """Two overlapping digits in one picture, read by two tasks that want different things from the same pixels.

    A small MultiMNIST (Sabour et al., 2017, https://arxiv.org/abs/1710.09829) from the digits that come with scikit-learn: one
    at the top left, one at the bottom right, the brighter ink wins. A real case of tasks that cost each other something: a small
    fully connected net reads each digit a little better alone. The base digits are split 60 / 20 / 20 before pairing.
    """

    title = "Two digits"
    Knobs: ClassVar[type[Knobs]] = MultiDigitsKnobs
    knobs: MultiDigitsKnobs
    licence = _digits.LICENCE
    source = _digits.SOURCE
    default_tasks = ("left", "right")

    @property
    def input_shape(self) -> Shape:
        """Grey pictures, ink in 0..1."""
        return (1, self.knobs.canvas, self.knobs.canvas)

    def tasks(self) -> list[Task]:
        """left, right."""
        classes = [str(digit) for digit in range(10)]
        return [
            Classification("left", title="Left digit", classes=classes, is_anywhere=False),
            Classification("right", title="Right digit", classes=classes, is_anywhere=False),
        ]

    def sizes(self) -> dict[Split, int]:
        """As the knobs say."""
        return {"train": self.knobs.pairs, "validation": self.knobs.held_out, "test": self.knobs.held_out}

    def pairs(self, split: Split, *, seed: int) -> Tensor:
        """The base digits (left, right) of each picture, int64 [N, 2]."""
        n = self.sizes()[split]
        return draw(base_split(split, seed), 2 * n, stream(seed, "pairs", split)).reshape(n, 2)

    def load(self, split: Split, *, seed: int, device: torch.device) -> Examples:
        """Compose a split's pairs."""
        images, labels = base_digits()
        left, right = self.pairs(split, seed=seed).unbind(dim=1)
        rest = self.knobs.canvas - 8
        overlaid = torch.maximum(
            functional.pad(images[left], (0, rest, 0, rest)), functional.pad(images[right], (rest, 0, rest, 0))
        )
        return Examples(overlaid[:, None], {"left": labels[left], "right": labels[right]}).to(device)

    def augment(self, examples: Examples, *, strength: float, generator: torch.Generator) -> Examples:
        """Some pictures (all but a few at full strength) move by one pixel; all get noise and a little more or less ink."""
        if strength == 0:
            return examples
        images = examples.inputs
        n, device = len(images), images.device
        lots = torch.rand(n, 4, generator=generator)
        moves = torch.where(lots[:, :1] < strength, (lots[:, 1:3] * 3).long() - 1, 0)
        noise = torch.randn(images.shape, generator=generator).to(device, non_blocking=True)
        ink = (1 + 0.2 * strength * (2 * lots[:, 3] - 1)).to(device, non_blocking=True)[:, None, None, None]
        moved = shift(images, moves.to(device, non_blocking=True), outside="zero")
        varied = (moved * ink + 0.1 * strength * noise).clamp(0, 1)
        return Examples(varied, examples.targets, examples.labelled)
