"""Conflict over training, group by group: does a scheme or a depth let two tasks pull the same way?"""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import finish, x_axis, y_axis
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._groups import group_colour, group_dash
from mtl_core.figures.compared._of_pairs import pair_choices, shares_somewhere
from mtl_core.figures.compared._series import PATH, hits, series_rows, shaded, strength

TITLE = "Cosine between gradients"


@CONTRASTS.register
class GroupCosines(Contrast):
    """The cosine of one pair of tasks for every group, with each group's noise floor."""

    title = "Gradient conflict over training"
    how_to_read = (
        "A line is a group's mean cosine of the pair across two halves of a batch, its band the 95 % interval over seeds: above zero "
        "the tasks pull the same way, below zero apart; the dotted line of the same colour is the group's noise floor, the two "
        "tasks with themselves: the most that its batches can show."
    )
    may_say = (
        "A line below zero with its band, and a dotted line clearly above zero, is conflict that this group had. Groups of another "
        "depth or scheme measure other parameters at other places of the loss, so a lower line is not a worse result: whether "
        "conflict cost anything is for the test numbers to say."
    )
    waiting = "No gradients of this pair were measured in these runs."
    source = "group_cosines"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_somewhere(spec)

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return pair_choices(spec)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, TITLE

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """[step or epoch or time, side, group, line, seeds, part, value, low, high, n]: the pair and its noise floor."""
        return frame

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return series_rows(tidy, view, ends=(-1, 1), more=["side"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = y_axis("value", TITLE, view, level=0.0)
        base = alt.Chart(data).encode(x=x_axis(view), color=group_colour(spec, view, has_legend=False))
        pair, floor = (base.transform_filter(f"datum.side {sign} 'noise floor'") for sign in ("!=", "=="))
        dotted = floor.mark_line(clip=True, strokeWidth=1.3, strokeDash=[1.5, 3], tooltip=None)
        line = pair.mark_line(clip=True, strokeWidth=1.8, tooltip=None)
        layers = [
            shaded(pair, y),
            dotted.encode(y=y, detail=PATH, opacity=strength(0.75)),
            line.encode(y=y, detail=PATH, strokeDash=group_dash(spec, has_legend=False), opacity=strength()),
            hits(base, y, view, "+.3f", first=[alt.Tooltip("side:N", title="What")]),
        ]
        return finish(alt.layer(*layers), view, zooms=False)
