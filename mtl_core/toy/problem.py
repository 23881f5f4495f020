"""The toy problem itself: two losses on a plane, their gradients, and the curve of best trade-offs.

As in the public code of CAGrad (Liu et al. 2021, https://arxiv.org/abs/2110.14048), Nash-MTL, FAMO and Aligned-MTL. In the upper
half-plane each loss has a narrow valley of a logarithm, in which the other task's gradient is easily overrun; in the lower half
both are parabolas with their minima 14 apart, and between those lies the Pareto set.
Everything is plain floats: numpy and torch cost more than the arithmetic at two parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import cosh, hypot, log, tanh

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLOOR = 5e-6  # below it the logarithms are cut off
REACH = 20.0  # starts lie within ±20: beyond, the problem is nothing but two parabolas
ENDS = (-7.0, 7.0)  # the minima of the two losses in x1, and so the ends of the Pareto set
NEAR = 0.1  # a point this near to the Pareto set counts as on it
PAPER_STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))


def evaluate(x1: float, x2: float) -> tuple[float, float, float, float, float, float]:
    """Both losses and their gradients: ℓ₁, ℓ₂, ∂₁ℓ₁, ∂₂ℓ₁, ∂₁ℓ₂, ∂₂ℓ₂.

    With ℓᵢ = c₁ fᵢ + c₂ qᵢ, where f₁ = log max(|½(−x₁ − 7) − tanh(−x₂)|, 5e-6) + 6, f₂ = log max(|½(−x₁ + 3) + tanh(−x₂) + 2|,
    5e-6) + 6, q₁,₂ = ((x₁ ∓ 7)² + 0.1 (x₂ + 8)²)/10 − 20, c₁ = max(tanh ½x₂, 0), c₂ = max(tanh −½x₂, 0).

    >>> [round(number, 6) for number in evaluate(-8.5, 7.5)]
    [6.552363, 7.900798, -0.285399, 0.007249, -0.073992, 0.008739]
    """
    bend, half = tanh(-x2), tanh(0.5 * x2)
    slope_of_bend = bend * bend - 1.0
    inner_1 = 0.5 * (-x1 - 7.0) - bend
    inner_2 = 0.5 * (-x1 + 3.0) + bend + 2.0  # the CAGrad paper prints −tanh here; its code, and all others, have +
    rate_1 = 1.0 / inner_1 if abs(inner_1) > FLOOR else 0.0
    rate_2 = 1.0 / inner_2 if abs(inner_2) > FLOOR else 0.0
    f1, f2 = log(max(abs(inner_1), FLOOR)) + 6.0, log(max(abs(inner_2), FLOOR)) + 6.0
    down = x2 + 8.0
    q1 = ((x1 - 7.0) * (x1 - 7.0) + 0.1 * down * down) / 10.0 - 20.0
    q2 = ((x1 + 7.0) * (x1 + 7.0) + 0.1 * down * down) / 10.0 - 20.0
    c1, c2 = max(half, 0.0), max(-half, 0.0)
    share = 0.5 if x2 == 0 else 1.0  # max(tanh, 0) on its kink: half of both sides' slope, as torch.maximum has it
    rise = 0.5 * (1.0 - half * half) * share
    rise_1, rise_2 = (rise if x2 >= 0 else 0.0), (-rise if x2 <= 0 else 0.0)
    return (
        c1 * f1 + c2 * q1,
        c1 * f2 + c2 * q2,
        c1 * -0.5 * rate_1 + c2 * (x1 - 7.0) / 5.0,
        c1 * -slope_of_bend * rate_1 + rise_1 * f1 + c2 * 0.02 * down + rise_2 * q1,
        c1 * -0.5 * rate_2 + c2 * (x1 + 7.0) / 5.0,
        c1 * slope_of_bend * rate_2 + rise_1 * f2 + c2 * 0.02 * down + rise_2 * q2,
    )


def front_height(x1: float) -> float:
    """The x₂ of the Pareto set at this x₁ in −7 … 7.

    There some mix w₁∇ℓ₁ + w₂∇ℓ₂ is zero. Its first component gives x₁ = 7 (w₁ − w₂); with that, the second is one equation in
    x₂, solved by iteration. The upper half-plane holds no Pareto point: its losses stay above −6.3, and the set's are lower.

    >>> [round(front_height(x1), 4) for x1 in (-7, -5.7273, 0)]
    [-8.4345, -8.4094, -8.3551]
    """
    balance = 4.9 * (1.0 - (x1 / 7.0) ** 2) - 20.0
    x2 = -8.4
    for _ in range(60):  # each step shrinks the error to less than half
        mean_q = balance + 0.01 * (x2 + 8.0) ** 2
        x2 = -8.0 + 25.0 * mean_q / cosh(0.5 * x2) ** 2 / tanh(-0.5 * x2)
    return x2


def distance_to_front(x1: float, x2: float) -> float:
    """How far a point of the plane is from the Pareto set, measured along x₂ over it and to its ends beside it.

    >>> distance_to_front(7.0, front_height(7.0)), round(distance_to_front(10.0, front_height(7.0) + 4.0), 6)
    (0.0, 5.0)
    """
    nearest = min(max(x1, ENDS[0]), ENDS[1])
    return hypot(x1 - nearest, x2 - front_height(nearest))


def is_on_front(point: Sequence[float]) -> bool:
    """Whether a point is Pareto-optimal up to ``NEAR`` = 0.1 in the plane.

    The set does not depend on how the losses are scaled. Across the curve 0.1 is worth 1e-4 of loss, while the valleys that
    walks get stuck in are more than 8 away.
    """
    return distance_to_front(point[0], point[1]) <= NEAR


@lru_cache(maxsize=1)
def front() -> tuple[Floats, Floats]:
    """The Pareto set in the plane and in losses (unscaled): two arrays [N, 2] from ℓ₂'s minimum to ℓ₁'s."""
    plane = np.array([(x1, front_height(float(x1))) for x1 in np.linspace(*ENDS, 141)])
    losses = np.array([evaluate(x1, x2)[:2] for x1, x2 in plane.tolist()])
    return plane, losses


@lru_cache(maxsize=4)
def surface(n: int = 241, reach: float = 11.0) -> tuple[Floats, Floats, Floats]:
    """Both losses on a grid: n places along each axis [n], ℓ₁ [n, n] and ℓ₂ [n, n], row by x₂ and column by x₁."""
    axis = np.linspace(-reach, reach, n)
    places = axis.tolist()
    values = np.array([[evaluate(x1, x2)[:2] for x1 in places] for x2 in places])
    return axis, values[:, :, 0], values[:, :, 1]
