"""Per-task gradients of the shared parameters, and their inner products: the measurement that everything else is read from.

Legend: T tasks, H parts of the batch (1, or 2 half-batches for a measurement), S shared stages, P shared parameters.
Row h·T + t of a gradient matrix or Gramian is task t's gradient on part h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TaskGradients:
    """The gradients of one step, not yet weighed.

    Shapes: ``rows`` [H·T, P]; ``losses_HT``; ``counts_HT`` labelled samples; ``own`` per task, the full-batch gradient of each
    of its own parameters (None where a parameter has none).
    """

    rows: Tensor
    losses_HT: Tensor
    counts_HT: Tensor
    own: dict[str, list[Tensor | None]]

    @property
    def shares_HT(self) -> Tensor:
        """Each part's share of a task's labelled samples; the shares of a task without labels are zero."""
        return self.counts_HT / self.counts_HT.sum(0).clamp(min=1)

    def full(self) -> Tensor:
        """The full-batch gradients [T, P]: the mean of the parts, weighted by labelled samples."""
        n_parts, n_tasks = self.counts_HT.shape
        if n_parts == 1:
            return self.rows
        return (self.rows.view(n_parts, n_tasks, -1) * self.shares_HT[:, :, None]).sum(0)

    def losses_T(self) -> Tensor:
        """The full batch's loss per task."""
        return (self.losses_HT * self.shares_HT).sum(0)


class SharedParameters:
    """The shared parameters of a network as one flat vector, cut into stages.

    Args:
        stages: name and parameters of each shared stage, from input to output.
    """

    def __init__(self, stages: Sequence[tuple[str, Sequence[nn.Parameter]]]) -> None:
        self.names = [name for name, _ in stages]
        self.parameters = [parameter for _, parameters in stages for parameter in parameters]
        self.n = sum(parameter.numel() for parameter in self.parameters)
        self.slices: list[slice] = []
        start = 0
        for _, parameters in stages:
            length = sum(parameter.numel() for parameter in parameters)
            self.slices.append(slice(start, start + length))
            start += length

    def flat(self) -> Tensor:
        """A copy of the parameters as one vector [P]."""
        return torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])

    def gather(self, gradients: Sequence[Tensor | None], row: Tensor) -> None:
        """Write per-parameter gradients into ``row`` [P]; a missing one is zero."""
        start = 0
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            end = start + parameter.numel()
            if gradient is None:
                row[start:end].zero_()
            else:
                row[start:end].view(parameter.shape).copy_(gradient)
            start = end

    def set_grad(self, direction_P: Tensor) -> None:
        """Hand the step to the optimiser as the parameters' ``.grad``."""
        start = 0
        for parameter in self.parameters:
            end = start + parameter.numel()
            parameter.grad = laid_out_like(parameter, direction_P[start:end].view(parameter.shape))
            start = end


def collect(
    losses: Sequence[Sequence[Tensor]],
    counts_HT: Tensor,
    shared: SharedParameters,
    own: dict[str, list[nn.Parameter]],
) -> TaskGradients:
    """Differentiate every loss once: the shared part goes to a row, each task's own part is averaged over the parts.

    Args:
        losses: ``losses[h][t]``, scalars; each part's graph is freed after its last task. A task's head is walked once per part.
        counts_HT: labelled samples per part and task.
        own: each task's own parameters, in the order of the losses.
    """
    n_parts, n_tasks = counts_HT.shape
    rows = counts_HT.new_empty((n_parts * n_tasks, shared.n))
    shares = counts_HT / counts_HT.sum(0).clamp(min=1)
    gradients_of_own: dict[str, list[Tensor | None]] = {}
    for h, part in enumerate(losses):
        for t, (task, own_parameters) in enumerate(own.items()):
            wanted = [*shared.parameters, *own_parameters]
            found = torch.autograd.grad(part[t], wanted, retain_graph=t < n_tasks - 1, allow_unused=True)
            shared.gather(found[: len(shared.parameters)], rows[h * n_tasks + t])
            own_found = found[len(shared.parameters) :]
            if n_parts > 1:
                own_found = tuple(None if gradient is None else gradient * shares[h, t] for gradient in own_found)
            before = gradients_of_own.get(task)
            gradients_of_own[task] = list(own_found) if before is None else _add(before, own_found)
    stacked = torch.stack([torch.stack([loss.detach() for loss in part]) for part in losses])
    return TaskGradients(rows, stacked.to(counts_HT.dtype), counts_HT, gradients_of_own)


def gramian(rows: Tensor, slices: Sequence[slice]) -> Tensor:
    """Inner products of gradients per stage: [R, P] → [S, R, R]. Summed over stages it is the Gramian of all shared parameters.

    >>> gramian(torch.tensor([[1.0, 0.0], [-0.5, 1.0]]), [slice(0, 1), slice(1, 2)]).sum(0)
    tensor([[ 1.0000, -0.5000],
            [-0.5000,  1.2500]])
    """
    if not slices:
        return rows.new_zeros((0, len(rows), len(rows)))
    return torch.stack([rows[:, stage] @ rows[:, stage].T for stage in slices])


def laid_out_like(parameter: Tensor, values: Tensor) -> Tensor:
    """The same values in the parameter's memory layout: fused optimisers walk both side by side and never look at strides."""
    return values if values.stride() == parameter.stride() else torch.empty_like(parameter).copy_(values)


def _add(left: Sequence[Tensor | None], right: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [b if a is None else a if b is None else a + b for a, b in zip(left, right, strict=True)]
