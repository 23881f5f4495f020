"""Task weights: how much each task's loss counts in the step that is taken."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._lines import BAND, curve_rows, line_rows, task_lines


@FIGURES.register
class Weights(Figure):
    """The weights that the weighting scheme chose, step by step, at its own scale."""

    title = "Task weights"
    how_to_read = (
        "The line is the smoothed weight of each task, the band what single steps used; a scheme that mixes gradients shows the "
        "weights that would have given the same step."
    )
    when_to_worry = "One weight runs towards zero and stays there: that task is no longer trained."
    waiting = "Weights appear with the first training steps; some schemes have none."
    source = "curves"

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, task, low, high, value]."""
        rows = curve_rows(frame, "weight")
        return rows[rows["split"] == "train"].drop(columns="split").reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Weight (log scale)" if view.log_y else "Weight in the step"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return line_rows(tidy, spec, view, ["task", *BAND], log=view.log_y)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        return task_lines(data, spec, view, cls.axes(spec, view)[1], kind="log" if view.log_y else "linear", has_band=True)
