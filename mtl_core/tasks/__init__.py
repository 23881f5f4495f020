"""Tasks: what is predicted, how wrong it is (loss), and how good that is in words people use (metrics).

One file per kind. A task owns no weights: it builds a head for whatever features the trunk gives and scores its outputs.
Legend: N samples of a batch, Y the shape of one target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Metric:
    """A score: its name in records, its title on pages, its unit ("" for a share of 1) and which way is better."""

    name: str
    title: str
    higher_is_better: bool
    unit: str = ""


class Task(ABC):
    """One thing to predict from the shared input.

    Args:
        name: how configs and records call it.
        title: how pages call it.
    """

    kind: ClassVar[str]
    metrics: tuple[Metric, ...]  # the first is the headline

    def __init__(self, name: str, *, title: str) -> None:
        self.name = name
        self.title = title

    @abstractmethod
    def head(self, features: Shape) -> nn.Module:
        """A head for features of that shape without the batch axis: (C, H, W) from a conv trunk, (F,) from an mlp."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss per sample, shape [N], never negative; the caller averages over the labelled ones."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Outputs as one would report them, in the targets' own form and shape [N, *Y] (mask: probabilities)."""

    @abstractmethod
    def headline(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The first metric on one batch of labelled samples, a scalar tensor on the same device; no host synchronisation."""

    @abstractmethod
    def scorers(self) -> dict[str, Any]:
        """A fresh torchmetrics metric per name in ``metrics``, each fed with (predictions, targets) of labelled samples."""

    def preview(self, values: Tensor) -> NDArray[np.generic]:
        """Predictions or targets as a plain array for pages (see ``records.Preview``)."""
        array: NDArray[np.generic] = values.detach().cpu().numpy()
        return array

    def spec(self) -> dict[str, Any]:
        """What pages need to know of it without torch, JSON-ready. Kinds add their own keys (``classes`` …)."""
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "metrics": [asdict(metric) for metric in self.metrics],
        }
