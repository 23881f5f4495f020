"""Weights by data size: a task counts as much as it has labelled examples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Paper, Setting, Weighting, WeightingKnobs
from mtl_core.weightings._checks import check_one_per_task


class DataSizeKnobs(WeightingKnobs):
    tau: float = Field(
        1.0,
        ge=0,
        le=5,
        title="Exponent τ",
        description="1: in proportion to the examples, as if they were drawn from one pool; 0: all tasks equal; between: softer.",
    )
    sizes: list[float] | None = Field(
        None,
        title="Sizes",
        description="Examples per task, in the tasks' order, instead of the data set's own count of labelled training examples.",
    )


@WEIGHTINGS.register
class DataSize(Weighting):
    """A task with more labelled examples counts more.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = DataSize(DataSize.Knobs(tau=0.5), Setting(("a", "b"), (900, 100)))  # √900 : √100 = 3 : 1
    >>> scheme.objective(torch.tensor([4.0, 8.0]))  # ¾ · 4 + ¼ · 8
    tensor(5.)
    """

    title = "By data size"
    asks = "losses"
    paper = Paper(
        "Arivazhagan, Bapna, Firat et al.",
        2019,
        "Massively Multilingual Neural Machine Translation in the Wild: Findings and Challenges",
        "https://arxiv.org/abs/1907.05019",
    )
    formula = r"w_i = \frac{n_i^{\tau}}{\sum_{j=1}^{T} n_j^{\tau}}"
    published_scale = "mean"
    published_heads = "weighted"
    helps = "When tasks have very different numbers of labels: with τ = 1 every labelled example counts the same."
    hurts = "The rare task, which may be the one you care about: lower τ, or weigh by hand."
    departs = (
        "Paper: batches are drawn with these shares (τ = 1/temperature). Here: the losses are weighed, the same on average as "
        "long as every batch holds some labels of each task; a task that many batches lack counts for less."
    )
    Knobs = DataSizeKnobs

    shares_T: Tensor

    def __init__(self, knobs: DataSizeKnobs, setting: Setting) -> None:
        super().__init__(knobs, setting)
        sizes_T = torch.tensor(setting.sizes if knobs.sizes is None else knobs.sizes, dtype=torch.float64)
        if not sizes_T.any():
            sizes_T = torch.ones_like(sizes_T)  # nothing is labelled: an equal share each
        powers_T = (sizes_T / sizes_T.max()) ** knobs.tau  # relative to the largest: no power overflows
        self.register_buffer("shares_T", powers_T / powers_T.sum(), persistent=False)

    @classmethod
    def check(cls, knobs: DataSizeKnobs, tasks: Sequence[str]) -> None:
        if knobs.sizes is not None:
            check_one_per_task("data_size", "size", knobs.sizes, tasks)

    def objective(self, losses_T: Tensor) -> Tensor:
        return (self.shares_T[self.active].to(losses_T) * losses_T).sum()
