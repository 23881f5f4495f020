"""Averages over a whole split of scores that torchmetrics has no metric for. Imported on use: torchmetrics takes a second."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torchmetrics import MeanMetric


class MeanScore(nn.Module):
    """The mean of ``score(predictions, targets) -> [N]`` over all samples seen; used like a torchmetrics metric."""

    def __init__(self, score: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.score = score
        self.mean = MeanMetric(nan_strategy="disable")  # looking for NaN would wait for the device

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Take in N samples."""
        self.mean.update(self.score(predictions, targets))

    def compute(self) -> Tensor:
        """The mean so far, a scalar on the device of what came in."""
        mean: Tensor = self.mean.compute()
        return mean

    def reset(self) -> None:
        """Forget all samples."""
        self.mean.reset()
