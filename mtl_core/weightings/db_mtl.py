"""Dual balancing: logarithms even out the losses, and every task's gradient is stretched to the longest one's length."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._memory import RowMemory

EPS = 1e-8  # paper, Algorithm 1: log(ℓ + ε), so that a loss of 0 keeps a finite weight


class DBMTLKnobs(WeightingKnobs):
    beta: float = Field(
        0.9,
        ge=0,
        lt=1,
        title="Forgetting rate β",
        description="How much of its past each task's gradient keeps per step; the paper tries 0.1, 0.5 and 0.9. 0: nothing.",
    )
    beta_sigma: float = Field(
        0.0,
        ge=0,
        le=2,
        title="Decay of β",
        description="β shrinks as β / k^σ with step k; the paper tries 0 (never) and 0.5.",
    )


@WEIGHTINGS.register
class DBMTL(Weighting):
    """Each task descends the logarithm of its loss, and all tasks pull equally hard: as hard as the hardest puller.

    Gradients are averaged over time before their lengths are evened out. The heads descend log ℓ too.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = DBMTL(DBMTL.Knobs(beta=0), Setting(("a", "b"), (10, 10)))
    >>> grads = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    >>> scheme.direction(grads, torch.tensor([1.0, 2.0]))  # ∇log ℓ: (3, 4), (0, 1); the longest is 5: 5 (0.6, 0.8) + 5 (0, 1)
    tensor([3., 9.])
    """

    title = "Dual balancing (DB-MTL)"
    asks = "gradients"
    paper = Paper(
        "Lin, Jiang, Ye, Zhang, Chen, Chen, Liu, Tsang, Kwok",
        2023,
        "Dual-Balancing for Multi-Task Learning",
        "https://arxiv.org/abs/2308.12029",
    )
    formula = (
        r"d = \max_j \lVert \hat g_j \rVert \sum_{i=1}^{T} \frac{\hat g_i}{\lVert \hat g_i \rVert}, \qquad "
        r"\hat g_i \leftarrow \beta_k\, \hat g_i + (1 - \beta_k)\, \nabla \log \ell_i, \qquad \beta_k = \beta\, k^{-\sigma}"
    )
    published_scale = "sum"
    published_heads = "weighted"
    helps = "When both the losses' units and the gradients' lengths differ: no task is drowned, and no unit matters."
    hurts = "When one task's gradient is mostly noise or it has finished: it is stretched to the longest all the same."
    departs = (
        "Paper: lengths are divided by ‖ĝ‖ + 1e-8, which leaves gradients below that length short. Here: by ‖ĝ‖; a gradient of "
        "length 0 stays 0. The logged weight is what multiplies a task's present gradient once it has become its average."
    )
    Knobs = DBMTLKnobs

    knobs: DBMTLKnobs
    n_steps: Tensor

    def __init__(self, knobs: DBMTLKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.memory = RowMemory(self.n_tasks)
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.float64))
        self._stretch_T: Tensor | None = None

    def direction(self, grads_TP: Tensor, losses_T: Tensor) -> Tensor:
        self.n_steps += 1
        beta = (self.knobs.beta * self.n_steps**-self.knobs.beta_sigma).to(grads_TP)
        average_TP = self.memory.of(self.active, grads_TP)
        share_T = (1 - beta) * _of_logarithm(losses_T).to(grads_TP)
        average_TP.mul_(beta).addcmul_(grads_TP, share_T[:, None])
        self.memory.keep(self.active, average_TP)
        lengths_T: Tensor = torch.linalg.vector_norm(average_TP, dim=1)
        # a task that does not pull, or by less than numbers can hold, adds nothing
        inverse_T = torch.where(lengths_T < torch.finfo(lengths_T.dtype).tiny, 0.0, 1 / lengths_T)
        self._stretch_T = lengths_T.max().double() * inverse_T.double()
        return lengths_T.max() * (inverse_T @ average_TP)  # in this order: the ratio of two lengths may overflow

    def mix(self, losses_T: Tensor) -> Tensor | None:
        if self._stretch_T is None:
            return None
        most = torch.finfo(losses_T.dtype).max
        return (self._stretch_T * _of_logarithm(losses_T)).clamp(max=most).to(losses_T)

    def head_weights(self, losses_T: Tensor, weights_T: Tensor | None) -> Tensor:
        return _of_logarithm(losses_T).to(losses_T)


def _of_logarithm(losses_T: Tensor) -> Tensor:
    """The derivative of log(ℓ + ε), in float64; a loss below 0 has no logarithm and counts as 0."""
    return (losses_T.detach().double().clamp(min=0) + EPS).reciprocal()
