"""Exact answers to the small problems behind several schemes and figures, from inner products alone. Numpy only.

Gradients may differ by many orders of magnitude, so every step works on unit vectors and keeps the lengths apart.
Legend: T tasks, R ≤ T dimensions that the gradients span.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def vectors(gram: Array, eps: float) -> Array:
    """Vectors [T, R] with these inner products: the gradients up to a rotation, each to full relative accuracy.

    Directions that lie below the rounding error of the inner products are dropped.

    >>> v = vectors(np.array([[1e-20, 0.0], [0.0, 1e20]]), 2.2e-16)
    >>> np.linalg.norm(v, axis=1)
    array([1.e-10, 1.e+10])
    """
    norms = np.sqrt(np.maximum(gram.diagonal(), 0.0))  # sqrt: the diagonal holds squared lengths
    safe = np.where(norms > 0, norms, 1.0)
    spectrum, axes = np.linalg.eigh(gram / safe[:, None] / safe[None, :])
    is_kept = spectrum > resolution(len(gram), eps) ** 2 * spectrum[-1]
    rows: Array = norms[:, None] * axes[:, is_kept] * np.sqrt(spectrum[is_kept])
    return rows


def resolution(n_tasks: int, eps: float) -> float:
    """The relative length below which inner products with rounding error ``eps`` cannot tell a vector from zero."""
    return float(np.sqrt(4 * n_tasks * eps))  # sqrt: inner products hold squared lengths


def nearest(points: Array) -> Array:
    """Weights [T] ≥ 0 with sum 1 of the point of the convex hull of ``points`` [T, R] that lies nearest to the origin.

    Exact for any T: the problem is non-negative least squares on unit vectors (Lawson and Hanson, 1974, chapter 23). Weights
    that are zero are exactly zero. Points at the origin share the whole weight.

    >>> nearest(np.array([[1.0, 0.0], [3.0, 1.0]]))
    array([1., 0.])
    """
    norms = np.linalg.norm(points, axis=1)
    if norms.min() <= 0:
        at_origin: Array = np.asarray(norms <= 0, dtype=np.float64)
        at_origin /= at_origin.sum()
        return at_origin
    if len(points) == 2:
        return _nearest_of_two(points, norms)
    shares = norms.min() / norms  # u = w·norm: Σ w = 1 becomes shares · u = const
    columns = np.vstack([(points / norms[:, None]).T, shares])
    target = np.zeros(len(columns))
    target[-1] = 1.0
    weights = non_negative_least_squares(columns, target) * shares
    total: Array = weights / weights.sum()
    return total


def _nearest_of_two(points: Array, norms: Array) -> Array:
    """The closed form, on unit vectors times their lengths: the shorter point's share of the longer one's weight."""
    short, long = (0, 1) if norms[0] <= norms[1] else (1, 0)
    ratio = norms[short] / norms[long]
    cosine = float(points[short] @ points[long]) / norms[short] / norms[long]
    to_long = max(ratio - cosine, 0.0) * ratio  # |short|² − short·long, over |long|²
    to_short = 1.0 - cosine * ratio
    weights = np.zeros(2)
    total = to_long + to_short
    weights[[short, long]] = (0.5, 0.5) if total <= 0 else (to_short / total, to_long / total)  # one and the same point
    return weights


def least_lift(points: Array, step: Array) -> Array:
    """Weights [T] ≥ 0 of the shortest change of ``step`` [R] after which it goes against none of ``points`` [T, R].

    >>> least_lift(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([-1.0, 3.0]))
    array([0.5, 0. ])
    """
    norms = np.linalg.norm(points, axis=1)
    safe = np.where(norms > 0, norms, 1.0)
    lift: Array = non_negative_least_squares((points / safe[:, None]).T, -step) / safe
    return lift


def non_negative_least_squares(columns: Array, target: Array) -> Array:
    """x ≥ 0 [T] with the least |columns x − target|; columns [D, T] of length about 1 (Lawson and Hanson, 1974)."""
    n = columns.shape[1]
    x = np.zeros(n)
    is_free = np.zeros(n, dtype=bool)  # free: above zero; the others sit at zero
    is_barred = np.zeros(n, dtype=bool)  # would leave zero downwards: rounding, not descent
    for _ in range(10 * n):
        residual = target - columns @ x
        length = float(np.linalg.norm(residual))
        slope = columns.T @ residual
        slope[is_free | is_barred] = -np.inf
        entering = int(slope.argmax())
        noise = 1e-13 * length + 1e-15 * float(np.abs(x).sum())
        if length <= 1e-13 * float(np.linalg.norm(target)) or slope[entering] <= noise:
            break
        is_free[entering] = True
        is_entered = _settle(columns, target, x, is_free, entering)
        is_barred[:] = is_barred & (not is_entered)
        is_barred[entering] = not is_entered
    return x


def _settle(columns: Array, target: Array, x: Array, is_free: NDArray[np.bool_], entering: int) -> bool:
    """Least squares over the free columns, dropping those that would turn negative; changes x and is_free in place."""
    is_first = True
    while True:
        best = np.zeros_like(x)
        best[is_free] = np.linalg.lstsq(columns[:, is_free], target, rcond=None)[0]
        if is_first and best[entering] <= 0:
            is_free[entering] = False
            return False
        is_first = False
        is_bad = is_free & (best <= 0)
        if not is_bad.any():
            x[:] = best
            return True
        reach = np.min(x[is_bad] / (x[is_bad] - best[is_bad]))  # how far towards best before the first one meets zero
        x += reach * (best - x)
        is_free &= ~(is_bad & (x <= 1e-15 * np.abs(x).max()))
        x[~is_free] = 0.0


def share_alike(weights: Array, gram: Array) -> Array:
    """The same step, with weights averaged over tasks whose gradients are equal: who pulls alike counts alike.

    >>> share_alike(np.array([1.0, 0.0, 2.0]), np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    array([0.5, 0.5, 2. ])
    """
    squares = gram.diagonal()
    is_same = squares[:, None] + squares[None, :] - 2 * gram <= 0  # squared distances
    first = is_same.argmax(axis=1)  # the first task that pulls like this one
    sums = np.bincount(first, weights, minlength=len(gram))
    shared: Array = (sums / np.maximum(np.bincount(first, minlength=len(gram)), 1))[first]
    return shared
