"""Smooth Tchebycheff: descend a smooth version of the largest loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._checks import check_one_per_task

SMALLEST = 1e-20  # form code: below it a loss counts as this and gets no weight; log 0 would be endless


class STCHKnobs(WeightingKnobs):
    form: Literal["paper", "code"] = Field(
        "paper",
        title="Form",
        description="paper: on the losses as they are, with preferences and an ideal point; code: as in the authors' experiments, on "
        "log(ℓ/nadir), with the sum of log ℓ until the nadir is known.",
    )
    mu: float = Field(
        1.0,
        ge=1e-6,
        le=1e6,
        title="Smoothing μ",
        description="Small: only the worst task counts; large: all tasks count alike. The paper tries 0.01 to 1.",
    )
    lambdas: list[float] | None = Field(
        None,
        title="Preferences λ",
        description="Form paper: how much each task matters, one number per task; left empty, each task gets 1/T.",
    )
    ideal: list[float] | None = Field(
        None,
        title="Ideal losses z*",
        description="Form paper: the best loss one could hope for, one number per task; left empty, 0 each.",
    )
    warmup_epochs: int = Field(
        4,
        ge=0,
        le=100_000,
        title="Warm-up epochs",
        description="Form code: the nadir is the mean loss of the epoch after these. Public code: 4, so it starts in epoch 6.",
    )


@WEIGHTINGS.register
class STCH(Weighting):
    """Push down the worst task's loss most, with a smooth hand-over when another task becomes the worst.

    A softmax over the tasks' shortfalls λᵢ(ℓᵢ − z*ᵢ) says how much each counts; as μ falls it nears the plain maximum. With
    a small μ it reaches, unlike weighted sums, the trade-offs on a front that bends the wrong way.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = STCH(STCH.Knobs(mu=0.5), Setting(("a", "b"), (10, 10)))
    >>> losses_T = torch.tensor([1.0, 2.0], requires_grad=True)  # λℓ/μ = (1, 2): ½/(1 + e) and ½e/(1 + e)
    >>> torch.autograd.grad(scheme.objective(losses_T), losses_T)
    (tensor([0.1345, 0.3655]),)
    """

    title = "Smooth Tchebycheff (STCH)"
    asks = "losses"
    paper = Paper(
        "Lin, Zhang, Yang, Liu, Wang, Zhang",
        2024,
        "Smooth Tchebycheff Scalarization for Multi-Objective Optimization",
        "https://arxiv.org/abs/2402.19078",
    )
    formula = r"\mathcal{L} = \mu \log \sum_{i=1}^{K} \exp\left(\frac{\lambda_i(\ell_i - z^*_i)}{\mu}\right)"
    published_scale = "mean"
    published_heads = "weighted"
    helps = "When the worst-off task matters most, or to trace a front by its preferences, at the cost of plain weights."
    hurts = (
        "When losses have different units (form paper): the largest number counts as the worst task and takes all the weight."
    )
    departs = (
        "The authors' experiments (form code) differ from the paper: Kμ log Σ exp(log(ℓ/nadir)/μ), no preferences or ideal point, "
        "and a value shifted by its maximum; here it is not. With λ = 1/K the paper's weights sum to 1/K, so its steps are short."
    )
    Knobs = STCHKnobs

    knobs: STCHKnobs
    lambdas_T: Tensor
    ideal_T: Tensor
    n_epochs: Tensor
    nadir_T: Tensor  # NaN: not known yet

    def __init__(self, knobs: STCHKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        lambdas = [1.0 / self.n_tasks] * self.n_tasks if knobs.lambdas is None else knobs.lambdas
        ideal = [0.0] * self.n_tasks if knobs.ideal is None else knobs.ideal
        self.register_buffer("lambdas_T", torch.tensor(lambdas, dtype=torch.float64), persistent=False)
        self.register_buffer("ideal_T", torch.tensor(ideal, dtype=torch.float64), persistent=False)
        self.register_buffer("n_epochs", torch.zeros((), dtype=torch.int64))
        self.register_buffer("nadir_T", torch.full((self.n_tasks,), torch.nan, dtype=torch.float64))

    @classmethod
    def check(cls, knobs: STCHKnobs, tasks: Sequence[str]) -> None:
        if knobs.form == "code" and (knobs.lambdas is not None or knobs.ideal is not None):
            raise ValueError("stch: form code has no preferences and no ideal point: leave lambdas and ideal empty")
        if knobs.lambdas is not None:
            check_one_per_task("stch", "preference", knobs.lambdas, tasks)
        if knobs.ideal is not None and len(knobs.ideal) != len(tasks):
            raise ValueError(
                f"stch needs one ideal loss per task, got {len(knobs.ideal)} for {len(tasks)} tasks: "
                f"give them in the order {', '.join(tasks)}"
            )

    def objective(self, losses_T: Tensor) -> Tensor:
        if self.knobs.form == "paper":
            shortfall_T = losses_T - self.ideal_T[self.active].to(losses_T)
            return self._smooth_maximum(self.lambdas_T[self.active].to(losses_T) * shortfall_T)
        logs_T = losses_T.clamp(min=SMALLEST).log()
        nadir_T = self.nadir_T[self.active].to(losses_T)
        maximum = self._smooth_maximum(logs_T - nadir_T.log().nan_to_num())
        return torch.where(nadir_T.isnan().any(), logs_T.sum(), len(losses_T) * maximum)

    def _smooth_maximum(self, values_T: Tensor) -> Tensor:
        top = values_T.detach().amax()  # first taken off, then put back: values far above μ would round away their differences
        return self.knobs.mu * torch.logsumexp((values_T - top) / self.knobs.mu, dim=0) + top

    def after_epoch(self, mean_losses_T: Tensor) -> None:
        means_T = mean_losses_T.to(self.nadir_T)
        is_due_T = self.nadir_T.isnan() & (self.n_epochs >= self.knobs.warmup_epochs)
        is_loss_T = means_T.isfinite() & (means_T > 0)  # 0 or NaN: the epoch had no labels of this task; take a later one
        self.nadir_T.copy_(torch.where(is_due_T & is_loss_T, means_T, self.nadir_T))
        self.n_epochs.add_(1)

    @property
    def factor(self) -> float:
        if self.knobs.form == "paper" or self.knobs.scale == "published":
            return super().factor
        return 1.0 if self.knobs.scale == "sum" else 1.0 / self.n_tasks  # form code is a sum over tasks
