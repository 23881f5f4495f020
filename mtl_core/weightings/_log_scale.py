"""The learned logarithm of a factor per task, kept where its exponential stays finite."""

from __future__ import annotations

import torch
from torch import nn

BOUND = 23.0  # |s| ≤ 23: factors from 1e-10 to 1e10; beyond, exp(±s) would overflow on a loss that stays at 0


def keep_bounded(log_scale_T: nn.Parameter) -> None:
    """Bring s [T] back into −23..23 after an optimiser step.

    >>> s = nn.Parameter(torch.tensor([-40.0, 1.0]))
    >>> keep_bounded(s)
    >>> s.tolist()
    [-23.0, 1.0]
    """
    with torch.no_grad():
        log_scale_T.clamp_(-BOUND, BOUND)
