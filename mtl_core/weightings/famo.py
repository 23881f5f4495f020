"""FAMO: see how much each loss fell in the last step, then give more weight to the tasks that fell behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs

SMALLEST = 1e-20  # a loss at or below its minimum counts as this far above it: the logarithm needs a distance
DECAY_MEAN, DECAY_SQUARE, EPS = 0.9, 0.999, 1e-8  # Adam's usual ones


class FAMOKnobs(WeightingKnobs):
    beta: float = Field(
        0.025,
        gt=0,
        le=10,
        title="Learning rate β",
        description="How fast the tasks' logits ξ follow what the losses do.",
    )
    gamma: float = Field(
        1e-3,
        ge=0,
        le=10,
        title="Decay γ",
        description="Pulls the logits back to equal shares. Paper: the best of 1e-4, 1e-3 and 1e-2; public code also has 1e-5.",
    )
    min_losses: list[float] | None = Field(
        None,
        title="Lowest losses",
        description="A value that each loss stays above, one number per task; left empty, 0 each. Needed where losses fall below 0.",
    )


@WEIGHTINGS.register
class FAMO(Weighting):
    """After each step, look again at the same batch: the tasks whose losses fell least (in percent) get more weight.

    zᵢ, a softmax of learned logits ξ, is task i's share; divided by its loss's distance from the lowest possible one, ℓᵢ − ℓ*ᵢ,
    and normalised, it is the weight. δ then moves the logits against the tasks whose log-losses fell more than the average.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = FAMO(FAMO.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> losses_T = torch.tensor([1.0, 3.0], requires_grad=True)
    >>> torch.autograd.grad(scheme.objective(losses_T), losses_T)  # z = (½, ½): weights ∝ 1/1 and 1/3
    (tensor([0.7500, 0.2500]),)
    >>> scheme.after_look(losses_T.detach(), torch.tensor([0.5, 3.0]))  # a fell, b did not; Adam's first step is ±β
    >>> scheme.logits_T
    tensor([-0.0250,  0.0250], dtype=torch.float64)
    """

    title = "FAMO"
    asks = "losses"
    paper = Paper(
        "Liu, Feng, Stone, Liu",
        2023,
        "FAMO: Fast Adaptive Multitask Optimization",
        "https://arxiv.org/abs/2306.03792",
    )
    formula = (
        r"w_i = c\,\frac{z_i}{\ell_i - \ell_i^*}, \quad z = \operatorname{softmax}(\xi), \quad "
        r"c = \Bigl(\sum_{i=1}^{K}\frac{z_i}{\ell_i - \ell_i^*}\Bigr)^{-1}; \qquad "
        r"\xi \leftarrow \xi - \beta(\delta + \gamma\xi), \quad "
        r"\delta = (\nabla_\xi z)^{\top}\bigl(\log(\ell^{t} - \ell^*) - \log(\ell^{t+1} - \ell^*)\bigr)"
    )
    published_scale = "mean"
    published_heads = "weighted"
    helps = "When some tasks learn far more slowly than others: balances their progress without a gradient per task."
    hurts = "When a loss nears its minimum: that task takes nearly all the weight. Noisy batches make the logits wander."
    departs = (
        "The logits move by Adam with γ as its weight decay, as in the public code of Algorithm 1. There γ is 1e-5 or 0.01, "
        "1e-8 is added to each loss, and the second forward draws new dropout masks and moves BatchNorm's statistics; here not."
    )
    passes = "1 + one forward"
    looks_again = True
    Knobs = FAMOKnobs

    knobs: FAMOKnobs
    min_losses_T: Tensor
    logits_T: Tensor  # ξ
    mean_T: Tensor  # Adam's first moment
    square_T: Tensor  # and second
    n_moves_T: Tensor  # how often each task's logit has moved

    def __init__(self, knobs: FAMOKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        lowest = [0.0] * self.n_tasks if knobs.min_losses is None else knobs.min_losses
        self.register_buffer("min_losses_T", torch.tensor(lowest, dtype=torch.float64), persistent=False)
        for name in ("logits_T", "mean_T", "square_T", "n_moves_T"):
            self.register_buffer(name, torch.zeros(self.n_tasks, dtype=torch.float64))

    @classmethod
    def check(cls, knobs: FAMOKnobs, tasks: Sequence[str]) -> None:
        if knobs.min_losses is not None and len(knobs.min_losses) != len(tasks):
            raise ValueError(
                f"famo needs one lowest loss per task, got {len(knobs.min_losses)} for {len(tasks)} tasks: "
                f"give them in the order {', '.join(tasks)}"
            )

    @classmethod
    def trunk_passes(cls, knobs: Any, n_tasks: int) -> float:
        return 1.5  # a forward pass is half a backward pass

    def objective(self, losses_T: Tensor) -> Tensor:
        weights_T = torch.softmax(self.logits_T[self._present] - self._log_distances(losses_T), dim=0)  # = c z/(ℓ − ℓ*)
        return (weights_T.to(losses_T) * losses_T).sum()

    def after_look(self, losses_T: Tensor, again_T: Tensor) -> None:
        fall_T = self._log_distances(losses_T) - self._log_distances(again_T)
        logits_T = self.logits_T[self._present]
        shares_T = torch.softmax(logits_T, dim=0)
        delta_T = shares_T * (fall_T - shares_T.dot(fall_T))  # the softmax's Jacobian is diag(z) − zzᵀ
        self._move(delta_T + self.knobs.gamma * logits_T)

    @property
    def _present(self) -> Tensor | slice:
        return slice(None) if len(self.active) == self.n_tasks else self.active  # a slice costs nothing

    def _log_distances(self, losses_T: Tensor) -> Tensor:
        distance_T = losses_T.detach().to(self.min_losses_T) - self.min_losses_T[self._present]
        return distance_T.clamp(min=SMALLEST).log()

    def _move(self, slope_T: Tensor) -> None:
        """One step of Adam for the logits of the tasks present; those of absent tasks rest.

        The scheme's own Adam: ξ follows the losses after the step, which the run's optimiser would use one step late, under
        its own schedule and without γ.
        """
        here = self._present
        n_moves_T = self.n_moves_T[here] + 1
        mean_T = torch.lerp(self.mean_T[here], slope_T, 1 - DECAY_MEAN)
        square_T = torch.lerp(self.square_T[here], slope_T.square(), 1 - DECAY_SQUARE)
        steps_T = mean_T / (1 - DECAY_MEAN**n_moves_T) / ((square_T / (1 - DECAY_SQUARE**n_moves_T)).sqrt() + EPS)
        self.logits_T[here] -= self.knobs.beta * steps_T
        self.mean_T[here], self.square_T[here], self.n_moves_T[here] = mean_T, square_T, n_moves_T
