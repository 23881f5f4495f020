"""What the figures of conflict between groups have in common: the pairs of tasks, and whether there is any conflict to see."""

from __future__ import annotations

from itertools import combinations

from mtl_core.figures._parts import labels
from mtl_core.figures._view import Spec


def pair_choices(spec: Spec) -> dict[str, str]:
    """Each pair of tasks, "task|other" to the two titles."""
    named = labels(spec)
    pairs = combinations((task["name"] for task in spec["tasks"]), 2)
    return {f"{one}|{other}": f"{named[one]} – {named[other]}" for one, other in pairs} or {"": ""}


def shares_somewhere(spec: Spec) -> bool:
    """Whether one of the groups may share parameters between tasks."""
    return len(spec.get("tasks", ())) > 1 and any(group["depth"] != 0 for group in spec.get("groups", ()))
