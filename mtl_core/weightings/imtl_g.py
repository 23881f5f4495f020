"""IMTL-G: the step on which all tasks' gradients have the same projection."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._impartial import impartial


@WEIGHTINGS.register
class IMTLG(Weighting):
    """Take the mix of gradients that leans equally towards every task, however long its gradient is.

    Weights sum to 1 and may be negative. For two tasks w = (|g₂|, |g₁|) / (|g₁| + |g₂|): the step bisects the angle.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = IMTLG(IMTLG.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.ones(2))  # lengths 1 and 3
    tensor([0.7500, 0.2500])
    """

    title = "IMTL-G (impartial gradients)"
    asks = "gramian"
    paper = Paper(
        "Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang",
        2021,
        "Towards Impartial Multi-task Learning",
        "https://openreview.net/forum?id=IMPnRXEWpvr",
    )
    formula = (
        r"d = \sum_{i=1}^{T} w_i\, g_i, \quad \sum_i w_i = 1, \quad "
        r"d \cdot \frac{g_1}{\lVert g_1 \rVert} = \dots = d \cdot \frac{g_T}{\lVert g_T \rVert}"
    )
    published_scale = "mean"
    published_heads = "unit"
    helps = "When one task's gradient is much longer: no task is overrun, and the units of losses do not matter."
    hurts = (
        "When a gradient is short: it takes nearly all the weight and the step shrinks with it. With three tasks or more weights "
        "may be negative and large; if Σ vᵢ/|gᵢ| < 0 (v = C⁻¹1, C the cosines) the step even goes against every task."
    )
    departs = (
        "A gradient of zero takes no part (the formula divides by its length, and public code gives NaN). Tasks with gradients in "
        "the same direction add the same to the step; LibMTL fails there. Where only a step of length 0 is impartial, as for opposite "
        "gradients or more tasks than dimensions, it is 0 (and so are all weights if several mixes give it): torchjd's "
        "pseudo-inverse then ascends some task. Heads: unit, as in LibMTL; nash-mtl weighs them."
    )
    Knobs = GramianKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        return impartial(gram_TT, torch.finfo(gram_TT.dtype).eps).to(gram_TT.dtype)
