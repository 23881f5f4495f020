"""Affinity over time: what a step for one task alone would do for each other one."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._pairs import pair_lines, pair_rows, with_pairs
from mtl_core.figures._parts import y_axis


@FIGURES.register
class AffinityCurves(Figure):
    """Inter-task affinity of each ordered pair as training goes (Fifty et al. 2021, TAG)."""

    title = "Affinity over time"
    how_to_read = (
        "By how much of itself a task's loss falls after a step for another task alone: the solid colour takes the step, the "
        "dashes on it are whose loss is looked at; above zero the step helps (of many pairs the four lowest stand out)."
    )
    when_to_worry = "A line stays below zero: every step for the one task makes the other worse, so let them share less."
    waiting = "Turn on “Look ahead every” under Training on Train: the run then measures it."
    source = "affinities"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, pair, task, other, affinity, value]; value is the smoothed affinity in percent of the loss."""
        known = with_pairs(frame[frame["affinity"].notna().to_numpy()], spec, sign="→")
        columns = ["step", "epoch", "time", "pair", "task", "other", "affinity", "value"]
        return known.assign(value=100 * known["smooth"])[columns].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Fall of the other's loss (%)"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return pair_rows(tidy, spec, view)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = y_axis("value", cls.axes(spec, view)[1], view, level=0.0)
        return pair_lines(data, spec, view, y, title="Fall of its loss (%)", form="+.3~g")
