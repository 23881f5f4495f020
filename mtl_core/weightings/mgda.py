"""MGDA: the shortest mix of gradients, along which no task gets worse."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._simplex import Array, nearest, on_host, share_alike, vectors


class MGDAKnobs(GramianKnobs):
    normalise: Literal["none", "l2", "loss", "loss+"] = Field(
        "none",
        title="Normalise gradients",
        description="What divides each gradient before weights are sought: nothing, its length, its loss, or both (loss+).",
    )


@WEIGHTINGS.register
class MGDA(Weighting):
    """Take the shortest mix of the tasks' gradients: going along it makes no task worse, and zero means no free lunch is left.

    The weights are those of the point of the gradients' convex hull nearest to the origin; for two tasks
    w₁ = clip((g₂₂ − g₁₂) / (g₁₁ + g₂₂ − 2g₁₂), 0, 1).

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = MGDA(MGDA.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, -0.5], [-0.5, 1.25]]), torch.ones(2))  # 1.75/3.25 = 7/13, 6/13
    tensor([0.5385, 0.4615])
    """

    title = "MGDA"
    asks = "gramian"
    paper = Paper(
        "Sener, Koltun", 2018, "Multi-Task Learning as Multi-Objective Optimization", "https://arxiv.org/abs/1810.04650"
    )
    formula = r"w = \arg\min_{w \ge 0,\; \sum w_i = 1} \Big\lVert \sum_{i=1}^{T} w_i\, g_i \Big\rVert^2"
    published_scale = "mean"
    published_heads = "unit"
    helps = "When no task may get worse, and to see how far training is from a Pareto-stationary point (a step of length 0)."
    hurts = "When gradient lengths differ: the shortest gradient, often that of a finished task, takes nearly all the weight."
    departs = (
        "Solved exactly. Public code stops early, gives .999/.001 for 1/0 and never ends its loop for T ≥ 3. The normalisers come "
        "from the authors' code, not the paper; as there, they shape the weights and the step still mixes the raw gradients. "
        "Heads follow the paper (unit); the authors' code weighs them."
    )
    Knobs = MGDAKnobs

    knobs: MGDAKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        gram = self._normalised(gram_TT.detach().double(), losses_T.detach().double())
        if len(gram) == 2:
            return _shortest_of_two(gram).to(gram_TT)
        eps = torch.finfo(gram_TT.dtype).eps
        return on_host(gram, lambda host, _: _shortest(host, eps)).to(gram_TT)

    def _normalised(self, gram: Tensor, losses_T: Tensor) -> Tensor:
        chosen = self.knobs.normalise
        divisor_T = torch.ones_like(losses_T)
        if chosen in ("loss", "loss+"):
            divisor_T = divisor_T * losses_T
        if chosen in ("l2", "loss+"):
            divisor_T = divisor_T * gram.diagonal().sqrt()
        divisor_T = torch.where(divisor_T == 0, 1.0, divisor_T)  # a loss or gradient of zero stays as it is
        return gram / divisor_T[:, None] / divisor_T[None, :]


def _shortest_of_two(gram: Tensor) -> Tensor:
    """The closed form, without leaving the device."""
    g11, g22, g12 = gram[0, 0], gram[1, 1], gram[0, 1]
    apart = g11 + g22 - 2 * g12  # |g₁ − g₂|²
    pair = torch.stack([g22 - g12, g11 - g12])  # each on its own: 1 − w would swallow a w of 1e-20 that a long gradient needs
    return torch.where(apart <= 1e-15 * (g11 + g22), 0.5, (pair / apart).clamp(0.0, 1.0))  # equal gradients: an equal share


def _shortest(gram: Array, eps: float) -> Array:
    return share_alike(nearest(vectors(gram, eps)), gram)
