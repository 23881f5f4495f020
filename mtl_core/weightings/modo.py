"""MoDo: seek the mix of gradients that hurts no task, judged on two independent parts of the batch so that noise cancels."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Setting, Weighting
from mtl_core.weightings._project import among, onto_simplex


class MoDoKnobs(GramianKnobs):
    gamma: float = Field(
        0.1,
        gt=0,
        le=1000,
        title="Step γ of the weights",
        description="How far the weights move per step. Small, they hardly leave equal weights; large, they chase each batch. "
        "Authors' code: 0.1; LibMTL: 0.001. It multiplies squared gradient lengths, so losses in other units need another γ.",
    )
    rho: float = Field(
        0.1,
        ge=0,
        le=1000,
        title="Pull ρ to equal weights",
        description="How strongly the weights are drawn back to equal ones.",
    )


@WEIGHTINGS.register
class MoDo(Weighting):
    """Once a step, move the weights a little towards the mix that hurts no task, as seen by two independent parts of the batch.

    MGDA's weights from one noisy batch are biased towards tasks that look short by chance. With gradients J₁, J₂ of independent
    parts, J₁J₂ᵀλ is an unbiased slope of ½|Jᵀλ|²; λ follows it on the simplex and is remembered. A third part gives the step.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = MoDo(MoDo.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> gram_TT = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    >>> scheme.weights(gram_TT, torch.ones(2))  # λ = (½, ½) minus 0.1 (½, 3/2) and 0.01 (½, ½), back to a sum of 1
    tensor([0.5500, 0.4500])
    """

    title = "MoDo"
    asks = "gramian"
    needs_parts = True
    paper = Paper(
        "Chen, Fernando, Ying, Chen",
        2023,
        "Three-Way Trade-Off in Multi-Objective Learning: Optimization, Generalization and Conflict-Avoidance",
        "https://arxiv.org/abs/2305.20057",
    )
    formula = r"\lambda \leftarrow \Pi_\Delta\big(\lambda - \gamma (J_1 J_2^\top \lambda + \rho\,\lambda)\big), \qquad d = J_3^\top \lambda"
    published_scale = "mean"
    published_heads = "unit"
    helps = "When batches are small and noisy: weights are remembered and unbiased, so they drift instead of jumping with each batch."
    hurts = "When gradients are very short or very long: γ does not adapt, so weights never leave equal ones, or jump between corners."
    departs = (
        "The paper draws two batches per step, or three; here the batch is cut in three, so the step sees a third of it. The authors' "
        "code adds up the gradients of both parts for the step by default. On the representation independent parts have nothing in "
        "common to compare: one batch serves for all, and the guarantee is lost. Tasks absent from a batch keep their weight."
    )
    passes = "T on each of two thirds of the batch + 1 on the last third"
    Knobs = MoDoKnobs

    knobs: MoDoKnobs
    lambda_T: Tensor

    def __init__(self, knobs: MoDoKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.register_buffer("lambda_T", torch.full((self.n_tasks,), 1.0 / self.n_tasks, dtype=torch.float64))

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        mix, share = among(self.lambda_T, self.active)
        slope = gram_TT.detach().double() @ mix + self.knobs.rho * mix
        moved = onto_simplex(mix - self.knobs.gamma * slope)
        self.lambda_T[self.active] = share * moved
        return moved.to(gram_TT)
