"""Per-task gradients of the shared parameters, and their inner products: the measurement that everything else is read from.

Legend: T tasks, H parts of the batch (1; 2 half-batches for a measurement; 3 for a scheme that wants independent parts), S shared
stages, P shared parameters. Row h·T + t of a gradient matrix or Gramian is task t's gradient on part h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mtl_core.forward import Passed

BLOCK = 8192  # columns of a block in ``products``


@dataclass(frozen=True)
class TaskGradients:
    """The gradients of one step, not yet weighed.

    Shapes: ``rows`` [H·T, P], or [0, P] where nobody asked for them; ``losses_HT``; ``counts_HT`` labelled samples; ``own`` per task,
    the full-batch gradient of each of its own parameters (None where a parameter has none); ``by_representation[h][t]``, the gradient of part h's
    loss by its shared representation (empty where nobody asked).
    """

    rows: Tensor
    losses_HT: Tensor
    counts_HT: Tensor
    own: dict[str, list[Tensor | None]]
    by_representation: list[list[Tensor]]

    @property
    def shares_HT(self) -> Tensor:
        """Each part's share of a task's labelled samples; the shares of a task without labels are zero."""
        return self.counts_HT / self.counts_HT.sum(0).clamp(min=1)

    def merged(self, n_groups: int = 1) -> Tensor:
        """The gradients [G·T, P] of G groups of neighbouring parts, each the mean of its parts weighted by labelled samples."""
        n_parts, n_tasks = self.counts_HT.shape
        if n_parts == n_groups:
            return self.rows
        counts = self.counts_HT.view(n_groups, n_parts // n_groups, n_tasks)
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        rows = self.rows.view(n_groups, n_parts // n_groups, n_tasks, -1)
        return (rows * shares[..., None]).sum(1).flatten(0, 1)

    def merged_counts(self, n_groups: int) -> Tensor:
        """Labelled samples [G, T] of the groups."""
        return self.counts_HT.view(n_groups, -1, self.counts_HT.shape[1]).sum(1)

    def losses_T(self) -> Tensor:
        """The full batch's loss per task."""
        return (self.losses_HT * self.shares_HT).sum(0)

    def gramian_of_representation(self) -> Tensor:
        """Inner products [T, T] of the full batch's gradients by the shared representation, over all of its samples and units.

        A part's samples are its own, so the parts' Gramians add up; each is of a mean loss, hence the shares.
        """
        total = self.losses_HT.new_zeros((self.losses_HT.shape[1],) * 2)
        for shares_T, part in zip(self.shares_HT, self.by_representation, strict=True):
            rows = torch.stack([gradient.reshape(-1) for gradient in part]).to(total.dtype)
            total += shares_T[:, None] * shares_T[None, :] * (rows @ rows.T)
        return total


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
        self.last_stage = next((stage for stage in reversed(self.slices) if stage.stop > stage.start), slice(0, 0))
        edges = [0, *accumulate(parameter.numel() for parameter in self.parameters)]
        self.of_last_stage = [p for p, first in zip(self.parameters, edges, strict=False) if first >= self.last_stage.start]
        self._places = [slice(first, end) for first, end in pairwise(edges)]

    def flat(self) -> Tensor:
        """A copy of the parameters as one vector [P]."""
        return torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])

    @contextmanager
    def written_to(self, row_P: Tensor) -> Iterator[None]:
        """While a loss is differentiated, let every shared parameter's gradient land in ``row_P``; one without any is zero.

        Each is copied the moment that it is there and then forgotten, so that no second set of gradients is held.
        """
        row_P.zero_()
        handles = []
        for parameter, place in zip(self.parameters, self._places, strict=True):
            hooked: Any = parameter  # torch leaves register_hook without types
            if parameter.requires_grad:
                handles.append(hooked.register_hook(partial(_write, row_P[place].view(parameter.shape))))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def set_grad(self, direction_P: Tensor) -> None:
        """Hand the step to the optimiser as the parameters' ``.grad``."""
        start = 0
        for parameter in self.parameters:
            end = start + parameter.numel()
            parameter.grad = laid_out_like(parameter, direction_P[start:end].view(parameter.shape))
            start = end


def _write(place: Tensor, gradient: Tensor) -> Tensor:
    return place.copy_(gradient)


def collect(
    parts: Sequence[Passed],
    shared: SharedParameters,
    own: dict[str, list[nn.Parameter]],
    *,
    wants_rows: bool = True,
    wants_representation: bool = False,
) -> TaskGradients:
    """Differentiate every loss once: the shared part goes to a row, each task's own part is averaged over the parts.

    Args:
        parts: the forward passes over the parts of the batch, with losses in the order of ``own``. A task's own layers are walked once per part.
        own: each task's own parameters.
        wants_rows: walk the trunk too, once per part and task; each part's graph is freed after its last task. Otherwise the trunk's
            graph stays.
        wants_representation: keep each loss's gradient by the shared representation.
    """
    counts_HT = torch.stack([part.counts_T for part in parts])
    n_parts, n_tasks = counts_HT.shape
    rows = counts_HT.new_empty((n_parts * n_tasks if wants_rows else 0, shared.n))
    shares = counts_HT / counts_HT.sum(0).clamp(min=1)
    gradients_of_own: dict[str, list[Tensor | None]] = {}
    by_representation: list[list[Tensor]] = []
    trunk = shared.parameters if wants_rows else []
    for h, part in enumerate(parts):
        middle = [part.representation] if wants_representation else []
        by_representation.append([])
        for t, (task, own_parameters) in enumerate(own.items()):
            wanted = [*own_parameters, *middle, *trunk]
            is_last = wants_rows and t == n_tasks - 1
            with shared.written_to(rows[h * n_tasks + t]) if wants_rows else nullcontext():
                found = torch.autograd.grad(part.losses[t], wanted, retain_graph=not is_last, allow_unused=True)
            own_found: Sequence[Tensor | None] = found[: len(own_parameters)]
            if wants_representation:
                pull = found[len(own_parameters)]
                by_representation[h].append(torch.zeros_like(part.representation) if pull is None else pull)
            if n_parts > 1:
                own_found = [None if gradient is None else gradient * shares[h, t] for gradient in own_found]
            before = gradients_of_own.get(task)
            gradients_of_own[task] = list(own_found) if before is None else _add(before, own_found)
    losses_HT = torch.stack([torch.stack([loss.detach() for loss in part.losses]) for part in parts]).to(counts_HT.dtype)
    return TaskGradients(rows, losses_HT, counts_HT, gradients_of_own, by_representation if wants_representation else [])


def gramian(rows: Tensor, slices: Sequence[slice]) -> Tensor:
    """Inner products of gradients per stage: [R, P] → [S, R, R]. Summed over stages it is the Gramian of all shared parameters.

    >>> gramian(torch.tensor([[1.0, 0.0], [-0.5, 1.0]]), [slice(0, 1), slice(1, 2)]).sum(0)
    tensor([[ 1.0000, -0.5000],
            [-0.5000,  1.2500]])
    """
    if not slices:
        return rows.new_zeros((0, len(rows), len(rows)))
    return torch.stack([products(rows[:, stage], rows[:, stage]) for stage in slices])


def products(first_RP: Tensor, second_QP: Tensor) -> Tensor:
    """Inner products [R, Q] of a few long rows."""
    n_blocks = first_RP.shape[1] // BLOCK
    if first_RP.device.type != "cpu" or n_blocks < 2:
        return first_RP @ second_QP.T
    # a CPU's matrix product is slow on a few very long rows: 2.4 ms for 8 × 500,000 against 1 ms in blocks
    end = n_blocks * BLOCK
    first = first_RP[:, :end].reshape(-1, n_blocks, BLOCK).transpose(0, 1)
    second = second_QP[:, :end].reshape(-1, n_blocks, BLOCK).transpose(0, 1)
    total: Tensor = torch.bmm(first, second.transpose(1, 2)).sum(0) + first_RP[:, end:] @ second_QP[:, end:].T
    return total


def laid_out_like(parameter: Tensor, values: Tensor) -> Tensor:
    """The same values in the parameter's memory layout: fused optimisers walk both side by side and never look at strides."""
    return values if values.stride() == parameter.stride() else torch.empty_like(parameter).copy_(values)


def _add(left: Sequence[Tensor | None], right: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [b if a is None else a if b is None else a + b for a, b in zip(left, right, strict=True)]
