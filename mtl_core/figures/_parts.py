"""What charts have in common: axes, task colours, the zoom, the theme, and what an empty chart says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_core.figures._view import Spec, View
from mtl_core.palette import TYPE, task_colours, task_dashes, task_shapes, tones

Floats = NDArray[np.float64]
Kind = Literal["linear", "log", "symlog"]  # symlog: linear between -1 and 1, logarithmic outside
X_TITLES = {"step": "Training step", "epoch": "Epoch", "time": "Training time"}
_X_FORMATS = {
    "step": "datum.value >= 1e6 ? format(datum.value / 1e6, '.3~f') + ' M' : format(datum.value, ',.6~f')",
    "epoch": "format(datum.value, '.4~f')",
    "time": "datum.value >= 7200 ? format(datum.value / 3600, '.2~f') + ' h' :"
    " datum.value >= 180 ? format(datum.value / 60, '.2~f') + ' min' : format(datum.value, '.3~f') + ' s'",
}
_POWER_OF_TEN = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6"
_SYMLOG_TICKS = [
    0,
    *(sign * size for size in (1, 3, 10, 30, 100, 1000, 10_000) for sign in (-1, 1)),
]  # the first have precedence
EDGE = 5  # pixels at both ends of an axis that ends where its numbers do: a marker there would be cut in half
WHEEL = "wheel![event.ctrlKey || event.metaKey || event.altKey]"  # a bare wheel scrolls the page; a pinch sends ctrlKey


def x_axis(view: View) -> alt.X:
    """The horizontal axis of everything that runs with training."""
    domain, padding = (alt.Undefined, EDGE) if view.x_domain is None else (list(view.x_domain), alt.Undefined)
    axis = alt.Axis(labelExpr=_X_FORMATS[view.x], tickCount=7, labelOverlap=True)
    return alt.X(
        f"{view.x}:Q",
        title=X_TITLES[view.x],
        axis=axis,
        scale=alt.Scale(domain=domain, padding=padding, zero=False, nice=False),
    )


def y_axis(
    field: str, title: str, view: View, *, kind: Kind = "linear", level: float | None = None, shares: bool = False
) -> alt.Y:
    """A vertical axis with few numbers, as long as needed to tell them apart; the grid line at ``level``, if it is in sight, stands out; ``shares``: 0 to 100 %."""
    # log axes get a label per power of ten and the like: labelOverlap drops what would collide
    axis = alt.Axis(format=".6~g", tickCount=5, labelOverlap=True)
    if kind == "log":
        axis.gridWidth = {"condition": {"test": _POWER_OF_TEN, "value": 1}, "value": 0}
    if kind == "symlog":  # Vega would put the ticks of a linear axis on it
        axis = alt.Axis(format=".3~g", labelOverlap="greedy", values=_SYMLOG_TICKS)
    if level is not None:
        test, tone = f"abs(datum.value - {level:g}) < 1e-12", tones(view.theme)
        axis.gridColor = {"condition": {"test": test, "value": tone.floor}, "value": tone.grid}
        axis.gridWidth = {"condition": {"test": test, "value": 1.6}, "value": 1}
    if shares:
        axis.format = ".0%"
        axis["values"] = [0, 0.25, 0.5, 0.75, 1]  # one half is what chance gives to most of them
    scales = {
        "linear": alt.Scale(domain=[0, 1]) if shares else alt.Scale(zero=False, nice=True),
        "log": alt.Scale(type="log", nice=False, padding=EDGE),
        "symlog": alt.Scale(type="symlog", constant=1, nice=False, padding=EDGE),
    }
    return alt.Y(f"{field}:Q", title=title, axis=axis, scale=scales[kind])


def signed(form: str) -> str:
    """The Vega expression of a tick's label with its sign; zero has none."""
    return f"abs(datum.value) < 1e-9 ? '0' : format(datum.value, '{form}')"


def zoom() -> alt.Parameter:
    """The window on the horizontal axis that a page reads and shares: drag pans, ctrl + wheel or pinch zooms."""
    return alt.selection_interval(name="zoom", bind="scales", encodings=["x"], zoom=WHEEL)


def labels(spec: Spec) -> dict[str, str]:
    """What to call each task: its title; its name where two share a title."""
    titles = [task["title"] for task in spec["tasks"]]
    named = {task["name"]: task["title"] if titles.count(task["title"]) == 1 else task["name"] for task in spec["tasks"]}
    return named if len(set(named.values())) == len(named) else {name: name for name in named}


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Its rows as named tuples."""
    return list(frame.itertuples(index=False))


def by_label(names: pd.Series, spec: Spec) -> pd.Categorical:
    """A column of task names as categories with the tasks' titles; what is no task of the run is missing."""
    named = labels(spec)
    column = names if isinstance(names.dtype, pd.CategoricalDtype) else names.astype("category")
    known = list(named)
    places = np.array([known.index(name) if name in named else -1 for name in column.cat.categories] + [-1])
    return pd.Categorical.from_codes(places[column.cat.codes], categories=pd.Index(list(named.values()), dtype="str"))


def task_colour(
    spec: Spec, view: View, *, field: str = "task", as_markers: bool = False, only: Sequence[str] = ()
) -> alt.Color:
    """Colour by task, always the palette's; the legend lists the run's tasks whether they have numbers yet or not."""
    legend = _legend(spec, only, as_markers=as_markers)
    return alt.Color(f"{field}:N", scale=_scale(spec, task_colours(spec, view.theme), only), legend=legend)


def task_dash(spec: Spec, *, only: Sequence[str] = ()) -> alt.StrokeDash:
    """Dashes by task: the second channel for lines. Its legend merges with that of the colour."""
    dashes = {task: list(dash) for task, dash in task_dashes(spec).items()}
    return alt.StrokeDash("task:N", scale=_scale(spec, dashes, only), legend=_legend(spec, only, as_markers=False))


def task_shape(spec: Spec, *, only: Sequence[str] = ()) -> alt.Shape:
    """Marker by task: the second channel for points. Its legend merges with that of the colour."""
    return alt.Shape("task:N", scale=_scale(spec, task_shapes(spec), only), legend=_legend(spec, only, as_markers=True))


def split_dash() -> alt.StrokeDash:
    """Training solid, validation dashed."""
    scale = alt.Scale(domain=["train", "validation"], range=[[1, 0], [6, 3]])
    expression = "datum.label == 'train' ? 'training' : 'validation (dashed)'"
    legend = alt.Legend(title=None, labelExpr=expression, symbolType="stroke", symbolSize=420, orient="bottom", offset=2)
    return alt.StrokeDash("split:N", scale=scale, legend=legend)


def wire(tidy: pd.DataFrame, view: View, columns: Sequence[str], **instead: Any) -> pd.DataFrame:
    """Only what the chart draws, in as few bytes as screens can tell apart: 32-bit numbers, categories for texts.

    Args:
        instead: other values for some of the columns, or for new ones.
    """
    names = [view.x, *columns] if view.x in tidy else list(columns)
    return pd.DataFrame({name: _narrow(instead[name] if name in instead else tidy[name]) for name in names})


def _narrow(values: Any) -> Any:
    if isinstance(values, pd.Categorical) or values.dtype.kind not in "fiu":
        return values if isinstance(values, pd.Categorical) else values.array
    numbers = np.asarray(values)
    if numbers.dtype.kind == "f":
        return numbers.astype(np.float32)
    return numbers.astype(np.int32) if not len(numbers) or abs(numbers).max() < 2**31 else numbers


def positive(values: pd.Series, is_log: bool) -> Floats:
    """The values, without what the axis cannot hold: infinities and, if logarithmic, what is not positive."""
    numbers = values.to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(numbers) & ((numbers > 0) | (not is_log)), numbers, np.nan)


def lone(base: Any, y: alt.Y, series: Sequence[str]) -> Any:
    """A dot for each series that has a single number so far: a line through one point is nothing.

    Args:
        base: the chart with its ``x``, whose rows have a ``value``.
        series: the columns that tell series apart.
    """
    counted = base.transform_joinaggregate(n_values="valid(value)", groupby=list(series))
    shown = alt.condition("datum.n_values == 1", alt.value(1), alt.value(0))  # a filter would leave an axis without numbers
    return counted.mark_point(filled=True, size=70, clip=True).encode(y=y, opacity=shown)


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


def empty_rows(sentence: str, view: View) -> pd.DataFrame:
    """The one row of an empty chart."""
    return pd.DataFrame({view.x: [0.5], "y": [0.5], "sentence": [sentence]})


def empty(data: Any, view: View, *, x_title: str | None, y_title: str, zooms: bool) -> Any:
    """Axes and a sentence; ``data`` as made by ``empty_rows``."""
    bare, scale = alt.Axis(labels=False, ticks=False, grid=False), alt.Scale(domain=[0, 1])
    x = alt.X(f"{view.x}:Q", title=X_TITLES[view.x] if x_title is None else x_title, axis=bare, scale=scale)
    text = (
        alt.Chart(data)
        .mark_text(color=tones(view.theme).soft_ink, fontSize=TYPE.label, font=TYPE.font)
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
        "labelLimit": 190,
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
        "line": {"strokeWidth": 2.2, "strokeJoin": "round"},
        # thousands of points are no use to a screen reader, the sentences below the figure are; tooltips only where a figure names them
        "mark": {"aria": False, "tooltip": None},
    }


def _scale(spec: Spec, looks: dict[str, Any], only: Sequence[str]) -> alt.Scale:
    shown = [(name, label) for name, label in labels(spec).items() if not only or name in only]
    return alt.Scale(domain=[label for _, label in shown], range=[looks[name] for name, _ in shown])


def _legend(spec: Spec, only: Sequence[str], *, as_markers: bool) -> alt.Legend:
    texts = [label for name, label in labels(spec).items() if not only or name in only]
    lengths = [min(len(text), 26) + 5 for text in texts]  # in letters; 5 for the symbol and the gap

    def is_too_wide(columns: int) -> bool:
        return sum(max(lengths[column::columns]) for column in range(columns)) > 76  # about half a page

    columns = next((n for n in range(len(texts), 1, -1) if not is_too_wide(n)), 1)
    look = {"symbolSize": 90} if as_markers else {"symbolType": "stroke", "symbolSize": 420}
    return alt.Legend(title=None, columns=columns, symbolOpacity=1, **look)
