"""What the three figures of What if have in common: a row per scheme, the step taken at the top."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures._answer import short_title
from mtl_core.figures._parts import by_label, wire
from mtl_core.figures._view import Spec, View
from mtl_core.palette import tones

WAITING = "The schemes are asked once gradients have been measured."
LIMIT = 240  # pixels for a scheme's title


def scheme_axis(view: View, *, grid: bool = True) -> alt.Y:
    """Schemes downwards in the order of the rows."""
    axis = alt.Axis(labelLimit=LIMIT, domain=False, ticks=False, labelColor=tones(view.theme).ink, grid=grid)
    scale = alt.Undefined if grid else alt.Scale(paddingInner=0.12)  # cells have gaps, points a line each
    return alt.Y("title:N", title=None, sort=None, scale=scale, axis=axis)


def scheme_rows(tidy: pd.DataFrame, spec: Spec, view: View, columns: list[str]) -> pd.DataFrame:
    """What goes to the browser: titles, notes and numbers; tasks by title."""
    is_taken = (tidy["scheme"] == "taken").to_numpy()
    titles = tidy["title"].where(is_taken, tidy["title"].map(short_title))
    instead: dict[str, Any] = {
        name: pd.Categorical(texts, list(dict.fromkeys(texts))) for name, texts in (("title", titles), ("note", tidy["note"]))
    }
    if "task" in columns:
        instead["task"] = by_label(tidy["task"], spec)
    return wire(
        tidy.assign(is_taken=is_taken.astype("int8")),
        view,
        ["title", "note", "is_taken", *columns],
        **instead,
    )


def sentences(base: Any, y: alt.Y, view: View, x: Any, missing: str) -> Any:
    """A scheme without numbers says why, in its row."""
    silent = base.transform_filter(f"!isValid(datum.{missing})").transform_aggregate(
        n_rows="count()", groupby=["title", "note"]
    )
    text = silent.mark_text(align="left", dx=6, limit=360, color=tones(view.theme).soft_ink, fontStyle="italic")
    return text.encode(y=y, x=x, text="note:N", tooltip=["title:N", "note:N"])
