"""Which scheme at which depth: a number for every pair of values of two settings."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import finish
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.palette import TYPE, tones

DELTAS = {"delta_m": "Δm in %, lower is better", "delta_p": "Δp in %, higher is better"}
RANK = {"rank": "Mean rank over all metrics, 1 is best"}
WIDE = 8  # columns up to which a cell has room for the margin
STRONG = {"light": 0.8, "dark": 0.5}  # shades beyond which the ink of the other side is easier to read


@CONTRASTS.register
class HeatMap(Contrast):
    """Cells of one measure by two settings, schemes by sharing depth at first."""

    title = "Scheme by sharing depth"
    how_to_read = (
        "A cell is the mean over seeds with its 95 % interval, or the mean over several groups where it says so; blue is "
        "better, orange or pale is worse, the outlined cell is the best, and ≈ marks what its interval cannot tell from the best."
    )
    may_say = (
        "A column that is better in every row says that its setting decides among these runs, a row that its own does. The best of "
        "many cells looks better than it is, and a mean over several groups tells neither what the best nor the worst of them does."
    )
    waiting = "Cells appear with the first final test that has this measure; Δm and Δp need a baseline as well."
    source = "heat"

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """The measures."""
        metrics = [metric for metric in spec.get("metrics", ()) if metric["is_score"]]
        named = {metric["key"]: f"{metric['label']}{_unit(metric)}, {_way(metric)} is better" for metric in metrics}
        has_baseline = any(group["is_baseline"] for group in spec.get("groups", ()))
        return DELTAS | RANK | named if has_baseline else named | RANK

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Sharing depth", "Scheme"

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """A row per cell, see ``frames.compared.heat.heat_table``."""
        return frame

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """Cells with their place and the texts in them."""
        if not (tidy["settings"].astype(int) > 0).any():
            return tidy.iloc[:0]
        rows, columns = list(dict.fromkeys(tidy["row"])), list(dict.fromkeys(tidy["column"]))
        is_wide = len(columns) <= WIDE
        shown = [text if is_wide else text.partition(" ± ")[0] for text in tidy["text"]]
        return pd.DataFrame(
            {
                **{name: tidy[name].astype(str) for name in ("row", "column", "text")},
                "row_place": [rows.index(row) for row in tidy["row"]],
                "column_place": [columns.index(column) for column in tidy["column"]],
                "shade": np.where(tidy["settings"].astype(int) > 0, tidy["shade"].astype(float), np.nan),
                "shown": shown,
                "more": [_more(cell, is_wide) for cell in tidy.to_dict("records")],
                "mark": ["best" if best else "≈" if like else "" for best, like in zip(*_marks(tidy), strict=True)],
                **{name: tidy[name].astype(float) for name in ("low", "high")},
                **{name: tidy[name].astype(int) for name in ("settings", "seeds")},
            }
        )

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone = tones(view.theme)
        is_delta = _measure(spec, view) in DELTAS
        look = {"labelColor": tone.ink, "domain": False, "ticks": False, "labelFontSize": TYPE.label}
        x = _side("column", alt.X, alt.Axis(title=None, orient="top", labelAngle=0, labelLimit=150, **look))
        y = _side("row", alt.Y, alt.Axis(title=None, labelLimit=260, **look))
        base = alt.Chart(data).encode(x=x, y=y)
        body = base.mark_rect(cornerRadius=5).encode(color=_shade(view, is_delta), tooltip=_tooltips())
        edge = base.mark_rect(cornerRadius=5, filled=False, stroke=tone.ink, strokeWidth=2).encode(
            opacity=alt.condition("datum.mark == 'best'", alt.value(1), alt.value(0))
        )
        on_strong = "#ffffff" if view.theme == "light" else tone.page
        ink = alt.condition(f"{_distance(is_delta)} > {STRONG[view.theme]}", alt.value(on_strong), alt.value(tone.ink))
        number = base.mark_text(fontSize=TYPE.label, fontWeight=600, dy=alt.expr("datum.more ? -7 : 0")).encode(
            text="shown:N", color=ink
        )
        below = base.mark_text(fontSize=TYPE.small, dy=9).encode(text="more:N", color=ink)
        return finish(alt.layer(body, edge, number, below), view, zooms=False)


def _measure(spec: Spec, view: View) -> str:
    named = view.choice.split("\n")[0]
    return named or next(iter(HeatMap.choices(spec)), "")


def _side(field: str, channel: Any, axis: alt.Axis) -> Any:
    # every layer has the same rows, so that this order is one for all of them
    order = alt.EncodingSortField(field=f"{field}_place", op="min", order="ascending")
    return channel(f"{field}:N", sort=order, scale=alt.Scale(paddingInner=0.03), axis=axis)


def _shade(view: View, is_delta: bool) -> Any:
    """Around the baseline for Δ, from the worst to the best here for all others; cells without runs have no colour."""
    ramp = tones(view.theme).diverging
    words = "datum.value < 0 ? 'worse' : datum.value > 0 ? 'better' : 'as the baseline'"
    if not is_delta:
        words = "datum.value < 0.5 ? 'worst here' : 'best here'"
    scale = alt.Scale(
        domain=[-1, 1] if is_delta else [0, 1],
        range=list(ramp if is_delta else ramp[3:]),
        interpolate="lab",
        clamp=True,
    )
    legend = alt.Legend(
        title=None, gradientLength=220, gradientThickness=10, values=[-1, 0, 1] if is_delta else [0, 1], labelExpr=words
    )
    return alt.condition("isValid(datum.shade)", alt.Color("shade:Q", scale=scale, legend=legend), alt.value("transparent"))


def _distance(is_delta: bool) -> str:
    return "abs(datum.shade)" if is_delta else "datum.shade"


def _marks(tidy: pd.DataFrame) -> tuple[list[bool], list[bool]]:
    return tidy["is best"].astype(bool).tolist(), tidy["like the best"].astype(bool).tolist()


def _more(cell: dict[Any, Any], is_wide: bool) -> str:
    """What stands under the number.

    >>> _more({"is best": False, "like the best": True, "settings": 1, "seeds": 3}, True)
    '≈ best'
    """
    if int(cell["settings"]) > 1:
        words = f"{cell['settings']} settings" if is_wide else f"{cell['settings']} s."
        return f"best, {words}" if cell["is best"] and is_wide else words
    seed = "1 seed" if int(cell["seeds"]) == 1 and is_wide else ""
    mark = "best" if cell["is best"] else ("≈ best" if is_wide else "≈") if cell["like the best"] else ""
    return ", ".join(part for part in (mark, seed) if part)


def _unit(metric: Any) -> str:
    return f" in {metric['unit']}" if metric["unit"] else ""


def _way(metric: Any) -> str:
    return "higher" if metric["higher_is_better"] else "lower"


def _tooltips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("row:N", title="Row"),
        alt.Tooltip("column:N", title="Column"),
        alt.Tooltip("text:N", title="Mean"),
        alt.Tooltip("low:Q", title="from", format=".4~g"),
        alt.Tooltip("high:Q", title="to", format=".4~g"),
        alt.Tooltip("settings:Q", title="Groups"),
        alt.Tooltip("seeds:Q", title="Runs with a test"),
        alt.Tooltip("mark:N", title="Mark"),
    ]
