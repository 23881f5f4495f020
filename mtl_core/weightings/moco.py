"""MoCo: MGDA that learns its weights slowly, from gradients averaged over time instead of one noisy batch."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._memory import RowMemory
from mtl_core.weightings._project import onto_simplex


class MoCoKnobs(WeightingKnobs):
    beta: float = Field(
        0.5,
        gt=0,
        le=1,
        title="Tracking rate β",
        description="How far the remembered gradients move towards those of the batch; 1: no memory. The authors use 0.99 on NYUv2.",
    )
    beta_sigma: float = Field(
        0.5, ge=0, le=2, title="Decay of β", description="β shrinks as β / k^σ with step k; 0: never, as the authors on NYUv2."
    )
    gamma: float = Field(
        0.1,
        ge=0,
        le=1e6,
        title="Learning rate γ",
        description="How fast the weights move; it multiplies squared gradient lengths.",
    )
    gamma_sigma: float = Field(
        0.5, ge=0, le=2, title="Decay of γ", description="γ shrinks as γ / k^σ with step k; 0: never, as the authors on NYUv2."
    )
    rho: float = Field(
        0.0, ge=0, le=1e6, title="Pull to even ρ", description="Draws the weights towards equal ones; 0: not at all."
    )


@WEIGHTINGS.register
class MoCo(Weighting):
    """Search for the mix of gradients that makes no task worse, a little per step, with gradients remembered across batches.

    The remembered gradients y start at 0 and follow the batch's; the weights λ start equal and descend ½‖yᵀλ‖² on the simplex.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = MoCo(MoCo.Knobs(beta=1, gamma=0.1), Setting(("a", "b"), (10, 10)))
    >>> scheme.direction(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.ones(2))  # 0.575 · 1, 0.425 · 2
    tensor([0.5750, 0.8500])
    >>> scheme.mix(torch.ones(2))  # (½, ½) − 0.1 (½, 2) = (0.45, 0.3), and 0.125 more each to sum to 1
    tensor([0.5750, 0.4250])
    """

    title = "MoCo"
    asks = "gradients"
    paper = Paper(
        "Fernando, Shen, Liu, Chaudhury, Murugesan, Chen",
        2023,
        "Mitigating Gradient Bias in Multi-Objective Learning: A Provably Convergent Approach",
        "https://openreview.net/forum?id=dLAYGdKTi2",
    )
    formula = (
        r"d = y^\top\lambda, \qquad y \leftarrow y - \beta_k\,(y - g), \qquad "
        r"\lambda \leftarrow \Pi_\Delta\big(\lambda - \gamma_k\,(y y^\top + \rho I)\,\lambda\big), \qquad "
        r"\beta_k = \beta k^{-\sigma_\beta},\ \gamma_k = \gamma k^{-\sigma_\gamma}"
    )
    published_scale = "mean"
    published_heads = "unit"
    helps = "With small batches: MGDA's weights chase the noise of each batch, these do not."
    hurts = "When the landscape turns quickly: the remembered gradients lag behind, and the step with them."
    departs = (
        "The authors' code descends ‖yᵀλ‖² (twice this γ). LibMTL first rescales each gradient to the length of its loss "
        "and replaces the projection by a softmax, which draws the weights back to equal ones at every step; the default knobs "
        "are its, those of the authors' NYUv2 runs are in the knobs' help."
    )
    Knobs = MoCoKnobs

    knobs: MoCoKnobs
    n_steps: Tensor
    lambda_T: Tensor

    def __init__(self, knobs: MoCoKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.memory = RowMemory(self.n_tasks)
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.float64))
        self.register_buffer("lambda_T", torch.full((self.n_tasks,), 1 / self.n_tasks, dtype=torch.float64))
        self._mix_T: Tensor | None = None

    def direction(self, grads_TP: Tensor, losses_T: Tensor) -> Tensor:
        self.n_steps += 1
        y_TP = self.memory.of(self.active, grads_TP)
        y_TP.lerp_(grads_TP, (self.knobs.beta * self.n_steps**-self.knobs.beta_sigma).to(grads_TP))
        self.memory.keep(self.active, y_TP)
        self._mix_T = self._descend(y_TP)
        return self._mix_T.to(y_TP) @ y_TP

    def _descend(self, y_TP: Tensor) -> Tensor:
        """One step of the weights of the tasks that are there; those that are not keep theirs."""
        mass = self.lambda_T[self.active].sum()
        lambda_T = torch.where(mass > 0, self.lambda_T[self.active] / mass, 1 / len(self.active))  # no weight yet: equal ones
        pull_P = lambda_T.to(y_TP) @ y_TP
        size = pull_P.abs().max().clamp(min=torch.finfo(y_TP.dtype).tiny)  # y yᵀ of long gradients would overflow
        slope_T = (y_TP @ (pull_P / size)).double() * size.double() + self.knobs.rho * lambda_T
        gamma = self.knobs.gamma * self.n_steps**-self.knobs.gamma_sigma
        lambda_T = onto_simplex(lambda_T - gamma * slope_T)
        self.lambda_T[self.active] = mass * lambda_T
        return lambda_T

    def mix(self, losses_T: Tensor) -> Tensor | None:
        return None if self._mix_T is None else self._mix_T.to(losses_T)
