"""How often tasks conflict in each group, against what tasks at right angles would show."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import Spec, View
from mtl_core.figures._parts import y_axis
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._of_pairs import shares_somewhere
from mtl_core.figures.compared._series import series_lines, series_rows


@CONTRASTS.register
class GroupConflict(Contrast):
    """The share of pairs of tasks that pull apart, for every group, as training goes."""

    title = "How often tasks conflict"
    how_to_read = (
        "The share of all pairs of tasks whose gradients point apart, in stretches of four measured steps or more, with 95 % intervals "
        "over seeds; the stressed line at one half is what chance gives to tasks that have nothing to do with each other."
    )
    may_say = (
        "A band that lies above one half is conflict beyond chance, one below it agreement. A share says how often, not how much: "
        "many weak conflicts may matter less than a few strong ones, and other depths and tasks are shares of other things."
    )
    waiting = "No gradients were measured in these runs."
    source = "group_conflict"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_somewhere(spec)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Share in conflict"

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """[step or epoch or time, group, line, seeds, part, value, low, high, n]: ``value`` is the share, ``n`` the seeds."""
        return frame

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return series_rows(tidy, view, ends=(0, 1))

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = y_axis("value", cls.axes(spec, view)[1], view, level=0.5, shares=True)
        return series_lines(data, spec, view, y, form=".0%")
