"""Classification: which one of a few classes. Targets: class indices, int64 [N]; outputs: logits [N, K]."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_core.tasks import Metric, Shape, Task
from mtl_core.tasks._heads import anywhere_head, numbers_head


class Classification(Task):
    """Say which of K classes an input belongs to.

    Loss: cross-entropy −log p(class), in nats; guessing evenly costs log K.

    Args:
        classes: the title of each class, by index; at least two.
        is_anywhere: whether the class is the same wherever in a picture it shows; if not, the head keeps places apart.

    >>> task = Classification("digit", title="Digit", classes=["zero", "one"])
    >>> task.loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6931])
    """

    kind = "classification"
    metrics = (Metric("accuracy", "Accuracy", True), Metric("f1", "Macro F1", True))

    def __init__(self, name: str, *, title: str, classes: Sequence[str], is_anywhere: bool = True) -> None:
        super().__init__(name, title=title)
        if len(classes) < 2:
            raise ValueError(f"task {name} has {len(classes)} classes: give it at least two")
        self.classes = tuple(classes)
        self.is_anywhere = is_anywhere

    def head(self, features: Shape) -> nn.Module:
        """One logit per class."""
        build = anywhere_head if self.is_anywhere else numbers_head
        return build(features, len(self.classes))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy per sample, [N]."""
        wide = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        return functional.cross_entropy(wide, targets, reduction="none")

    def predict(self, outputs: Tensor) -> Tensor:
        """The likeliest class of each sample, int64 [N]."""
        return outputs.argmax(dim=-1)

    def headline(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Accuracy on the batch."""
        return (outputs.argmax(dim=-1) == targets).float().mean()

    def scorers(self) -> dict[str, Any]:
        """Accuracy, and F1 averaged over classes (a rare class counts as much as a common one)."""
        metrics = import_module("torchmetrics.classification")
        n = len(self.classes)
        return {
            "accuracy": metrics.MulticlassAccuracy(n, average="micro", validate_args=False),
            "f1": metrics.MulticlassF1Score(n, average="macro", validate_args=False),
        }

    def spec(self) -> dict[str, Any]:
        """With the titles of the classes."""
        return {**super().spec(), "classes": list(self.classes)}
