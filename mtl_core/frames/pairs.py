"""More of what each pair of tasks does: how alike their lengths are, how curved the loss would have to be, early against late.

Legend: N measured steps, T tasks, K pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtl_core import analysis
from mtl_core.frames.conflict import Measured, by_step, mean_from, stretches
from mtl_core.frames.series import Floats, categories, moving_average

N_STRETCHES, IN_EACH = 20, 10  # at most so many points on a curve of shares, each of about so many measurements or more
THIRDS = ("first third", "last third")
EDGES = np.linspace(-1, 1, 21)  # of the histograms' bins
TRIAD = ("conflict", "conflict and a gap in length", "all three")
SIDES = ("tasks", "floor")


def pair_frame(measured: Measured, tasks: Sequence[str], smooth: float = 0.0) -> pd.DataFrame:
    """Each pair's whole-batch gradients: [step, epoch, time, task, other, cosine, similarity, curvature, smooth_similarity, smooth_curvature].

    ``similarity`` of lengths and ``curvature``, the bounding measure, as in ``analysis``. The average of ``curvature`` is that of
    its logarithm: it spans many orders of magnitude.
    """
    i, j = np.triu_indices(len(tasks), k=1)
    full = measured.full
    similarity, curvature = (measure(full)[:, i, j] for measure in (analysis.magnitude_similarity, analysis.curvature_measure))
    with np.errstate(divide="ignore", over="ignore"):
        smooth_curvature = np.exp(moving_average(np.log(curvature), measured.steps, smooth))
    values = {
        "cosine": analysis.cosines(full)[:, i, j],
        "similarity": similarity,
        "curvature": curvature,
        "smooth_similarity": moving_average(similarity, measured.steps, smooth),
        "smooth_curvature": smooth_curvature,
    }
    return by_step(measured, {"task": categories(tasks, i), "other": categories(tasks, j)}, values)


def histogram_frame(measured: Measured, tasks: Sequence[str]) -> pd.DataFrame:
    """Cosines across the halves in the first and the last third of the run: [part, task, other, low, high, share, n].

    A row per bin that is not empty; ``share`` of the ``n`` measurements of that part. task = other is the noise floor.
    """
    i, j = np.triu_indices(len(tasks))
    cross = analysis.cross_cosines(analysis.over_stages(measured.gramian), measured.counts)[:, i, j]
    third = len(cross) // 3
    rows: list[tuple[Any, ...]] = []
    for part, values in zip(range(2), (cross[:third], cross[len(cross) - third :]), strict=True):
        for pair in range(len(i)):
            known = values[:, pair][np.isfinite(values[:, pair])]
            heights, _ = np.histogram(known, EDGES)
            rows += [
                (part, i[pair], j[pair], EDGES[k], EDGES[k + 1], heights[k] / len(known), len(known))
                for k in np.flatnonzero(heights)
            ]
    frame = pd.DataFrame(rows, columns=["part", "task", "other", "low", "high", "share", "n"])
    for name, words in (("part", THIRDS), ("task", tasks), ("other", tasks)):
        frame[name] = categories(words, frame[name].to_numpy(dtype=np.int64))
    return frame.astype({"low": "float64", "high": "float64", "share": "float64", "n": "int64"})


def fraction_frame(measured: Measured) -> pd.DataFrame:
    """How often tasks conflict, and how often each conflicts with itself: [step, epoch, time, side, share, low, high, n].

    Shares of cross cosines below zero over all shared parameters, in at most ``N_STRETCHES`` stretches of n measured steps.
    ``low`` to ``high`` is Wilson's 95 % interval (1927) for n trials: cautious, as a step has several pairs.
    """
    cross = analysis.cross_cosines(analysis.over_stages(measured.gramian), measured.counts)
    return _shares(measured, [analysis.conflict_fraction(cross), analysis.floor_conflict_fraction(cross)], SIDES, "side")


def triad_frame(measured: Measured, tasks: Sequence[str]) -> pd.DataFrame:
    """How often the conditions of Yu et al. (2020), Theorem 2, hold: [step, epoch, time, condition, share, low, high, n].

    Conflict: cos < 0. Conflict and a gap in length: cos ≤ −Φ with Φ the similarity of lengths (condition a). All three: also
    ξ < 1 with ξ the curvature bounding measure, without which no curvature is high enough (condition b is ℓ ≥ ξL, and ℓ ≤ L).
    Shares over all pairs of tasks.
    """
    i, j = np.triu_indices(len(tasks), k=1)
    full = measured.full
    cosine, similarity, curvature = (
        measure(full)[:, i, j] for measure in (analysis.cosines, analysis.magnitude_similarity, analysis.curvature_measure)
    )
    with np.errstate(invalid="ignore"):
        conflict = cosine < 0
        gap = conflict & (cosine <= -similarity)
        held = [conflict, gap, gap & (curvature < 1)]
    shares = [analysis.mean_over(np.where(np.isfinite(cosine), each, np.nan), -1) for each in held]
    return _shares(measured, shares, TRIAD, "condition")


def _shares(measured: Measured, shares: Sequence[Floats], names: Sequence[str], column: str) -> pd.DataFrame:
    """Shares [N] of each step as means over stretches, at the middle of each."""
    n = len(measured.steps)
    starts, sizes = stretches(n, min(N_STRETCHES, max(1, n // IN_EACH)))
    share = mean_from(np.stack(shares, axis=1), starts)
    places = mean_from(np.stack([measured.steps, measured.epochs, measured.times], axis=1), starts)
    low, high = _wilson(share, sizes[:, None])
    table: dict[str, Any] = dict(zip(("step", "epoch", "time"), np.tile(places.T, len(names)), strict=True))
    table[column] = categories(names, np.repeat(np.arange(len(names)), len(starts)))
    table |= {name: values.T.reshape(-1) for name, values in (("share", share), ("low", low), ("high", high))}
    return pd.DataFrame(table | {"n": np.tile(sizes, len(names))})


def _wilson(share: Floats, n: Any) -> tuple[Floats, Floats]:
    """The 95 % interval of a share seen in n trials."""
    z = 1.96
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
