"""Scale-invariant weighting: add up the logarithms of the losses."""

from __future__ import annotations

from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Weighting

SMALLEST = 1e-20  # below it a loss counts as this and gets no weight: a float32 weight 1/ℓ would run off, with nothing to gain


@WEIGHTINGS.register
class SI(Weighting):
    """Each task counts by the inverse of its loss, so a loss can be given in any unit without changing the step.

    The objective is the sum of log ℓᵢ; its derivative by loss i, the weight, is 1/ℓᵢ: what counts is by which share a loss falls.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> losses_T = torch.tensor([0.5, 4.0], requires_grad=True)
    >>> objective = SI(SI.Knobs(), Setting(("a", "b"), (10, 10))).objective(losses_T)
    >>> torch.autograd.grad(objective, losses_T)  # 1/0.5 and 1/4
    (tensor([2.0000, 0.2500]),)
    """

    title = "Scale-invariant weighting (SI)"
    asks = "losses"
    paper = Paper(
        "Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik, Fetaya",
        2022,
        "Multi-Task Learning as a Bargaining Game",
        "https://arxiv.org/abs/2202.01017",
    )
    formula = r"\mathcal{L} = \sum_{i=1}^{K} \log \ell_i, \qquad w_i = \frac{1}{\ell_i}"
    published_scale = "sum"
    published_heads = "weighted"
    helps = "When losses live on very different scales: a strong baseline that costs nothing and has no knob."
    hurts = "Late in training: a task whose loss nears 0 gains weight without end, and its noise takes over the step."
    departs = (
        "The baseline of the Nash-MTL paper. At a loss of 0 the formula has no weight; here such a task gets none for that step. "
        "Samsung's code takes log(1 + ℓ), which is not scale-invariant."
    )

    def objective(self, losses_T: Tensor) -> Tensor:
        return losses_T.clamp(min=SMALLEST).log().sum()
