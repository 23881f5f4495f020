"""Metrics: how good each task is, in the words that people use for it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._lines import curve_rows, split_lines
from mtl_core.figures._parts import empty


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
        for task, metric in _scored(spec):
            rows = curve_rows(frame[frame["task"] == task], metric["name"])
            parts.append(rows.assign(metric=metric["name"], panel=_key(metric)))
        return pd.concat(parts, ignore_index=True) if parts else curve_rows(frame.iloc[:0], "").assign(metric="", panel="")

    @classmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        panels = cls.choices(spec)
        choice = view.choice if view.choice in panels else next(iter(panels))
        title, only = panels[choice] or "Score", [task for task, metric in _scored(spec) if _key(metric) == choice]
        rows = tidy[tidy["panel"] == choice]
        if rows.empty:
            return empty("Scores appear with the first training steps.", title, view)
        return split_lines(rows, spec, view, title, log=False, only=only)


def _scored(spec: Spec) -> list[tuple[str, Any]]:
    """Each task with each of its metrics, headline first."""
    pairs = [(task["name"], metric, rank) for task in spec.get("tasks", ()) for rank, metric in enumerate(task["metrics"])]
    return [(name, metric) for name, metric, _ in sorted(pairs, key=lambda pair: pair[2])]


def _key(metric: Any) -> str:
    return f"{metric['title']}|{metric['unit']}|{metric['higher_is_better']}"


def _title(metric: Any) -> str:
    direction = "higher is better" if metric["higher_is_better"] else "lower is better"
    unit = {"": "", "°": "degrees; "}.get(metric["unit"], f"{metric['unit']}; ")
    return f"{metric['title']} ({unit}{direction})"
