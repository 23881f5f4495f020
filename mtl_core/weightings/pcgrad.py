"""PCGrad, gradient surgery: conflicting parts of gradients are projected away."""

from __future__ import annotations

import torch
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._orders import others_in_random_order


@WEIGHTINGS.register
class PCGrad(Weighting):
    """When two tasks pull apart, each drops the part of its pull that hurts the other.

    Algorithm 1 on coefficients: g_i′ is a mix of the gradients, so its row of T coefficients and the Gramian are all one needs.
    For two tasks in conflict w_i = 1 − g₁₂/g_ii; without conflict the step is the plain sum.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = PCGrad(PCGrad.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, -0.5], [-0.5, 1.25]]), torch.ones(2))  # 1 + .5/1, 1 + .5/1.25
    tensor([1.5000, 1.4000])
    """

    title = "PCGrad"
    asks = "gramian"
    paper = Paper(
        "Yu, Kumar, Gupta, Levine, Hausman, Finn",
        2020,
        "Gradient Surgery for Multi-Task Learning",
        "https://arxiv.org/abs/2001.06782",
    )
    formula = (
        r"g_i' \leftarrow g_i' - \frac{\min(0,\; g_i' \cdot g_j)}{\lVert g_j \rVert^2}\, g_j"
        r"\;\; \forall j \ne i \text{ in random order}, \qquad d = \sum_{i=1}^{T} g_i'"
    )
    published_scale = "sum"
    published_heads = "unit"
    helps = "When gradients conflict and one is much longer: the short one is no longer overrun."
    hurts = "With two tasks of like gradient norms it only lengthens the step; with many tasks the random order adds noise."
    departs = (
        "As the paper's Algorithm 1: j ≠ i, a new random order for each i. Public code differs: TF's shuffle is thrown away, "
        "LibMTL and nash-mtl also visit j = i, WeiChengTseng's always averages, Samsung uses one order for all i."
    )

    Knobs = GramianKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        gram = gram_TT.detach().double()
        n_tasks = len(gram)
        rows = torch.arange(n_tasks, device=gram.device)
        order = others_in_random_order(n_tasks, self.setting.generator).to(gram.device, non_blocking=True)
        safe_T = torch.where(gram.diagonal() > 0, gram.diagonal(), 1.0)  # a zero gradient conflicts with nobody
        mixes = torch.eye(n_tasks, dtype=gram.dtype, device=gram.device)  # row i: coefficients of g_i′ on g_1..g_T
        for j in order.unbind(dim=1):  # all i at once: each meets its own next j
            inner_T = (mixes * gram[j]).sum(dim=1)
            mixes[rows, j] -= inner_T.clamp(max=0.0) / safe_T[j]
        return mixes.sum(dim=0).to(gram_TT)
