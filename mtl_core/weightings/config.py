"""ConFIG: the direction at the same angle to every gradient, as long as the gradients' shadows on it together."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._impartial import same_angle
from mtl_core.weightings._simplex import Array, on_host, resolution


@WEIGHTINGS.register
class ConFIG(Weighting):
    """Go where every task gains at the same rate for its gradient's length; the more the tasks agree, the longer the step.

    Independent gradients leave exactly one such direction up to its sign, and its inner product with each gradient is positive.
    For two tasks wᵢ = (|g₁| + |g₂|) / (2|gᵢ|).

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = ConFIG(ConFIG.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.ones(2))  # lengths 1 and 3
    tensor([2.0000, 0.6667])
    """

    title = "ConFIG (conflict-free inverse gradients)"
    asks = "gramian"
    paper = Paper(
        "Liu, Chu, Thuerey",
        2024,
        "ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks",
        "https://arxiv.org/abs/2408.11104",
    )
    formula = (
        r"d = \Big(\sum_{i=1}^{T} g_i \cdot v\Big) v, \qquad v = \mathcal{U}\big([\mathcal{U}(g_1), \dots, \mathcal{U}(g_T)]^{-\top}"
        r"\mathbf{1}\big), \qquad \mathcal{U}(x) = \frac{x}{\lVert x \rVert}"
    )
    published_scale = "sum"
    published_heads = "unit"
    helps = "When losses of very different scale must all fall, as in physics-informed networks: no conflict, no overrunning."
    hurts = "When tasks oppose each other: the step shrinks to nothing. With noise in a short gradient it still decides the direction."
    departs = (
        "Stated on gradients, yet the step is a mix of them, so it is found from their inner products. A gradient of zero takes no "
        "part. More tasks than dimensions leave a least-squares compromise, as in the authors' code, which may go against a task."
    )
    Knobs = GramianKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        gram, eps = gram_TT.detach().double(), torch.finfo(gram_TT.dtype).eps
        weights = _of_two(gram) if len(gram) == 2 else on_host(gram, lambda host, _: _conflict_free(host, eps))
        return weights.to(gram_TT.dtype)


def _of_two(gram: Tensor) -> Tensor:
    """The closed form, without leaving the device."""
    norms = gram.diagonal().sqrt()
    is_nil = norms == 0
    halves = torch.where(is_nil.any(), 1.0, 0.5)  # beside a zero gradient the other stands alone
    weights = torch.where(is_nil, 0.0, halves * norms.sum() / torch.where(is_nil, 1.0, norms))
    return weights + 0.0 * gram.sum()  # what is not finite shows


def _conflict_free(gram: Array, eps: float) -> Array:
    mix, reached = same_angle(gram, eps)
    norms = np.sqrt(np.maximum(gram.diagonal(), 0.0))
    square = float(mix @ reached)  # squared length of Σ vᵢuᵢ
    if square <= resolution(len(gram), eps) ** 2:  # the unit gradients sum to zero: no direction is better than another
        return np.zeros(len(gram))
    per_length: Array = mix / np.where(norms > 0, norms, 1.0)
    sums = [math.fsum(column) for column in gram.T]  # exact: long gradients that cancel would leave their rounding
    weights: Array = per_length * (per_length @ np.array(sums)) / square
    return weights
