"""DualProj: the mean gradient, bent as little as it takes to hurt no task."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._cone import against_the_other, unconflicted
from mtl_core.weightings._simplex import on_host


@WEIGHTINGS.register
class DualProj(Weighting):
    """Follow the mean gradient; where it would hurt a task, take the nearest step that hurts none.

    The mean gradient is projected on the cone of the steps d with d · gⱼ ≥ 0 for all j. For two tasks
    w = ½ (max(1, −g₁₂/g₁₁), max(1, −g₁₂/g₂₂)): the shorter gradient gains weight once the longer one's pull outweighs it.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = DualProj(DualProj.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, -0.5], [-0.5, 1.25]]), torch.ones(2))  # the mean of (1, 0) and (−½, 1) hurts neither
    tensor([0.5000, 0.5000])
    >>> scheme.weights(torch.tensor([[1.0, -2.0], [-2.0, 5.0]]), torch.ones(2))  # that of (1, 0), (−2, 1) hurts the first: (0, ½)
    tensor([1.0000, 0.5000])
    """

    title = "DualProj (GEM)"
    asks = "gramian"
    paper = Paper(
        "Lopez-Paz, Ranzato", 2017, "Gradient Episodic Memory for Continual Learning", "https://arxiv.org/abs/1706.08840"
    )
    formula = r"w = \arg\min_{v \ge \frac1T \mathbf 1} v^\top G\, v"
    published_scale = "mean"
    published_heads = "unit"
    helps = "When equal weights nearly work: the step is theirs until the mean gradient would hurt a task."
    hurts = (
        "When one gradient is much longer: the others only veto, so their tasks stand still as long as they conflict with it."
    )
    departs = (
        "GEM projects the newest task's gradient and lets remembered tasks veto. Here, as in torchjd, the mean gradient, and every "
        "task may veto. Solved exactly: GEM's code raises every veto by a margin of 0.5; torchjd adds 1e-4 to the normalised Gramian, so "
        "once lengths differ tenfold its step can go against a task."
    )
    Knobs = GramianKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        n_tasks = len(gram_TT)
        if n_tasks == 2:
            return (against_the_other(gram_TT).clamp(min=1.0) / 2).to(gram_TT)
        return on_host(gram_TT, lambda gram, eps: unconflicted(gram, np.full((1, n_tasks), 1.0 / n_tasks), eps))
