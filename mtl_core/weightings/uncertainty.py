"""Uncertainty weighting: each task learns how noisy it is; noisy tasks count less."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._log_scale import keep_bounded


class UncertaintyKnobs(WeightingKnobs):
    form: Literal["regression", "classification"] = Field(
        "regression",
        title="Form",
        description="regression: ½e^{−s}ℓ + ½s for all tasks (squared errors); classification: e^{−s}ℓ + ½s (cross-entropies).",
    )
    lr: float = Field(
        0.025,
        gt=0,
        le=10,
        title="Learning rate of s",
        description="Own learning rate of the noise parameters; no weight decay.",
    )


@WEIGHTINGS.register
class Uncertainty(Weighting):
    """Each task learns how noisy its labels are; the noisier it believes itself, the less it counts.

    s = log σ² starts at 0 and is learned with the network. Its optimum is s = log ℓ (regression form), where a task's weight
    is 1/(2ℓ): every task then contributes ½ to the total, whatever its unit.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = Uncertainty(Uncertainty.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.objective(torch.tensor([2.0, 6.0])).item()  # ½ · 2 + ½ · 6, with s = 0
    4.0
    """

    title = "Uncertainty weighting"
    asks = "losses"
    paper = Paper(
        "Kendall, Gal, Cipolla",
        2018,
        "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics",
        "https://arxiv.org/abs/1705.07115",
    )
    formula = r"\mathcal{L} = \sum_{i=1}^{T} \tfrac12 e^{-s_i}\ell_i + \tfrac12 s_i, \qquad s_i = \log\sigma_i^2"
    published_scale = "sum"
    published_heads = "weighted"
    helps = "When losses live on very different scales: it evens them out within a few hundred steps."
    hurts = "Late in training: a task whose loss nears 0 gains weight without end, and the total stops meaning anything."
    departs = (
        "Paper: one form per kind of likelihood. Here: one form for all tasks, by knob. |s| is kept below 23. Public code differs: "
        "LibMTL and MTAN start at s = −0.5, Samsung's drops the ½ before the loss."
    )
    Knobs = UncertaintyKnobs

    knobs: UncertaintyKnobs

    def __init__(self, knobs: UncertaintyKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.log_variance_T = nn.Parameter(torch.zeros(self.n_tasks))

    def objective(self, losses_T: Tensor) -> Tensor:
        s_T = self.log_variance_T[self.active]
        half = 0.5 if self.knobs.form == "regression" else 1.0
        return (half * torch.exp(-s_T) * losses_T + 0.5 * s_T).sum()

    def after_step(self, losses_T: Tensor) -> None:
        keep_bounded(self.log_variance_T)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.log_variance_T], "lr": self.knobs.lr, "weight_decay": 0.0}]
