"""What if, gains: which task each scheme's step would have helped, and who would have paid."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._cells import cells
from mtl_core.figures._parts import labels
from mtl_core.figures._schemes import WAITING, scheme_axis, scheme_rows
from mtl_core.palette import TYPE, tones


@FIGURES.register
class WhatIfGains(Figure):
    """First-order gains of every task under every scheme's step, all steps made equally long."""

    title = "What if: who gains, who pays"
    how_to_read = (
        "Each cell is how fast that task's loss would have fallen, steps of all schemes made equally long: +1 as fast as any step "
        "can make it, 0 not at all, below zero the task pays; the outlined row is the step really taken."
    )
    when_to_worry = "The step taken is orange for a task and some other row is blue for all: no task had to pay here."
    waiting = WAITING
    source = "what_if"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, scheme, title, task, gain, change, percent, note], see ``frames.what_if_frame``."""
        return frame[["step", "scheme", "title", "task", "gain", "change", "percent", "note"]].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Task", "Scheme"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return scheme_rows(tidy, spec, view, ["task", "gain", "change", "percent"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        order = list(labels(spec).values())
        look = alt.Axis(
            labelAngle=0, labelLimit=max(40, 300 // len(order)), labelColor=tones(view.theme).ink, domain=False, ticks=False
        )
        x = alt.X("task:N", title=None, scale=alt.Scale(domain=order, paddingInner=0.04), axis=look)
        words = [
            alt.Tooltip("title:N", title="Scheme"),
            alt.Tooltip("task:N", title="Task"),
            alt.Tooltip("gain:Q", title="Of the fastest fall", format="+.1%"),
            alt.Tooltip("change:Q", title="Change of its loss per unit of step", format="+.3~g"),
            alt.Tooltip("percent:Q", title="… in percent of it", format="+.3~g"),
            alt.Tooltip("note:N", title=" "),
        ]
        return cells(
            data,
            view,
            x,
            scheme_axis(view, grid=False),
            colour="gain",
            legend="Gain: −1 pays most, +1 gains most",
            shown="abs(datum.gain) < 0.005 ? '0.00' : format(datum.gain, '+.2f')",
            rim="datum.is_taken == 1 && isValid(datum.gain)",
            tooltip=words,
            size=TYPE.small,
        )
