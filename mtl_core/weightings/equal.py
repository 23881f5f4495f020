"""Equal weights: every loss counts once."""

from __future__ import annotations

from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Weighting


@WEIGHTINGS.register
class Equal(Weighting):
    """Every task counts the same: the losses are simply added up.

    Legend: T tasks.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> Equal(Equal.Knobs(), Setting(("a", "b"), (10, 10))).objective(torch.tensor([2.0, 3.0]))
    tensor(5.)
    """

    title = "Equal weights"
    asks = "losses"
    paper = Paper(
        "Kurin, De Palma, Kostrikov, Whiteson, Kumar",
        2022,
        "In Defense of the Unitary Scalarization for Deep Multi-Task Learning",
        "https://arxiv.org/abs/2201.04122",
    )
    formula = r"\mathcal{L} = \sum_{i=1}^{T} \ell_i, \qquad w_i = 1"
    published_scale = "sum"
    published_heads = "weighted"
    helps = "Always worth a run: with a tuned learning rate and regularisation it often matches the clever schemes."
    hurts = "When losses live on different scales: the largest one then takes nearly all of every step."

    def objective(self, losses_T: Tensor) -> Tensor:
        return losses_T.sum()
