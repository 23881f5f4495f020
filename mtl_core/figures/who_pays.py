"""Who pays: which task loses by the step that is good for the others."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._lines import line_rows, task_lines


@FIGURES.register
class WhoPays(Figure):
    """First-order change of each task's loss, through the shared layers, under the step that was really taken."""

    title = "Who pays"
    how_to_read = (
        "Below zero the step makes the task's loss smaller, above zero the task pays for the others; in percent of its own loss, "
        "to first order, through the shared layers (the scale is logarithmic beyond 1 %)."
    )
    when_to_worry = "A task stays above zero: every step that helps the others costs it."
    waiting = "Gains and costs appear with the first measurement of gradients."
    source = "changes"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec, at_least=1)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, task, change, percent, value]; value is the smoothed percent."""
        return frame[frame["percent"].notna()].rename(columns={"smooth": "value"}).reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Change of its loss by the step (%)"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return line_rows(tidy, spec, view, ["task", "value"], log=False)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        return task_lines(data, spec, view, cls.axes(spec, view)[1], kind="symlog", level=0.0)
