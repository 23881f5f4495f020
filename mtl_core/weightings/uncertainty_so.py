"""Soft optimal uncertainty weighting: the smaller a loss, the more its task counts; a temperature says by how much."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Weighting, WeightingKnobs

SMALLEST = 1e-150  # its inverse, divided by the smallest T, still fits float64; only a loss of 0 lies below


class UWSOKnobs(WeightingKnobs):
    T: float = Field(
        1.0,
        ge=1e-6,
        le=1e6,
        title="Temperature T",
        description="How evenly weights are spread: large, all tasks alike; small, the smallest loss takes nearly all. "
        "It has the unit of 1/ℓ, so it needs tuning: the paper tries a handful of values per data set.",
    )


@WEIGHTINGS.register
class UWSO(Weighting):
    """Each task counts by the inverse of its loss, evened out by a temperature: what uncertainty weighting would learn, at once.

    The noise that uncertainty weighting learns has a best value in closed form, with a weight proportional to 1/ℓ. A softmax
    over 1/ℓ makes those weights sum to 1. No gradient flows through them.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = UWSO(UWSO.Knobs(T=1), Setting(("a", "b"), (10, 10)))
    >>> losses_T = torch.tensor([1.0, 0.5], requires_grad=True)  # 1/ℓ = (1, 2): weights 1/(1 + e) and e/(1 + e)
    >>> torch.autograd.grad(scheme.objective(losses_T), losses_T)
    (tensor([0.2689, 0.7311]),)
    """

    title = "Soft optimal uncertainty weighting (UW-SO)"
    asks = "losses"
    paper = Paper(
        "Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott, Köhler",
        2024,
        "Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning",
        "https://arxiv.org/abs/2408.07985",
    )
    formula = (
        r"\mathcal{L} = \sum_{i=1}^{K} w_i\,\ell_i, \qquad "
        r"w_i = \frac{\exp\left((1/\operatorname{sg}[\ell_i])/T\right)}{\sum_{j=1}^{K}\exp\left((1/\operatorname{sg}[\ell_j])/T\right)}"
    )
    published_scale = "mean"
    published_heads = "weighted"
    helps = "As uncertainty weighting does, without its slow start: weights follow the losses from the first step."
    hurts = "Late in training: 1/ℓ grows without end, so at a fixed T the smallest loss ends up with all the weight."
    departs = "A loss of 0 takes all the weight (zeros share it); public code adds 1e-8 to each loss."
    Knobs = UWSOKnobs

    knobs: UWSOKnobs

    def objective(self, losses_T: Tensor) -> Tensor:
        inverse_T = losses_T.detach().to(torch.float64).clamp(min=SMALLEST).reciprocal()
        weights_T = torch.softmax(inverse_T / self.knobs.T, dim=0).to(losses_T)
        return (weights_T * losses_T).sum()
