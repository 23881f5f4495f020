"""The direction that makes the same angle with all gradients: what IMTL-G, IMTL and ConFIG follow.

Legend: T tasks, C the gradients' cosines.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtl_core.weightings._simplex import Array, on_host, resolution, vectors


def same_angle(gram: Array, eps: float) -> tuple[Array, Array]:
    """The shortest mix Σ vᵢuᵢ of the unit gradients with uᵢ · (Σ vⱼuⱼ) = 1 for all i, or as near as they allow: v = C⁺1.

    Returns: v [T], and the inner products reached [T]; both 0 for a gradient of zero.

    >>> same_angle(np.array([[1.0, 1.0], [1.0, 4.0]]), 2.2e-16)  # cos ½: v (1 + ½) = 1
    (array([0.66666667, 0.66666667]), array([1., 1.]))
    """
    norms = np.sqrt(np.maximum(gram.diagonal(), 0.0))  # sqrt: the diagonal holds squared lengths
    safe = np.where(norms > 0, norms, 1.0)
    units = vectors(gram / safe[:, None] / safe[None, :], eps)
    mix: Array = np.linalg.pinv(units.T) @ (np.linalg.pinv(units) @ (norms > 0)) * (norms > 0)
    return mix, units @ (mix @ units)


def impartial(gram_TT: Tensor, eps: float) -> Tensor:
    """IMTL-G's weights [T], in float64 where the Gramian is: the affine mix of gradients with equal projections on them all.

    For two tasks they are (|g₂|, |g₁|) / (|g₁| + |g₂|). Gradients of zero get 0 and the others are solved without them. Where
    unit gradients are dependent in one way (three tasks in a plane), the weights are those of the step of length 0; where
    in several, or where no such mix sums to 1, all are 0.

    >>> impartial(torch.tensor([[1.0, 0.0], [0.0, 9.0]]), 1.2e-7)
    tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    gram = gram_TT.detach().double()
    return _of_two(gram) if len(gram) == 2 else on_host(gram, lambda host, _: _affine(host, eps))


def _of_two(gram: Tensor) -> Tensor:
    """The closed form, without leaving the device."""
    norms = gram.diagonal().sqrt()
    total = norms.sum()
    other = torch.where((norms == 0).any(), norms, norms.flip(0))  # beside a zero gradient the other stands alone
    return other / torch.where(total == 0, 1.0, total) + 0.0 * gram.sum()  # what is not finite shows


def _affine(gram: Array, eps: float) -> Array:
    norms = np.sqrt(np.maximum(gram.diagonal(), 0.0))
    pulls = norms > 0
    weights = np.zeros(len(gram))
    if not pulls.any():
        return weights
    lengths = norms[pulls]
    mix = _even_mix(gram[np.ix_(pulls, pulls)] / lengths[:, None] / lengths[None, :], eps)
    if mix is None:
        return weights
    weights[pulls] = mix * (lengths.min() / lengths)  # w ∝ v/|g|
    total = weights.sum()
    if abs(total) <= resolution(len(gram), eps) * np.abs(weights).sum():
        return np.zeros(len(gram))
    weights /= total
    return weights


def _even_mix(cosines: Array, eps: float) -> Array | None:
    """The v, up to its length, with one value for all uᵢ · Σ vⱼuⱼ; None if several mixes have it and all of them are 0.

    Where the unit gradients are dependent in one way only, that way is the mix, and its value 0: what the answer tends to as
    gradients become so.
    """
    mix, reached = same_angle(cosines, eps)
    nought = resolution(len(cosines), eps)
    if np.abs(reached - 1).max() <= nought:
        return mix
    axes, lengths, _ = np.linalg.svd(vectors(cosines, eps))
    if len(lengths) < len(cosines) - 1:
        return None
    way: Array = axes[:, -1]
    return np.where(np.abs(way) > nought, way, 0.0)  # a short gradient would blow up what is rounding
