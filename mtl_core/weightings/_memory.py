"""One remembered row per task, as long as the gradients turn out to be. Legend: T tasks, P shared parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class RowMemory(nn.Module):
    """Rows [T, P] that start at zero when the first gradients arrive and go through the state dict as one tensor.

    They follow the gradients' device and dtype. Gradients of another length start them anew.

    >>> memory = RowMemory(2)
    >>> everyone, first = torch.tensor([0, 1]), torch.tensor([0])
    >>> rows = memory.of(everyone, torch.ones(2, 3))
    >>> memory.keep(everyone, rows.add_(1.0))
    >>> memory.keep(first, memory.of(first, torch.ones(1, 3)).add_(1.0))  # the other task is not in this batch
    >>> memory.of(everyone, torch.ones(2, 3))
    tensor([[2., 2., 2.],
            [1., 1., 1.]])
    """

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self._rows = torch.empty(0)

    def of(self, active: Tensor, grads: Tensor) -> Tensor:
        """The rows of the tasks that are there, to be changed in place and then kept.

        Args:
            active: positions of the A tasks that are there, ascending.
            grads: their gradients [A, P], which say how long, where and in what dtype rows are.

        Returns: [A, P]: the memory itself if all tasks are there, else a copy of their rows.
        """
        if self._rows.shape != (self.n_tasks, grads.shape[1]):
            self._rows = grads.new_zeros(self.n_tasks, grads.shape[1])
        self._rows = self._rows.to(grads)
        return self._rows if len(active) == self.n_tasks else self._rows[active]

    def keep(self, active: Tensor, rows: Tensor) -> None:
        """Remember the changed rows of the tasks that are there."""
        if rows is not self._rows:
            self._rows[active] = rows

    def get_extra_state(self) -> Tensor:
        return self._rows

    def set_extra_state(self, state: Any) -> None:
        self._rows = state.clone()  # rows change in place; the state that was loaded stays whose it is
