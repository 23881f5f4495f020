"""The way from a Gramian on any device to the exact solvers on the CPU and back.

All work is float64 on the CPU: T is small, so one transfer and numpy beat a chain of tiny kernels. The solvers themselves lie in
``mtl_core.solvers``, free of torch; schemes import them from here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mtl_core.solvers import Array, least_lift, nearest, non_negative_least_squares, resolution, share_alike, vectors

__all__ = ["Array", "least_lift", "nearest", "non_negative_least_squares", "on_host", "resolution", "share_alike", "vectors"]


def on_host(gram_TT: Tensor, answer: Callable[[Array, float], Array]) -> Tensor:
    """Ask ``answer(gram in float64, rounding error of the incoming dtype)`` and bring its weights back where gram came from.

    A Gramian that is not finite gets NaN weights: the run has diverged, and the trainer says so.
    """
    gram = gram_TT.detach().to("cpu", torch.float64).numpy()
    if not np.isfinite(gram).all():
        return torch.full_like(gram_TT[0], torch.nan)
    weights = answer((gram + gram.T) / 2, torch.finfo(gram_TT.dtype).eps)
    return torch.from_numpy(weights).to(gram_TT)
