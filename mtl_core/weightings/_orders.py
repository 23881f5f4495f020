"""Random orders in which each task meets the others."""

from __future__ import annotations

import torch
from torch import Tensor


def others_in_random_order(n_tasks: int, generator: torch.Generator) -> Tensor:
    """[T, T − 1]: row i holds all tasks but i, each order equally likely, drawn anew for each i.

    >>> others_in_random_order(2, torch.Generator().manual_seed(0)).tolist()
    [[1], [0]]
    """
    dice = torch.rand(n_tasks, n_tasks - 1, generator=generator, dtype=torch.float64)
    places = dice.argsort(dim=1)
    return places + (places >= torch.arange(n_tasks)[:, None]).long()  # skip i itself
