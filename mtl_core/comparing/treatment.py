"""What was done to the gradients beside weighting them: how long the step is, whether heads follow the weights, clipping.

Papers and public code are silent about it or differ, and a fair comparison says it (METHODS, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

from mtl_core.comparing.groups import Group

SCALES = {"sum": "a sum over tasks", "mean": "a mean over tasks"}
HEADS = {"weighted": "follow their task's weight", "unit": "count fully"}


def by_scale(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """The groups whose step is a "sum" and a "mean" over tasks; without those of which nobody wrote it down."""
    return _by(groups, "scale", SCALES)


def by_heads(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """The groups whose heads are "weighted" and "unit"; without those of which nobody wrote it down."""
    return _by(groups, "heads", HEADS)


def treatment_in_words(groups: Sequence[Group]) -> str:
    """One line about all of them; "" where nothing is known."""
    scales, heads = by_scale(groups), by_heads(groups)
    parts = []
    if scales:
        parts.append("the step is " + ", ".join(f"{SCALES[one]} ({schemes(mine)})" for one, mine in scales.items()))
    if heads:
        parts.append("heads " + ", ".join(f"{HEADS[one]} ({schemes(mine)})" for one, mine in heads.items()))
    if not parts:
        return ""
    clips = sorted({float(group.settings.get("training.clip") or 0) for group in groups if not group.is_foreign})
    said = " or ".join("not clipped" if clip == 0 else f"clipped to length {clip:g}" for clip in clips)
    return "; ".join([*parts, f"gradients are {said}"])


def schemes(groups: Sequence[Group]) -> str:
    """Their schemes, each once.

    >>> from types import SimpleNamespace as Thing
    >>> schemes([Thing(scheme="mgda"), Thing(scheme="equal"), Thing(scheme="mgda")])
    'mgda, equal'
    """
    return ", ".join(dict.fromkeys(group.scheme for group in groups))


def _by(groups: Sequence[Group], fact: str, known: dict[str, str]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {one: [] for one in known}
    for group in groups:
        said = {str((run.spec or {}).get(fact, "")) for run in group.by_seed.values()}
        if len(said) == 1 and (one := said.pop()) in found:
            found[one].append(group)
    return {one: mine for one, mine in found.items() if mine}
