"""Weights under which each task's gain is set by its weight alone: what Nash-MTL and FairGrad solve.

Legend: T tasks, R ≤ T dimensions that the gradients span, y = Gw gains per task.
"""

from __future__ import annotations

import numpy as np

from mtl_core.weightings._simplex import Array, nearest, resolution, vectors

LEAST = 1e-250  # no weight falls below this share of the first guess: for large alpha they would underflow


def fair_weights(gram: Array, eps: float, alpha: float) -> Array:
    """The w > 0 [T] with (Gw)ᵢ = wᵢ^(−1/α), for any α > 0 and gradients of any lengths; α = 1 is Gw = 1/w.

    A gradient of zero gets weight 0 and the others are solved without it. If the origin lies in the convex hull of the
    gradients, no such w exists (no step helps all tasks), and all weights are 0.

    >>> fair_weights(np.diag([1.0, 16.0]), 2.2e-16, alpha=1.0)  # 16 w = 1/w
    array([1.  , 0.25])
    >>> fair_weights(np.diag([1.0, 8.0]), 2.2e-16, alpha=2.0)  # 8 w = 1/√w
    array([1.  , 0.25])
    """
    norms = np.sqrt(np.maximum(gram.diagonal(), 0.0))  # sqrt: the diagonal holds squared lengths
    pulls = norms > 0
    weights = np.zeros(len(gram))
    if not pulls.any():
        return weights
    lengths = norms[pulls]
    units = vectors(gram[np.ix_(pulls, pulls)] / lengths[:, None] / lengths[None, :], eps)
    middle = nearest(units) @ units
    if np.linalg.norm(middle) <= resolution(len(units), eps):
        return weights
    longest = lengths.max()  # shorten all gradients by it: the solution grows by a power of it
    power = 1 / alpha
    weights[pulls] = _descend(units, lengths / longest, units @ middle, power) * longest ** (-2 / (1 + power))
    return weights


def _descend(units: Array, lengths: Array, gains: Array, power: float) -> Array:
    """Minimise ½wᵀGw − Σ wᵢ^(1−p)/(1−p) over w > 0, p = 1/α (−Σ log wᵢ for p = 1), whose gradient is Gw − w^(−p).

    The function is strictly convex. Newton steps may raise a weight freely but lower none by more than the share ``most``: on
    the way the curvature then grows by a factor of 1.5 at most, so every step descends by a fixed share of Newton's promise.

    Args:
        units: the gradients' directions [T, R].
        lengths: their lengths [T], at most 1.
        gains: inner products [T] > 0 of the directions with some step that helps all tasks.
    """
    most = 1 - 1.5 ** (-1 / (1 + power))
    gains = lengths * gains
    guesses = (lengths ** (-2 / (1 + power)), np.maximum((gains / gains.min()) ** (-1 / power), LEAST))
    weights = np.minimum(*(_rescaled(units, lengths, guess, power) for guess in guesses))  # rising is quicker than falling
    least = LEAST * weights.max()
    before = np.inf
    for _ in range(1000):  # 5 to 15 as a rule; many where α is large and gradients nearly oppose or overtower each other
        weights = np.maximum(_rescaled(units, lengths, weights, power), least)
        rows = (weights ** ((1 + power) / 2) * lengths)[:, None] * units
        gaps = weights**power * lengths * (units @ (units.T @ (weights * lengths))) - 1  # relative, of Gw = w^(−p)
        roots = weights ** ((1 - power) / 2)
        hessian = rows @ rows.T
        hessian += max(power, 1e-15 * np.trace(hessian)) * np.eye(len(rows))  # far from the goal p alone drowns in rounding
        change = np.linalg.solve(hessian, -roots * gaps) / roots
        weights = np.maximum(weights * (1 + change * min(1.0, most / max(-change.min(), most))), least)
        largest = float(np.abs(change[weights > least]).max(initial=0.0))
        if largest <= 1e-14 or 1e-2 > largest > before / 2:  # solved; or rounding has taken over
            break
        before = largest
    return weights


def _rescaled(units: Array, lengths: Array, weights: Array, power: float) -> Array:
    """The multiple of these weights that minimises the function."""
    step = (weights * lengths) @ units
    best: Array = weights * ((weights ** (1 - power)).sum() / (step @ step)) ** (1 / (1 + power))
    return best
