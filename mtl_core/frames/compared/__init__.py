"""Tables of several runs side by side: what the figures of a comparison read, and what its page exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from mtl_core.comparing import Comparison, Group, is_static
from mtl_core.frames.compared.conflict import pair_table, share_table, summary_table
from mtl_core.frames.compared.curves import curve_table
from mtl_core.frames.compared.equal import equal_table
from mtl_core.frames.compared.front import front_table
from mtl_core.frames.compared.heat import heat_table
from mtl_core.frames.compared.knobs import knob_lines
from mtl_core.frames.compared.results import gains_table, seeds_table
from mtl_core.store import Store

__all__ = ["SOURCES", "Compared", "describe_comparison"]


@dataclass(frozen=True)
class Compared:
    """The tables of a comparison that its figures read, each loaded once.

    Args:
        x: what runs along the horizontal axis; seeds are averaged at equal places on it.
        first: where the window in view begins on that axis, as ``last``; None for whole runs.
        points: at most so many numbers per curve.
        smooth: time constant in steps.
        apart: every run by itself instead of seeds as mean and band.
        only: ids of the groups that somebody wants to see; all of them if empty.
    """

    store: Store
    comparison: Comparison
    x: Literal["step", "epoch", "time"] = "step"
    first: float | None = None
    last: float | None = None
    points: int = 800
    smooth: float = 0.0
    apart: bool = False
    only: tuple[str, ...] = ()

    def table(self, source: str, choice: str = "") -> pd.DataFrame:
        """The table of that name, for one of a figure's choices."""
        return SOURCES[source](self, choice)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """What is compared, as figures are told."""
        return describe_comparison(self.comparison)


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """The groups, tasks and metrics of a comparison as plain values (for JSON).

    ``place`` of a group is its place among those that are no baseline: its colour. Tasks stand in the order of their data
    set, with ``all_tasks`` for their colours; a metric's ``key`` is "task|name".
    """
    bases = {base.id for group in comparison.tested if (base := comparison.baseline_of(group)) is not None}
    places = iter(range(len(comparison.groups)))
    groups = []
    for group in comparison.groups:
        is_baseline = group.id in bases
        groups.append(
            {
                "id": group.id,
                "name": group.name,
                "scheme": group.scheme,
                "depth": group.depth,
                "n_seeds": len(group.by_seed),
                "is_baseline": is_baseline,
                "is_static": is_static(group),
                "place": 0 if is_baseline else next(places),
            }
        )
    tasks: dict[str, dict[str, Any]] = {}
    all_tasks: dict[str, None] = {}
    for group in sorted(comparison.groups, key=lambda group: group.is_foreign):  # ours say what tasks are called
        for spec in _specs(group):
            tasks |= {task["name"]: dict(task) for task in spec.get("tasks", ()) if task["name"] not in tasks}
            all_tasks |= dict.fromkeys(spec.get("all_tasks", ()))
    metrics = [
        {
            "key": "|".join(metric.key),
            "task": metric.task,
            "name": metric.name,
            "label": metric.label,
            "task_title": metric.task_title,
            "title": metric.title,
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
            "is_score": metric.is_score,
        }
        for metric in comparison.metrics
    ]
    return {"groups": groups, "tasks": list(tasks.values()), "all_tasks": list(all_tasks), "metrics": metrics}


def _specs(group: Group) -> list[Any]:
    return [run.spec for run in group.runs if run.spec]


Source = Callable[[Compared, str], pd.DataFrame]

SOURCES: dict[str, Source] = {
    "group_curves": curve_table,
    **{"group_cosines": pair_table, "group_conflict": share_table, "cosine_summary": summary_table},
    "front": front_table,
    "heat": heat_table,
    "knobs": knob_lines,
    **{"seeds": seeds_table, "gains": gains_table, "equal": equal_table},
}
