"""SDMGrad: hurt no task, but stay near the mean gradient, judged on independent parts of the batch so that noise cancels."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Setting, Weighting
from mtl_core.weightings._project import among, onto_simplex_on_host
from mtl_core.weightings._simplex import Array

MOMENTUM = 0.5


class SDMGradKnobs(GramianKnobs):
    lam: float = Field(
        0.3,
        ge=0,
        le=1e6,
        title="λ",
        description="How strongly the step is held near the mean gradient: 0 is MGDA, large is the mean. Authors' runs: 0.3.",
    )
    lr: float = Field(
        10.0,
        gt=0,
        le=1000,
        title="Learning rate of w",
        description="Of the inner search for the weights. Authors' code: 10; LibMTL: 5. Both end in a corner; 0.1 settles.",
    )
    n_iter: int = Field(20, ge=1, le=1000, title="Inner steps", description="Steps of the inner search per training step.")


@WEIGHTINGS.register
class SDMGrad(Weighting):
    """Like MGDA a step that hurts no task, but drawn to the mean gradient and judged on independent parts of the batch.

    w seeks the smallest |g_w + λg₀|, where g_w mixes the gradients and g₀ is their mean. With gradients J₁, J₂ of independent
    parts, J₁J₂ᵀ(w + λ/T) is an unbiased slope of ½|g_w + λg₀|²; w is remembered. A third part gives the step.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = SDMGrad(SDMGrad.Knobs(lam=1, lr=0.1, n_iter=1), Setting(("a", "b"), (10, 10)))
    >>> gram_TT = torch.tensor([[1.0, 0.0], [0.0, 9.0]])  # lengths 1 and 3: divided by 2² it is diag(¼, 9/4)
    >>> scheme.weights(gram_TT, torch.ones(2))  # w = (½, ½) − 0.1 (¼, 9/4), back to a sum of 1: (0.6, 0.4); halfway to the mean
    tensor([0.5500, 0.4500])
    """

    title = "SDMGrad"
    asks = "gramian"
    needs_parts = True
    paper = Paper(
        "Xiao, Ban, Ji",
        2023,
        "Direction-oriented Multi-objective Learning: Simple and Provable Stochastic Algorithms",
        "https://arxiv.org/abs/2305.18409",
    )
    formula = (
        r"w \leftarrow \Pi_\Delta\big(w - \beta\, J_1 J_2^\top (w + \tfrac{\lambda}{T} \mathbf 1)\big), \qquad "
        r"d = J_3^\top\, \frac{w + \frac{\lambda}{T} \mathbf 1}{1 + \lambda}"
    )
    published_scale = "mean"
    published_heads = "unit"
    helps = "When MGDA stalls because one short gradient takes all: λ keeps part of the mean gradient in every step."
    hurts = (
        "With the published inner learning rate: 20 steps of 10 overshoot, w ends in a corner of the simplex, so one task steers each "
        "step, and not always the one that MGDA would choose. An inner learning rate of 0.1 finds the minimum."
    )
    departs = (
        "As in public code (the paper has a plain step size) J₁J₂ᵀ is divided by the square of the mean gradient length and the search "
        "has momentum 0.5. Public code guards that division by adding 1e-4 or 1e-8, which the overshooting search makes visible; here "
        "nothing is added, and the divisor is at least 1e-8 of the largest entry. In the authors' code all three sets of gradients are the last one (an aliased list) and the step is T times longer. "
        "On the representation independent parts have nothing in common to compare: one batch serves for all, and the guarantee is lost. "
        "Tasks absent from a batch keep their w."
    )
    passes = "T on each of two thirds of the batch + 1 on the last third"
    Knobs = SDMGradKnobs

    knobs: SDMGradKnobs
    w_T: Tensor

    def __init__(self, knobs: SDMGradKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.register_buffer("w_T", torch.full((self.n_tasks,), 1.0 / self.n_tasks, dtype=torch.float64))

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        start, share = among(self.w_T, self.active)
        on_host = torch.vstack([gram_TT.detach().double(), start]).cpu().numpy()  # one visit, for both
        found = torch.from_numpy(self._search(on_host[:-1], on_host[-1])).to(gram_TT.device)
        self.w_T[self.active] = share * found
        return ((found + self.knobs.lam / len(found)) / (1 + self.knobs.lam)).to(gram_TT)

    def _search(self, gram: Array, w: Array) -> Array:
        """Projected descent of ½|g_w + λg₀|², starting at w. NaN if something is not finite: the run has diverged."""
        if not (np.isfinite(gram).all() and np.isfinite(w).all()):
            return np.full_like(w, np.nan)
        length = np.sqrt(np.maximum(gram.diagonal(), 0.0)).mean()  # independent parts may disagree: a product below 0
        divisor = max(length**2, 1e-8 * np.abs(gram).max())
        if divisor == 0:
            return w  # no gradients, no news
        slopes = gram / divisor
        velocity = np.zeros_like(w)
        for _ in range(self.knobs.n_iter):
            velocity = MOMENTUM * velocity + slopes @ (w + self.knobs.lam / len(w))
            w = onto_simplex_on_host(w - self.knobs.lr * velocity)
        return w
