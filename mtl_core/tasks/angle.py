"""Pose: by how much the object is turned. Targets and predictions: degrees, float32 [N]; outputs: two numbers [N, 2]."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_core.tasks import Metric, Shape, Task
from mtl_core.tasks._heads import numbers_head

NEAR = 15.0  # degrees: what counts as right
SHORTEST = 1e-2  # outputs shorter than this are not stretched to length 1, or their gradients would explode


class Angle(Task):
    """Say how far the object is turned, in degrees counter-clockwise.

    The outputs are a direction (sine, cosine): unlike a number in degrees it has no jump between 359° and 0°. Loss:
    1 − cos of the error, 0 when right, 1 at 90°, 2 when upside down (as half the squared distance of the two directions,
    which is exact for small errors too).

    >>> task = Angle("angle", title="Rotation")
    >>> task.predict(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, -1.0]]))
    tensor([ 90.,   0., 180.])
    """

    kind = "angle"
    metrics = (Metric("error", "Mean error", False, "°"), Metric("near", f"Within {NEAR:g}°", True))

    def head(self, features: Shape) -> nn.Module:
        """Sine and cosine, up to length; starts out near "not turned", away from the length 0 that has no direction."""
        head = numbers_head(features, 2)
        last = list(head.children())[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.bias[:1])
        nn.init.ones_(last.bias[1:])
        return head

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """1 − cos of the error, [N]."""
        wide = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        direction = functional.normalize(wide, dim=-1, eps=SHORTEST)
        radians = torch.deg2rad(targets)
        truth = torch.stack([radians.sin(), radians.cos()], dim=-1)
        return (direction - truth).square().sum(dim=-1) / 2

    def predict(self, outputs: Tensor) -> Tensor:
        """Degrees in −180..180, [N]; 0 for outputs of length 0."""
        wide = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        return torch.rad2deg(torch.atan2(wide[..., 0], wide[..., 1]))

    def headline(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean error on the batch, in degrees."""
        return angle_error(self.predict(outputs), targets).mean()

    def scorers(self) -> dict[str, Any]:
        """Mean error in degrees, and the share of samples within 15 degrees."""
        mean_score: Callable[..., Any] = import_module("mtl_core.tasks._scores").MeanScore
        return {"error": mean_score(angle_error), "near": mean_score(_is_near)}


def angle_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """How far apart two angles are, the short way round: degrees in 0..180, [N].

    >>> angle_error(torch.tensor([179.0]), torch.tensor([-179.0]))
    tensor([2.])
    """
    return (torch.remainder(predictions - targets + 180, 360) - 180).abs()


def _is_near(predictions: Tensor, targets: Tensor) -> Tensor:
    return (angle_error(predictions, targets) <= NEAR).float()
