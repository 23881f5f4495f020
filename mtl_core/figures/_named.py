"""Lines that belong to no task: each has a name, a colour and a dash of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures._parts import finish, lone, positive, wire, x_axis
from mtl_core.figures._view import View

Look = tuple[str, tuple[int, ...]]  # colour, dashes


def named_shares(frame: pd.DataFrame, column: str, names: dict[str, str]) -> pd.DataFrame:
    """[step, epoch, time, name, value, low, high, n] of the shares that are known; ``column`` says which share, ``names`` in words."""
    known = frame[frame["share"].notna().to_numpy()]
    named = known.assign(name=known[column].cat.rename_categories(names))
    return named.rename(columns={"share": "value"}).drop(columns=column).reset_index(drop=True)


def named_rows(tidy: pd.DataFrame, view: View, *, log: bool = False, band: bool = False) -> pd.DataFrame:
    """What the chart sends: [x, name, value], with low and high for a band."""
    fields = ["name", "value", *(["low", "high", "n"] if band else [])]
    return wire(tidy, view, fields, value=positive(tidy["value"], log))


def named_lines(
    data: Any, view: View, y: alt.Y, looks: Mapping[str, Look], *, form: str, band: bool = False, level: float | None = None
) -> Any:
    """A line per name, with its 95 % band if it has one.

    Args:
        data: [x, name, value], with low, high and n for a band; or its name.
        looks: name to colour and dash, in the order of the legend.
        form: format of the number in the tooltip.
        level: where to draw a thin line across.
    """
    names = list(looks)
    legend = alt.Legend(
        title=None, symbolType="stroke", symbolSize=420, symbolOpacity=1, columns=1 if len(names) > 2 else 2, labelLimit=420
    )
    colour = alt.Color("name:N", legend=legend, scale=alt.Scale(domain=names, range=[looks[name][0] for name in names]))
    dash = alt.StrokeDash(
        "name:N", legend=legend, scale=alt.Scale(domain=names, range=[list(looks[name][1]) for name in names])
    )
    if len(names) == 1:  # the axis says what it is
        colour.legend = dash.legend = None
    base = alt.Chart(data).encode(x=x_axis(view), color=colour)
    words = [alt.Tooltip("name:N", title=" "), alt.Tooltip("value:Q", title="Value", format=form)]
    words += [alt.Tooltip(f"{end}:Q", title=f"95 %, {end}", format=form) for end in ("low", "high") if band]
    words += [alt.Tooltip("n:Q", title="Measurements")] if band else []
    words += [alt.Tooltip(f"{view.x}:Q", title=view.x.capitalize(), format=",.6~g")]
    layers = [base.mark_area(opacity=0.16, clip=True).encode(y=_same_axis(y, "low"), y2="high:Q")] if band else []
    layers += [
        base.mark_line(clip=True).encode(y=y, strokeDash=dash),
        lone(base, y, ["name"]),
        base.mark_point(opacity=0, size=90, clip=True).encode(y=y, tooltip=words),
    ]
    if level is not None:
        across = alt.Chart(data).transform_aggregate(n_rows="count()")
        layers.append(across.mark_rule(strokeDash=[2, 4], opacity=0.7, clip=True, color="gray").encode(y=alt.datum(level)))
    return finish(alt.layer(*layers), view)


def _same_axis(y: alt.Y, field: str) -> alt.Y:
    other = y.copy()
    other.shorthand = f"{field}:Q"
    return other
