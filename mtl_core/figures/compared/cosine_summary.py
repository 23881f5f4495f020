"""Conflict at the end of training in one look: a dot and an interval per group, beside what its batches could show at most."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import finish, signed, wire
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._groups import group_colour, group_names, group_shape
from mtl_core.figures.compared._of_pairs import pair_choices, shares_somewhere
from mtl_core.palette import tones

TITLE = "Mean cosine, last third of training"
_NUMBERS = ("cosine", "low", "high", "floor", "floor_low", "floor_high")


@CONTRASTS.register
class CosineSummary(Contrast):
    """The mean cosine of a pair in the last third of training, for every group, with its noise floor."""

    title = "Conflict at the end of training"
    how_to_read = (
        "A marker is a group's mean cosine of the pair over the last third of its measurements, the bar its 95 % interval over seeds "
        "(none for one seed); the grey stroke is its noise floor, the same number for the two tasks with themselves."
    )
    may_say = (
        "A bar left of zero, with a grey stroke well to the right of zero, is lasting conflict; near a grey stroke at zero nothing can be told. Groups of "
        "different depths share different layers, so their dots are about different parameters and rank nobody."
    )
    waiting = "No gradients of this pair were measured in these runs."
    source = "cosine_summary"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_somewhere(spec)

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return pair_choices(spec)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return TITLE, "Group"

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """[group, seeds, cosine, low, high, floor, floor_low, floor_high, n, measurements], a row per group."""
        return frame

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return wire(tidy, view, ["group", "seeds", *_NUMBERS, "n", "measurements"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        grey = tones(view.theme).floor
        axis = alt.Axis(title=None, labelLimit=190, grid=True, ticks=False, domain=False)
        base = alt.Chart(data).encode(y=alt.Y("group:N", sort=group_names(spec), axis=axis))
        across = alt.Axis(labelExpr=signed("+.2~f"), tickCount=5, grid=True)
        across.gridColor = {"condition": {"test": "abs(datum.value) < 1e-12", "value": grey}, "value": tones(view.theme).grid}
        x = alt.X("cosine:Q", title=TITLE, axis=across, scale=alt.Scale(zero=True, nice=True))
        colour = group_colour(spec, view, has_legend=False)
        bar = base.mark_rule(strokeWidth=2, tooltip=None).encode(x=_at(x, "low"), x2="high:Q", color=colour)
        floor_bar = base.mark_rule(strokeWidth=1.5, opacity=0.6, color=grey, tooltip=None).encode(
            x=_at(x, "floor_low"), x2="floor_high:Q"
        )
        floor = base.mark_tick(thickness=3, size=14, color=grey, tooltip=None).encode(x=_at(x, "floor"))
        dot = base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x, color=colour, shape=group_shape(spec, has_legend=False), tooltip=_tooltips()
        )
        return finish(alt.layer(floor_bar, floor, bar, dot), view, zooms=False)


def _at(x: alt.X, field: str) -> alt.X:
    other = x.copy()
    other.shorthand = f"{field}:Q"
    return other


def _tooltips() -> list[alt.Tooltip]:
    ends = [("low", "95 %, low"), ("high", "95 %, high")]
    return [
        alt.Tooltip("group:N", title="Group"),
        alt.Tooltip("seeds:N", title="Runs"),
        alt.Tooltip("cosine:Q", title="Cosine", format="+.3f"),
        *(alt.Tooltip(f"{field}:Q", title=title, format="+.3f") for field, title in ends),
        alt.Tooltip("floor:Q", title="Noise floor", format="+.3f"),
        alt.Tooltip("measurements:Q", title="Measurements"),
    ]
