"""Does the order of the groups hold if one task matters more than the others?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures._parts import finish, labels, y_axis
from mtl_core.figures._view import Spec, View
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._groups import group_colour, group_dash
from mtl_core.palette import TYPE, tones

WEIGHTS = [place / 20 for place in range(21)]
MOST_IN_LEGEND = 15
_NARROW = 0.06  # a stretch of the axis in which no name has room


@CONTRASTS.register
class WeighedDelta(Contrast):
    """Δp of every group while one task's weight grows from 0 to 1 and the others share the rest."""

    name = "weighed_delta"
    title = "Δp under other task weights"
    how_to_read = (
        "To the right the chosen task counts more and the others share the rest; the line on top leads at that weight, and a "
        "dashed upright marks where the lead changes."
    )
    may_say = (
        "If one line is on top everywhere, the lead does not hang on how the tasks are weighed. If lines cross, who wins is a "
        "matter of what matters to you; the lines are means, so a crossing of near neighbours may be chance."
    )
    waiting = "The lines appear when a group and its baseline have a test"
    source = "gains"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return bool(spec.get("groups")) and len(spec["tasks"]) > 1

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return labels(spec) or {"": ""}

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """A row per group and weight; ``leads`` where it is on top, ``flip`` where the lead changes, ``label``: where its name
        stands on the line."""
        ends = _ends(frame, view.choice or next(iter(labels(spec)), ""))
        flips = _flips(ends)
        bounds = [0.0, *flips, 1.0]
        names = {(low + high) / 2 for low, high in pairwise(bounds) if high - low > _NARROW}
        rows = []
        for weight in sorted({*WEIGHTS, *flips, *names}) if ends else ():
            values = {group: (1 - weight) * at_0 + weight * at_1 for group, (at_0, at_1) in ends.items()}
            first = max(values, key=values.__getitem__)
            for group, value in values.items():
                label = group if group == first and weight in names else ""
                rows.append((group, weight, value, group == first, weight in flips, label))
        return pd.DataFrame(rows, columns=["group", "weight", "delta_p", "leads", "flip", "label"])

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return _x_title(spec, view), _Y_TITLE

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone, has_legend = tones(view.theme), len(spec["groups"]) <= MOST_IN_LEGEND
        axis = alt.Axis(format=".2~f", tickCount=5)
        x = alt.X("weight:Q", title=_x_title(spec, view), axis=axis, scale=alt.Scale(domain=[0, 1]))
        y = y_axis("delta_p", _Y_TITLE, view, level=0)
        facts = [alt.Tooltip("group:N", title="Group"), alt.Tooltip("weight:Q", title="Weight", format=".2f")]
        facts.append(alt.Tooltip("delta_p:Q", title="Δp (%)", format="+.2f"))
        base = alt.Chart(data).encode(x=x)
        colour = group_colour(spec, view, has_legend=has_legend)
        lines = base.mark_line().encode(
            y=y, color=colour, strokeDash=group_dash(spec, has_legend=has_legend), detail="group:N", tooltip=facts
        )
        hover = base.mark_point(filled=True, size=160, opacity=0).encode(y=y, tooltip=facts)
        flips = base.transform_filter("datum.flip && datum.leads").mark_rule(
            color=tone.soft_ink, strokeDash=[4, 4], strokeWidth=1.2
        )
        name = base.transform_filter("datum.label != ''").mark_text(
            dy=-11, fontSize=TYPE.small, fontWeight=600, color=tone.ink, limit=220
        )
        return finish(alt.layer(flips, lines, hover, name.encode(y=y, text="label:N")), view, zooms=False)


_Y_TITLE = "Δp in % (higher is better)"


def _x_title(spec: Spec, view: View) -> str:
    known = labels(spec)
    return f"Weight of {known.get(view.choice) or next(iter(known.values()), 'a task')} (the others share the rest)"


def _ends(frame: pd.DataFrame, task: str) -> dict[str, tuple[float, float]]:
    """Each group's Δp with the task's weight at 0 and at 1."""
    found = {}
    for group, mine in frame.groupby("group", sort=False):
        gains = dict(zip(mine["task"], mine["gain"], strict=True))
        others = [gain for name, gain in gains.items() if name != task]
        if task in gains and others:
            found[str(group)] = (sum(others) / len(others), float(gains[task]))
    return found


def _flips(ends: Mapping[str, tuple[float, float]]) -> list[float]:
    """The weights at which another group takes the lead: along the top of all lines, from where it is to where a steeper one
    crosses.

    >>> _flips({"a": (4.0, 0.0), "b": (0.0, 4.0), "c": (1.0, 1.0)})
    [0.5]
    """
    lines = [(low, high - low) for low, high in ends.values()]  # height at 0, slope
    flips: list[float] = []
    leader = max(lines, default=(0.0, 0.0))
    while steeper := [line for line in lines if line[1] > leader[1]]:
        crossings = {line: (leader[0] - line[0]) / (line[1] - leader[1]) for line in steeper}
        leader, at = min(crossings.items(), key=lambda item: (item[1], -item[0][1]))
        if at >= 1:
            break
        flips.append(at)
    return [at for at in flips if at > 0]
