"""Projection on the dual cone of the gradients: the nearest step that goes against no task."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtl_core.weightings._simplex import Array, least_lift, share_alike, vectors


def unconflicted(gram: Array, mixes: Array, eps: float) -> Array:
    """Weights [T] of the sum of the projections of each mix of gradients on {d : d · gᵢ ≥ 0 for all i}.

    The projection of Σ uᵢgᵢ has the weights v ≥ u with the least vᵀGv (Quinton, Rey, 2024, Proposition 1): non-negative least
    squares in v − u, on unit vectors, so that the lengths of gradients may lie many orders of magnitude apart.

    Args:
        gram: inner products of the gradients [T, T], with rounding error ``eps``.
        mixes: what is projected, a row u of weights each [N, T].

    >>> unconflicted(np.array([[1.0, -0.5], [-0.5, 1.25]]), np.eye(2) / 2, 2.2e-16)
    array([0.75, 0.7 ])
    """
    points = vectors(gram, eps)
    raised = [least_lift(points, mix @ points) for mix in mixes]
    return share_alike(mixes.sum(axis=0) + np.sum(raised, axis=0), gram)


def against_the_other(gram_TT: Tensor) -> Tensor:
    """How much of gᵢ cancels what the other of two gradients does to it, −gᵢ · gⱼ / |gᵢ|², in float64 on the gradients' device.

    Negative where they agree; 0 for a gradient of zero; NaN where something is not finite.

    >>> against_the_other(torch.tensor([[1.0, -0.5], [-0.5, 1.25]]))
    tensor([0.5000, 0.4000], dtype=torch.float64)
    """
    gram = gram_TT.detach().double()
    squares = gram.diagonal()
    found = torch.where(squares > 0, -gram[0, 1] / torch.where(squares > 0, squares, 1.0), 0.0)
    return torch.where(gram.isfinite().all(), found, torch.nan)
