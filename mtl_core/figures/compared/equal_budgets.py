"""Who is ahead after equally many steps, and who after equally much time?"""

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

BOTH = ("equal steps", "equal time")


@CONTRASTS.register
class EqualBudgets(Contrast):
    """A row per group: validation at the step, and after the training time, that every run has reached."""

    name = "equal_budgets"
    title = "At equal steps, and at equal training time"
    how_to_read = (
        "The dot is the mean over seeds of the last validation up to the common step, the diamond up to the common training time, "
        "bars are 95 % intervals; a diamond far behind its dot belongs to a scheme whose steps are slow."
    )
    may_say = (
        "It says which order holds whether one pays per step or per second, for these budgets and on this machine. It is "
        "validation, not test, times of runs on different or busy machines do not compare, and time counts what the measuring of "
        "conflict costs: schemes that need no gradients of single tasks pay up to a tenth for it."
    )
    waiting = "The numbers appear when a run with a test has validated"
    source = "equal"

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return metric_choices(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        mine = frame[frame["metric"] == metric_of(spec, view).get("key")]
        return best_first(mine.drop(columns="metric"), spec, view)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return metric_title(spec, view, "validation"), "Group"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return with_bars(tidy)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = group_axis(view)
        colour, title = group_colour(spec, view, has_legend=False), metric_title(spec, view, "validation")
        shapes = alt.Scale(domain=list(BOTH), range=["circle", "diamond"])
        shape = alt.Shape("at:N", scale=shapes, legend=alt.Legend(title=None, symbolFillColor="transparent"))
        facts = [alt.Tooltip("group:N", title="Group"), alt.Tooltip("at:N", title="At")]
        for field, name in (
            ("mean", "Mean"),
            ("low", "from"),
            ("high", "to"),
            ("step", "Step"),
            ("seconds", "Seconds"),
            ("seeds", "Seeds"),
        ):
            facts.append(alt.Tooltip(f"{field}:Q", title=name, format=".4~g"))
        apart = alt.YOffset("at:N", scale=alt.Scale(domain=list(BOTH), paddingOuter=0.9))
        base = alt.Chart(data).encode(y=y, yOffset=apart, color=colour, tooltip=facts)
        bar = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=value_axis("bar_low", title), x2="bar_high:Q")
        dot = base.mark_point(filled=True, size=80, opacity=1).encode(x=value_axis("mean", title), shape=shape)
        return stack(alt.layer(order_of(base, title), bar, dot), spec, view)
