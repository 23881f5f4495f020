"""Auto-λ: weights learned from what they would do to the loss on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from mtl_core.registry import no_such
from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs


class AutoLambdaKnobs(WeightingKnobs):
    lr: float = Field(
        1e-4,
        gt=0,
        le=10,
        title="Learning rate of λ",
        description="Own learning rate of the weights; the authors use 1e-4 on NYUv2 and 3e-5 on Cityscapes, with Adam "
        "(SGD needs far more). No weight decay.",
    )
    init: float = Field(0.1, gt=0, le=1e6, title="First weight", description="Where every λ starts.")
    primary: list[str] | None = Field(
        None,
        title="Primary tasks",
        description="Names of the tasks whose validation loss counts; the others only help. Left empty, all tasks count.",
    )


@WEIGHTINGS.register
class AutoLambda(Weighting):
    """Take the step in thought, look at the validation loss after it, and move each task's weight the way that lowers it.

    With one primary task the others become helpers: each keeps weight only as long as its gradient serves the primary's.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = AutoLambda(AutoLambda.Knobs(primary=["b"]), Setting(("a", "b"), (10, 10)))
    >>> scheme.objective(torch.tensor([2.0, 6.0])).item()  # 0.1 · 2 + 0.1 · 6
    0.8...
    >>> scheme.outlook_tasks()
    tensor([0., 1.])
    >>> scheme.after_outlook(torch.tensor([-0.5, 0.25]))  # more of a lowers the validation loss, more of b raises it
    >>> scheme.lambda_T.grad
    tensor([-0.5000,  0.2500], dtype=torch.float64)
    """

    title = "Auto-λ"
    asks = "losses"
    paper = Paper(
        "Liu, James, Davison, Johns",
        2022,
        "Auto-Lambda: Disentangling Dynamic Task Relationships",
        "https://arxiv.org/abs/2202.03091",
    )
    formula = (
        r"\mathcal{L} = \sum_{i=1}^{T} \lambda_i\,\ell_i, \qquad "
        r"\frac{\partial}{\partial \lambda_i} \sum_{j \in \mathrm{primary}} \ell_j^{\mathrm{val}}(\theta') "
        r"= -\alpha\, \nabla \ell^{\mathrm{val}}(\theta') \cdot g_i, \qquad \theta' = \theta - \alpha \sum_i \lambda_i g_i"
    )
    published_scale = "sum"
    published_heads = "weighted"
    passes = "2 + three forwards"  # one more forward and backward on validation data, two forwards for the finite difference
    looks_ahead = True
    helps = "When one task is what you care about and the others may help it: weights show which do, and when they stop."
    hurts = (
        "With little validation data or short runs: λ moves slowly, by the noise of one batch, at nearly three times the cost."
    )
    departs = (
        "λ is kept at 0 or above; the authors' code lets weights turn negative. The authors draw the second batch from the "
        "training set again and move λ by Adam; here it comes from the validation set, and the run's own optimiser moves λ."
    )
    Knobs = AutoLambdaKnobs

    knobs: AutoLambdaKnobs

    def __init__(self, knobs: AutoLambdaKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        self.lambda_T = nn.Parameter(torch.full((self.n_tasks,), knobs.init, dtype=torch.float64))

    @classmethod
    def check(cls, knobs: AutoLambdaKnobs, tasks: Sequence[str]) -> None:
        if knobs.primary is None:
            return
        if not knobs.primary:
            raise ValueError(f"auto_lambda: no task is primary: name one or more of {', '.join(tasks)}, or leave primary empty")
        unknown = [name for name in knobs.primary if name not in tasks]
        if unknown:
            raise ValueError("; ".join(no_such("task of auto_lambda's primary", name, tasks) for name in unknown))

    @classmethod
    def trunk_passes(cls, knobs: Any, n_tasks: int) -> float:
        return 3.5  # two backward passes and three forward ones

    def objective(self, losses_T: Tensor) -> Tensor:
        # detached: descending the training loss would send every λ to 0; only the outlook moves them
        return (self.lambda_T.detach()[self.active].to(losses_T) * losses_T).sum()

    def outlook_tasks(self) -> Tensor:
        primary = self.setting.tasks if self.knobs.primary is None else self.knobs.primary
        return torch.tensor([float(task in primary) for task in self.setting.tasks])

    def after_outlook(self, slopes_T: Tensor) -> None:
        slopes = torch.zeros_like(self.lambda_T)
        slopes[self.active] = slopes_T.detach().to(slopes)
        self.lambda_T.grad = slopes

    def after_step(self, losses_T: Tensor) -> None:
        with torch.no_grad():
            self.lambda_T.clamp_(min=0.0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.lambda_T], "lr": self.knobs.lr, "weight_decay": 0.0}]
