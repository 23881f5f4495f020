"""Gradient norms: how hard each task pulls on the shared layers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._lines import line_rows, task_lines


@FIGURES.register
class GradientNorms(Figure):
    """The length of each task's gradient on the shared parameters, before any weighting."""

    title = "Gradient norms"
    how_to_read = (
        "How hard each task pulls on the shared layers, before weighting; the scale is logarithmic, so equal distances are "
        "equal ratios."
    )
    when_to_worry = "One task pulls more than ten times as hard as another: under equal weights it decides alone."
    waiting = "Norms appear with the first measurement of gradients."
    source = "norms"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec, at_least=1)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, task, norm, value]; value is the smoothed norm."""
        return frame[frame["norm"].notna()].rename(columns={"smooth": "value"}).reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Gradient length (log scale)"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return line_rows(tidy, spec, view, ["task", "value"], log=True)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        return task_lines(data, spec, view, cls.axes(spec, view)[1], kind="log")
