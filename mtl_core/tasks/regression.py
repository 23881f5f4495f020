"""Regression: one or several numbers. Targets, outputs and predictions: float32 [N, D]."""

from __future__ import annotations

from importlib import import_module
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from mtl_core.tasks import Metric, Shape, Task
from mtl_core.tasks._heads import numbers_head


class Regression(Task):
    """Predict D numbers.

    Loss: squared error averaged over the D numbers, times ``scale``. R² is 1 − squared error / variance, per number and then
    averaged: 1 is perfect, 0 is as good as always saying the mean.

    Args:
        dims: D.
        scale: what the loss is multiplied by; it changes how loudly the task speaks, not what is best for it.

    >>> task = Regression("a", title="Task A", scale=10)
    >>> task.loss(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    tensor([40.])
    """

    kind = "regression"
    metrics = (Metric("r2", "R²", True), Metric("mae", "Mean absolute error", False))

    def __init__(self, name: str, *, title: str, dims: int = 1, scale: float = 1.0) -> None:
        super().__init__(name, title=title)
        if dims < 1:
            raise ValueError(f"task {name} predicts {dims} numbers: give it at least one")
        if not (scale > 0 and isfinite(scale)):
            raise ValueError(f"the loss scale of task {name} is {scale}: give it a number above 0")
        self.dims = dims
        self.scale = scale

    def head(self, features: Shape) -> nn.Module:
        """D numbers."""
        return numbers_head(features, self.dims)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Scaled squared error per sample, [N]."""
        wide = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        return self.scale * (wide - targets).square().mean(dim=-1)

    def predict(self, outputs: Tensor) -> Tensor:
        """The outputs themselves, [N, D]."""
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    def headline(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """R² on the batch; a number that does not vary in it counts 0 (a single sample always does)."""
        error = (self.predict(outputs) - targets).square().mean(dim=0)
        variance = (targets - targets.mean(dim=0)).square().mean(dim=0)
        varies = variance > 0
        return torch.where(varies, 1 - error / variance.where(varies, 1.0), 0.0).mean()

    def scorers(self) -> dict[str, Any]:
        """R² and the mean absolute error over the split."""
        metrics = import_module("torchmetrics")
        return {"r2": metrics.R2Score(), "mae": metrics.MeanAbsoluteError()}

    def spec(self) -> dict[str, Any]:
        """With the number of dimensions and the loss scale."""
        return {**super().spec(), "dims": self.dims, "scale": self.scale}
