"""From a batch to gradients on the parameters, by the question that the weighting asks.

Losses only: one backward pass. Gramian or gradients: one per task. A measured step differentiates each task on two
half-batches and steps with the mean of what it measured, so that nothing is computed twice.
Legend: T tasks, H parts of the batch, P shared parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtl_core.architectures import Architecture
from mtl_core.batches import Examples
from mtl_core.gradients import SharedParameters, TaskGradients, collect, gramian, laid_out_like
from mtl_core.tasks import Task
from mtl_core.weightings import Weighting


class Measured(NamedTuple):
    """What a measured step found, still on the device; shapes as in ``records.Measurement``."""

    gramian: Tensor
    counts: Tensor
    losses: Tensor
    weights: Tensor
    rows_TP: Tensor


class Backward:
    """Puts the weighed gradient of a batch on the parameters.

    Args:
        model: the network; its shared stages are weighed, its tasks' own layers follow their weight or not.
        scheme: the weighting.
        tasks: in the order of the scheme's tasks.
        precision: what the forward pass computes in (bfloat16 means mixed precision).
    """

    def __init__(self, model: Architecture, scheme: Weighting, tasks: Sequence[Task], precision: torch.dtype) -> None:
        self.model = model
        self.scheme = scheme
        self.tasks = tasks
        self.names = [task.name for task in tasks]
        self.precision = precision
        self.shared = SharedParameters(model.shared_stages())
        self.own = {name: model.own_parameters(name) for name in self.names}
        self._device = next(model.parameters()).device
        self._indices: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, batch: Examples, active: list[int], *, is_measured: bool) -> tuple[Tensor, Measured | None]:
        """Differentiate, weigh, and leave the result in ``.grad``.

        Args:
            active: the tasks that this step trains, by position.
            is_measured: whether to split the batch and report the Gramian.

        Returns: the row of numbers [3T + 1] (losses, weights, headline metrics, total; NaN for tasks left out), and the measurement.
        """
        self._show(active)
        if (is_measured and self.shared.n) or self._needs_gradients(active):
            return self._by_task(batch, active, is_measured=is_measured)
        return self._at_once(batch, active), None

    def _needs_gradients(self, active: list[int]) -> bool:
        if not active or self.shared.n == 0:
            return False
        return self.scheme.asks != "losses" or not self.scheme.has_weighted_heads

    def _at_once(self, batch: Examples, active: list[int]) -> Tensor:
        """One backward pass, seeded with the weights: the objective's derivatives by the losses."""
        if not active:
            none = self._nothing(0)
            return self._row(none, none, none, self._nothing(), active)
        losses, _, headlines = self._losses(batch, [self.names[t] for t in active])
        stacked = torch.stack(losses)
        weights, total = self._weigh_losses(stacked.detach(), active)
        # unit heads get here at depth 0 alone, where every layer is a task's own
        torch.autograd.backward(stacked, weights if self.scheme.has_weighted_heads else torch.ones_like(weights))
        return self._row(stacked.detach(), weights, torch.stack(headlines), total, active)

    def _by_task(self, batch: Examples, active: list[int], *, is_measured: bool) -> tuple[Tensor, Measured | None]:
        """One gradient per task, on the whole batch or, measured, on its two halves."""
        parts = _halves(batch) if is_measured else [batch]
        found = [self._losses(part, self.names) for part in parts]
        counts_HT = torch.stack([counts for _, counts, _ in found])
        gradients = collect([losses for losses, _, _ in found], counts_HT, self.shared, self.own)
        rows_TP, losses_T = gradients.full(), gradients.losses_T()
        headlines_T = (torch.stack([torch.stack(headlines) for _, _, headlines in found]) * gradients.shares_HT).sum(0)
        weights_T, total = self._weigh(rows_TP, losses_T, active)
        self._set_own(gradients, weights_T, active)
        chosen = self.index(active)
        row = self._row(losses_T[chosen], weights_T[chosen], headlines_T[chosen], total, active)
        if not is_measured:
            return row, None
        gram = gramian(gradients.rows, self.shared.slices)
        return row, Measured(gram, counts_HT, losses_T, weights_T, rows_TP)

    def _weigh(self, rows_TP: Tensor, losses_T: Tensor, active: list[int]) -> tuple[Tensor, Tensor]:
        """Ask the scheme and set the step of the shared parameters; returns all tasks' weights and the total."""
        weights_T = torch.zeros_like(losses_T)
        if not active:
            return weights_T, self._nothing()
        chosen = self.index(active)
        if self.scheme.asks == "gradients":
            direction_P = self.scheme.direction(rows_TP[chosen], losses_T[chosen]) * self.scheme.factor
            self.shared.set_grad(direction_P)
            return torch.full_like(losses_T, torch.nan), losses_T[chosen].sum()
        if self.scheme.asks == "losses":
            weights_T[chosen], total = self._weigh_losses(losses_T[chosen], active)
        else:
            rows = rows_TP[chosen]
            weights_T[chosen] = self.scheme.weights(rows @ rows.T, losses_T[chosen]).to(losses_T.dtype) * self.scheme.factor
            total = (weights_T * losses_T).sum()
        self.shared.set_grad(weights_T @ rows_TP)
        return weights_T, total

    def _weigh_losses(self, losses: Tensor, active: list[int]) -> tuple[Tensor, Tensor]:
        """Weights and total of a scheme that looks at losses only; its own parameters get their gradients on the way."""
        if self.scheme.asks != "losses":  # nothing is shared, so there is nothing to weigh: each task trains alone
            return torch.ones_like(losses), losses.sum()
        leaf = losses.clone().requires_grad_()
        objective = self.scheme.objective(leaf)
        torch.autograd.backward(objective)
        weights = torch.zeros_like(losses) if leaf.grad is None else leaf.grad * self.scheme.factor
        return weights, objective.detach() * self.scheme.factor

    def _set_own(self, gradients: TaskGradients, weights_T: Tensor, active: list[int]) -> None:
        """Gradients of the tasks' own layers, scaled by their weight where the scheme says so."""
        follows = self.scheme.has_weighted_heads and self.scheme.asks != "gradients"
        for t in active:
            for parameter, gradient in zip(self.own[self.names[t]], gradients.own[self.names[t]], strict=True):
                if gradient is not None:
                    parameter.grad = laid_out_like(parameter, gradient * weights_T[t] if follows else gradient)

    def _losses(self, batch: Examples, names: Sequence[str]) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Mean loss over the labelled samples, how many those are, and the headline metric (NaN where labels are missing)."""
        losses, counts, headlines = [], [], []
        with self._autocast():
            outputs = self.model(batch.inputs, names)
        for task in self.tasks:
            if task.name not in names:
                continue
            output, target = outputs[task.name].float(), batch.targets[task.name]
            per_sample = task.loss(output, target)
            mask = batch.labelled.get(task.name)
            if mask is None:
                losses.append(per_sample.mean())
                counts.append(per_sample.new_full((), len(per_sample)))
                with torch.no_grad():
                    headlines.append(task.headline(output, target).to(per_sample.dtype))
            else:
                counts.append(mask.sum().to(per_sample.dtype))
                losses.append((per_sample * mask).sum() / counts[-1].clamp(min=1))
                headlines.append(per_sample.new_full((), torch.nan))
        return losses, torch.stack(counts), headlines

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self.precision)

    def _row(self, losses: Tensor, weights: Tensor, headlines: Tensor, total: Tensor, active: list[int]) -> Tensor:
        """Losses, weights, headlines of all tasks (NaN for those left out) and the total, as one vector."""
        table = torch.stack([losses, weights, headlines])
        if len(active) < len(self.names):
            full = table.new_full((3, len(self.names)), torch.nan)
            full[:, self.index(active)] = table
            table = full
        return torch.cat([table.reshape(-1), total.reshape(1)])

    def _show(self, active: list[int]) -> None:
        """Tell the scheme which tasks it is looking at."""
        if len(self.scheme.active) != len(self.names) or len(active) != len(self.names):
            self.scheme.active = self.index(active)

    def index(self, active: list[int]) -> Tensor:
        """Positions as a tensor on the device, made once: a copy to a GPU inside the step would make the step wait."""
        key = tuple(active)
        if key not in self._indices:
            self._indices[key] = torch.tensor(active, dtype=torch.long, device=self._device)
        return self._indices[key]

    def _nothing(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self._device)


def _halves(batch: Examples) -> list[Examples]:
    middle = len(batch) // 2
    return [batch.take(slice(0, middle)), batch.take(slice(middle, len(batch)))]
