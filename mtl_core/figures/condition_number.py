"""Conditioning: how unequally the tasks' gradients, taken together, stretch space."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._named import Look, named_lines, named_rows
from mtl_core.figures._parts import y_axis
from mtl_core.palette import tones


@FIGURES.register
class ConditionNumber(Figure):
    """Largest over smallest singular value of the matrix of gradients, as it is and with all gradients made equally long."""

    title = "Condition number"
    how_to_read = (
        "A value of 1 means gradients at right angles and equally long, a large one that one direction rules; the dashed line "
        "makes all gradients equally long first, so what it shows is due to angles alone (Senushkin and others, 2023)."
    )
    when_to_worry = (
        "The solid line climbs into the tens: with the dashed one low, lengths are to blame, and weights can mend that; with both "
        "high, tasks point along one line, the same way or against each other."
    )
    waiting = "It appears with the first measurement of gradients."
    source = "conditions"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, name, raw, value]; name says which lengths, value is the smoothed number."""
        known = frame[frame["value"].notna().to_numpy()].rename(columns={"value": "raw", "smooth": "value", "lengths": "name"})
        return known.reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Condition number (log scale)"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return named_rows(tidy, view, log=True)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone = tones(view.theme)
        looks: dict[str, Look] = {"as they are": (tone.right, (1, 0)), "made equally long": (tone.floor, (5, 4))}
        return named_lines(data, view, y_axis("value", cls.axes(spec, view)[1], view, kind="log"), looks, form=".3~g")
