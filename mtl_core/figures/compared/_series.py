"""Lines over training of several groups: a line per group with its band, or a line per run in its group's colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_core.figures._parts import Floats, finish, positive, wire, x_axis
from mtl_core.figures._view import Spec, View
from mtl_core.figures.compared._groups import group_colour, group_dash

Counts = NDArray[np.int64]
ROOM = 0.6  # how far a band may widen the picture beyond its lines, as a share of their range
MANY, MOST_BANDS = 5, 8  # more bands on top of each other hide the lines: faint ones do not; of single runs there are none
SHADES = (0.15, 0.045)  # of few bands, and of many; 0 where there is none
PATH = "path:N"  # a line is drawn part by part; each has a number of its own
MOST_HITS = (130, 1500)  # places with a tooltip, of a line and of all: about as many as a pointer can tell apart
HIT, SEEN = 1, 2  # a place with a tooltip, and one that is also drawn as a dot
_PLACES = {"step": "Step", "epoch": "Epoch", "time": "Seconds of training"}
_SAID = "format(datum.value, '{form}') + (datum.n > 1 && isValid(datum.high) ? ' ± ' + format(datum.margin, '.2~g') : '')"


def series_rows(
    tidy: pd.DataFrame, view: View, *, log: bool = False, ends: tuple[float, float] | None = None, more: Sequence[str] = ()
) -> pd.DataFrame:
    """What the browser gets: [x, group, path, seeds, value, low, high, margin, n, shade, dot] that the axis can hold.

    A band that is much wider than all lines together is cut where the picture ends, so that the lines stay readable; its true
    width is in ``margin``, half of it. ``path`` counts the parts of lines, ``shade`` is how strong bands are, ``dot`` says where
    tooltips are to be had: every so many places, for each costs a browser as much as all of the line there.

    Args:
        ends: what the numbers lie between by their nature; a band is cut there too.
        more: further columns.
    """
    value, low, high = (positive(tidy[name], log) for name in ("value", "low", "high"))
    low = np.where(np.isnan(low) & np.isfinite(high), value, low)  # below what a logarithmic axis holds
    shade = SHADES[tidy["line"].nunique() > MANY]
    margin = tidy["high"].to_numpy(np.float64) - tidy["value"].to_numpy(np.float64)
    is_crowded = tidy["line"].nunique() > MOST_BANDS and bool((tidy["n"] <= 1).all())
    if np.isfinite(low).any() and not is_crowded:
        low, high = _within(value, low, high, log)
    else:  # bands of no width: a field without any number makes Vega complain
        low, high, shade = value, value, 0.0
    if ends is not None:
        low, high = np.clip(low, *ends), np.clip(high, *ends)
    path = _paths(tidy)
    numbers = {
        "path": path,
        "value": value,
        "low": low,
        "high": high,
        "margin": margin,
        "shade": np.full(len(tidy), shade),
        "dot": _dots(path, value),
    }
    return wire(tidy, view, ["group", "seeds", "n", *more, *numbers], **numbers)


def _paths(tidy: pd.DataFrame) -> Counts:
    """Which part of which line a row belongs to, as a number."""
    n_parts = int(tidy["part"].max()) + 1 if len(tidy) else 1
    paths: Counts = tidy["line"].cat.codes.to_numpy(np.int64) * n_parts + tidy["part"].to_numpy(np.int64)
    return paths


def _dots(path: Counts, value: Floats) -> Counts:
    """``SEEN`` where a path has a single number (a line through one point is nothing), ``HIT`` at places along the others, else 0."""
    is_known = np.isfinite(value)
    counts = np.bincount(path, weights=is_known)
    if not is_known.any():
        return np.zeros(len(path), np.int64)
    most_of_one, most = MOST_HITS
    stride = int(np.ceil(max(counts.max() / most_of_one, counts.sum() / most)))
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    rank = np.arange(len(path)) - np.repeat(starts, np.diff(np.append(starts, len(path))))
    is_hit = (rank % stride == 0) | (counts[path] <= stride)  # a short path has all of its places
    return np.where(is_known, np.where(counts[path] == 1, SEEN, HIT * is_hit), 0)


def _within(value: Floats, low: Floats, high: Floats, log: bool) -> tuple[Floats, Floats]:
    known = value[np.isfinite(value)]
    if not len(known):
        return low, high
    ends = np.log([known.min(), known.max()]) if log else np.array([known.min(), known.max()])
    room = ROOM * (ends[1] - ends[0]) or ROOM * (abs(ends[0]) or 1.0)
    bottom, top = np.exp([ends[0] - room, ends[1] + room]) if log else (ends[0] - room, ends[1] + room)
    return np.clip(low, bottom, top), np.clip(high, bottom, top)


def series_lines(data: Any, spec: Spec, view: View, y: alt.Y, *, form: str = ".4~g", zooms: bool = False) -> Any:
    """Bands, lines, and points with the tooltips, unseen but for lines of one number. The legend stands above all panels."""
    base = alt.Chart(data).encode(x=x_axis(view), color=group_colour(spec, view, has_legend=False))
    line = base.mark_line(clip=True, strokeWidth=1.8, tooltip=None).encode(y=y, detail=PATH, opacity=strength())
    layers = [
        shaded(base, y),
        line.encode(strokeDash=group_dash(spec, has_legend=False)),
        hits(base, y, view, form),
    ]
    return finish(alt.layer(*layers), view, zooms=zooms)


def shaded(base: Any, y: alt.Y) -> Any:
    """The bands: many on top of each other are faint, that of the group under the pointer stands out.

    Where there are none, only the first line has its band of no width: bands cost a browser as much as lines, and a layer
    without rows makes Vega complain.
    """
    low = y.copy()
    low.shorthand = "low:Q"
    shade = alt.condition(_under(empty=False), alt.value(0.3), alt.Opacity("shade:Q", scale=None, legend=None))
    drawn = base.transform_filter("datum.shade || !datum.path")
    return drawn.mark_area(clip=True, tooltip=None).encode(y=low, y2="high:Q", detail=PATH, opacity=shade)


def strength(full: float = 1.0) -> Any:
    """How strong a line is: others than the one under the pointer step back."""
    return alt.when(_under(empty=True)).then(alt.value(full)).otherwise(alt.value(0.2))


def _under(*, empty: bool) -> Any:
    return alt.selection_point(name="under", fields=["group"], on="pointerover", clear="pointerout", empty=empty)


def hits(base: Any, y: alt.Y, view: View, form: str, *, first: Sequence[alt.Tooltip] = ()) -> Any:
    """Unseen points that carry the tooltip, and that say which group is under the pointer."""
    words = [
        alt.Tooltip("group:N", title="Group"),
        *first,
        alt.Tooltip("seeds:N", title="Runs"),
        alt.Tooltip("said:N", title="Value"),
        alt.Tooltip("n:Q", title="Seeds here"),
        alt.Tooltip(f"{view.x}:Q", title=_PLACES[view.x], format=",.6~g"),
    ]
    named = base.transform_filter("datum.dot").transform_calculate(said=_SAID.format(form=form))
    seen = alt.condition(f"datum.dot == {SEEN}", alt.value(1), alt.value(0))
    points = named.mark_point(filled=True, size=80, clip=True).encode(y=y, tooltip=words, opacity=seen)
    return points.properties(name="points").add_params(_under(empty=False))
