"""GradNorm: weights learn to make all tasks pull equally hard, harder where a task learns more slowly."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, On, Paper, Setting, Weighting

BOUND = 1e-4  # the smallest weight before the sum is restored: a weight of 0 or below would turn its task round


class GradNormKnobs(GramianKnobs):
    on: On = Field(
        "last_stage",
        title="Gradients of",
        description="Whose lengths are balanced: those of the last shared stage (as published; cheap), of all shared parameters "
        "(a backward pass per task), or of the shared representation.",
    )
    alpha: float = Field(
        1.5,
        ge=0,
        le=10,
        title="Asymmetry α",
        description="How strongly slow tasks are favoured: 0 makes all gradients equally long whatever the losses do. "
        "Paper: 1.5 on NYUv2.",
    )
    lr: float = Field(
        0.025,
        gt=0,
        le=10,
        title="Learning rate of w",
        description="Own learning rate of the weights; no weight decay.",
    )


@WEIGHTINGS.register
class GradNorm(Weighting):
    """Weights learn to give all tasks gradients of one length, a longer one to a task whose loss has fallen less than others'.

    nᵢ = |wᵢgᵢ|; its target is the mean n̄ times rᵢ^α, where rᵢ is the loss over its first value, relative to the mean of all
    tasks. The slope by wᵢ of Σ|nᵢ − target| is sign(nᵢ − target) · |gᵢ|. The step uses the weights from before their update.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = GradNorm(GradNorm.Knobs(), Setting(("short", "long"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 9.0]]), torch.ones(2))  # lengths 1 and 3, both to become 2
    tensor([1., 1.])
    >>> scheme.w_T.grad
    tensor([-1.,  3.])
    >>> torch.optim.SGD(scheme.parameters(), lr=0.1).step()  # (1.1, 0.7)
    >>> scheme.after_step(torch.ones(2))
    >>> scheme.w_T.data  # back to a sum of 2
    tensor([1.2222, 0.7778])
    """

    title = "GradNorm"
    asks = "gramian"
    paper = Paper(
        "Chen, Badrinarayanan, Lee, Rabinovich",
        2018,
        "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks",
        "https://arxiv.org/abs/1711.02257",
    )
    formula = (
        r"\mathcal{L}_{\text{grad}} = \sum_{i=1}^{T} \big\lvert\, n_i - \operatorname{sg}(\bar n\, r_i^\alpha) \big\rvert, \qquad "
        r"n_i = \lVert w_i g_i \rVert, \quad r_i = \frac{\ell_i/\ell_i(0)}{\tfrac1T \sum_j \ell_j/\ell_j(0)}"
    )
    published_scale = "sum"
    published_heads = "weighted"
    helps = (
        "When losses live on different scales or tasks learn at different speeds: one knob, α, in place of a weight per task."
    )
    hurts = "When a task's first loss was a fluke or its loss cannot fall (noisy labels): it counts as slow for ever and gains weight."
    departs = (
        "ℓ(0) is the first loss seen of each task (the paper also allows log C for cross-entropies). Weights stay above 1e-4 before "
        "their sum is restored, on which the paper is silent. A task absent from a batch keeps its weight, and the others share the rest. "
        "LibMTL learns logits of a softmax with the main learning rate, and takes the mean of the first epoch for ℓ(0)."
    )
    passes = "T through the last shared stage + 1"
    Knobs = GradNormKnobs

    knobs: GradNormKnobs
    settled_T: Tensor  # the weights after the last step: momentum also moves those of absent tasks
    first_T: Tensor  # ℓ(0); NaN: not seen yet

    def __init__(self, knobs: GradNormKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.w_T = nn.Parameter(torch.ones(self.n_tasks))
        self.register_buffer("settled_T", torch.ones(self.n_tasks))
        self.register_buffer("first_T", torch.full((self.n_tasks,), torch.nan, dtype=torch.float64))

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        w = self.w_T.detach()[self.active]
        lengths = gram_TT.detach().diagonal().double().sqrt()
        scaled = w * lengths
        off = scaled - scaled.mean() * self._slowness(losses_T.detach().double()) ** self.knobs.alpha
        is_level = off.abs() <= 1e-6 * scaled.mean()  # rounding is no reason to move
        slope = torch.where(is_level, 0.0, off.sign() * lengths)
        self.w_T.grad = torch.zeros_like(self.w_T).index_copy(0, self.active, slope.to(self.w_T))
        return w.to(gram_TT)

    def _slowness(self, losses: Tensor) -> Tensor:
        """r: each loss over its first value, relative to the mean; 1 where nothing can be compared."""
        first = self.first_T[self.active]
        first = torch.where(first.isnan() & losses.isfinite(), losses, first)
        self.first_T[self.active] = first
        ratios = torch.where(first > 0, losses / torch.where(first > 0, first, 1.0), 1.0).clamp(min=0.0)
        mean = ratios.mean()
        return torch.where(mean > 0, ratios / torch.where(mean > 0, mean, 1.0), 1.0)

    def after_step(self, losses_T: Tensor) -> None:
        with torch.no_grad():
            moved = self.w_T[self.active].clamp(min=BOUND)
            share = self.settled_T[self.active].sum()
            self.w_T.copy_(self.settled_T)
            self.w_T[self.active] = moved * (share / moved.sum())
            self.settled_T.copy_(self.w_T)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.w_T], "lr": self.knobs.lr, "weight_decay": 0.0}]
