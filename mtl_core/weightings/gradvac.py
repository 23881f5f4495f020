"""GradVac: pairs of tasks are pulled towards the agreement that they have had so far."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Setting, Weighting
from mtl_core.weightings._orders import others_in_random_order

MOST = 1 - 1e-6  # no target cosine lies above it: to reach 1, a gradient would have to be drowned in the other


class GradVacKnobs(GramianKnobs):
    beta: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Forgetting β",
        description="How much the newest cosine counts in a pair's running mean. 0: targets stay at 0, which is PCGrad.",
    )


@WEIGHTINGS.register
class GradVac(Weighting):
    """When two tasks agree less than they usually do, each leans towards the other until they agree as usual.

    φ is the cosine of gᵢ′ and gⱼ, φ̂ᵢⱼ its running mean, from 0. All tasks j ≠ i are met in random order. Where φ < φ̂ᵢⱼ, so much
    of gⱼ is added to gᵢ′ that their cosine becomes φ̂ᵢⱼ. At the first step this is PCGrad.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = GradVac(GradVac.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, -0.5], [-0.5, 1.25]]), torch.ones(2))  # 1 + .5/1, 1 + .5/1.25
    tensor([1.5000, 1.4000])
    >>> scheme.target_TT[0, 1]  # half the cosine −½ / √1.25
    tensor(-0.2236, dtype=torch.float64)
    """

    title = "GradVac (gradient vaccine)"
    asks = "gramian"
    paper = Paper(
        "Wang, Tsvetkov, Firat, Cao",
        2021,
        "Gradient Vaccine: Investigating and Improving Multi-task Optimization in Massively Multilingual Models",
        "https://arxiv.org/abs/2010.05874",
    )
    formula = (
        r"g_i' \leftarrow g_i' + \frac{\lVert g_i' \rVert\big(\hat\phi_{ij}\sqrt{1-\phi^2} - \phi\sqrt{1-\hat\phi_{ij}^2}\big)}"
        r"{\lVert g_j \rVert\sqrt{1-\hat\phi_{ij}^2}}\, g_j \;\text{ if } \phi < \hat\phi_{ij}, \qquad "
        r"\hat\phi_{ij} \leftarrow (1-\beta)\hat\phi_{ij} + \beta\phi, \qquad d = \sum_i g_i'"
    )
    published_scale = "sum"
    published_heads = "unit"
    helps = (
        "When some tasks are related: unlike PCGrad it also acts on pairs that do not conflict but agree less than they could."
    )
    hurts = "When cosines are mostly noise of small batches: half the steps then look worse than usual and are bent."
    departs = (
        "As the paper's Algorithm 1, over all parameters as one group (the paper also tries one per layer). φ̂ is updated at every "
        "meeting; Samsung and LibMTL do so only where they project, so their targets can only fall. Targets stay below 1 − 1e-6. A "
        "pair with a gradient of zero is passed over. β = 0.5 as in LibMTL, Samsung and torchjd."
    )
    Knobs = GradVacKnobs

    knobs: GradVacKnobs
    target_TT: Tensor  # φ̂

    def __init__(self, knobs: GradVacKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.register_buffer("target_TT", torch.zeros(self.n_tasks, self.n_tasks, dtype=torch.float64))

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        gram, noise = gram_TT.detach().double(), 4 * len(gram_TT) * torch.finfo(gram_TT.dtype).eps
        n_tasks = len(gram)
        rows = torch.arange(n_tasks, device=gram.device)
        order = others_in_random_order(n_tasks, self.setting.generator).to(gram.device, non_blocking=True)
        norms = gram.diagonal().sqrt()
        mixes = torch.eye(n_tasks, dtype=gram.dtype, device=gram.device)  # row i: coefficients of g_i′ on g_1..g_T
        for j in order.unbind(dim=1):  # all i at once: each meets its own next j
            inner_TT = mixes @ gram
            squares = (inner_TT * mixes).sum(dim=1)
            is_met = (squares > noise * (mixes.abs() @ norms) ** 2) & (norms[j] > 0)  # neither is zero, nor rounding error
            lengths = torch.where(is_met, squares, 1.0).sqrt()
            others = torch.where(is_met, norms[j], 1.0)
            cosine = torch.where(is_met, (inner_TT[rows, j] / lengths / others).clamp(-1.0, 1.0), 0.0)
            pairs = (self.active.to(gram.device), self.active.to(gram.device)[j])
            target = self.target_TT[pairs]
            added = lengths / others * (target * _sine(cosine) / _sine(target).clamp(min=1e-6) - cosine)
            mixes[rows, j] += torch.where(is_met & (cosine < target), added, 0.0)
            learned = (target + self.knobs.beta * (cosine - target)).clamp(max=MOST)
            self.target_TT[pairs] = torch.where(is_met, learned, target)
        return mixes.sum(dim=0).to(gram_TT.dtype)


def _sine(cosine: Tensor) -> Tensor:
    return ((1 - cosine) * (1 + cosine)).clamp(min=0.0).sqrt()
