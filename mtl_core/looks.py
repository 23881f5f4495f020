"""Losses elsewhere than where the network stands: after the step, a step ahead, or after a step for one task alone.

None of it changes the network, its dice or its batch statistics.
Legend: T tasks, P shared parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtl_core.batches import Examples
from mtl_core.forward import Forward
from mtl_core.gradients import SharedParameters

NUDGE = 0.01  # length of the step of the finite difference, as in Auto-λ's public code


class Before(NamedTuple):
    """A forward pass that was made, to be made again elsewhere: the parts of its batch, its tasks, the dice it began with."""

    parts: Sequence[Examples]
    tasks: Sequence[str]
    chance: Sequence[Tensor]


class Looks:
    """Extra forward passes for schemes and measurements that need more than the gradient here and now.

    Args:
        forward: the network and its tasks.
        shared: the network's shared parameters.
    """

    def __init__(self, forward: Forward, shared: SharedParameters) -> None:
        self.forward = forward
        self.shared = shared
        self._named = [(name, parameter) for name, parameter in forward.model.named_parameters() if parameter.requires_grad]
        names = {id(parameter): name for name, parameter in self._named}
        self._shared_names = [names[id(parameter)] for parameter in shared.parameters]

    def again(self, before: Before) -> Tensor:
        """Losses [T] of the same parts of the batch with the parameters as they are now, under the dice of the first pass."""
        with torch.no_grad(), self.forward.repeated(before.chance):
            return self.forward.losses(before.parts, before.tasks)

    def ahead(self, before: Before, validation: Examples, counts_T: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
        """What each task's weight does to the validation loss after the step: −η ∇L_val(θ′)·g_i, [T] (Liu et al. 2022, Auto-λ).

        θ′ = θ − η (momentum + gradient + decay), from the gradients that now lie in ``.grad``; the inner products come from a
        finite difference along ∇L_val(θ′), as in the paper: two forward passes instead of a backward pass per task.

        Args:
            validation: a batch of it, with the targets of all tasks of the network.
            counts_T: how much each task of the network, absent from the training batch or not, counts in the validation loss.
            optimizer: the run's; its learning rate, momentum and weight decay shape θ′.
        """
        step = _virtual_step(optimizer)
        everyone = [task.name for task in self.forward.tasks]
        with self.forward.repeated(before.chance):
            after = {name: (p.detach() - step.get(id(p), 0.0)).requires_grad_() for name, p in self._named}
            loss = (counts_T * self.forward.losses([validation], everyone, after)).sum()
            pulls = torch.autograd.grad(loss, list(after.values()), allow_unused=True)
        named = [(name, p, pull) for (name, p), pull in zip(self._named, pulls, strict=True) if pull is not None]
        length = torch.stack([pull.norm() for _, _, pull in named]).norm()
        nudge = NUDGE / length.clamp(min=1e-12)  # a validation loss that stands still asks for nothing
        found = []
        for sign in (1.0, -1.0):
            there = {name: p.detach() + sign * nudge * pull for name, p, pull in named}
            with torch.no_grad(), self.forward.repeated(before.chance):
                found.append(self.forward.losses(before.parts, before.tasks, there))
        slopes: Tensor = (found[0] - found[1]) / (2 * nudge)
        return -float(optimizer.param_groups[0]["lr"]) * slopes

    def affinity(self, before: Before, rows_TP: Tensor, lr: float) -> Tensor:
        """Inter-task affinity [T, T] (Fifty et al. 2021): row i, column j is 1 − L_j after / before a step for task i alone.

        Args:
            rows_TP: each task's gradient of the shared parameters on this batch.
            lr: length of the step. The tasks' own layers stay as they are.
        """
        at = self.shared.flat()
        with torch.no_grad():
            after = []
            for row in rows_TP:
                with self.forward.repeated(before.chance):
                    after.append(self.forward.losses(before.parts, before.tasks, self._with_shared(at - lr * row)))
            with self.forward.repeated(before.chance):
                now_T = self.forward.losses(before.parts, before.tasks)
            return torch.where(now_T > 0, 1 - torch.stack(after) / now_T, torch.nan)

    def _with_shared(self, flat_P: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(flat_P, [parameter.numel() for parameter in self.shared.parameters])
        return {
            name: piece.view(parameter.shape)
            for name, parameter, piece in zip(self._shared_names, self.shared.parameters, pieces, strict=True)
        }


def _virtual_step(optimizer: torch.optim.Optimizer) -> dict[int, Tensor]:
    """What plain gradient descent with the optimiser's momentum and decay would take off each parameter, by its id."""
    step: dict[int, Tensor] = {}
    group = optimizer.param_groups[0]  # the network's; the others belong to the scheme
    for parameter in group["params"]:
        if not isinstance(parameter, nn.Parameter) or parameter.grad is None:
            continue
        move = parameter.grad + group["weight_decay"] * parameter.detach()
        buffer = optimizer.state[parameter].get("momentum_buffer")
        if buffer is not None:
            move = move + group["momentum"] * buffer
        step[id(parameter)] = group["lr"] * move
    return step
