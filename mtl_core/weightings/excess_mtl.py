"""ExcessMTL: tasks far from the best they can reach get more weight; noisy labels earn none."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._memory import RowMemory

EPS = 1e-7  # the authors' code, in the root


class ExcessMTLKnobs(WeightingKnobs):
    eta: float = Field(
        0.01,
        gt=0,
        le=1000,
        title="Step size η",
        description="How fast weights move to the tasks that have farthest to go; robust_step_size in the authors' code.",
    )
    warmup: int = Field(
        0,
        ge=0,
        le=1000,
        title="Epochs before weights move",
        description="The excess risk at the start is the mean over these epochs; 0: that of the first step. The paper advises 3.",
    )


@WEIGHTINGS.register
class ExcessMTL(Weighting):
    """A task that is still far from its own best gets more weight; one that is stuck at noise does not.

    The excess risk Eᵢ, how far a task's loss is above the least it can reach, is estimated from its gradient alone, with the
    squared gradients so far in place of the curvature, and measured against its value at the start.

    >>> import math, torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = ExcessMTL(ExcessMTL.Knobs(eta=math.sqrt(2) * math.log(3)), Setting(("a", "b"), (10, 10)))
    >>> scheme.direction(torch.tensor([[1.0, 0.0], [0.0, 5.0]]), torch.ones(2))  # E = (1, 5): the start; equal weights
    tensor([0.5000, 2.5000])
    >>> scheme.direction(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.ones(2))  # E = (1/√2, 0): w ∝ (3, 1)
    tensor([0.7500, 0.0000])
    """

    title = "Excess risks (ExcessMTL)"
    asks = "gradients"
    paper = Paper(
        "He, Zhou, Zhang, Yun, Xu, Zeng, Chilimbi, Zhao",
        2024,
        "Robust Multi-Task Learning with Excess Risks",
        "https://arxiv.org/abs/2402.02009",
    )
    formula = (
        r"d = \sum_{i=1}^{T} w_i\, g_i, \qquad w_i \propto w_i \exp\!\Big(\eta\, \frac{E_i}{E_i(0)}\Big), \qquad "
        r"E_i = \sum_p \frac{g_{ip}^2}{\sqrt{S_{ip} + 10^{-7}}}, \qquad S_i \leftarrow S_i + g_i^2"
    )
    published_scale = "mean"
    published_heads = "weighted"
    helps = "When some tasks' labels are noisy: their loss stays high, yet they do not take over, as with schemes that look at losses."
    hurts = (
        "On long runs: weights only ever move by the sum of past excess risks, and a task once written off comes back slowly."
    )
    departs = (
        "Paper: weights sum to 1; in the authors' code and LibMTL to T. The first step has Eᵢ = Eᵢ(0) for every task and so "
        "leaves weights equal, as there; torchjd updates at once with unscaled Eᵢ unless it has a warm-up. The paper advises "
        "three epochs of warm-up, all public code has none. A task without any gradient so far has no excess risk."
    )
    Knobs = ExcessMTLKnobs

    knobs: ExcessMTLKnobs
    log_weights_T: Tensor
    start_T: Tensor  # sum of the excess risks over the warm-up
    n_seen_T: Tensor  # steps of the warm-up that saw a gradient of this task

    def __init__(self, knobs: ExcessMTLKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.n_warmup = max(1, knobs.warmup * setting.steps_per_epoch)
        self.memory = RowMemory(self.n_tasks)  # S
        self.register_buffer("log_weights_T", torch.zeros(self.n_tasks, dtype=torch.float64).log_softmax(0))
        self.register_buffer("start_T", torch.zeros(self.n_tasks, dtype=torch.float64))
        self.register_buffer("n_seen_T", torch.zeros(self.n_tasks, dtype=torch.float64))

    def direction(self, grads_TP: Tensor, losses_T: Tensor) -> Tensor:
        far_T = self._relative(self._excess(grads_TP))
        before_T = self.log_weights_T[self.active]
        # tasks that are not in the batch keep their weight, so the others share what they had
        after_T = (before_T + self.knobs.eta * far_T).log_softmax(0) + before_T.logsumexp(0)
        self.log_weights_T[self.active] = after_T
        return after_T.exp().to(grads_TP) @ grads_TP

    def mix(self, losses_T: Tensor) -> Tensor | None:
        return self.log_weights_T[self.active].exp().to(losses_T)

    def _excess(self, grads_TP: Tensor) -> Tensor:
        """The estimated excess risks, and the squared gradients added up; one row at a time, so that no second matrix is needed."""
        squares_TP = self.memory.of(self.active, grads_TP)
        excess = []
        for squares_P, grad_P in zip(squares_TP, grads_TP, strict=True):
            squares_P.addcmul_(grad_P, grad_P)
            excess.append((squares_P + EPS).rsqrt_().mul_(grad_P) @ grad_P)
        self.memory.keep(self.active, squares_TP)
        return torch.stack(excess).double()

    def _relative(self, excess_T: Tensor) -> Tensor:
        """Excess risks in units of those at the start; 1 as long as that is being measured."""
        is_start_T = (self.n_seen_T[self.active] < self.n_warmup) & (excess_T > 0)
        self.start_T[self.active] += torch.where(is_start_T, excess_T, 0.0)
        self.n_seen_T[self.active] += is_start_T.double()
        start_T = self.start_T[self.active] / self.n_seen_T[self.active].clamp(min=1)
        is_known_T = ~is_start_T & (start_T > 0)
        return torch.where(is_known_T, excess_T / start_T, torch.where(excess_T > 0, 1.0, excess_T))
