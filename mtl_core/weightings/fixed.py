"""Fixed weights: chosen by hand, before training, and never moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._checks import check_one_per_task


class FixedKnobs(WeightingKnobs):
    weights: list[float] | None = Field(
        None,
        title="Weights",
        description="One number per task, in the tasks' order, used as given; left empty, each task gets 1/T.",
    )


@WEIGHTINGS.register
class Fixed(Weighting):
    """You choose how much each task counts, and it stays so.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = Fixed(Fixed.Knobs(weights=[0.25, 2.0]), Setting(("a", "b"), (10, 10)))
    >>> scheme.objective(torch.tensor([4.0, 3.0]))  # 0.25 · 4 + 2 · 3
    tensor(7.)
    """

    title = "Fixed weights"
    asks = "losses"
    paper = Paper(
        "Xin, Ghorbani, Gilmer, Garg, Firat",
        2022,
        "Do Current Multi-Task Optimization Methods in Deep Learning Even Help?",
        "https://arxiv.org/abs/2209.11379",
    )
    formula = r"\mathcal{L} = \sum_{i=1}^{T} w_i\,\ell_i, \qquad w \text{ given}"
    published_scale = "mean"
    published_heads = "weighted"
    helps = "To trace the whole front of trade-offs, one run per mix, and as the baseline that a clever scheme has to beat."
    hurts = "In the search: good weights are found by trial, and move with the learning rate and with every loss's unit."
    departs = "Paper: weights sum to 1. Here: used exactly as given; scale 'mean' makes them sum to 1, 'sum' to T."
    Knobs = FixedKnobs

    knobs: FixedKnobs
    given_T: Tensor

    def __init__(self, knobs: FixedKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        given = [1.0 / self.n_tasks] * self.n_tasks if knobs.weights is None else knobs.weights
        self.register_buffer("given_T", torch.tensor(given, dtype=torch.float64), persistent=False)

    @classmethod
    def check(cls, knobs: FixedKnobs, tasks: Sequence[str]) -> None:
        if knobs.weights is not None:
            check_one_per_task("fixed", "weight", knobs.weights, tasks)

    def objective(self, losses_T: Tensor) -> Tensor:
        return (self.given_T[self.active].to(losses_T) * losses_T).sum()

    @property
    def factor(self) -> float:
        if self.knobs.scale == "published" or self.knobs.weights is None:
            return super().factor
        wanted = float(self.n_tasks) if self.knobs.scale == "sum" else 1.0
        return wanted / math.fsum(self.knobs.weights)
