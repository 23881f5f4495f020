"""The mix of tasks nearest to any given weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtl_core.weightings._simplex import Array


def onto_simplex(weights: Tensor) -> Tensor:
    """The point of {w ≥ 0, Σw = 1} nearest to ``weights`` [T]: the same τ is taken off each, and what falls below zero is zero.

    Exact, in float64, returned in the dtype that came; nothing waits for a GPU. What is not finite gives NaN weights. Held,
    Wolfe, Crowder (1974), "Validation of subgradient optimization".

    >>> onto_simplex(torch.tensor([0.9, 0.5, -3.0]))  # τ = 0.2
    tensor([0.7000, 0.3000, 0.0000])
    """
    below = weights.detach().double()
    below = below - below.max()  # the answer is the same, and sums of huge weights stay exact where it matters
    counts = torch.arange(1, len(below) + 1, device=below.device)
    largest = below.sort(descending=True).values
    tau = ((largest.cumsum(0) - 1) / counts).max()  # the k largest alone would need (their sum − 1)/k, others only raise it
    mix = (below - tau).clamp(min=0.0)
    return torch.where(weights.isfinite().all(), mix / mix.sum(), torch.nan).to(weights.dtype)


def onto_simplex_on_host(weights: Array) -> Array:
    """The same for schemes that project many times in a row: T numbers cost numpy a third of what they cost torch.

    >>> onto_simplex_on_host(np.array([0.9, 0.5, -3.0]))
    array([0.7, 0.3, 0. ])
    """
    below = weights - weights.max()
    largest = np.sort(below)[::-1]
    tau = ((largest.cumsum() - 1) / np.arange(1, len(below) + 1)).max()
    mix: Array = np.maximum(below - tau, 0.0)
    mix /= mix.sum()
    return mix


def among(weights_T: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """The mix of the tasks that are present, summing to 1, and the share of the whole that is theirs to divide.

    >>> among(torch.tensor([0.5, 0.1, 0.4]), torch.tensor([1, 2]))
    (tensor([0.2000, 0.8000]), tensor(0.5000))
    """
    present = weights_T[active]
    share = present.sum()
    return torch.where(share > 0, present / share, 1.0 / len(active)), share  # tasks without any share start evenly
