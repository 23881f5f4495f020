"""Where to branch: the depth up to which tasks get along, read off the conflict in each shared stage of a measured run.

A stage *fights* if two things hold over the run, each beyond chance: its tasks pull apart more often than a task pulls apart from
itself on the other half of the batch (the noise floor), and their mean cosine across the halves is clearly below zero. The first alone
would call tasks at right angles a fight: half of their cosines are below zero whatever one does. It *agrees* if it does not
fight and one could have seen it: a task agrees with itself most of the time, or the mean cosine is above zero beyond chance.

Chance is judged by batch means (Schmeiser 1982): measured steps that follow each other are alike, so the run is cut into
``BLOCKS`` stretches and the means of those are compared by Student's t.
Legend: N measured steps, S shared stages, T tasks, B stretches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mtl_core import analysis
from mtl_core.analysis import Floats

BLOCKS = 10
LEAST = 2 * BLOCKS  # measurements, below which there is no advice
STUDENT = 2.262  # 97.5 % point of Student's t with BLOCKS − 1 degrees of freedom
SLIGHT = 0.1  # a fight needs a cosine this far below zero once noise is taken out: less is sure in a long run, and harmless
TOO_NOISY = 0.4  # a task against itself below zero this often: no conflict seen means little (0.5 = nothing but noise)

Verdict = Literal["agrees", "fights", "unclear"]


class Evidence(NamedTuple):
    """What was seen of one stage: means over pairs and steps; ``margin`` is half of a 95 % interval of ``cross``."""

    stage: str
    cross: float  # cosine of pairs of tasks, across the halves
    margin: float
    below: float  # share of pairs below zero
    floor_below: float  # … of tasks against themselves
    verdict: Verdict


class Advice(NamedTuple):
    """How many leading stages to share (None: no advice), why, and what it rests on."""

    depth: int | None
    sentence: str
    evidence: tuple[Evidence, ...]


def suggest_depth(gramian: ArrayLike, counts: ArrayLike, stages: Sequence[str]) -> Advice:
    """The depth above which conflict exceeds the noise floor, or a sentence that says why there is none.

    Args:
        gramian: [N, S, 2T, 2T], as measured.
        counts: labelled samples [N, 2, T].
        stages: names of the shared stages, the input's first.
    """
    gram = np.asarray(gramian, dtype=np.float64)
    n, n_tasks = len(gram), gram.shape[-1] // 2
    if n_tasks < 2 or not len(stages):
        return Advice(None, "There is nothing to branch: conflict needs two tasks and a shared stage.", ())
    if n < LEAST:
        return Advice(None, f"No advice on the depth yet: it needs {LEAST} measurements, there are {n}.", ())
    evidence = _evidence(analysis.cross_cosines(gram, np.asarray(counts)[:, None]), stages)
    return Advice(*_conclude(evidence), evidence)


def _evidence(cross: Floats, stages: Sequence[str]) -> tuple[Evidence, ...]:
    """From cross cosines [N, S, T, T]."""
    blocks = np.array_split(np.arange(len(cross)), BLOCKS)
    per_step = {
        "cross": analysis.mean_over(analysis.upper(cross), -1),
        "floor": analysis.mean_over(np.diagonal(cross, axis1=-2, axis2=-1), -1),
        "below": analysis.conflict_fraction(cross),
        "floor_below": analysis.floor_conflict_fraction(cross),
    }
    per_step["excess"] = per_step["below"] - per_step["floor_below"]
    means = {name: np.stack([analysis.mean_over(values[block]) for block in blocks]) for name, values in per_step.items()}
    found = []
    for s, stage in enumerate(stages):
        middle, margin = _interval(means["cross"][:, s])
        excess, excess_margin = _interval(means["excess"][:, s])
        floor_below = float(analysis.mean_over(means["floor_below"][:, s]))
        floor = max(float(analysis.mean_over(means["floor"][:, s])), 0.0)  # noise shrinks all cosines alike, to this share
        is_fight = middle + margin < 0 and excess - excess_margin > 0 and middle < -SLIGHT * floor
        is_clear = floor_below < TOO_NOISY or middle - margin > 0  # what is not a number is not clear
        verdict: Verdict = "fights" if is_fight else "agrees" if is_clear else "unclear"
        found.append(Evidence(stage, middle, margin, float(analysis.mean_over(means["below"][:, s])), floor_below, verdict))
    return tuple(found)


def _interval(means_B: Floats) -> tuple[float, float]:
    """Mean and half width of the 95 % interval; endless where less than all stretches are known."""
    if not np.isfinite(means_B).all():
        return float(analysis.mean_over(means_B)), float("inf")
    return float(means_B.mean()), STUDENT * float(means_B.std(ddof=1)) / len(means_B) ** 0.5


def _conclude(evidence: tuple[Evidence, ...]) -> tuple[int | None, str]:
    verdicts = [one.verdict for one in evidence]
    n = len(verdicts)
    depth = n - next((k for k, verdict in enumerate(reversed(verdicts)) if verdict != "fights"), n)
    if "unclear" in (verdicts if depth == n else verdicts[depth - 1 : depth]):
        where = next(one.stage for one in reversed(evidence) if one.verdict == "unclear")
        return None, f"No advice on the depth: in {where} a task disagrees with itself from batch to batch too often to tell."
    if depth == n and "fights" in verdicts:
        where = ", ".join(one.stage for one in evidence if one.verdict == "fights")
        return None, f"Tasks fight in {where}, but not above it: sharing fewer stages would also part what gets along."
    if depth == n:
        return n, "In no shared stage does conflict exceed the noise floor: nothing speaks for branching earlier."
    first = evidence[depth]
    numbers = f"mean cosine {first.cross:+.2f} ± {first.margin:.2f}, {first.below:.0%} of pairs in conflict against {first.floor_below:.0%} by noise"
    if depth == 0:
        return 0, f"Tasks fight in every shared stage, from {first.stage} on ({numbers}): try separate networks, depth 0."
    return depth, f"Tasks get along up to {evidence[depth - 1].stage} and fight above it ({numbers}): try depth {depth}."
