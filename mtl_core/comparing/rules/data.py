"""Whether all runs answer the same question: the same data, the same tasks, trained here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mtl_core.comparing.groups import Group
from mtl_core.comparing.rules._said import NAMED, Warned, names


def elsewhere(groups: Sequence[Group]) -> Iterable[Warned]:
    """Runs that were trained elsewhere."""
    foreign = [group for group in groups if group.is_foreign]
    if foreign:
        yield Warned(
            "elsewhere",
            f"{names(foreign)}: trained elsewhere, so nobody here knows the budget, the tuning or the test split. Show them, "
            "but do not conclude from them who is better.",
        )


def unlike(groups: Sequence[Group]) -> Iterable[Warned]:
    """Other data, or other tasks."""
    ours = [group for group in groups if not group.is_foreign]
    sets = {
        json.dumps([[key, value] for key, value in sorted(group.lean.items()) if key.startswith("dataset.")]) for group in ours
    }
    if len(sets) > 1:
        yield Warned(
            "data", "Not all runs have the same data: their validation and test splits differ, so their numbers do not compare."
        )
    tasks = {tuple(sorted(_tasks(group))) for group in groups if _tasks(group)}
    if len(tasks) > 1:
        said = "; ".join(" + ".join(names) for names in sorted(tasks)[:NAMED])
        yield Warned("data", f"Not all runs have the same tasks ({said}): averages over tasks do not compare.")


def _tasks(group: Group) -> list[str]:
    for run in group.runs:
        if run.spec is not None:
            return [str(task["name"]) for task in run.spec.get("tasks", ())]
    return [str(task) for task in group.settings.get("tasks") or ()]
