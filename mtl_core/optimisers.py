"""What turns gradients into steps: torch's optimisers and the learning rate over the run."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from mtl_core.config import Training


def make_optimizer(
    training: Training, parameters: Iterable[nn.Parameter], scheme_groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimiser over the network's parameters and, undecayed, over what the weighting learns.

    A scheme's group may bring its own learning rate; the schedule scales both.
    """
    groups: list[dict[str, Any]] = [{"params": list(parameters), "weight_decay": training.weight_decay}, *scheme_groups]
    for group in groups:
        group.setdefault("lr", training.lr)
        group["initial_lr"] = group["lr"]
    if training.optimizer == "sgd":
        return _with_momentum(torch.optim.SGD(groups, lr=training.lr, momentum=training.momentum, fused=True))
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=training.lr, fused=True)


def _with_momentum(optimizer: torch.optim.SGD) -> torch.optim.SGD:
    """Start from a momentum of zero, which is what torch does where there is none yet.

    Its fused SGD fails (torch 2.12) where some parameters have met a gradient before and others have not: tasks in turn, or
    a task whose first batches carry none of its labels.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] > 0 else ():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def load_moments(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take up a saved optimiser, its moments in the memory layout that the parameters have here.

    A GPU may keep convolutions channels_last where a CPU does not, and fused optimisers never look at strides.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter).copy_(value)


def lr_factor(training: Training, step: int) -> float:
    """What the learning rate is multiplied with at that step (counted from 0).

    >>> [lr_factor(Training(steps=100, warmup=4, schedule="linear"), step) for step in (0, 3, 4, 52)]
    [0.25, 1.0, 1.0, 0.5]
    """
    if step < training.warmup:
        return (step + 1) / training.warmup
    progress = (step - training.warmup) / max(1, training.steps - training.warmup)
    if training.schedule == "cosine":
        return 0.5 * (1 + cos(pi * progress))
    if training.schedule == "linear":
        return 1 - progress
    if training.schedule == "step":
        return float(0.1 ** ((progress >= 0.5) + (progress >= 0.75)))
    return 1.0


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's own learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
