"""Detection of one object: its bounding box.

Targets and predictions: x1 y1 x2 y2 in pixels, float32 [N, 4], x1 < x2 and y1 < y2, the right and lower edges exclusive (the
pixel in column c covers c..c+1). Outputs: four unbounded numbers [N, 4], see ``Box.predict``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from math import pi
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_core.tasks import Metric, Shape, Task
from mtl_core.tasks._heads import numbers_head

BoxLoss = Literal["iou", "giou", "ciou", "smooth_l1"]

SMALLEST_SIDE = 1e-3  # of the picture: keeps width / height finite
TINY = 1e-7  # square pixels, against 0 / 0
BETA = 0.1  # of the picture's side: where smooth L1 turns from a square into a straight line


class Box(Task):
    """Draw the tightest box around the object.

    Losses per sample: ``iou`` 1 − IoU; ``giou`` 1 − GIoU (Rezatofighi et al., 2019, https://arxiv.org/abs/1902.09630);
    ``ciou`` 1 − CIoU (Zheng et al., 2020, https://arxiv.org/abs/1911.08287); ``smooth_l1``: Huber's loss on coordinates as
    shares of the picture, averaged over the four and divided by its turning point (Girshick, 2015,
    https://arxiv.org/abs/1504.08083). Plain ``iou`` gives no gradient where boxes do not touch.

    Args:
        image: height and width of the pictures, in pixels.
        loss: one of the four names.
        l1: how much of ``smooth_l1`` is added to an IoU loss (DETR adds both); 0 for none.

    >>> task = Box("box", title="Box", image=(32, 32), loss="iou")
    >>> task.predict(torch.zeros(1, 4))
    tensor([[ 7.9920,  7.9920, 24.0080, 24.0080]])
    """

    kind = "box"
    metrics = (Metric("iou", "Mean IoU", True), Metric("found", "Boxes with IoU ≥ 0.5", True))

    def __init__(self, name: str, *, title: str, image: tuple[int, int], loss: BoxLoss = "ciou", l1: float = 0.0) -> None:
        super().__init__(name, title=title)
        if loss not in get_args(BoxLoss):
            raise ValueError(f"no box loss is called {loss!r}: choose one of {', '.join(get_args(BoxLoss))}")
        if loss == "smooth_l1" and l1:
            raise ValueError(f"the box loss is smooth_l1 already, and {l1:g} of it more is asked for: set box_l1 to 0")
        self.image = image
        self.loss_name = loss
        self.l1 = l1

    def head(self, features: Shape) -> nn.Module:
        """Four numbers, read from a grid of places."""
        return numbers_head(features, 4)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The chosen loss per sample, [N]."""
        boxes = self.predict(outputs)
        if self.loss_name == "smooth_l1":
            return self._smooth_l1(boxes, targets)
        loss = _IOU_LOSSES[self.loss_name](boxes, targets)
        return loss + self.l1 * self._smooth_l1(boxes, targets) if self.l1 else loss

    def predict(self, outputs: Tensor) -> Tensor:
        """Boxes in pixels: the sigmoids of the outputs are centre x, y, width and height as shares of the picture."""
        shares = outputs.to(torch.promote_types(outputs.dtype, torch.float32)).sigmoid()
        centre = shares[..., :2]
        half = (SMALLEST_SIDE + (1 - SMALLEST_SIDE) * shares[..., 2:]) / 2
        return torch.cat([centre - half, centre + half], dim=-1) * self._sides(shares)

    def headline(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean IoU on the batch."""
        return box_iou(self.predict(outputs), targets).mean()

    def scorers(self) -> dict[str, Any]:
        """Mean IoU, and the share of boxes that overlap the true one by at least half."""
        mean_score: Callable[..., Any] = import_module("mtl_core.tasks._scores").MeanScore
        return {"iou": mean_score(box_iou), "found": mean_score(_is_found)}

    def spec(self) -> dict[str, Any]:
        """With the picture's height and width and the loss."""
        return {**super().spec(), "image": list(self.image), "loss": self.loss_name}

    def _smooth_l1(self, boxes: Tensor, targets: Tensor) -> Tensor:
        sides = self._sides(boxes)
        return functional.smooth_l1_loss(boxes / sides, targets / sides, beta=BETA, reduction="none").mean(dim=-1) / BETA

    def _sides(self, like: Tensor) -> Tensor:
        height, width = self.image
        # full, not torch.tensor: filling is done on the device, copying a list to it makes the host wait
        wide, high = like.new_full((1,), width), like.new_full((1,), height)
        return torch.cat([wide, high, wide, high])


def box_iou(boxes: Tensor, targets: Tensor) -> Tensor:
    """Shared area over joint area of each pair of boxes, [N, 4] and [N, 4] -> [N]; 0 where they do not touch."""
    inside, joint = _areas(boxes, targets)
    return inside / (joint + TINY)


# torchvision.ops has the same three losses but picks the overlapping pairs by a mask, which makes the host wait for the GPU
# in each step; these do not, and a test holds them against torchvision's.


def _iou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    return 1 - box_iou(boxes, targets)


def _giou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    inside, joint = _areas(boxes, targets)
    hull = _hull(boxes, targets).prod(dim=-1)
    return 1 - inside / (joint + TINY) + (hull - joint).clamp(min=0) / (hull + TINY)


def _ciou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    iou = box_iou(boxes, targets)
    apart = ((boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2).square().sum(dim=-1)
    diagonal = _hull(boxes, targets).square().sum(dim=-1)
    wide, high = (boxes[:, 2:] - boxes[:, :2]).unbind(dim=-1)
    true_wide, true_high = (targets[:, 2:] - targets[:, :2]).unbind(dim=-1)
    shape = (4 / pi**2) * (torch.atan(true_wide / true_high) - torch.atan(wide / high)).square()
    trade_off = (shape / (1 - iou + shape + TINY)).detach()  # paper: a constant to the gradient
    return 1 - iou + apart / (diagonal + TINY) + trade_off * shape


_IOU_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"iou": _iou_loss, "giou": _giou_loss, "ciou": _ciou_loss}


def _areas(boxes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Area of the intersection and of the union, [N] each."""
    low = torch.maximum(boxes[:, :2], targets[:, :2])
    high = torch.minimum(boxes[:, 2:], targets[:, 2:])
    inside = (high - low).clamp(min=0).prod(dim=-1)
    own, true = (boxes[:, 2:] - boxes[:, :2]).prod(dim=-1), (targets[:, 2:] - targets[:, :2]).prod(dim=-1)
    return inside, own + true - inside


def _hull(boxes: Tensor, targets: Tensor) -> Tensor:
    """Width and height of the smallest box around both, [N, 2]."""
    return torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])


def _is_found(boxes: Tensor, targets: Tensor) -> Tensor:
    return (box_iou(boxes, targets) >= 0.5).float()
