"""Lines over training: a faint band of everything that happened, and through it the smoothed line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import (
    finish,
    positive,
    split_dash,
    task_colour,
    task_dash,
    task_shape,
    wire,
    with_labels,
    x_axis,
    y_axis,
)
from mtl_core.palette import tones


def curve_rows(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """One quantity of every task; validation has no band, and is shown as measured."""
    rows = frame[(frame["name"] == name) & (frame["task"] != "") & frame["mean"].notna()]
    is_train = rows["split"] == "train"
    value = rows["smooth"].where(is_train, rows["mean"])
    rows = rows.assign(value=value, low=rows["low"].where(is_train), high=rows["high"].where(is_train))
    return rows[["step", "epoch", "time", "task", "split", "low", "high", "value"]].reset_index(drop=True)


def split_lines(tidy: pd.DataFrame, spec: Spec, view: View, y_title: str, *, log: bool, only: Sequence[str] = ()) -> Any:
    """Training as band and line, validation as dashed line with a marker per task.

    Args:
        tidy: [x, task, split, low, high, value]; validation has neither low nor high.
        only: the tasks in it; all of the run's if empty.
    """
    bands = {name: positive(tidy[name], log) for name in ("low", "high", "value")}
    if log:  # a band that reaches below what the axis holds ends at the line
        bands["low"] = bands["low"].fillna(bands["value"].where(bands["high"].notna()))
    data = wire(with_labels(tidy.assign(**bands), spec), view, ["task", "split", "low", "high", "value"])
    colour, y = task_colour(spec, view, only=only), y_axis("value", y_title, log=log)
    base = alt.Chart(data).encode(x=x_axis(view), color=colour)
    train, validation = base.transform_filter("datum.split == 'train'"), base.transform_filter("datum.split != 'train'")
    band = train.mark_area(opacity=0.16, clip=True, line={"strokeWidth": 0.7, "strokeOpacity": 0.35})
    line = base.mark_line(clip=True).encode(y=y, strokeDash=split_dash(), detail="split:N")
    dots = validation.mark_point(filled=True, size=42, opacity=1, clip=True).encode(y=y, shape=task_shape(spec, only=only))
    layers = [band.encode(y=y_axis("low", y_title, log=log), y2="high:Q"), line, dots, _hits(base, y, view, ["task", "split"])]
    return finish(alt.layer(*layers), view)


def task_lines(
    tidy: pd.DataFrame,
    spec: Spec,
    view: View,
    y_title: str,
    *,
    log: bool = False,
    band: bool = False,
    rule: float | None = None,
) -> Any:
    """One line per task, told apart by colour and dash.

    Args:
        tidy: [x, task, value], with low and high if ``band``.
        rule: where to draw a level line.
    """
    fields = ["low", "high", "value"] if band else ["value"]
    data = wire(with_labels(tidy.assign(**{name: positive(tidy[name], log) for name in fields}), spec), view, ["task", *fields])
    y = y_axis("value", y_title, log=log)
    base = alt.Chart(data).encode(x=x_axis(view), color=task_colour(spec, view))
    layers = []
    if band:
        area = base.mark_area(opacity=0.14, clip=True, line={"strokeWidth": 0.7, "strokeOpacity": 0.3})
        layers.append(area.encode(y=y_axis("low", y_title, log=log), y2="high:Q"))
    if rule is not None:
        layers.append(level(rule, view))
    layers.append(base.mark_line(clip=True).encode(y=y, strokeDash=task_dash(spec)))
    return finish(alt.layer(*layers, _hits(base, y, view, ["task"])), view)


def level(height: float, view: View) -> Any:
    """A thin horizontal line."""
    rule = alt.Chart(pd.DataFrame({"level": [height]})).mark_rule(color=tones(view.theme).floor, strokeWidth=1.2)
    return rule.encode(y="level:Q")


def _hits(base: Any, y: alt.Y, view: View, labels: Sequence[str]) -> Any:
    """Unseen points that carry the tooltip: a line has none of its own at each step."""
    words = [alt.Tooltip(f"{name}:N", title=name.capitalize()) for name in labels]
    value = alt.Tooltip("value:Q", title="Value", format=".4~g")
    place = alt.Tooltip(f"{view.x}:Q", title=_PLACES[view.x], format=",.6~g")
    return base.mark_point(opacity=0, size=90, clip=True).encode(y=y, tooltip=[*words, value, place])


_PLACES = {"step": "Step", "epoch": "Epoch", "time": "Seconds of training"}
