"""Which step's weights are kept: the validation score, the best so far, and patience."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn


class Selection:
    """Keeps a copy of the network at its best validation.

    The score is the mean over tasks of the validation loss as a share of the first validation's: 1 at the start, lower is better.

    Args:
        patience: validations without a better one before the run may end early; 0 = never.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.baseline: dict[str, float] = {}
        self.best: dict[str, Any] = {"score": float("inf"), "step": -1, "model": None}
        self.n_worse = 0

    def judge(self, losses: dict[str, float], step: int, model: nn.Module) -> float:
        """The score of these validation losses by task; the network is kept if none was better."""
        if not self.baseline:
            self.baseline = losses
        ratios = [loss / self.baseline[name] for name, loss in losses.items() if self.baseline[name] > 0]
        score = float(np.mean(ratios)) if ratios else float("nan")
        if score < self.best["score"] or self.best["model"] is None:
            self.best = {"score": score, "step": step, "model": snapshot(model)}
            self.n_worse = 0
        else:
            self.n_worse += 1
        return score

    @property
    def has_lost_patience(self) -> bool:
        """Whether there were too many validations in a row without a better one."""
        return 0 < self.patience <= self.n_worse

    def state_dict(self) -> dict[str, Any]:
        """Everything the next judgement depends on."""
        return {"baseline": self.baseline, "best": self.best, "n_worse": self.n_worse}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where ``state_dict`` was taken; other keys are left alone."""
        self.baseline, self.best, self.n_worse = dict(state["baseline"]), dict(state["best"]), int(state["n_worse"])


def snapshot(model: nn.Module) -> dict[str, Any]:
    """A copy of the network's state."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}
