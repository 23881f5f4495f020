"""How good is each group at one thing, and how far do its seeds lie apart?"""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures._view import Spec, View
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._dots import (
    best_first,
    group_axis,
    metric_choices,
    metric_of,
    metric_title,
    order_of,
    stack,
    value_axis,
    with_bars,
)
from mtl_core.figures.compared._groups import group_colour
from mtl_core.palette import tones

COLUMNS = ("group", "seed", "value", "mean", "low", "high", "seeds")


@CONTRASTS.register
class TaskResults(Contrast):
    """A row per group: every seed as a ring, their mean as a dot, and the mean's 95 % interval as a bar."""

    name = "task_results"
    title = "Test results, seed by seed"
    how_to_read = (
        "Each ring is the test of one seed, the dot is their mean and the bar its 95 % interval; the best mean is on top."
    )
    may_say = (
        "Bars that do not overlap are a difference that other seeds would very likely show again. Bars that overlap, and groups "
        "without a bar (one seed), show no difference: that is not the same as showing that there is none."
    )
    waiting = "The numbers appear when a run has ended with its test"
    source = "seeds"

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return metric_choices(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        mine = frame[frame["metric"] == metric_of(spec, view).get("key")]
        return best_first(mine[list(COLUMNS)], spec, view)

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """``once``: the row of each group that carries its bar and its mean."""
        return with_bars(tidy.assign(once=~tidy["group"].duplicated()))

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return metric_title(spec, view, "test"), "Group"

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = group_axis(view)
        colour = group_colour(spec, view, has_legend=False)
        title = metric_title(spec, view, "test")
        facts = [alt.Tooltip("group:N", title="Group"), alt.Tooltip("mean:Q", title="Mean", format=".4~g")]
        facts += [alt.Tooltip("low:Q", title="from", format=".4~g"), alt.Tooltip("high:Q", title="to", format=".4~g")]
        facts.append(alt.Tooltip("seeds:Q", title="Seeds"))
        base = alt.Chart(data).encode(y=y)
        once = base.transform_filter("datum.once")
        bar = once.mark_rule(strokeWidth=5, opacity=0.45, strokeCap="round").encode(
            x=value_axis("bar_low", title), x2="bar_high:Q", color=colour, tooltip=facts
        )
        dot = once.mark_point(filled=True, size=110, opacity=1).encode(x=value_axis("mean", title), color=colour, tooltip=facts)
        ring = base.mark_point(filled=False, size=55, strokeWidth=1.4, opacity=0.9, color=tones(view.theme).soft_ink).encode(
            x=value_axis("value", title), tooltip=[*facts[:1], "seed:Q", alt.Tooltip("value:Q", title="Value", format=".5~g")]
        )
        return stack(alt.layer(order_of(once, title), bar, dot, ring), spec, view)
