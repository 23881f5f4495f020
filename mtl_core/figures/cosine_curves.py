"""Conflict over time: do two tasks pull the shared layers the same way, and is it more than batch noise?"""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._lines import level
from mtl_core.figures._parts import empty, finish, labels, task_colour, wire, with_labels, x_axis, y_axis
from mtl_core.palette import tones

TITLE = "Cosine between gradients"
FLOOR = "a task with itself"


@FIGURES.register
class CosineCurves(Figure):
    """The cosine of each pair of tasks as training goes, against the same number for a task and itself."""

    title = "Gradient conflict over time"
    how_to_read = (
        "A line striped in two colours is that pair of tasks, compared across two halves of a batch: above zero they pull the "
        "same way, below zero apart; the grey band is each task against itself, the most that this much data can show."
    )
    when_to_worry = (
        "A pair stays below zero while the grey band is clearly above it; a grey band near zero means that batches are too "
        "small to tell."
    )
    source = "cosines"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, pair, task, other, cosine, cross, low, high, value].

        ``value`` is the smoothed cross-half cosine. The rows of the noise floor have the pair ``FLOOR``, no tasks, and span
        ``low`` to ``high`` over all tasks.
        """
        known = frame[frame["smooth"].notna()].astype({"task": "str", "other": "str"})
        named = labels(spec)
        is_floor = known["task"] == known["other"]
        pairs = known[~is_floor].rename(columns={"smooth": "value"})
        pairs = pairs.assign(
            pair=[f"{named.get(a, a)} – {named.get(b, b)}" for a, b in zip(pairs["task"], pairs["other"], strict=True)]
        )
        grouped = known[is_floor].groupby(["step", "epoch", "time"], as_index=False)
        floor = grouped.agg(low=("smooth", "min"), high=("smooth", "max"), value=("smooth", "mean")).assign(pair=FLOOR)
        columns = ["step", "epoch", "time", "pair", "task", "other", "cosine", "cross", "low", "high", "value"]
        return pd.concat([pairs, floor], ignore_index=True).reindex(columns=columns)

    @classmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        if tidy.empty:
            return empty("Conflict appears with the first measurement of gradients.", TITLE, view)
        fields = ["pair", "task", "other", "cosine", "low", "high", "value"]
        rows = with_labels(tidy, spec, "task", "other").assign(pair=tidy["pair"].astype("category"))
        rows = rows.replace({"cosine": {np.inf: np.nan, -np.inf: np.nan}})
        y = y_axis("value", TITLE)
        base = alt.Chart(wire(rows, view, fields)).encode(x=x_axis(view))
        floor = base.transform_filter(f"datum.pair == '{FLOOR}'")
        pairs = base.transform_filter(f"datum.pair != '{FLOOR}'").encode(y=y, detail="pair:N")
        grey = tones(view.theme).floor
        tooltip = [
            alt.Tooltip("pair:N", title="Pair"),
            alt.Tooltip("value:Q", title="Across halves", format="+.3f"),
            alt.Tooltip("cosine:Q", title="Whole batch", format="+.3f"),
            alt.Tooltip(f"{view.x}:Q", title=view.x.capitalize(), format=",.6~g"),
        ]
        layers = [
            floor.mark_area(color=grey, opacity=0.22, clip=True).encode(y=y_axis("low", TITLE), y2="high:Q"),
            floor.mark_line(color=grey, strokeWidth=1.4, strokeDash=[3, 3], clip=True).encode(y=y),
            level(0.0, view),
            pairs.mark_line(clip=True).encode(color=task_colour(spec, view)),
            # the other task's colour as dashes on top: the line is striped in both
            pairs.mark_line(strokeDash=[7, 9], strokeCap="butt", clip=True).encode(
                color=task_colour(spec, view, field="other", legend=False)
            ),
            base.mark_point(opacity=0, size=90, clip=True).encode(y=y, tooltip=tooltip),
        ]
        return finish(alt.layer(*layers), view)
