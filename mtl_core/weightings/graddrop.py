"""GradDrop: where tasks disagree about a parameter's sign, dice pick one sign and drop the other side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field, field_validator
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs


class GradDropKnobs(WeightingKnobs):
    leak: list[float] = Field(
        [0.0],
        title="Leak",
        description="Share of a task's own gradient that passes untouched: one number for all tasks, or one per task in the "
        "tasks' order. 0: only the picked sign counts; 1: the task is never dropped, for the one that matters most.",
    )

    @field_validator("leak", mode="before")
    @classmethod
    def _one_for_all(cls, given: Any) -> Any:
        return [given] if isinstance(given, (int, float)) else given


@WEIGHTINGS.register
class GradDrop(Weighting):
    """For each shared parameter, dice decide whether it moves up or down, and only the tasks that want that way are heard.

    The side with more pull is picked more often: up with probability P, the positive share of all pull. A parameter that no
    task wants to move stays.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = GradDrop(GradDrop.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> step = scheme.direction(torch.tensor([[1.0, 4.0, 0.0], [2.0, -3.0, 0.0]]), torch.ones(2))
    >>> step[[0, 2]]  # agreed: 1 + 2; nobody pulls: 0
    tensor([3., 0.])
    >>> step[1].item() in (4.0, -3.0)  # P = 4/7: one of the two, never their sum
    True
    """

    title = "GradDrop"
    asks = "gradients"
    paper = Paper(
        "Chen, Ngiam, Huang, Luong, Kretzschmar, Chai, Anguelov",
        2020,
        "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout",
        "https://arxiv.org/abs/2010.06808",
    )
    formula = (
        r"d = \sum_{i=1}^{T} \big(\mathrm{leak}_i + (1-\mathrm{leak}_i)\, M_i\big) \odot g_i, \qquad "
        r"M_i = [g_i > 0]\,[U < P] + [g_i < 0]\,[U > P], \qquad "
        r"P = \tfrac12\Big(1 + \frac{\sum_j g_j}{\sum_j |g_j|}\Big), \qquad U \sim \mathcal{U}(0,1)"
    )
    published_scale = "sum"
    published_heads = "unit"
    helps = "When noise is welcome: steps agree in sign at every parameter, and dice shake training out of tugs-of-war."
    hurts = "With few tasks or a large learning rate: much of the pull is thrown away at random, step after step."
    departs = (
        "Paper: a layer on the shared representation, where gradients times the sign of the activation, summed over the batch, "
        "decide; LibMTL does that only. Here, as in the paper's algorithm for any gradients and in torchjd, every shared "
        "parameter decides for itself: there is no batch to sum over and no input sign. The authors' layer also stretches its "
        "answer to the length of the summed gradient; the paper's algorithm and this code do not. Samsung's leak is inverted."
    )
    Knobs = GradDropKnobs

    knobs: GradDropKnobs
    leak_T: Tensor

    def __init__(self, knobs: GradDropKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        leaks = knobs.leak * self.n_tasks if len(knobs.leak) == 1 else knobs.leak
        self.has_leak = any(leaks)
        self.register_buffer("leak_T", torch.tensor(leaks, dtype=torch.float64), persistent=False)

    @classmethod
    def check(cls, knobs: GradDropKnobs, tasks: Sequence[str]) -> None:
        if len(knobs.leak) not in (1, len(tasks)):
            raise ValueError(
                f"graddrop needs one leak for all tasks or one per task, got {len(knobs.leak)} for {len(tasks)} tasks: "
                f"give them in the order {', '.join(tasks)}"
            )
        for leak in knobs.leak:
            if not (math.isfinite(leak) and 0 <= leak <= 1):
                raise ValueError(f"graddrop: a leak must lie in 0..1, got {leak:g}: 0 leaks nothing, 1 drops nothing")

    def direction(self, grads_TP: Tensor, losses_T: Tensor) -> Tensor:
        leak_T = self.leak_T[self.active].to(grads_TP)
        up_P, heard_up_P = self._hear(grads_TP.clamp(min=0), leak_T)
        down_P, heard_down_P = self._hear(grads_TP.clamp(max=0), leak_T)
        goes_down_P = self._roll(grads_TP) * (up_P - down_P) > up_P  # U > P, without dividing by pull that may be 0
        step_P = torch.where(goes_down_P, heard_down_P, heard_up_P)
        return step_P + leak_T @ grads_TP if self.has_leak else step_P

    def _hear(self, side_TP: Tensor, leak_T: Tensor) -> tuple[Tensor, Tensor]:
        """All pull to one side, and the part of it that is heard only if this side is picked: what does not leak."""
        pull_P = side_TP.sum(0)
        return pull_P, (1 - leak_T) @ side_TP if self.has_leak else pull_P

    def _roll(self, grads_TP: Tensor) -> Tensor:
        """One die per parameter; for a GPU, one number from the run's generator seeds them all, so nothing is copied there."""
        n, dtype, device = grads_TP.shape[1], grads_TP.dtype, grads_TP.device
        chance = self.setting.generator
        if device != chance.device:
            seed = int(torch.randint(2**62, (), generator=chance))
            chance = torch.Generator(device).manual_seed(seed)
        return torch.rand(n, generator=chance, dtype=dtype, device=device)
