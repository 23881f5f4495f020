"""Nash-MTL: the step that tasks would agree on if they bargained."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Question, Setting, Weighting
from mtl_core.weightings._fair import fair_weights
from mtl_core.weightings._simplex import on_host


class NashMTLKnobs(GramianKnobs):
    max_norm: float = Field(
        0.0,
        ge=0,
        le=1e6,
        title="Longest step",
        description="A longer step is shortened to this, as measured on the gradients it looks at. 0: never, and every step has "
        "length √T. The authors' code has 1.",
    )
    update_weights_every: int = Field(
        1,
        ge=1,
        le=1000,
        title="Steps per bargain",
        description="Weights are found once in so many steps and kept in between; those steps cost one backward pass.",
    )


@WEIGHTINGS.register
class NashMTL(Weighting):
    """Take the step that maximises the product of all tasks' gains: doubling one gain pays for halving another.

    Lengths of gradients do not matter: wᵢ ∝ 1/|gᵢ|, so each task's gain counts in its own currency. For two tasks
    wᵢ = 1 / (|gᵢ|√(1 + cos)). With T tasks that pull, the step has length √T. Where no step helps all tasks it is 0.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = NashMTL(NashMTL.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 16.0]]), torch.ones(2))  # 16 w = 1/w
    tensor([1.0000, 0.2500])
    """

    title = "Nash-MTL"
    asks = "gramian"
    paper = Paper(
        "Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik, Fetaya",
        2022,
        "Multi-Task Learning as a Bargaining Game",
        "https://arxiv.org/abs/2202.01017",
    )
    formula = (
        r"G w = 1/w \;\; (w > 0), \qquad "
        r"d = \sum_{i=1}^{T} w_i\, g_i = \sqrt{T}\,\arg\max_{\lVert d\rVert \le 1} \sum_i \log(g_i \cdot d)"
    )
    published_scale = "sum"
    published_heads = "weighted"
    passes = "T; 1 between two bargains"
    helps = "When gradient lengths differ by orders of magnitude: every task gains in proportion, whatever its unit."
    hurts = "Near convergence: the step stays as long as ever while gradients shrink, so the learning rate must fall."
    departs = (
        "Solved exactly (Newton), zero where the paper has no solution; a zero gradient takes no part. Public code approximates: "
        "it returns equal weights for equal gradients and drifts where lengths differ by 30 or more. It also shortens the step to "
        "max_norm = 1, which turns every step into a unit vector; here that is a choice, applied when weights are found. FAMO's "
        "copy shortens before the backward pass, so its max_norm does nothing."
    )
    Knobs = NashMTLKnobs

    knobs: NashMTLKnobs
    weights_T: Tensor  # of the last bargain; 0 for a task that has not been at one

    def __init__(self, knobs: NashMTLKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.register_buffer("weights_T", torch.zeros(self.n_tasks, dtype=torch.float64))
        self._age = knobs.update_weights_every  # steps since the last bargain; it starts overdue

    @classmethod
    def trunk_passes(cls, knobs: Any, n_tasks: int) -> float:
        every = int(knobs.update_weights_every)
        return (super().trunk_passes(knobs, n_tasks) + every - 1) / every

    @property
    def question(self) -> Question:
        return "losses" if 0 < self._age < self.knobs.update_weights_every else "gramian"

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        gram = gram_TT.detach().double()
        eps = torch.finfo(gram_TT.dtype).eps
        weights = _of_two(gram, eps) if len(gram) == 2 else on_host(gram, lambda host, _: fair_weights(host, eps, alpha=1.0))
        if self.knobs.max_norm > 0:
            length = (weights @ gram @ weights).sqrt()
            weights = weights * torch.where(length > self.knobs.max_norm, self.knobs.max_norm / length, 1.0)
        self.weights_T[self.active] = weights
        self._age = 0
        return weights.to(gram_TT.dtype)

    def objective(self, losses_T: Tensor) -> Tensor:
        return (self.weights_T[self.active].to(losses_T) * losses_T).sum()

    def after_step(self, losses_T: Tensor) -> None:
        self._age += 1

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self._age)

    def set_extra_state(self, state: Tensor) -> None:
        self._age = int(state)


def _of_two(gram: Tensor, eps: float) -> Tensor:
    """The closed form, without leaving the device."""
    norms = gram.diagonal().sqrt()
    is_nil = norms == 0
    safe = torch.where(is_nil, 1.0, norms)
    cosine = (gram[0, 1] / safe[0] / safe[1]).clamp(-1.0, 1.0)
    is_stuck = (1 + cosine) / 2 <= 8 * eps  # squared distance of the unit vectors' hull from 0, below its rounding error
    weights = torch.where(is_nil, 0.0, torch.where(is_stuck, 0.0, (1 + cosine).rsqrt()) / safe)
    return weights + 0.0 * gram.sum()  # what is not finite shows
