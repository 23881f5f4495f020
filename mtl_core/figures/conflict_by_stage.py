"""Where tasks fight: conflict in each shared stage as training goes, which is what the sharing depth is about."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._parts import finish, signed, wire, x_axis
from mtl_core.palette import tones

MOST = 0.5  # beyond this mean cosine the colour no longer changes: means over pairs are small


@FIGURES.register
class ConflictByStage(Figure):
    """The mean cosine between tasks, a row per shared stage and a column per stretch of the run."""

    title = "Conflict by stage"
    how_to_read = (
        "One row per shared stage, the input's at the top: blue stretches pull together, orange ones apart, on average over "
        "the pairs of tasks; the tooltip has the noise floor."
    )
    when_to_worry = (
        "A stage stays orange: the tasks may be better off with a copy each from there on, so lower the sharing depth."
    )
    waiting = "Conflict appears with the first measurement of gradients."
    source = "stages"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step … time_end, stage, cross, cosine, floor, below, floor_below, n], see ``frames.stage_frame``."""
        return frame[frame["cross"].notna()].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Shared stage"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return wire(tidy, view, [f"{view.x}_end", "stage", "cross", "cosine", "floor", "below", "floor_below", "n"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone, end = tones(view.theme), f"{view.x}_end"
        y = alt.Y(
            "stage:N",
            title="Shared stage",
            scale=alt.Scale(domain=list(spec["shared_stages"]), paddingInner=0.1),
            axis=alt.Axis(labelLimit=120, domain=False, ticks=False, labelColor=tone.ink),
        )
        scale = alt.Scale(domain=[-MOST, MOST], range=list(tone.diverging), interpolate="lab", clamp=True)
        legend = alt.Legend(
            title="Mean cosine between tasks",
            gradientLength=180,
            gradientThickness=10,
            values=[-MOST, 0, MOST],
            labelExpr=signed("+.1f"),
        )
        cells = (
            alt.Chart(data)
            .mark_rect(clip=True)
            .encode(
                x=x_axis(view),
                x2=f"{end}:Q",
                y=y,
                color=alt.Color("cross:Q", scale=scale, legend=legend),
                tooltip=_tooltips(view),
            )
        )
        return finish(alt.layer(cells), view)


def _tooltips(view: View) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("stage:N", title="Stage"),
        alt.Tooltip("cross:Q", title="Mean cosine of pairs", format="+.3f"),
        alt.Tooltip("floor:Q", title="A task with itself", format="+.3f"),
        alt.Tooltip("below:Q", title="Pairs in conflict", format=".0%"),
        alt.Tooltip("floor_below:Q", title="… a task with itself", format=".0%"),
        alt.Tooltip(f"{view.x}:Q", title=f"From {view.x}", format=",.6~g"),
        alt.Tooltip(f"{view.x}_end:Q", title="to", format=",.6~g"),
        alt.Tooltip("n:Q", title="Measurements"),
    ]
