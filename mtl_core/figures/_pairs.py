"""Lines of pairs of tasks: striped in the colours of both, and of many pairs only the ones that matter in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_core.figures._parts import by_label, finish, labels, lone, positive, task_colour, wire, x_axis
from mtl_core.figures._view import Spec, View

MANY, STRESSED = 6, 4  # with more pairs than this, only so many are drawn in full


def pair_names(tasks: Sequence[str], spec: Spec, *, sign: str = "–") -> list[str]:
    """A name for each ordered pair of tasks, row by row of their matrix, each name once."""
    named = labels(spec)
    titles = [named.get(task, task) for task in tasks]
    texts = [f"{one} {sign} {other}" for one in titles for other in titles]
    if len(set(texts)) < len(texts):  # titles with dashes in them
        texts = [f"{text} ({n // len(tasks) + 1}, {n % len(tasks) + 1})" for n, text in enumerate(texts)]
    return texts


def with_pairs(frame: pd.DataFrame, spec: Spec, *, sign: str = "–") -> pd.DataFrame:
    """The rows of two different tasks, with a column ``pair`` that names them."""
    a, b = (frame[name].cat.codes.to_numpy().astype(int) for name in ("task", "other"))
    tasks = list(frame["task"].cat.categories)
    names = pd.Index(pair_names(tasks, spec, sign=sign), dtype="str")
    named = frame.assign(pair=pd.Categorical.from_codes(a * len(tasks) + b, categories=names))
    pairs: pd.DataFrame = named[a != b]
    return pairs


def opacity(tidy: pd.DataFrame, is_pair: NDArray[np.bool_], *, lowest: bool = True) -> pd.Series:
    """Where there are many pairs, the ones lowest (or highest) by their last measurements stand out."""
    if tidy["pair"][is_pair].nunique() <= MANY:
        return pd.Series(1.0, index=tidy.index)
    recent = tidy[is_pair & (tidy["step"] >= tidy["step"].quantile(0.75)).to_numpy()]
    last = recent.groupby("pair", observed=True)["value"].mean()
    stressed = (last.nsmallest(STRESSED) if lowest else last.nlargest(STRESSED)).index
    return pd.Series(np.where(tidy["pair"].isin(stressed) | ~is_pair, 1.0, 0.28), index=tidy.index)


def stripes(pairs: Any, y: alt.Y, spec: Spec, view: View) -> list[Any]:
    """Layers: a line per pair in one task's colour, dashes in the other's on top of it, and a dot where a line has one point."""
    faint = alt.Opacity("opacity:Q", scale=None, legend=None)
    lines = pairs.encode(y=y, detail="pair:N", opacity=faint)
    colour, other = task_colour(spec, view), task_colour(spec, view, field="other")
    rim = alt.Stroke("other:N", scale=other["scale"], legend=None)
    return [
        lines.mark_line(clip=True).encode(color=colour),
        lines.mark_line(strokeDash=[7, 9], clip=True).encode(color=other),
        lone(pairs, y, ["pair"]).encode(fill=alt.Fill("task:N", scale=colour["scale"], legend=None), stroke=rim),
    ]


def pair_rows(tidy: pd.DataFrame, spec: Spec, view: View, *, log: bool = False, lowest: bool = True) -> pd.DataFrame:
    """What a chart of pairs sends: [x, pair, task, other, value, opacity]."""
    tasks = {name: by_label(tidy[name], spec) for name in ("task", "other")}
    faint = opacity(tidy, np.ones(len(tidy), dtype=bool), lowest=lowest)
    fields = ["pair", "task", "other", "value", "opacity"]
    return wire(tidy, view, fields, opacity=faint, value=positive(tidy["value"], log), **tasks)


def pair_lines(data: Any, spec: Spec, view: View, y: alt.Y, *, title: str, form: str) -> Any:
    """A chart of pairs over training; ``title`` and ``form`` are those of the number in the tooltip."""
    base = alt.Chart(data).encode(x=x_axis(view))
    words = [
        alt.Tooltip("pair:N", title="Pair"),
        alt.Tooltip("value:Q", title=title, format=form),
        alt.Tooltip(f"{view.x}:Q", title=view.x.capitalize(), format=",.6~g"),
    ]
    hits = base.mark_point(opacity=0, size=90, clip=True).encode(y=y, tooltip=words)
    return finish(alt.layer(*stripes(base, y, spec, view), hits), view)
