"""FairGrad: a dial from equal weights over bargaining to serving the worst-off task."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._fair import fair_weights
from mtl_core.weightings._simplex import Array, on_host


class FairGradKnobs(GramianKnobs):
    alpha: float = Field(
        2.0,
        ge=0.1,
        le=100,
        title="Fairness α",
        description="How much more the gain of a worse-off task counts: towards 0 equal weights, 1 Nash-MTL, large the worst-off "
        "task alone.",
    )


@WEIGHTINGS.register
class FairGrad(Weighting):
    """Share out the gain of a step as a network shares bandwidth: the smaller a task's gain, the more it weighs.

    A task's weight is wᵢ = (gᵢ · d)^(−α), its gain to the power −α. Where no step helps all tasks the step is 0.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = FairGrad(FairGrad.Knobs(alpha=2), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 8.0]]), torch.ones(2))  # 8 w = 1/√w
    tensor([1.0000, 0.2500])
    """

    title = "FairGrad"
    asks = "gramian"
    paper = Paper("Ban, Ji", 2024, "Fair Resource Allocation in Multi-Task Learning", "https://arxiv.org/abs/2402.15638")
    formula = (
        r"G w = w^{-1/\alpha} \;\; (w > 0), \qquad d = \sum_{i=1}^{T} w_i\, g_i \;\propto\; "
        r"\arg\max_{\lVert d\rVert \le 1} \sum_i \frac{(g_i \cdot d)^{1-\alpha}}{1-\alpha}"
    )
    published_scale = "sum"
    published_heads = "unit"
    helps = "When one task falls behind and Nash-MTL does not push it enough: raise α."
    hurts = (
        "With large α one noisy task with short gradients steers every step. For α above 1 the step grows while gradients shrink "
        "(α = 2: as |g|^(−1/3)), so the learning rate must fall."
    )
    departs = (
        "Solved exactly, zero where the paper has no solution; a zero gradient takes no part. Public code stops a general "
        "least-squares search from 1/T, multiplies the step by T and shortens it to length 1; LibMTL does neither, and weighs heads. "
        "Default α: 2 as in the authors' run script, their code's own is 1."
    )
    Knobs = FairGradKnobs

    knobs: FairGradKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        eps = torch.finfo(gram_TT.dtype).eps

        def answer(gram: Array, _: float) -> Array:
            return fair_weights(gram, eps, self.knobs.alpha)

        return on_host(gram_TT.double(), answer).to(gram_TT.dtype)
