"""From a batch to gradients on the parameters, by the question that the weighting asks.

Losses only: one backward pass. Gramian or gradients of the parameters: one per task. Gramian of the representation or of the
last stage: one through the trunk, after a look from the heads. A measured step differentiates each task on two half-batches
and steps with the mean of what it measured, so that nothing is computed twice.
Legend: T tasks, H parts of the batch, P shared parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtl_core.batches import Examples
from mtl_core.forward import Forward, Passed
from mtl_core.gradients import SharedParameters, TaskGradients, collect, gramian, laid_out_like, products
from mtl_core.weightings import Weighting

HALVES = 2


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
        forward: the network and its tasks; the shared stages are weighed, the tasks' own layers follow their weight or not.
        scheme: the weighting.
    """

    def __init__(self, forward: Forward, scheme: Weighting) -> None:
        self.forward = forward
        self.scheme = scheme
        self.names = [task.name for task in forward.tasks]
        self.shared = SharedParameters(forward.model.shared_stages())
        self.own = {name: forward.model.own_parameters(name) for name in self.names}
        self.parts: list[Examples] = []  # as the last call cut the batch
        self._indices: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, batch: Examples, active: list[int], *, is_measured: bool) -> tuple[Tensor, Measured | None]:
        """Differentiate, weigh, and leave the result in ``.grad``.

        Args:
            active: the tasks that this step trains, by position.
            is_measured: whether to split the batch and report the Gramian.

        Returns: the row of numbers [3T + 1] (losses, weights, headline metrics, total; NaN for tasks left out), and the measurement.
        """
        self._show(active)
        is_measured = is_measured and self.shared.n > 0
        if is_measured or (active and self._needs_rows()):
            return self._by_task(batch, active, is_measured=is_measured)
        if active and self.shared.n and (self.scheme.question == "gramian" or not self.scheme.has_weighted_heads):
            return self._from_representation(batch, active), None
        return self._at_once(batch, active), None

    def _needs_rows(self) -> bool:
        """Whether the scheme needs every task's gradient of all shared parameters at once."""
        if self.shared.n == 0 or self.scheme.question == "losses":
            return False
        return self.scheme.question == "gradients" or (self.scheme.on == "parameters" and self.scheme.n_parts == 1)

    def _at_once(self, batch: Examples, active: list[int]) -> Tensor:
        """One backward pass, seeded with the weights: the objective's derivatives by the losses."""
        if not active:
            none = self._nothing(0)
            return self._row(none, none, none, self._nothing(), active)
        passed = self._pass(batch, 1, active)[0]
        stacked = torch.stack(passed.losses)
        weights, total = self._weigh_losses(stacked.detach(), active)
        # unit heads get here at depth 0 alone, where every layer is a task's own
        torch.autograd.backward(stacked, weights if self.scheme.has_weighted_heads else torch.ones_like(weights))
        return self._row(stacked.detach(), weights, torch.stack(passed.headlines), total, active)

    def _by_task(self, batch: Examples, active: list[int], *, is_measured: bool) -> tuple[Tensor, Measured | None]:
        """One gradient per task, on the whole batch or, measured, on its two halves (and the parts that the scheme wants)."""
        is_on_representation = self.scheme.question == "gramian" and self.scheme.on == "representation"
        passed = self._pass(batch, self.scheme.n_parts * HALVES if is_measured else 1, range(len(self.names)))
        gradients = collect(passed, self.shared, self.own, wants_representation=is_on_representation)
        rows_TP, losses_T = gradients.merged(), gradients.losses_T()
        weights_T, total = self._weigh_rows(gradients, rows_TP, losses_T, active)
        headlines_T = _headlines(passed, gradients)
        chosen = self.index(active)
        row = self._row(losses_T[chosen], weights_T[chosen], headlines_T[chosen], total, active)
        if not is_measured:
            return row, None
        gram = gramian(gradients.merged(HALVES), self.shared.slices)
        return row, Measured(gram, gradients.merged_counts(HALVES), losses_T, weights_T, rows_TP)

    def _weigh_rows(
        self, gradients: TaskGradients, rows_TP: Tensor, losses_T: Tensor, active: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Ask the scheme and set the step; returns all tasks' weights and the total."""
        weights_T = torch.zeros_like(losses_T)
        if not active:
            return weights_T, self._nothing()
        chosen = self.index(active)
        losses = losses_T[chosen]
        if self.scheme.question == "gradients":
            self.shared.set_grad(self.scheme.direction(self._of(rows_TP, active), losses) * self.scheme.factor)
            mix = self.scheme.mix(losses)
            weights_T = torch.full_like(losses_T, torch.nan)
            if mix is not None:
                weights_T[chosen] = mix * self.scheme.factor
            self._set_own(gradients, losses, mix, active)
            return weights_T, losses.sum()
        if self.scheme.question == "losses":
            weights, total = self._weigh_losses(losses, active)
            rows = self._of(rows_TP, active)
        else:
            gram, rows = self._see(gradients, rows_TP, active)
            weights = self.scheme.weights(gram, losses).to(losses.dtype)
            total = self.scheme.factor * (weights * losses).sum()
        factor = self.scheme.factor if self.scheme.question == "gramian" else 1.0
        weights_T[chosen] = weights * factor
        self.shared.set_grad(weights_T[chosen] @ rows)
        self._set_own(gradients, losses, weights, active)
        return weights_T, total

    def _see(self, gradients: TaskGradients, rows_TP: Tensor, active: list[int]) -> tuple[Tensor, Tensor]:
        """The Gramian that the scheme looks at, and the rows that its weights mix."""
        rows = self._of(rows_TP, active)
        if self.scheme.on == "representation":
            chosen = self.index(active)
            return gradients.gramian_of_representation()[chosen][:, chosen], rows
        first = second = mixed = rows
        if self.scheme.n_parts == 3:
            first, second, mixed = (self._of(part, active) for part in gradients.merged(3).chunk(3))
        seen = self.shared.last_stage if self.scheme.on == "last_stage" else slice(None)
        return products(first[:, seen], second[:, seen]), mixed

    def _from_representation(self, batch: Examples, active: list[int]) -> Tensor:
        """Heads once per task, then what the scheme needs to see, then one pass through the trunk with the weighted sum."""
        question, n_parts = self.scheme.question, self.scheme.n_parts if self.scheme.question == "gramian" else 1
        passed = self._pass(batch, n_parts, active)
        own = {self.names[t]: self.own[self.names[t]] for t in active}
        gradients = collect(passed, self.shared, own, wants_rows=False, wants_representation=True)
        losses = gradients.losses_T()
        if question == "losses":
            weights, total = self._weigh_losses(losses, active)
            scaled = weights
        else:
            weights = self.scheme.weights(self._look(passed, gradients, losses), losses).to(losses.dtype)
            scaled = weights * self.scheme.factor
            total = (scaled * losses).sum()
        last = passed[-1].representation  # of independent parts, the one that the weights have not seen
        mixed = sum(weight * gradient for weight, gradient in zip(scaled, gradients.by_representation[-1], strict=True))
        torch.autograd.backward(last, mixed)
        self._set_own(gradients, losses, weights, active)
        headlines = _headlines(passed, gradients)
        return self._row(losses, scaled, headlines, total, active)

    def _look(self, passed: Sequence[Passed], gradients: TaskGradients, losses_T: Tensor) -> Tensor:
        """The Gramian that the scheme looks at, without a pass per task through the whole trunk where that can be avoided."""
        if self.scheme.on == "representation":
            return gradients.gramian_of_representation()
        pulls = gradients.by_representation
        if self.scheme.on == "last_stage":
            rows = [
                torch.stack([_pull(part, seed, self.shared.of_last_stage) for seed in pulls[h]])
                for h, part in enumerate(passed[:2])
            ]
            return products(rows[0], rows[-1])
        first = losses_T.new_empty((len(pulls[0]), self.shared.n))
        for row, seed in zip(first, pulls[0], strict=True):
            self._pull_to(row, passed[0], seed)
        columns = []
        second = torch.empty_like(first[0])  # one row of the second part at a time: no more than T gradients are held
        for seed in pulls[1]:
            self._pull_to(second, passed[1], seed)
            columns.append(first @ second)
        return torch.stack(columns, dim=1)

    def _pull_to(self, row_P: Tensor, passed: Passed, seed: Tensor) -> None:
        with self.shared.written_to(row_P):
            torch.autograd.grad(passed.representation, self.shared.parameters, seed, retain_graph=True, allow_unused=True)

    def _weigh_losses(self, losses: Tensor, active: list[int]) -> tuple[Tensor, Tensor]:
        """Weights and total of a scheme that looks at losses only; its own parameters get their gradients on the way."""
        if self.scheme.question != "losses":  # nothing is shared, so there is nothing to weigh: each task trains alone
            return torch.ones_like(losses), losses.sum()
        leaf = losses.clone().requires_grad_()
        objective = self.scheme.objective(leaf)
        torch.autograd.backward(objective)
        weights = torch.zeros_like(losses) if leaf.grad is None else leaf.grad * self.scheme.factor
        return weights, objective.detach() * self.scheme.factor

    def _set_own(self, gradients: TaskGradients, losses: Tensor, weights: Tensor | None, active: list[int]) -> None:
        """Gradients of the tasks' own layers, scaled by their weight where the scheme says so."""
        factors = None
        if self.scheme.has_weighted_heads:
            factor = 1.0 if self.scheme.question == "losses" else self.scheme.factor
            factors = self.scheme.head_weights(losses, weights) * factor
        for position, t in enumerate(active):
            for parameter, gradient in zip(self.own[self.names[t]], gradients.own[self.names[t]], strict=True):
                if gradient is not None:
                    scaled = gradient if factors is None else gradient * factors[position]
                    parameter.grad = laid_out_like(parameter, scaled)

    def _pass(self, batch: Examples, n_parts: int, active: Sequence[int]) -> list[Passed]:
        self.parts = _cut(batch, n_parts)
        return [self.forward(part, [self.names[t] for t in active]) for part in self.parts]

    def _row(self, losses: Tensor, weights: Tensor, headlines: Tensor, total: Tensor, active: list[int]) -> Tensor:
        """Losses, weights, headlines of all tasks (NaN for those left out) and the total, as one vector."""
        table = torch.stack([losses, weights, headlines])
        if len(active) < len(self.names):
            full = table.new_full((3, len(self.names)), torch.nan)
            full[:, self.index(active)] = table
            table = full
        return torch.cat([table.reshape(-1), total.reshape(1)])

    def _of(self, rows_TP: Tensor, active: list[int]) -> Tensor:
        """The rows of these tasks; no copy where that is all of them."""
        return rows_TP if len(active) == len(rows_TP) else rows_TP[self.index(active)]

    def _show(self, active: list[int]) -> None:
        """Tell the scheme which tasks it is looking at."""
        if len(self.scheme.active) != len(self.names) or len(active) != len(self.names):
            self.scheme.active = self.index(active)

    def index(self, active: list[int]) -> Tensor:
        """Positions as a tensor on the device, made once: a copy to a GPU inside the step would make the step wait."""
        key = tuple(active)
        if key not in self._indices:
            self._indices[key] = torch.tensor(active, dtype=torch.long, device=self.forward.device)
        return self._indices[key]

    def _nothing(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self.forward.device)


def _headlines(passed: Sequence[Passed], gradients: TaskGradients) -> Tensor:
    """The headline metrics of the whole batch, from those of its parts."""
    return (torch.stack([torch.stack(part.headlines) for part in passed]) * gradients.shares_HT).sum(0)


def _pull(passed: Passed, seed: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """A gradient by the representation, carried on to these few parameters, as one vector; the graph stays."""
    found = torch.autograd.grad(passed.representation, parameters, seed, retain_graph=True, allow_unused=True)
    pairs = zip(parameters, found, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for p, g in pairs])


def _cut(batch: Examples, n_parts: int) -> list[Examples]:
    if n_parts == 1:
        return [batch]
    ends = [len(batch) * part // n_parts for part in range(n_parts + 1)]
    return [batch.take(slice(start, end)) for start, end in pairwise(ends)]
