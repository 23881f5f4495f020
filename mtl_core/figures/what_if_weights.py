"""What if, weights: how each scheme would have split the step between the tasks."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._parts import finish, labels, task_colour, task_shape
from mtl_core.figures._schemes import WAITING, scheme_axis, scheme_rows, sentences
from mtl_core.palette import tones


@FIGURES.register
class WhatIfWeights(Figure):
    """The weights of every Gramian scheme at one measured step, as shares, so that scales do not matter."""

    title = "What if: weights"
    how_to_read = (
        "A row per scheme, a marker per task: how much of the whole weight that task would have got at this step, with the step "
        "really taken at the top; a share below zero pushes against the task's own gradient."
    )
    when_to_worry = "Schemes that you trust agree with each other and not with the step taken."
    waiting = WAITING
    source = "what_if"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, scheme, title, task, weight, share, cosine, length, note], see ``frames.what_if_frame``."""
        return frame[["step", "scheme", "title", "task", "weight", "share", "cosine", "length", "note"]].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Share of the weights", "Scheme"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return scheme_rows(tidy, spec, view, ["task", "weight", "share"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone, y = tones(view.theme), scheme_axis(view)
        zero = {"condition": {"test": "datum.value == 0", "value": tone.floor}, "value": tone.grid}
        axis = alt.Axis(format=".0%", tickCount=5, grid=True, gridColor=zero)
        x = alt.X("share:Q", title=cls.axes(spec, view)[0], axis=axis, scale=alt.Scale(zero=True, nice=True, padding=12))
        base = alt.Chart(data)
        apart = alt.YOffset("task:N", scale=alt.Scale(domain=list(labels(spec).values()), paddingOuter=0.8))  # equal weights
        words = [
            alt.Tooltip("title:N", title="Scheme"),
            alt.Tooltip("task:N", title="Task"),
            alt.Tooltip("share:Q", title="Share", format=".1%"),
            alt.Tooltip("weight:Q", title="Weight at its own scale", format=".4~g"),
            alt.Tooltip("note:N", title=" "),
        ]
        span = base.transform_filter("isValid(datum.share)").mark_line(color=tone.grid, strokeWidth=2)
        marks = base.transform_filter("isValid(datum.share)").mark_point(filled=True, size=70, opacity=0.95)
        layers = [
            span.encode(y=y, x=x, detail="title:N"),
            marks.encode(
                y=y, yOffset=apart, x=x, color=task_colour(spec, view, as_markers=True), shape=task_shape(spec), tooltip=words
            ),
            sentences(base, y, view, alt.datum(0), "share"),
        ]
        return finish(alt.layer(*layers), view, zooms=False)
