"""UPGrad: each task's gradient gives up what would hurt another task; the step is their mean."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._cone import against_the_other, unconflicted
from mtl_core.weightings._simplex import on_host


@WEIGHTINGS.register
class UPGrad(Weighting):
    """Each task moves its own gradient as little as it takes to hurt no task; the step is the mean, so it hurts none either.

    A gradient is projected on the cone of the steps d with d · gⱼ ≥ 0 for all j. For two tasks in conflict
    w = ½ (1 − g₁₂/g₁₁, 1 − g₁₂/g₂₂); without conflict the step is the mean gradient.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = UPGrad(UPGrad.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> w = scheme.weights(torch.tensor([[1.0, -0.5], [-0.5, 1.25]]), torch.ones(2))  # of g₁ = (1, 0), g₂ = (−½, 1)
    >>> w  # ½ (1 + 0.5, 1 + 0.4)
    tensor([0.7500, 0.7000])
    >>> w[0] * torch.tensor([1.0, 0.0]) + w[1] * torch.tensor([-0.5, 1.0])
    tensor([0.4000, 0.7000])
    """

    title = "UPGrad"
    asks = "gramian"
    paper = Paper("Quinton, Rey", 2024, "Jacobian Descent for Multi-Objective Optimization", "https://arxiv.org/abs/2406.16232")
    formula = r"w = \frac1T \sum_{i=1}^{T} v_i, \qquad v_i = \arg\min_{v \ge e_i} v^\top G\, v"
    published_scale = "mean"
    published_heads = "unit"
    helps = "When tasks conflict and their gradients differ in length: no task gets worse, and each still counts by its length."
    hurts = (
        "When conflict is noise, as with many tasks on small batches: weights then rise far above 1/T for no lasting reason."
    )
    departs = (
        "Solved exactly. The authors' code (torchjd) adds 1e-4 to the normalised Gramian and takes all gradients for zero below a "
        "length of 0.01: once lengths differ thirtyfold its step can go against a task."
    )
    Knobs = GramianKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        n_tasks = len(gram_TT)
        if n_tasks == 2:
            return ((1.0 + against_the_other(gram_TT).clamp(min=0.0)) / 2).to(gram_TT)
        return on_host(gram_TT, lambda gram, eps: unconflicted(gram, np.eye(n_tasks) / n_tasks, eps))
