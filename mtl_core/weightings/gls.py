"""Geometric loss strategy: descend the geometric mean of the losses, so that no loss's unit matters."""

from __future__ import annotations

from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Weighting

SMALLEST = 1e-20  # below it a loss counts as this and gets no weight: a float32 weight 1/ℓ would run off, with nothing to gain


@WEIGHTINGS.register
class GLS(Weighting):
    """Multiply the losses instead of adding them: halving any loss is worth the same, whatever its size.

    The objective is the geometric mean of the K losses. Its derivative by loss i, the weight, is the mean divided by Kℓᵢ.
    Where one loss is 0 the mean is 0 too, and the other tasks' weights go to 0 with it.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> losses_T = torch.tensor([0.5, 2.0], requires_grad=True)
    >>> objective = GLS(GLS.Knobs(), Setting(("a", "b"), (10, 10))).objective(losses_T)
    >>> objective.item()  # √(0.5 · 2)
    1.0
    >>> torch.autograd.grad(objective, losses_T)  # 1/(2 · 0.5) and 1/(2 · 2)
    (tensor([1.0000, 0.2500]),)
    """

    title = "Geometric loss strategy (GLS)"
    asks = "losses"
    paper = Paper(
        "Chennupati, Sistu, Yogamani, Rawashdeh",
        2019,
        "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task Learning",
        "https://arxiv.org/abs/1904.08492",
    )
    formula = (
        r"\mathcal{L} = \Bigl(\prod_{i=1}^{K} \ell_i\Bigr)^{1/K} = \exp\Bigl(\tfrac1K\sum_{i=1}^{K}\log\ell_i\Bigr), "
        r"\qquad w_i = \frac{\mathcal{L}}{K\,\ell_i}"
    )
    published_scale = "mean"
    published_heads = "weighted"
    helps = (
        "When losses live on very different scales: multiplying one by 1000 changes the length of the step, not its direction."
    )
    hurts = "When one task is nearly solved: its loss nears 0, takes nearly all the weight, and pulls the whole mean to 0."
    departs = (
        "Through logarithms, so that products of many losses neither overflow nor vanish: LibMTL multiplies them, and logs the "
        "weights in the wrong order. The paper leaves a loss of 0 open; here that task gets no weight."
    )

    def objective(self, losses_T: Tensor) -> Tensor:
        return losses_T.clamp(min=SMALLEST).log().mean().exp()
