"""Dynamic weight average: tasks that have stopped improving get more weight."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs


class DWAKnobs(WeightingKnobs):
    T: float = Field(
        2.0,
        gt=0,
        le=100,
        title="Temperature T",
        description="How evenly weights are spread: large, all tasks near 1; small, the slowest task takes nearly all.",
    )


@WEIGHTINGS.register
class DWA(Weighting):
    """A task whose loss falls more slowly than the others' gets more weight in the next epoch.

    L_i(t) is the mean training loss of epoch t. The first two epochs have nothing to compare, so all weights are 1.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = DWA(DWA.Knobs(T=1), Setting(("falls", "stays"), (10, 10)))
    >>> scheme.after_epoch(torch.tensor([4.0, 1.0]))
    >>> scheme.after_epoch(torch.tensor([2.0, 1.0]))  # r = (½, 1): weights 2 e^½ / (e^½ + e) and 2 e / (e^½ + e)
    >>> scheme.weights_T
    tensor([0.7551, 1.2449], dtype=torch.float64)
    """

    title = "Dynamic weight average (DWA)"
    asks = "losses"
    paper = Paper(
        "Liu, Johns, Davison", 2019, "End-to-End Multi-Task Learning with Attention", "https://arxiv.org/abs/1803.10704"
    )
    formula = r"w_i(t) = K\,\frac{e^{r_i/T}}{\sum_{j=1}^{K} e^{r_j/T}}, \qquad r_i = \frac{L_i(t-1)}{L_i(t-2)}"
    published_scale = "sum"
    published_heads = "weighted"
    helps = "When one task lags: cheap, no extra backward pass, no unit of loss matters."
    hurts = "Little, and helps little: with T = 2 weights rarely leave 0.8 to 1.2, and the noise of one epoch moves them."
    departs = "nash-mtl and Samsung compare windows of 25 steps instead of epochs. Here: epochs, as in the paper."
    Knobs = DWAKnobs

    knobs: DWAKnobs
    before_T: Tensor  # mean losses of the epoch before; NaN: not known yet
    weights_T: Tensor

    def __init__(self, knobs: DWAKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.register_buffer("before_T", torch.full((self.n_tasks,), torch.nan, dtype=torch.float64))
        self.register_buffer("weights_T", torch.ones(self.n_tasks, dtype=torch.float64))

    def objective(self, losses_T: Tensor) -> Tensor:
        return (self.weights_T[self.active].to(losses_T) * losses_T).sum()

    def after_epoch(self, mean_losses_T: Tensor) -> None:
        now_T = mean_losses_T.to(self.before_T)
        is_loss_T = now_T.isfinite() & (now_T > 0)  # 0 or NaN: the epoch had no labels of this task
        rates_T = torch.where(is_loss_T & (self.before_T > 0), now_T / self.before_T, 1.0)  # nothing to compare: as if unmoved
        self.weights_T.copy_(self.n_tasks * torch.softmax(rates_T / self.knobs.T, dim=0))
        self.before_T.copy_(torch.where(is_loss_T, now_T, self.before_T))
