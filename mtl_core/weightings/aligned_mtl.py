"""Aligned-MTL: the gradients' principal axes are made equally long before the gradients are summed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._simplex import Array, on_host, vectors


class AlignedMTLKnobs(GramianKnobs):
    mode: Literal["min", "median", "rmse"] = Field(
        "min",
        title="Common length",
        description="Which length the axes take: that of the shortest (min, the paper), of the lower median, or their root mean "
        "square.",
    )


@WEIGHTINGS.register
class AlignedMTL(Weighting):
    """Replace the gradients by the nearest ones that are at right angles and equally long, and sum those.

    With the Gramian's eigenvectors V and eigenvalues Λ. The new gradients neither overrun nor oppose one another.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = AlignedMTL(AlignedMTL.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 4.0]]), torch.ones(2))  # both as long as the shorter
    tensor([1.0000, 0.5000])
    """

    title = "Aligned-MTL"
    asks = "gramian"
    paper = Paper(
        "Senushkin, Patakin, Kuznetsov, Konushin",
        2023,
        "Independent Component Alignment for Multi-Task Learning",
        "https://arxiv.org/abs/2305.19000",
    )
    formula = r"w = \sqrt{\lambda_{\min}}\; V \Lambda^{-1/2} V^{\top} \mathbf{1}, \qquad G = V \Lambda V^{\top}"
    published_scale = "sum"
    published_heads = "unit"
    helps = "When gradients conflict and differ in length: every independent direction counts the same, so none dominates."
    hurts = (
        "With mode min when two tasks nearly agree or one gradient is short: the shortest axis sets the length of the step. A long "
        "gradient that opposes a short one still wins: the step may go against the short one."
    )
    departs = (
        "Sums over tasks, as the authors' code; torchjd takes the mean. Axes of length zero, in rounding, are left out: what "
        "remains of dependent gradients is aligned, and cannot all be at right angles. The rank is decided on the gradients' cosines, "
        "so that a short gradient still counts; public code decides on G, and LibMTL's calls a function that torch has dropped."
    )
    Knobs = AlignedMTLKnobs

    knobs: AlignedMTLKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        gram, eps, mode = gram_TT.detach().double(), torch.finfo(gram_TT.dtype).eps, self.knobs.mode
        weights = _of_two(gram, eps, mode) if len(gram) == 2 else on_host(gram, lambda host, _: _aligned(host, eps, mode))
        return weights.to(gram_TT.dtype)


def _of_two(gram: Tensor, eps: float, mode: str) -> Tensor:
    """The closed form, without leaving the device: for T = 2, √G = (G + √det G · I) / √(tr G + 2√det G)."""
    trace = gram.trace()
    gram = gram / torch.where(trace == 0, 1.0, trace)  # eigenvalues now sum to 1
    squares, inner = gram.diagonal(), gram[0, 1]
    norms = squares.sqrt()
    product = norms.prod()
    cosine = torch.where(product == 0, 1.0, (inner / product).clamp(-1.0, 1.0))
    axis = torch.stack([norms[0], torch.where(inner < 0, -norms[1], norms[1])])  # the only one where one gradient spans both
    root = product * ((1 - cosine) * (1 + cosine)).sqrt()  # of the determinant
    longest = (1 + ((squares[0] - squares[1]) ** 2 + 4 * inner**2).sqrt()) / 2  # the larger eigenvalue; the other: det / it
    common = (
        (longest / 2).sqrt() / root if mode == "rmse" else 1.0
    )  # √(mean / smaller): of two, the lower median is the smaller
    weights = common * (squares.flip(0) - inner + root) / ((1 + 2 * root) * longest).sqrt()
    is_flat = 1 - cosine.abs() <= 8 * eps * (1 + cosine.abs())  # as on the host: the shorter axis is rounding
    return torch.where(is_flat, axis * axis.sum(), weights) + 0.0 * gram.sum()  # what is not finite shows


def _aligned(gram: Array, eps: float, mode: str) -> Array:
    order = np.argsort(
        -gram.diagonal(), kind="stable"
    )  # longest first: the SVD then finds the shortest axis as exactly as the others
    axes, lengths, _ = np.linalg.svd(vectors(gram, eps)[order], full_matrices=False)  # not of G, which would square the lengths
    axes, lengths = axes[:, lengths > 0], lengths[lengths > 0]
    weights = np.zeros(len(gram))
    if len(lengths):
        common = {"min": lengths[-1], "median": lengths[len(lengths) // 2], "rmse": np.sqrt(np.mean(lengths**2))}[mode]
        weights[order] = axes @ ((common / lengths) * axes.sum(axis=0))
    return np.where(gram.diagonal() > 0, weights, 0.0)  # a task that does not pull: exactly 0, not rounding
