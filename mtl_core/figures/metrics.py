"""Metrics: how good each task is, in the words that people use for it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._lines import BAND, curve_rows, line_rows, split_lines


@FIGURES.register
class Metrics(Figure):
    """Accuracy, IoU, error …: a panel for each, with every task that is scored by it."""

    title = "Metrics"
    how_to_read = (
        "The dashed line with markers is the validation split, which is the one to compare runs by; the faint band is the "
        "training batches; the axis says which way is better."
    )
    when_to_worry = (
        "The training band leaves the validation line behind, or one task gets better only while another gets worse."
    )
    waiting = "Scores appear with the first training steps."
    source = "curves"

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """A panel per metric: tasks share one where title, unit and direction are the same."""
        panels = {}
        for _, metric in _scored(spec):
            panels[_key(metric)] = _title(metric)
        return panels or {"": ""}

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, task, split, low, high, value, metric, panel]."""
        parts = []
        for name in dict.fromkeys(metric["name"] for _, metric in _scored(spec)):
            panels = {task: _key(metric) for task, metric in _scored(spec) if metric["name"] == name}
            rows = curve_rows(frame, name)
            parts.append(rows.assign(metric=name, panel=rows["task"].astype("str").map(panels)))
        whole = pd.concat(parts, ignore_index=True) if parts else curve_rows(frame, "").assign(metric="", panel="")
        return whole[whole["panel"].notna()].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, cls.choices(spec)[_panel(spec, view)] or "Score"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return line_rows(tidy[tidy["panel"] == _panel(spec, view)], spec, view, ["task", "split", *BAND], log=False)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        only = [task for task, metric in _scored(spec) if _key(metric) == _panel(spec, view)]
        return split_lines(data, spec, view, cls.axes(spec, view)[1], only=only)


def _scored(spec: Spec) -> list[tuple[str, Any]]:
    """Each task with each of its metrics, headline first."""
    pairs = [(task["name"], metric, rank) for task in spec.get("tasks", ()) for rank, metric in enumerate(task["metrics"])]
    return [(name, metric) for name, metric, _ in sorted(pairs, key=lambda pair: pair[2])]


def _panel(spec: Spec, view: View) -> str:
    """The panel asked for, or the first."""
    panels = Metrics.choices(spec)
    return view.choice if view.choice in panels else next(iter(panels))


def _key(metric: Any) -> str:
    return f"{metric['title']}|{metric['unit']}|{metric['higher_is_better']}"


def _title(metric: Any) -> str:
    direction = "higher is better" if metric["higher_is_better"] else "lower is better"
    unit = {"": "", "°": "degrees; "}.get(metric["unit"], f"{metric['unit']}; ")
    return f"{metric['title']} ({unit}{direction})"
