"""Random loss weighting: new random weights at every step."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Weighting, WeightingKnobs


class RLWKnobs(WeightingKnobs):
    distribution: Literal["normal", "dirichlet"] = Field(
        "normal",
        title="Distribution",
        description="normal: softmax of standard normal numbers; dirichlet: every mix of weights equally likely.",
    )


@WEIGHTINGS.register
class RLW(Weighting):
    """Roll dice at every step for how much each task counts: the litmus test that a clever scheme should pass.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = RLW(RLW.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.objective(torch.ones(2))  # the weights sum to 1, whatever the dice say
    tensor(1.)
    """

    title = "Random loss weighting (RLW)"
    asks = "losses"
    paper = Paper(
        "Lin, Ye, Zhang, Tsang",
        2022,
        "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning",
        "https://arxiv.org/abs/2111.10603",
    )
    formula = r"w = \operatorname{softmax}(z), \qquad z \sim \mathcal{N}(0, I) \text{ at each step}"
    published_scale = "mean"
    published_heads = "weighted"
    helps = "As a test: a scheme that cannot beat random weights has not earned its cost. The noise can also regularise."
    hurts = "With few steps or a large learning rate: each step follows whichever task the dice favoured."
    Knobs = RLWKnobs

    knobs: RLWKnobs

    def objective(self, losses_T: Tensor) -> Tensor:
        weights_T = self._roll().to(losses_T, non_blocking=True)  # the step does not wait for the copy
        return (weights_T[self.active] * losses_T).sum()

    def _roll(self) -> Tensor:
        """Weights of all T tasks, the absent ones too: a task's dice do not depend on who else is in the batch."""
        chance = self.setting.generator
        if self.knobs.distribution == "normal":
            return torch.softmax(torch.randn(self.n_tasks, generator=chance, dtype=torch.float64), dim=0)
        exponential_T = torch.empty(self.n_tasks, dtype=torch.float64).exponential_(generator=chance)
        return exponential_T / exponential_T.sum()  # Dirichlet(1, …, 1)
