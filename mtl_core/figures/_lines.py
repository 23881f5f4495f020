"""Lines over training: a faint band of everything that happened, and through it the smoothed line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures._parts import (
    Kind,
    by_label,
    finish,
    lone,
    positive,
    split_dash,
    task_colour,
    task_dash,
    task_shape,
    wire,
    x_axis,
    y_axis,
)
from mtl_core.figures._view import Spec, View

BAND = ("low", "high", "value")
_PLACES = {"step": "Step", "epoch": "Epoch", "time": "Seconds of training"}


def curve_rows(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """One quantity of every task: [step, epoch, time, task, split, low, high, value]; validation as measured, with no band."""
    rows = frame[((frame["name"] == name) & (frame["task"] != "") & frame["mean"].notna()).to_numpy()]
    is_train = (rows["split"] == "train").to_numpy()
    numbers = {
        "low": np.where(is_train, rows["low"], np.nan),
        "high": np.where(is_train, rows["high"], np.nan),
        "value": np.where(is_train, rows["smooth"], rows["mean"]),
    }
    places = {column: rows[column].array for column in ("step", "epoch", "time", "task", "split")}
    return pd.DataFrame(places | numbers)


def line_rows(tidy: pd.DataFrame, spec: Spec, view: View, columns: Sequence[str], *, log: bool) -> pd.DataFrame:
    """What a chart of lines sends: numbers that its axis can hold, tasks by title."""
    numbers = {name: positive(tidy[name], log) for name in BAND if name in columns}
    if log and "low" in numbers:  # a band that reaches below what the axis holds ends at the line
        is_cut = np.isnan(numbers["low"]) & ~np.isnan(numbers["high"])
        numbers["low"] = np.where(is_cut, numbers["value"], numbers["low"])
    return wire(tidy, view, columns, task=by_label(tidy["task"], spec), **numbers)


def split_lines(data: Any, spec: Spec, view: View, y_title: str, *, kind: Kind = "linear", only: Sequence[str] = ()) -> Any:
    """Training as band and line, validation as dashed line with a marker per task.

    Args:
        data: [x, task, split, low, high, value] or its name.
        only: the tasks in it; all of the run's if empty.
    """
    y = y_axis("value", y_title, view, kind=kind)
    base = alt.Chart(data).encode(x=x_axis(view), color=task_colour(spec, view, only=only, as_markers=True))
    train, validation = base.transform_filter("datum.split == 'train'"), base.transform_filter("datum.split != 'train'")
    line = base.mark_line(clip=True).encode(y=y, strokeDash=split_dash(), detail="split:N")
    dots = validation.mark_point(filled=True, size=42, opacity=1, clip=True).encode(y=y, shape=task_shape(spec, only=only))
    layers = [_band(train, y_title, view, kind), line, dots, lone(train, y, ["task"]), _hits(base, y, view, ["task", "split"])]
    return finish(alt.layer(*layers), view)


def task_lines(
    data: Any,
    spec: Spec,
    view: View,
    y_title: str,
    *,
    kind: Kind = "linear",
    has_band: bool = False,
    level: float | None = None,
) -> Any:
    """One line per task, told apart by colour and dash.

    Args:
        data: [x, task, value], with low and high for a band; or its name.
        level: the height of the grid line to stress.
    """
    y = y_axis("value", y_title, view, kind=kind, level=level)
    base = alt.Chart(data).encode(x=x_axis(view), color=task_colour(spec, view))
    line = base.mark_line(clip=True).encode(y=y, strokeDash=task_dash(spec))
    layers = [_band(base, y_title, view, kind)] if has_band else []
    return finish(alt.layer(*layers, line, lone(base, y, ["task"]), _hits(base, y, view, ["task"])), view)


def _band(base: Any, y_title: str, view: View, kind: Kind) -> Any:
    """From low to high; its thin edge is all there is of it where each step is shown by itself."""
    area = base.mark_area(opacity=0.15, clip=True, line={"strokeWidth": 0.7, "strokeOpacity": 0.35})
    return area.encode(y=y_axis("low", y_title, view, kind=kind), y2="high:Q")


def _hits(base: Any, y: alt.Y, view: View, labels: Sequence[str]) -> Any:
    """Unseen points that carry the tooltip: a line has none of its own at each step."""
    words = [alt.Tooltip(f"{name}:N", title=name.capitalize()) for name in labels]
    value = alt.Tooltip("value:Q", title="Value", format=".4~g")
    place = alt.Tooltip(f"{view.x}:Q", title=_PLACES[view.x], format=",.6~g")
    return base.mark_point(opacity=0, size=90, clip=True).encode(y=y, tooltip=[*words, value, place])
