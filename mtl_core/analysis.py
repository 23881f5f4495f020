"""What the Gramians say about conflict: lengths, cosines, who pulls against whom, and how much of it is batch noise.

Legend: T tasks, S shared stages, two half-batches a and b. A Gramian [..., 2T, 2T] holds inner products of gradients; row
h·T + t is task t on half h. Every function takes any number of leading axes (steps, stages), computes in float64, and gives
NaN where a quantity does not exist (a gradient of length zero has no direction, a task without labels has no gradient).

**Which cosine to set against the noise floor.** The *full* cosine compares two tasks on the same whole batch; it is what papers
plot. The noise floor compares a task with itself on two *different* halves. The full cosine is not like for like with it: it
uses twice the samples, and two tasks on the same samples share their noise. The *cross* cosine compares task i on one half with
task j on the other, so for i = j it is the noise floor and for i ≠ j its fair counterpart. Figures show the cross cosine and
give the full one in the tooltip.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtl_core import solvers

Floats = NDArray[np.float64]
FLOAT32_EPS = float(np.finfo(np.float32).eps)  # the rounding error of stored Gramians


def over_stages(gramian: ArrayLike) -> Floats:
    """Sum Gramians [..., S, K, K] over the stages: inner products of the gradients on all shared parameters, [..., K, K]."""
    summed: Floats = np.asarray(gramian, dtype=np.float64).sum(axis=-3)
    return summed


def full_gramian(gramian: ArrayLike, counts: ArrayLike) -> Floats:
    """Inner products [..., S, T, T] of the whole-batch gradients, each the mean of its halves weighted by labelled samples.

    Args:
        gramian: [..., S, 2T, 2T].
        counts: labelled samples [..., 2, T]. A half without labels drops out; NaN for a task without any.

    >>> full_gramian([[[1.0, 0.0], [0.0, 4.0]]], [[1.0], [1.0]])  # g_a = (1, 0), g_b = (0, 2): the mean is (1/2, 1)
    array([[[1.25]]])
    """
    halves = _by_half(gramian)
    n_HT = np.asarray(counts, dtype=np.float64)
    share = _divide(n_HT, n_HT.sum(axis=-2, keepdims=True))[..., None, :, :]  # [..., 1, 2, T]: the same in every stage
    total = np.zeros((*halves.shape[:-4], *_tasks_of(halves)))
    for h in range(2):
        for k in range(2):
            weight = share[..., h, :, None] * share[..., k, None, :]
            with np.errstate(invalid="ignore"):
                # an unlabelled half may hold anything, NaN included: with weight zero it counts as nothing
                total = total + np.where(weight == 0, 0.0, weight * halves[..., h, :, k, :])
    return total


def norms(gramian: ArrayLike) -> Floats:
    """Lengths [..., K] of the gradients behind a Gramian [..., K, K]."""
    squares = np.diagonal(np.asarray(gramian, dtype=np.float64), axis1=-2, axis2=-1)
    return np.sqrt(np.maximum(squares, 0.0))  # rounding may leave −1e-12


def cosines(gramian: ArrayLike) -> Floats:
    """Cosine of each pair [..., K, K]; NaN where a gradient is zero.

    >>> cosines([[4.0, -3.0], [-3.0, 9.0]])
    array([[ 1. , -0.5],
           [-0.5,  1. ]])
    """
    gram = np.asarray(gramian, dtype=np.float64)
    lengths = norms(gram)
    return _cosine(gram, lengths, lengths)


def cross_cosines(gramian: ArrayLike, counts: ArrayLike | None = None) -> Floats:
    """Cosine of task i on one half with task j on the other, [..., T, T]; the diagonal is the noise floor.

    The mean of the two ways round (i on a with j on b, and i on b with j on a), or the one that exists. With ``counts``
    [..., 2, T], a half without labels has no direction. The leading axes of ``counts`` are those of ``gramian`` (give it an axis of 1 for stages).
    """
    halves = _by_half(gramian)
    lengths = norms(np.asarray(gramian, dtype=np.float64)).reshape(*halves.shape[:-4], *halves.shape[-4:-2])
    if counts is not None:
        lengths = np.where(np.asarray(counts) > 0, lengths, np.nan)
    across = _cosine(halves[..., 0, :, 1, :], lengths[..., 0, :], lengths[..., 1, :])
    return mean_over([across, np.swapaxes(across, -1, -2)])


def noise_floor(gramian: ArrayLike, counts: ArrayLike | None = None) -> Floats:
    """Cosine [..., T] of each task with itself across the halves: 1 = batches agree, 0 = a step is all noise."""
    return np.diagonal(cross_cosines(gramian, counts), axis1=-2, axis2=-1)


def denoised_cosines(gramian: ArrayLike, axis: int = 0) -> Floats:
    """The cosine [..., T, T] that would be left with endless batches, from many measured steps along ``axis``.

    Products across the halves have independent noise, so their mean over steps estimates the products of the noise-free
    gradients: Spearman's correction for attenuation (1904). NaN where a task's own mean product is not positive: there is
    nothing but noise to divide by. Far from reliable for a handful of steps; clipped to −1..1.
    """
    across = mean_over(_by_half(gramian)[..., 0, :, 1, :], axis)
    across = (across + np.swapaxes(across, -1, -2)) / 2
    own = np.diagonal(across, axis1=-2, axis2=-1)
    lengths = np.sqrt(np.where(own > 0, own, np.nan))
    return _cosine(across, lengths, lengths)


def magnitude_similarity(gramian: ArrayLike) -> Floats:
    """2‖a‖‖b‖ / (‖a‖² + ‖b‖²) of each pair [..., K, K]: 1 = equally long (Yu et al. 2020); NaN where both are zero.

    >>> round(float(magnitude_similarity([[1.0, -0.5], [-0.5, 1.25]])[0, 1]), 4)
    0.9938
    """
    lengths = norms(gramian)
    a, b = lengths[..., :, None], lengths[..., None, :]
    ratio = _divide(np.minimum(a, b), np.maximum(a, b))  # r = shorter / longer, so that no square overflows
    return 2 * ratio / (1 + ratio**2)


def curvature_measure(gramian: ArrayLike) -> Floats:
    """(1 − cos²)‖a − b‖² / ‖a + b‖² of each pair [..., K, K], the multi-task curvature bounding measure ξ (Yu et al. 2020).

    How curved the loss must be, as a share of its largest curvature, for gradient surgery to be sure to help: above 1 no
    curvature is enough. NaN where a gradient is zero or two cancel out.

    >>> round(float(curvature_measure([[1.0, -0.5], [-0.5, 1.25]])[0, 1]), 2)
    2.08
    """
    lengths, cosine = norms(gramian), cosines(gramian)
    a, b = lengths[..., :, None], lengths[..., None, :]
    ratio = _divide(np.minimum(a, b), np.maximum(a, b))  # so that no square overflows
    with np.errstate(invalid="ignore"):
        apart, together = (1 + ratio**2 + sign * 2 * ratio * cosine for sign in (-1, 1))
        return (1 - cosine**2) * _divide(apart, np.maximum(together, 0.0))


def min_norm(gramian: ArrayLike) -> Floats:
    """min ‖Σ wᵢgᵢ‖ over w ≥ 0 with Σ wᵢ = 1, [...] from Gramians [..., K, K]: zero at a Pareto-stationary point.

    There no step helps all tasks at once (Désidéri 2012; Sener & Koltun 2018). Tasks without a gradient (NaN) are left out;
    NaN if none is left.

    >>> min_norm([[[1.0, 0.0], [0.0, 1.0]], [[1.0, -1.0], [-1.0, 1.0]]]).round(4)
    array([0.7071, 0.    ])
    """
    return _of_each(gramian, _min_norm)


def condition_number(gramian: ArrayLike) -> Floats:
    """σ_max / σ_min of the gradients' matrix J over its σ > 0, [...] from Gramians JJᵀ [..., K, K] (Senushkin et al. 2023).

    1 = at right angles and equally long. Values of σ that a float32 Gramian cannot tell from zero count as zero. NaN if all are.
    """
    return _of_each(gramian, _condition_number)


def _of_each(gramian: ArrayLike, measure: Callable[[bytes, int], float]) -> Floats:
    """A number for each matrix, made of the tasks that have a gradient."""
    gram = np.asarray(gramian, dtype=np.float64)
    answers = np.full(gram.shape[:-2], np.nan)
    for place in np.ndindex(answers.shape):
        is_known = np.isfinite(np.diagonal(gram[place]))
        known = np.ascontiguousarray(gram[place][np.ix_(is_known, is_known)])
        if known.size and np.isfinite(known).all():
            answers[place] = measure(known.tobytes(), len(known))
    return answers


@lru_cache(maxsize=4096)  # a page that ticks asks for the same steps again and again
def _min_norm(gram: bytes, n_tasks: int) -> float:
    points = solvers.vectors(np.frombuffer(gram).reshape(n_tasks, n_tasks), FLOAT32_EPS)
    return float(np.linalg.norm(solvers.nearest(points) @ points)) if points.size else 0.0


@lru_cache(maxsize=8192)
def _condition_number(gram: bytes, n_tasks: int) -> float:
    spectrum = np.linalg.eigvalsh(np.frombuffer(gram).reshape(n_tasks, n_tasks))
    kept = spectrum[spectrum > solvers.resolution(n_tasks, FLOAT32_EPS) ** 2 * spectrum[-1]]
    return (
        float(np.sqrt(kept[-1] / kept[0])) if len(kept) and kept[0] > 0 else float("nan")
    )  # sqrt: the spectrum is that of JJᵀ


def conflict_fraction(cosine: ArrayLike) -> Floats:
    """Share [...] of the pairs of a cosine matrix [..., K, K] below zero; NaN if no pair has a cosine."""
    return _share_below_zero(upper(cosine))


def floor_conflict_fraction(cross: ArrayLike) -> Floats:
    """Share [...] of tasks that "conflict" with themselves across the halves: what noise alone makes of the same question."""
    return _share_below_zero(np.diagonal(np.asarray(cross, dtype=np.float64), axis1=-2, axis2=-1))


def upper(matrix: ArrayLike) -> Floats:
    """The pairs i < j of matrices [..., K, K] as [..., K(K−1)/2], row by row."""
    values = np.asarray(matrix, dtype=np.float64)
    i, j = np.triu_indices(values.shape[-1], k=1)
    pairs: Floats = values[..., i, j]
    return pairs


def mean_over(values: ArrayLike, axis: int = 0) -> Floats:
    """Mean along an axis, leaving NaN out; NaN where nothing is left."""
    numbers = np.asarray(values, dtype=np.float64)
    there = np.isfinite(numbers)
    return _divide(np.where(there, numbers, 0.0).sum(axis=axis), there.sum(axis=axis))


def _share_below_zero(values: Floats) -> Floats:
    known = np.isfinite(values)
    return _divide((known & (values < 0)).sum(axis=-1), known.sum(axis=-1))


def _cosine(products: Floats, left: Floats, right: Floats) -> Floats:
    """Inner products [..., K, K] over the lengths of both sides, [..., K] each."""
    with np.errstate(all="ignore"):
        lengths = left[..., :, None] * right[..., None, :]
    # clip: rounding may leave 1 + 1e-7
    cosine: Floats = np.clip(_divide(products, lengths), -1.0, 1.0)
    return cosine


def _by_half(gramian: ArrayLike) -> Floats:
    """[..., 2T, 2T] as [..., 2, T, 2, T]."""
    gram = np.asarray(gramian, dtype=np.float64)
    n_tasks = gram.shape[-1] // 2
    assert gram.shape[-2:] == (2 * n_tasks, 2 * n_tasks), f"a Gramian is [..., 2T, 2T], got {gram.shape}"
    return gram.reshape(*gram.shape[:-2], 2, n_tasks, 2, n_tasks)


def _tasks_of(halves: Floats) -> tuple[int, int]:
    return halves.shape[-3], halves.shape[-1]


def _divide(a: ArrayLike, b: ArrayLike) -> Floats:
    """a / b, NaN where b is zero or NaN."""
    top, bottom = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    with np.errstate(all="ignore"):  # infinite over infinite is NaN and needs no warning
        ratio: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
    return ratio
