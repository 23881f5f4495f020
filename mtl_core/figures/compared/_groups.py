"""What figures of several groups have in common: a colour and a dash per group, the same in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from mtl_core.figures._view import Spec, View
from mtl_core.palette import DASHES, SHAPES, TASK_COLOURS, tones

LONGEST = 220  # pixels of a name in a legend


def group_names(spec: Spec) -> list[str]:
    """The groups' names in their order; each stands once."""
    return [group["name"] for group in spec["groups"]]


def group_colours(spec: Spec, view: View) -> list[str]:
    """A colour per group by its place; the baseline is grey. They repeat after ten, with other dashes and markers."""
    palette, grey = TASK_COLOURS[view.theme], tones(view.theme).floor
    return [grey if group["is_baseline"] else palette[group["place"] % len(palette)] for group in spec["groups"]]


def group_dashes(spec: Spec) -> list[list[int]]:
    """A dash per group: solid for the first ten, then others."""
    return [list(DASHES[group["place"] // 10 % len(DASHES)]) for group in spec["groups"]]


def group_shapes(spec: Spec) -> list[str]:
    """A marker per group: the second channel beside its colour where points are drawn; with a colour that comes again stands another."""
    return [SHAPES[(group["place"] + group["place"] // 10) % len(SHAPES)] for group in spec["groups"]]


def group_colour(
    spec: Spec, view: View, *, as_markers: bool = False, has_legend: bool = True, only: Sequence[str] = ()
) -> alt.Color:
    """Colour by group (field ``group``: its name), with the legend of all groups, or of those in ``only``."""
    return alt.Color("group:N", scale=_scale(spec, group_colours(spec, view), only), legend=_legend(as_markers, has_legend))


def group_dash(spec: Spec, *, has_legend: bool = True, only: Sequence[str] = ()) -> alt.StrokeDash:
    """Dash by group; its legend merges with that of the colour."""
    return alt.StrokeDash("group:N", scale=_scale(spec, group_dashes(spec), only), legend=_legend(False, has_legend))


def group_shape(spec: Spec, *, has_legend: bool = True, only: Sequence[str] = ()) -> alt.Shape:
    """Marker by group; its legend merges with that of the colour."""
    return alt.Shape("group:N", scale=_scale(spec, group_shapes(spec), only), legend=_legend(True, has_legend))


def _scale(spec: Spec, looks: Sequence[object], only: Sequence[str]) -> alt.Scale:
    shown = [(name, look) for name, look in zip(group_names(spec), looks, strict=True) if not only or name in only]
    return alt.Scale(domain=[name for name, _ in shown], range=[look for _, look in shown])


def _legend(as_markers: bool, is_shown: bool) -> alt.Legend | None:
    if not is_shown:
        return None
    look = {"symbolSize": 90} if as_markers else {"symbolType": "stroke", "symbolSize": 420}
    return alt.Legend(title=None, columns=3, symbolOpacity=1, labelLimit=LONGEST, **look)
