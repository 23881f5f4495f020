"""Curves side by side: how each group learns one task, seeds together with what chance would do, or every run by itself."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import y_axis
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._series import series_lines, series_rows

LOSS = {"train|loss": "Training loss", "validation|loss": "Validation loss"}
WEIGHT = "train|weight"


@CONTRASTS.register
class GroupCurves(Contrast):
    """One series of one task for every group, as training goes."""

    title = "Curves by group"
    how_to_read = (
        "A line is a group and its band the 95 % interval of the mean over its seeds at each place (a group of one seed has no band); "
        "a seed counts only where it has numbers, so where one ends the line breaks and goes on over the others, as the tooltip says."
    )
    may_say = (
        "Groups whose bands lie apart differ by more than chance at that place, if one looks at a few places only: at equal steps "
        "by the steps they took, at equal time by what they cost. Overlapping bands, a line without a band and a mean that a "
        "diverged seed has left prove nothing, and training losses never say who is better on new examples."
    )
    waiting = "No such numbers here: choose another quantity, or show the whole run."
    source = "group_curves"
    zooms = True

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """Every series of every task: "split|name|task"."""
        titles = {
            f"{key}|{task['name']}": f"{task['title']}: {label}"
            for task in spec["tasks"]
            for key, label in quantities(task).items()
        }
        return titles or {"": ""}

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        label = next(
            (
                label
                for task in spec["tasks"]
                for key, label in quantities(task).items()
                if view.choice == f"{key}|{task['name']}"
            ),
            "Value",
        )
        return None, f"{label} (log scale)" if is_log(view) else label

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """[step or epoch or time, group, line, seeds, part, value, low, high, n]: ``value`` is the mean of ``n`` seeds."""
        return frame

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return series_rows(tidy, view, log=is_log(view))

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = y_axis("value", cls.axes(spec, view)[1], view, kind="log" if is_log(view) else "linear")
        return series_lines(data, spec, view, y, zooms=True)


def quantities(task: Any) -> dict[str, str]:
    """What can be drawn of a task, "split|name" to its label with unit and direction: losses, every metric, the weight."""
    metrics = {}
    for metric in task["metrics"]:
        direction = "higher is better" if metric["higher_is_better"] else "lower is better"
        unit = {"": "", "°": "degrees; "}.get(metric.get("unit", ""), f"{metric.get('unit', '')}; ")
        metrics[f"validation|{metric['name']}"] = f"{metric['title']} ({unit}{direction})"
    return LOSS | metrics | {WEIGHT: "Weight in the step"}


def is_log(view: View) -> bool:
    """Whether the axis is logarithmic: that of losses, if one asks for it."""
    return view.log_y and view.choice.startswith(tuple(f"{key}|" for key in LOSS))
