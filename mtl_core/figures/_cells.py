"""Tables of coloured cells with a number in each: orange apart, blue together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from mtl_core.figures._parts import finish
from mtl_core.figures._view import View
from mtl_core.palette import TYPE, tones


def cells(
    data: Any,
    view: View,
    x: alt.X,
    y: alt.Y,
    *,
    colour: str,
    legend: str,
    shown: str,
    rim: str,
    tooltip: Sequence[alt.Tooltip],
    size: int = TYPE.title,
) -> Any:
    """A table of cells.

    Args:
        data: one row per cell, or its name.
        colour: the field, −1 to 1, behind the colour.
        legend: what the colour means.
        shown: the Vega expression of a cell's text.
        rim: the Vega expression that is true for outlined cells.
        size: of the text, in pixels.
    """
    tone = tones(view.theme)
    base = alt.Chart(data).encode(x=x, y=y)
    hues = alt.Scale(domain=[-1, 1], range=list(tone.diverging), interpolate="lab", clamp=True)
    scale = alt.Legend(title=legend, gradientLength=180, gradientThickness=10, tickCount=5, titleLimit=420)
    known = base.transform_filter(f"isValid(datum.{colour})")
    body = known.mark_rect(cornerRadius=5).encode(
        color=alt.Color(f"{colour}:Q", scale=hues, legend=scale), tooltip=list(tooltip)
    )
    edge = base.transform_filter(rim).mark_rect(cornerRadius=5, filled=False, stroke=tone.floor, strokeWidth=2)
    on_strong = "#ffffff" if view.theme == "light" else tone.page
    text = (
        known.transform_calculate(shown=shown)
        .mark_text(fontSize=size, fontWeight=600)
        .encode(
            text="shown:N",
            color=alt.condition(f"abs(datum.{colour}) > 0.62", alt.value(on_strong), alt.value(tone.ink)),
        )
    )
    return finish(alt.layer(body, edge, text), view, zooms=False)


def task_axes(
    order: Sequence[str], view: View, *, x_title: str | None = None, y_title: str | None = None
) -> tuple[alt.X, alt.Y]:
    """Tasks along both sides, by title, in that order: ``task`` downwards and ``other`` across."""
    tone = tones(view.theme)
    scale, look = alt.Scale(domain=list(order), paddingInner=0.04), {"labelColor": tone.ink, "domain": False, "ticks": False}
    widest = min(110, 480 // max(len(order), 1))  # in pixels, on half a page
    x = alt.X("other:N", title=x_title, scale=scale, axis=alt.Axis(labelAngle=0, labelLimit=widest, **look))
    y = alt.Y("task:N", title=y_title, scale=scale, axis=alt.Axis(labelLimit=110, **look))
    return x, y
