"""Pareto stationarity: how long the shortest mix of the tasks' gradients still is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._named import named_lines, named_rows
from mtl_core.figures._parts import y_axis
from mtl_core.palette import tones

PANELS = {"relative": "Relative to the mean gradient length", "absolute": "Length (log scale)"}


@FIGURES.register
class Stationarity(Figure):
    """min ‖Σ wᵢgᵢ‖ over weights w ≥ 0 that sum to 1: zero where no step helps every task (Désidéri 2012)."""

    title = "Room to help every task"
    how_to_read = (
        "The shortest mix of the tasks' gradients, whose length is how much a step can help all at once: 1 = all pull as one, "
        "the dotted line = tasks at right angles, 0 = a Pareto-stationary point, where helping one costs another."
    )
    when_to_worry = (
        "It nears zero while the losses are still high: from there on weighting only chooses who gets what (batch noise keeps it "
        "from ever reaching zero)."
    )
    waiting = "It appears with the first measurement of gradients."
    source = "stationarity"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return PANELS

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, name, raw, value]; name is the panel, value the smoothed number."""
        known = frame[frame["value"].notna().to_numpy()].rename(columns={"value": "raw", "smooth": "value", "measure": "name"})
        return known.reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, PANELS[_panel(view)]

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return named_rows(tidy[(tidy["name"] == _panel(view)).to_numpy()], view, log=_panel(view) == "absolute")

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        panel, title = _panel(view), cls.axes(spec, view)[1]
        y = y_axis("value", title, view, kind="log" if panel == "absolute" else "linear")
        level = len(spec["tasks"]) ** -0.5 if panel == "relative" else None  # of T equally long gradients at right angles
        return named_lines(data, view, y, {panel: (tones(view.theme).right, (1, 0))}, form=".3~g", level=level)


def _panel(view: View) -> str:
    return view.choice if view.choice in PANELS else next(iter(PANELS))
