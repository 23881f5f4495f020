"""IMTL: impartial to the tasks' losses and to their gradients."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Setting, Weighting
from mtl_core.weightings._impartial import impartial
from mtl_core.weightings._log_scale import keep_bounded


class IMTLKnobs(GramianKnobs):
    lr: float = Field(
        0.025,
        gt=0,
        le=10,
        title="Learning rate of s",
        description="Own learning rate of the factors' logarithms; no weight decay.",
    )


@WEIGHTINGS.register
class IMTL(Weighting):
    """Bring every loss to about 1 by a learned factor, then take the step that leans equally towards every task.

    The factor eˢ is learned as in IMTL-L; the shared layers follow IMTL-G on the scaled losses, and each head its own scaled
    loss. The weight of gᵢ is eˢⁱ times what IMTL-G gives to eˢⁱgᵢ.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = IMTL(IMTL.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.tensor([3.0, 1.0]))  # s = 0: IMTL-G
    tensor([0.7500, 0.2500])
    >>> scheme.log_scale_T.grad  # eˢℓ − 1
    tensor([2., 0.])
    """

    title = "IMTL (impartial losses and gradients)"
    asks = "gramian"
    paper = Paper(
        "Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang",
        2021,
        "Towards Impartial Multi-task Learning",
        "https://openreview.net/forum?id=IMPnRXEWpvr",
    )
    formula = (
        r"\min_s \sum_{i=1}^{T} e^{s_i}\ell_i - s_i, \qquad d = \sum_{i=1}^{T} \alpha_i\, e^{s_i} g_i, \quad "
        r"\sum_i \alpha_i = 1, \quad d \cdot \frac{g_1}{\lVert g_1 \rVert} = \dots = d \cdot \frac{g_T}{\lVert g_T \rVert}"
    )
    published_scale = "mean"
    published_heads = "weighted"
    helps = "When losses and gradients live on different scales: heads learn at one pace and no task overruns the trunk."
    hurts = "Where IMTL-G does: short gradients take nearly all the weight. A loss near 0 makes its factor grow without end."
    departs = (
        "As IMTL-G for zero, equal and dependent gradients. |s| is kept below 23, and s has its own learning rate (LibMTL: the "
        "network's). Heads weighted means by eˢ, as in the paper: IMTL-G's weights are for shared layers alone."
    )
    Knobs = IMTLKnobs

    knobs: IMTLKnobs

    def __init__(self, knobs: IMTLKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.log_scale_T = nn.Parameter(torch.zeros(self.n_tasks))

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        factors_T = self._factors_T()
        slopes_T = torch.zeros_like(self.log_scale_T)
        slopes_T[self.active] = (factors_T * losses_T.detach() - 1).to(slopes_T.dtype)
        self.log_scale_T.grad = slopes_T
        eps = torch.finfo(gram_TT.dtype).eps
        factors = factors_T.to(gram_TT.device)
        scaled = factors[:, None] * gram_TT.detach() * factors[None, :]
        return (factors * impartial(scaled, eps)).to(gram_TT.dtype)

    def head_weights(self, losses_T: Tensor, weights_T: Tensor | None) -> Tensor:
        return self._factors_T().to(losses_T)

    def _factors_T(self) -> Tensor:
        return self.log_scale_T.detach()[self.active].double().exp()

    def after_step(self, losses_T: Tensor) -> None:
        keep_bounded(self.log_scale_T)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.log_scale_T], "lr": self.knobs.lr, "weight_decay": 0.0}]
