"""Rows of dots with their intervals: a row per group, the best on top."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures._parts import finish
from mtl_core.figures._view import Spec, View
from mtl_core.palette import tones

ROW, ENDS = 26, 64  # pixels of a row, and of the axis below all of them
LONGEST = 230  # pixels of a group's name


def metric_of(spec: Spec, view: View) -> dict[str, Any]:
    """The metric that a view has chosen; the first one unless there is such a metric."""
    known = {metric["key"]: metric for metric in spec["metrics"]}
    chosen: dict[str, Any] = known.get(view.choice) or next(iter(known.values()), {})
    return chosen


def metric_choices(spec: Spec) -> dict[str, str]:
    """Every metric, scores before losses."""
    ordered = sorted(spec["metrics"], key=lambda metric: not metric["is_score"])
    return {metric["key"]: metric["label"] for metric in ordered} or {"": ""}


def metric_title(spec: Spec, view: View, split: str) -> str:
    """What its axis says: the metric, its unit, the split, and which way is better."""
    metric = metric_of(spec, view)
    if not metric:
        return "Metric"
    unit = f" ({metric['unit']})" if metric["unit"] else ""
    better = "higher is better →" if metric["higher_is_better"] else "← lower is better"
    return f"{metric['label']}{unit}, {split}: {better}"


def value_axis(field: str, title: str) -> alt.X:
    """The horizontal axis of the numbers."""
    axis = alt.Axis(format=".6~g", tickCount=6, labelOverlap=True, grid=True)
    return alt.X(f"{field}:Q", title=title, axis=axis, scale=alt.Scale(zero=False, nice=True, padding=8))


def best_first(tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
    """The rows in the order in which ``group_axis`` shows their groups: by the first ``mean`` of each."""
    sign = -1 if metric_of(spec, view).get("higher_is_better", True) else 1
    place = sign * tidy.groupby("group", sort=False)["mean"].transform("first")
    return tidy.iloc[np.argsort(place.to_numpy(dtype=np.float64), kind="stable")].reset_index(drop=True)


def with_bars(tidy: pd.DataFrame) -> pd.DataFrame:
    """With the ends of the bars to draw, of no length where there is no interval: a field without any number makes Vega complain."""
    return tidy.assign(bar_low=tidy["low"].fillna(tidy["mean"]), bar_high=tidy["high"].fillna(tidy["mean"]))


def group_axis(view: View) -> alt.Y:
    """Groups down the side, in the order of the rows."""
    axis = alt.Axis(labelLimit=LONGEST, labelColor=tones(view.theme).ink, domain=False, ticks=False)
    return alt.Y("group:N", title=None, sort=None, axis=axis)


def order_of(base: Any, title: str) -> Any:
    """The first layer, which cannot be seen: every group in its place, those without a bar included, and where a mouse may
    rest."""
    return base.mark_point(filled=True, size=300, opacity=0).encode(x=value_axis("mean", title))


def stack(chart: Any, spec: Spec, view: View) -> Any:
    """The finished chart, as high as its rows need."""
    return finish(chart, replace(view, height=max(1, len(spec["groups"])) * ROW + ENDS), zooms=False)
