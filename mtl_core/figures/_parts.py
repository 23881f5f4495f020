"""What charts have in common: axes, task colours, the zoom, the theme, and what an empty chart says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.palette import TYPE, task_colours, task_dashes, task_shapes, tones

X_TITLES = {"step": "Training step", "epoch": "Epoch", "time": "Training time"}
_X_FORMATS = {
    "step": "datum.value >= 1e6 ? format(datum.value / 1e6, '.3~f') + ' M' : format(datum.value, ',.6~f')",
    "epoch": "format(datum.value, '.4~f')",
    "time": "datum.value >= 7200 ? format(datum.value / 3600, '.2~f') + ' h' :"
    " datum.value >= 180 ? format(datum.value / 60, '.2~f') + ' min' : format(datum.value, '.3~f') + ' s'",
}
WHEEL = "wheel![event.ctrlKey || event.metaKey || event.altKey]"  # a bare wheel scrolls the page; a pinch sends ctrlKey


def x_axis(view: View) -> alt.X:
    """The horizontal axis of everything that runs with training."""
    domain = alt.Undefined if view.x_domain is None else list(view.x_domain)
    axis = alt.Axis(labelExpr=_X_FORMATS[view.x], tickCount=7, labelOverlap=True)
    return alt.X(f"{view.x}:Q", title=X_TITLES[view.x], axis=axis, scale=alt.Scale(domain=domain, zero=False, nice=False))


def y_axis(field: str, title: str, *, log: bool = False, domain: Sequence[float] | None = None) -> alt.Y:
    """A vertical axis with few, short numbers."""
    bounds = alt.Undefined if domain is None else list(domain)
    scale = alt.Scale(type="log" if log else "linear", zero=False, nice=True, domain=bounds)
    # log axes get a label per power of ten and the like: drop what would overlap
    axis = alt.Axis(format=".3~g", tickCount=5, labelOverlap=True)
    return alt.Y(f"{field}:Q", title=title, axis=axis, scale=scale)


def zoom() -> alt.Parameter:
    """The window on the horizontal axis that a page reads and shares: drag pans, ctrl + wheel or pinch zooms."""
    return alt.selection_interval(name="zoom", bind="scales", encodings=["x"], zoom=WHEEL)


def labels(spec: Spec) -> dict[str, str]:
    """What to call each task: its title, or its name where two share a title."""
    titles = [task["title"] for task in spec["tasks"]]
    return {task["name"]: task["title"] if titles.count(task["title"]) == 1 else task["name"] for task in spec["tasks"]}


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Its rows as named tuples."""
    return list(frame.itertuples(index=False))


def with_labels(tidy: pd.DataFrame, spec: Spec, *columns: str) -> pd.DataFrame:
    """The table with tasks by title, as categories."""
    named = labels(spec)
    for column in columns or ("task",):
        texts = [named.get(str(task), str(task)) for task in tidy[column]]
        tidy = tidy.assign(**{column: pd.Categorical(texts, categories=list(named.values()))})
    return tidy


def task_colour(spec: Spec, view: View, *, field: str = "task", legend: bool = True, only: Sequence[str] = ()) -> alt.Color:
    """Colour by task, always the palette's; the legend lists the run's tasks whether they have numbers yet or not."""
    return alt.Color(f"{field}:N", scale=_scale(spec, task_colours(spec, view.theme), only), legend=_legend(spec, only, legend))


def task_dash(spec: Spec, *, only: Sequence[str] = ()) -> alt.StrokeDash:
    """Dashes by task: the second channel for lines. Its legend merges with that of the colour."""
    dashes = {task: list(dash) for task, dash in task_dashes(spec).items()}
    return alt.StrokeDash("task:N", scale=_scale(spec, dashes, only), legend=_legend(spec, only, True))


def task_shape(spec: Spec, *, only: Sequence[str] = ()) -> alt.Shape:
    """Marker by task: the second channel for points. Its legend merges with that of the colour."""
    return alt.Shape("task:N", scale=_scale(spec, task_shapes(spec), only), legend=_legend(spec, only, True))


def split_dash() -> alt.StrokeDash:
    """Training solid, validation dashed."""
    scale = alt.Scale(domain=["train", "validation"], range=[[1, 0], [6, 3]])
    expression = "datum.label == 'train' ? 'training' : 'validation (dashed)'"
    legend = alt.Legend(title=None, labelExpr=expression, symbolType="stroke", symbolSize=420, orient="bottom", offset=2)
    return alt.StrokeDash("split:N", scale=scale, legend=legend)


def wire(tidy: pd.DataFrame, view: View, columns: Sequence[str]) -> pd.DataFrame:
    """Only what the chart draws, in as few bytes as screens can tell apart: 32-bit numbers, categories for texts."""
    frame = tidy[[view.x, *columns] if view.x in tidy else list(columns)].reset_index(drop=True)
    narrow = {}
    for name, dtype in frame.dtypes.items():
        if dtype.kind == "f":
            narrow[name] = "float32"
        elif dtype.kind in "iu" and (not len(frame) or frame[name].abs().max() < 2**31):
            narrow[name] = "int32"
    return frame.astype(narrow)


def positive(values: pd.Series, is_log: bool) -> pd.Series:
    """The values, without what a logarithmic axis cannot hold."""
    return values.where(values > 0) if is_log else values.where(np.isfinite(values))


def finish(chart: Any, view: View, *, zooms: bool = True) -> Any:
    """Size, zoom, theme. The drawing is one canvas, so the number of points never changes how it is made."""
    chart = chart.properties(
        height=view.height,
        width="container",
        background="transparent",
        padding={"left": 4, "right": 12, "top": 4, "bottom": 4},
        usermeta={"embedOptions": {"renderer": "canvas"}},
        config=theme(view),
    )
    if zooms:
        chart.layer[0].name = "lines"  # one layer owns the selection; a name of our own stays the same from tick to tick
        chart = chart.add_params(zoom())
    return chart


def empty(sentence: str, y_title: str, view: View, *, x_title: str | None = None, zooms: bool = True) -> Any:
    """Axes and a sentence."""
    tone = tones(view.theme)
    place = pd.DataFrame({view.x: [0.5], "y": [0.5], "sentence": [sentence]})
    bare = alt.Axis(labels=False, ticks=False, grid=False)
    scale = alt.Scale(domain=[0, 1])
    x = alt.X(f"{view.x}:Q", title=X_TITLES[view.x] if x_title is None else x_title, axis=bare, scale=scale)
    text = (
        alt.Chart(place)
        .mark_text(color=tone.soft_ink, fontSize=TYPE.label, font=TYPE.font)
        .encode(x=x, y=alt.Y("y:Q", title=y_title, axis=bare, scale=scale), text="sentence:N")
    )
    return finish(alt.layer(text), view, zooms=zooms)


def theme(view: View) -> dict[str, Any]:
    """Vega-Lite's config: one type scale, quiet axes, legends in rows above the chart."""
    tone = tones(view.theme)
    words = {"labelColor": tone.soft_ink, "titleColor": tone.ink, "labelFontSize": TYPE.small, "titleFontSize": TYPE.label}
    axis = {
        **words,
        "titleFontWeight": 500,
        "titlePadding": 8,
        "labelPadding": 5,
        "domainColor": tone.grid,
        "tickColor": tone.grid,
        "gridColor": tone.grid,
        "labelFlush": False,
    }
    legend = {
        **words,
        "labelColor": tone.ink,
        "labelFontSize": TYPE.label,
        "orient": "top",
        "direction": "horizontal",
        "titleFontWeight": 500,
        "labelLimit": 240,
        "symbolSize": 110,
        "symbolStrokeWidth": 2.5,
        "columnPadding": 16,
        "padding": 0,
        "offset": 10,
    }
    return {
        "font": TYPE.font,
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False},
        "legend": legend,
        "line": {"strokeWidth": 2.2, "strokeCap": "round", "strokeJoin": "round"},
        "mark": {"aria": False},  # thousands of points are no use to a screen reader; the sentences below the figure are
    }


def _scale(spec: Spec, looks: dict[str, Any], only: Sequence[str]) -> alt.Scale:
    shown = [(name, label) for name, label in labels(spec).items() if not only or name in only]
    return alt.Scale(domain=[label for _, label in shown], range=[looks[name] for name, _ in shown])


def _legend(spec: Spec, only: Sequence[str], is_shown: bool) -> alt.Legend | None:
    if not is_shown:
        return None
    texts = [label for name, label in labels(spec).items() if not only or name in only]
    longest = max((len(text) for text in texts), default=1)
    columns = max(1, min(len(texts), 64 // (longest + 5)))  # about 64 characters fit in half a page
    return alt.Legend(title=None, columns=columns, symbolType="stroke", symbolSize=420)
