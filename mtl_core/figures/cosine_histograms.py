"""Conflict early and late: how the cosines of a pair are spread at the start of the run and at its end."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._pairs import pair_names
from mtl_core.figures._parts import finish, signed, wire
from mtl_core.palette import tones

EARLY, LATE, NOISE = "first third", "last third", "a task with itself, last third"
ALL, WIDTH = "", 0.1  # all pairs together; of a bin


@FIGURES.register
class CosineHistograms(Figure):
    """Cosines across the halves in the first and in the last third of the run, for all pairs together or for one."""

    title = "Cosines early and late"
    how_to_read = (
        "How often each cosine was measured: outlined in the first third of the run, filled in the last one, dashed for a task "
        "with itself in the last third, which is the most that this much data can show."
    )
    when_to_worry = "The filled heap moves left of zero, or splits in two: a mean hides that some steps agree and others fight."
    waiting = "Cosines appear with the third measurement of gradients."
    source = "histograms"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """All pairs together, then each by itself."""
        return {ALL: "All pairs", **_pairs(spec)}

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[panel, part, low, high, share, n]: per panel and part the share of its n cosines from low to high."""
        names = [str(name) for name in frame["task"].cat.categories]
        a, b = (frame[name].cat.codes.to_numpy() for name in ("task", "other"))
        is_part = {name: (frame["part"] == name).to_numpy() for name in (EARLY, LATE)}
        bins = np.rint((frame["low"].to_numpy() + 1) / WIDTH).astype(np.intp)
        counts = (frame["share"] * frame["n"]).to_numpy()
        parts = []
        for panel in cls.choices(spec):
            pair = [names.index(task) for task in panel.split("|") if task in names]
            mine, own = (a != b, a == b) if panel == ALL else ((a == pair[0]) & (b == pair[1]), (a == b) & np.isin(a, pair))
            for name, some in ((EARLY, mine & is_part[EARLY]), (LATE, mine & is_part[LATE]), (NOISE, own & is_part[LATE])):
                parts.append(_pooled(bins[some], counts[some]) | {"panel": panel, "part": name})
        fields = ["panel", "part", "low", "high", "share", "n"]
        sizes = [len(part["low"]) for part in parts]
        table = {
            field: np.concatenate([np.broadcast_to(part[field], n) for part, n in zip(parts, sizes, strict=True)])
            for field in fields
        }
        return pd.DataFrame(table)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Cosine across halves", "Share of measurements"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        panel = view.choice if view.choice in cls.choices(spec) else ALL
        mine = tidy[(tidy["panel"] == panel).to_numpy()]
        return wire(mine, view, ["part", "low", "high", "share", "n"], part=pd.Categorical(mine["part"], [EARLY, LATE, NOISE]))

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone, (x_title, y_title) = tones(view.theme), cls.axes(spec, view)
        x = alt.X("low:Q", title=x_title, scale=alt.Scale(domain=[-1, 1]), axis=alt.Axis(labelExpr=signed("+.1f"), tickCount=9))
        y = alt.Y("share:Q", title=y_title, scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(format=".0%", tickCount=5))
        names, colours = [EARLY, LATE, NOISE], [tone.ink, tone.diverging[-2], tone.floor]
        legend = alt.Legend(title=None, symbolType="square", symbolOpacity=1, symbolStrokeWidth=2, columns=3)
        colour = alt.Scale(domain=names, range=colours)
        base = alt.Chart(data).encode(x=x, x2="high:Q", y=y, y2=alt.datum(0), tooltip=_tooltips())
        layers = [
            _of(base, LATE).mark_rect(opacity=0.75).encode(color=alt.Color("part:N", scale=colour, legend=legend)),
            _of(base, EARLY).mark_rect(filled=False, strokeWidth=1.6, stroke=tone.ink),
            _of(base, NOISE).mark_rect(filled=False, strokeWidth=1.6, strokeDash=[4, 3], stroke=tone.floor),
        ]
        return finish(alt.layer(*layers), view, zooms=False)


def _pairs(spec: Spec) -> dict[str, str]:
    tasks = [task["name"] for task in spec["tasks"]]
    names = pair_names(tasks, spec)
    return {f"{a}|{b}": names[i * len(tasks) + j] for i, a in enumerate(tasks) for j, b in enumerate(tasks) if i < j}


def _pooled(bins: Any, counts: Any) -> dict[str, Any]:
    """Several pairs as one: the counts of each bin, over all cosines counted."""
    heights = np.bincount(bins, weights=counts, minlength=1)
    filled, n = np.flatnonzero(heights), float(heights.sum())
    low = np.round(filled * WIDTH - 1, 6)
    return {"low": low, "high": np.round(low + WIDTH, 6), "share": heights[filled] / n if n else heights[:0], "n": round(n)}


def _of(base: Any, part: str) -> Any:
    return base.transform_filter(f"datum.part == '{part}'")


def _tooltips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("part:N", title=" "),
        alt.Tooltip("low:Q", title="Cosine from", format="+.1f"),
        alt.Tooltip("high:Q", title="to", format="+.1f"),
        alt.Tooltip("share:Q", title="Share", format=".0%"),
        alt.Tooltip("n:Q", title="Cosines"),
    ]
