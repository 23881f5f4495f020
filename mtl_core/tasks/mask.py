"""Segmentation: for each pixel, does it belong to the object? Targets: bool [N, H, W]; outputs: logits [N, H, W]."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mtl_core.tasks import Metric, Shape, Task
from mtl_core.tasks._heads import picture_head

MaskLoss = Literal["bce", "dice", "bce_dice"]


class Mask(Task):
    """Colour in the object's pixels.

    Losses per sample: ``bce`` binary cross-entropy averaged over the pixels (guessing costs log 2 = .693); ``dice``
    1 − 2·Σpy / (Σp² + Σy²), which counts overlap and not pixels, for small objects (V-Net, Milletari et al., 2016,
    https://arxiv.org/abs/1606.04797); ``bce_dice`` their sum.

    Args:
        image: height and width of the pictures, in pixels.
        loss: one of the three names.

    >>> task = Mask("mask", title="Mask", image=(2, 2))
    >>> task.loss(torch.zeros(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool))
    tensor([0.6931])
    """

    kind = "mask"
    metrics = (Metric("iou", "Mask IoU", True), Metric("pixels", "Pixel accuracy", True))

    def __init__(self, name: str, *, title: str, image: tuple[int, int], loss: MaskLoss = "bce") -> None:
        super().__init__(name, title=title)
        if loss not in get_args(MaskLoss):
            raise ValueError(f"no mask loss is called {loss!r}: choose one of {', '.join(get_args(MaskLoss))}")
        self.image = image
        self.loss_name = loss

    def head(self, features: Shape) -> nn.Module:
        """One logit per pixel."""
        return picture_head(features, *self.image)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The chosen loss per sample, [N]."""
        logits = outputs.to(torch.promote_types(outputs.dtype, torch.float32)).flatten(1)
        truth = targets.flatten(1).to(logits.dtype)
        bce = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=1)
        if self.loss_name == "bce":
            return bce
        dice = _dice_loss(logits.sigmoid(), truth)
        return dice if self.loss_name == "dice" else bce + dice

    def predict(self, outputs: Tensor) -> Tensor:
        """The probability of each pixel, [N, H, W] in 0..1."""
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32)).sigmoid()

    def headline(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """IoU of all the batch's pixels taken together; 0 if there is no object and none is seen."""
        is_object, truth = outputs > 0, targets.bool()
        joint = (is_object | truth).sum()
        return (is_object & truth).sum() / joint.clamp(min=1)

    def scorers(self) -> dict[str, Any]:
        """IoU of all pixels of the split taken together, and the share of pixels on the right side of one half."""
        metrics = import_module("torchmetrics.classification")
        return {
            "iou": metrics.BinaryJaccardIndex(validate_args=False),
            "pixels": metrics.BinaryAccuracy(validate_args=False),
        }

    def preview(self, values: Tensor) -> NDArray[np.generic]:
        """Probabilities (or truths) as uint8 0..255, [N, H, W]."""
        return super().preview((values.float() * 255).round().to(torch.uint8))

    def spec(self) -> dict[str, Any]:
        """With the picture's height and width."""
        return {**super().spec(), "image": list(self.image)}


def _dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    overlap = 2 * (probabilities * truth).sum(dim=1)
    total = probabilities.square().sum(dim=1) + truth.sum(dim=1)  # truth is 0 or 1, its own square
    return 1 - overlap / total.clamp(min=1e-6)  # nothing there and nothing seen: 1, with no gradient
