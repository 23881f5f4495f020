"""IMTL-L: each task learns the factor that brings its loss to 1."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._log_scale import keep_bounded


class IMTLLKnobs(WeightingKnobs):
    lr: float = Field(
        0.025,
        gt=0,
        le=10,
        title="Learning rate of s",
        description="Own learning rate of the factors' logarithms; no weight decay.",
    )


@WEIGHTINGS.register
class IMTLL(Weighting):
    """Each task learns a factor that brings its loss to 1, so that all tasks weigh in alike, whatever their unit.

    s starts at 0 and is learned with the network. Its optimum is s = −log ℓ, where the weight eˢ is 1/ℓ. The objective is
    twice that of uncertainty weighting (½/½ form) at −s, though nothing is assumed about noise.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = IMTLL(IMTLL.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> _ = scheme.log_scale_T.data.copy_(torch.tensor([0.0, -1.0]))
    >>> scheme.objective(torch.tensor([2.0, torch.e]))  # (1 · 2 − 0) + (e⁻¹ · e + 1)
    tensor(4., grad_fn=<SumBackward0>)
    """

    title = "IMTL-L (impartial losses)"
    asks = "losses"
    paper = Paper(
        "Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang",
        2021,
        "Towards Impartial Multi-task Learning",
        "https://openreview.net/forum?id=IMPnRXEWpvr",
    )
    formula = r"\mathcal{L} = \sum_{i=1}^{K} e^{s_i}\ell_i - s_i, \qquad s_i = 0 \text{ at the start}"
    published_scale = "sum"
    published_heads = "weighted"
    helps = "When losses live on very different scales: it evens them out within a few hundred steps, smoother than 1/ℓ itself."
    hurts = "Late in training: a task whose loss nears 0 gains weight without end, and the total stops meaning anything."
    departs = (
        "|s| is kept below 23, and s has its own learning rate, as in uncertainty weighting here. The paper joins it to IMTL-G; "
        "that pair is the scheme IMTL, and the only form that LibMTL has."
    )
    Knobs = IMTLLKnobs

    knobs: IMTLLKnobs

    def __init__(self, knobs: IMTLLKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.log_scale_T = nn.Parameter(torch.zeros(self.n_tasks))

    def objective(self, losses_T: Tensor) -> Tensor:
        s_T = self.log_scale_T[self.active]
        return (torch.exp(s_T) * losses_T - s_T).sum()

    def after_step(self, losses_T: Tensor) -> None:
        keep_bounded(self.log_scale_T)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.log_scale_T], "lr": self.knobs.lr, "weight_decay": 0.0}]
