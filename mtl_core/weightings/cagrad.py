"""CAGrad: near the mean gradient, the step that serves the worst-off task best."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting
from mtl_core.weightings._simplex import Array, least_lift, nearest, on_host, resolution, share_alike, vectors


class CAGradKnobs(GramianKnobs):
    c: float = Field(
        0.4,
        ge=0,
        le=10,
        title="Radius c",
        description="How far the step may leave the mean gradient, as a share of its length: 0 is the mean, large is MGDA. "
        "Below 1 it still ends where equal weights would. Paper: 0.4 on NYUv2, 0.2 on Cityscapes.",
    )


@WEIGHTINGS.register
class CAGrad(Weighting):
    """Stay near the mean gradient, but lean as far as allowed towards the task that would otherwise gain least.

    In the ball |d − g₀| ≤ c|g₀| around the mean gradient g₀, d maximises minᵢ gᵢ · d. Where no step in the ball helps the
    worst-off task (a Pareto-stationary point), d is the one nearest to g₀ that harms no task.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = CAGrad(CAGrad.Knobs(c=0.5), Setting(("a", "b"), (10, 10)))
    >>> gram_TT = torch.tensor([[1.0, -0.5], [-0.5, 1.25]])
    >>> w = scheme.weights(gram_TT, torch.ones(2))  # of g₁ = (1, 0), g₂ = (−½, 1)
    >>> w[0] * torch.tensor([1.0, 0.0]) + w[1] * torch.tensor([-0.5, 1.0])
    tensor([0.4579, 0.6868])
    """

    title = "CAGrad"
    asks = "gramian"
    paper = Paper(
        "Liu, Liu, Jin, Stone, Liu",
        2021,
        "Conflict-Averse Gradient Descent for Multi-Task Learning",
        "https://arxiv.org/abs/2110.14048",
    )
    formula = (
        r"d = g_0 + c\lVert g_0\rVert \frac{g_w}{\lVert g_w\rVert}, \qquad "
        r"w = \arg\min_{w \ge 0,\; \sum w_i = 1} g_w \cdot g_0 + c\lVert g_0\rVert\,\lVert g_w\rVert"
    )
    published_scale = "mean"
    published_heads = "unit"
    helps = "When the mean step tramples one task: a good all-rounder, since it keeps the goal of equal weights for c < 1."
    hurts = "When one gradient is mostly noise: the worst-off task steers the step, and the step is longer than the mean's."
    departs = (
        "Solved exactly, and no rescaling, as in the paper; public code divides by 1 + c² or 1 + c. The paper leaves the step open "
        "where g_w = 0. A single task keeps its gradient (the formula would lengthen it by 1 + c)."
    )
    Knobs = CAGradKnobs

    knobs: CAGradKnobs

    def weights(self, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        return on_host(gram_TT, self._conflict_averse)

    def _conflict_averse(self, gram: Array, eps: float) -> Array:
        n_tasks = len(gram)
        mean = np.full(n_tasks, 1.0 / n_tasks)
        is_nil = gram.sum() <= 4 * n_tasks * eps * np.trace(gram)  # the mean gradient is zero: nothing to stay near
        if n_tasks == 1 or is_nil or self.knobs.c == 0:
            return mean
        points = vectors(gram, eps)
        g0 = points.mean(axis=0)
        radius = self.knobs.c * float(np.linalg.norm(g0))
        lean = _least_lean(points, g0, radius) if _is_stationary(points, resolution(n_tasks, eps)) else None
        if lean is None:
            weights = _balance(points, g0, radius)
            lean = radius / np.linalg.norm(weights @ points) * weights
        return mean + share_alike(lean, gram)


def _is_stationary(points: Array, smallest: float) -> bool:
    """Whether the origin lies in the convex hull, as far as one can tell: no step helps all tasks."""
    weights = nearest(points)
    return bool(np.linalg.norm(weights @ points) <= smallest * (weights @ np.linalg.norm(points, axis=1)))


def _least_lean(points: Array, g0: Array, radius: float) -> Array | None:
    """The weights λ ≥ 0 of the shortest change λᵀJ of g₀ after which no task is harmed; None if it leaves the ball."""
    weights = least_lift(points, g0)
    return weights if np.linalg.norm(weights @ points) <= radius else None


def _balance(points: Array, g0: Array, radius: float) -> Array:
    """The w of the formula, with radius = c|g₀|.

    |x| = min over s > 0 of |x|²/2s + s/2 turns the problem, with s = radius·σ, into a nearest-point problem for each σ: the
    points pᵢ + σg₀. Its g_w is right where |g_w| = radius·σ, and |g_w|/σ falls as σ grows. While the face of the simplex stays
    the same, g_w = m − σΠg₀ (Π projects onto the face's directions, m ⟂ them), which gives σ in closed form.
    """
    low, high = 0.0, np.inf
    sigma = float(np.linalg.norm(g0)) / radius
    for _ in range(100):  # 3 to 6 as a rule; halving takes over where rounding blurs the closed form
        weights = nearest(points + sigma * g0)
        pull = weights @ points
        length = float(np.linalg.norm(pull))
        if abs(length - radius * sigma) <= 1e-13 * length or high - low <= 1e-13 * low:
            break
        low, high = (sigma, high) if length > radius * sigma else (low, sigma)
        along = _onto_face(points[weights > 0], g0)
        slack = radius**2 - float(along @ along)
        guess = float(np.linalg.norm(pull + sigma * along)) / np.sqrt(slack) if slack > 0 else np.inf
        if not low < guess < high:
            guess = 4 * low if high == np.inf else high / 4 if low == 0 else float(np.sqrt(low * high))
        sigma = guess
    return weights


def _onto_face(corners: Array, g0: Array) -> Array:
    """The part of g₀ along the face with these corners."""
    corners = corners[np.linalg.norm(corners, axis=1).argsort()]
    edges = corners[1:] - corners[0]  # from the shortest corner: long ones would swallow it
    lengths = np.linalg.norm(edges, axis=1, keepdims=True)
    basis = np.linalg.qr((edges / np.where(lengths > 0, lengths, 1.0)).T)[0]
    along: Array = basis @ (basis.T @ g0)
    return along
