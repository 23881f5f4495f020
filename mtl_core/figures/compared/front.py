"""Two metrics at once: does a clever scheme reach what no fixed mix of weights reaches?"""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import finish
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._front import front_line, front_points
from mtl_core.figures.compared._groups import LONGEST, group_colours, group_names, group_shapes
from mtl_core.palette import TYPE, tones

MOST_IN_LEGEND = 24


@CONTRASTS.register
class ScalarisationFront(Contrast):
    """Groups over two test metrics, with the front that fixed weights reach (Xin et al. 2022, Figures 2 to 8)."""

    title = "What fixed weights reach"
    how_to_read = (
        "Better is up and to the right, so an axis runs backwards where lower is better: hollow markers are fixed weights, the "
        "stepped line is the best that they reach, filled markers are other schemes, thin crosses their 95 % intervals over "
        "seeds, and the dashed cross is the baseline."
    )
    may_say = (
        "A scheme on the line or below it does nothing that tuning fixed weights would not do (Xin and others, 2022), and one "
        "beyond it may still be there by chance, unless its whole cross is beyond. Beyond a line of few mixes says little, and "
        "two metrics say nothing of the others."
    )
    waiting = "Points appear with the first final test that has both metrics."
    source = "front"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return bool(spec.get("groups")) and len(_scores(spec)) > 1

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """Every pair of metrics; those of two tasks' first ones stand first."""
        metrics = _scores(spec)
        heads: dict[str, str] = {}
        for metric in metrics:
            heads.setdefault(metric["task"], metric["key"])
        pairs = [(one, other) for n, one in enumerate(metrics) for other in metrics[n + 1 :]]
        pairs.sort(key=lambda pair: sum(metric["key"] not in heads.values() for metric in pair))
        return {f"{one['key']}\n{other['key']}": f"{one['label']} and {other['label']}" for one, other in pairs}

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """A row per group, see ``frames.compared.front.front_table``."""
        return frame[np.isfinite(frame["x"].astype(float)) & np.isfinite(frame["y"].astype(float))].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        x, y = (f"{metric['label']}{_unit(metric)} {_way(metric)}" for metric in _pair(spec, view))
        return x, y

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """Points and the corners of the line of fixed weights, told apart by ``part``."""
        if tidy.empty:
            return tidy
        up = [bool(metric["higher_is_better"]) for metric in _pair(spec, view)]
        return pd.concat([front_points(tidy, up), front_line(tidy, up)], ignore_index=True)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        x, y = _axis(spec, view, 0), _axis(spec, view, 1)
        tone, base = tones(view.theme), alt.Chart(data)
        points = base.transform_filter("datum.part == 'point'")
        hovered = alt.selection_point(name="hovered", on="pointerover", nearest=True, empty=False, fields=["group"])
        seen = alt.condition(hovered, alt.value(1), alt.Opacity("strength:Q", scale=None))
        looks = _looks(spec, view)
        line = {"strokeWidth": 1.4, "strokeDash": [5, 4], "color": tone.floor}
        at_base = points.transform_filter("datum.is_line")
        stairs = base.transform_filter("datum.part == 'line'")
        area = stairs.mark_area(opacity=0.07, color=tone.ink).encode(x=x, y=y, y2="floor:Q", order="order:Q")
        steps = stairs.mark_line(color=tone.ink, strokeWidth=2.2).encode(x=x, y=y, order="order:Q")
        bars = points.encode(
            stroke=looks["stroke"], opacity=alt.condition(hovered, alt.value(1), alt.Opacity("cross:Q", scale=None))
        )
        markers = points.mark_point(strokeWidth=2, size=130).encode(
            x=x, y=y, opacity=seen, tooltip=_tooltips(spec, view), **looks
        )
        layers = [
            area,
            at_base.mark_rule(**line).encode(x=x),
            at_base.mark_rule(**line).encode(y=y),
            bars.mark_rule(strokeWidth=1.1).encode(x="x_low:Q", x2="x_high:Q", y=y),
            bars.mark_rule(strokeWidth=1.1).encode(x=x, y="y_low:Q", y2="y_high:Q"),
            steps,
            markers.add_params(hovered),
            *_labels(points, x, y, view),
        ]
        return finish(alt.layer(*layers), view, zooms=False)


def _scores(spec: Spec) -> list[Any]:
    return [metric for metric in spec.get("metrics", ()) if metric["is_score"]]


def _pair(spec: Spec, view: View) -> list[Any]:
    """The two metrics that the view has chosen; the first two headlines if it has not."""
    known = {metric["key"]: metric for metric in _scores(spec)}
    wanted = view.choice or next(iter(ScalarisationFront.choices(spec)), "")
    found = ([one, other] for left, one in known.items() for right, other in known.items() if f"{left}\n{right}" == wanted)
    nobody = {"key": "", "label": "A test metric", "unit": "", "higher_is_better": True}
    return next(found, [nobody, nobody])


def _unit(metric: Any) -> str:
    return f" in {metric['unit']}" if metric["unit"] else ""


def _way(metric: Any) -> str:
    return "→ better" if metric["higher_is_better"] else "(axis backwards) → better"


def _axis(spec: Spec, view: View, n: int) -> Any:
    channel, metric = (alt.X, alt.Y)[n], _pair(spec, view)[n]
    scale = alt.Scale(zero=False, nice=True, padding=14, reverse=not metric["higher_is_better"])
    axis = alt.Axis(format=".6~g", tickCount=6, labelOverlap=True, grid=True, titleLimit=(640, 360)[n])
    return channel(f"{'xy'[n]}:Q", title=ScalarisationFront.axes(spec, view)[n], scale=scale, axis=axis)


def _looks(spec: Spec, view: View) -> dict[str, Any]:
    """Colour, filling and shape of the markers, in one legend: those of fixed weights are hollow there, too."""
    colours, legend = group_colours(spec, view), _legend(spec)
    inside = ["transparent" if group["is_static"] else colour for group, colour in zip(spec["groups"], colours, strict=True)]
    return {
        "stroke": alt.Stroke("group:N", scale=_scale(spec, colours), legend=legend),
        "fill": alt.Fill("group:N", scale=_scale(spec, inside), legend=legend),
        "shape": alt.Shape("group:N", scale=_scale(spec, group_shapes(spec)), legend=legend),
    }


def _scale(spec: Spec, looks: list[str]) -> alt.Scale:
    return alt.Scale(domain=group_names(spec), range=looks)


def _legend(spec: Spec) -> alt.Legend:
    """The names of the first groups; of the others, hovering tells them."""
    names = group_names(spec)[:MOST_IN_LEGEND]
    return alt.Legend(title=None, columns=3, values=names, symbolOpacity=1, symbolSize=90, labelLimit=LONGEST)


def _labels(points: Any, x: Any, y: Any, view: View) -> list[Any]:
    """Names beside the points that nobody beats, each on the side that ``place_labels`` found free, with a rim of paper."""
    tone = tones(view.theme)
    is_right, is_above = "indexof(datum.side, 'right') >= 0", "indexof(datum.side, 'above') >= 0"
    where: dict[str, Any] = {
        "align": alt.expr(f"{is_right} ? 'left' : 'right'"),
        "dx": alt.expr(f"{is_right} ? 9 : -9"),
        "dy": alt.expr(f"{is_above} ? -11 : 11"),
    }
    named = points.transform_calculate(name="datum.side ? datum.label : ''")  # no side, no room
    text = named.encode(x=x, y=y, text="name:N")
    rim: dict[str, Any] = {"stroke": tone.card, "strokeWidth": 4, "strokeOpacity": 0.85, "color": tone.card}
    return [
        text.mark_text(fontSize=TYPE.small, font=TYPE.font, fontWeight=500, **where, **look)
        for look in (rim, {"color": tone.ink})
    ]


def _tooltips(spec: Spec, view: View) -> list[alt.Tooltip]:
    one, other = (metric["label"].replace(":", ",") for metric in _pair(spec, view))
    return [
        alt.Tooltip("group:N", title="Group"),
        alt.Tooltip("x:Q", title=one, format=".4~g"),
        alt.Tooltip("y:Q", title=other, format=".4~g"),
        alt.Tooltip("seeds:Q", title="Seeds"),
        alt.Tooltip("where:N", title="Fixed weights"),
    ]
