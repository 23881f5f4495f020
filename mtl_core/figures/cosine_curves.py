"""Conflict over time: do two tasks pull the shared layers the same way, and is it more than batch noise?"""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._pairs import opacity, pair_names, stripes
from mtl_core.figures._parts import by_label, finish, wire, x_axis, y_axis
from mtl_core.palette import tones

TITLE = "Cosine between gradients"
FLOOR = "a task with itself"


@FIGURES.register
class CosineCurves(Figure):
    """The cosine of each pair of tasks as training goes, against the same number for a task and itself."""

    title = "Gradient conflict over time"
    how_to_read = (
        "A line striped in two colours is that pair of tasks, compared across two halves of a batch: above zero they pull the "
        "same way, below zero apart (of many pairs the four lowest stand out); the grey band is each task against itself, the most that this much data can show."
    )
    when_to_worry = (
        "A pair stays below zero while the grey band is clearly above it; a grey band near zero means that batches are too "
        "small to tell."
    )
    waiting = "Conflict appears with the first measurement of gradients."
    source = "cosines"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, pair, task, other, cosine, cross, low, high, value].

        ``value`` is the smoothed cross-half cosine. The rows of the noise floor have the pair ``FLOOR``, no tasks, and span
        ``low`` to ``high`` over all tasks.
        """
        known = frame[frame["smooth"].notna().to_numpy()].rename(columns={"smooth": "value"})
        a, b = (known[name].cat.codes.to_numpy().astype(int) for name in ("task", "other"))
        tasks = list(frame["task"].cat.categories)
        names = pd.Index([*pair_names(tasks, spec), FLOOR], dtype="str")
        pair = pd.Categorical.from_codes(a * len(tasks) + b, categories=names)
        pairs = known.assign(pair=pair, low=np.nan, high=np.nan)[a != b]
        columns = ["step", "epoch", "time", "pair", "task", "other", "cosine", "cross", "low", "high", "value"]
        both: pd.DataFrame = pd.concat([pairs, _floor(known[a == b], names)], ignore_index=True)
        return both.reindex(columns=columns)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, TITLE

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        fields = ["pair", "task", "other", "cosine", "low", "high", "value", "opacity"]
        tasks = {name: by_label(tidy[name], spec) for name in ("task", "other")}
        return wire(tidy, view, fields, opacity=opacity(tidy, (tidy["pair"] != FLOOR).to_numpy()), **tasks)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y, grey = y_axis("value", TITLE, view, level=0.0), tones(view.theme).floor
        base = alt.Chart(data).encode(x=x_axis(view))
        floor = base.transform_filter(f"datum.pair == '{FLOOR}'")
        pairs = base.transform_filter(f"datum.pair != '{FLOOR}'")
        band = floor.mark_area(color=grey, opacity=0.22, clip=True)
        layers = [
            band.encode(y=y_axis("low", TITLE, view, level=0.0), y2="high:Q"),
            floor.mark_line(color=grey, strokeWidth=1.4, strokeDash=[3, 3], clip=True).encode(y=y),
            *stripes(pairs, y, spec, view),
            base.mark_point(opacity=0, size=90, clip=True).encode(y=y, tooltip=_tooltips(view)),
        ]
        return finish(alt.layer(*layers), view)


def _floor(own: pd.DataFrame, names: pd.Index) -> pd.DataFrame:
    """Lowest, highest and mean cosine of a task with itself at each step."""
    if own.empty:
        return own.assign(pair=pd.Categorical.from_codes([], categories=names), low=np.nan, high=np.nan)
    ordered = own.sort_values("step", kind="stable")
    starts = np.flatnonzero(np.diff(ordered["step"], prepend=ordered["step"].iloc[0] - 1))
    value = ordered["value"].to_numpy()
    floor = ordered.iloc[starts].assign(
        low=np.minimum.reduceat(value, starts),
        high=np.maximum.reduceat(value, starts),
        value=np.add.reduceat(value, starts) / np.diff(starts, append=len(value)),
        pair=pd.Categorical.from_codes(np.full(len(starts), len(names) - 1), categories=names),
    )
    nobody = pd.Categorical.from_codes(np.full(len(starts), -1), categories=own["task"].cat.categories)
    return floor.assign(task=nobody, other=nobody, cosine=np.nan, cross=np.nan)


def _tooltips(view: View) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("pair:N", title="Pair"),
        alt.Tooltip("value:Q", title="Across halves", format="+.3f"),
        alt.Tooltip("cosine:Q", title="Whole batch", format="+.3f"),
        alt.Tooltip(f"{view.x}:Q", title=view.x.capitalize(), format=",.6~g"),
    ]
