"""How often tasks conflict, and how often noise alone makes a task conflict with itself."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._named import Look, named_lines, named_rows, named_shares
from mtl_core.figures._parts import y_axis
from mtl_core.palette import tones

NAMES = {"tasks": "two tasks apart", "floor": "a task apart from itself (noise)"}


@FIGURES.register
class ConflictFraction(Figure):
    """The share of pairs of tasks that pull apart, against the share that noise alone makes."""

    title = "How often tasks conflict"
    how_to_read = (
        "The solid line is the share of pairs of tasks that pull apart across two halves of a batch, the dashed one the share of "
        "tasks that pull apart from themselves, which is noise; the bands are 95 % intervals."
    )
    when_to_worry = "The solid line stays above one half, and its band clear of the dashed line: one half is what tasks at right angles show."
    waiting = "Shares appear with the first measurement of gradients."
    source = "fractions"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, name, value, low, high, n]; value is the share below zero, n the measured steps in it."""
        return named_shares(frame, "side", NAMES)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Share in conflict"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return named_rows(tidy, view, band=True)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone = tones(view.theme)
        looks: dict[str, Look] = {NAMES["tasks"]: (tone.wrong, (1, 0)), NAMES["floor"]: (tone.floor, (5, 4))}
        y = y_axis("value", cls.axes(spec, view)[1], view, level=0.5, shares=True)
        return named_lines(data, view, y, looks, form=".0%", band=True)
