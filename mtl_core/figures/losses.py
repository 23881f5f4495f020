"""Losses: is each task still learning, and does what it learns hold for examples it has not seen?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._lines import BAND, curve_rows, line_rows, split_lines


@FIGURES.register
class Losses(Figure):
    """How wrong each task is, on the training batches and on the validation split, as training goes."""

    title = "Losses"
    how_to_read = (
        "One colour per task: the line is the smoothed training loss, the faint band its highest and lowest batch, "
        "the dashed line with markers the validation loss; lower is better."
    )
    when_to_worry = (
        "A task goes flat while others fall (it is drowned out), or its dashed line turns up while the solid one falls "
        "(it learns the examples by heart)."
    )
    waiting = "The curves appear with the first training steps."
    source = "curves"

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, task, split, low, high, value]; value is the smoothed training or the plain validation loss."""
        return curve_rows(frame, "loss")

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Loss (log scale)" if view.log_y else "Loss"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return line_rows(tidy, spec, view, ["task", "split", *BAND], log=view.log_y)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        return split_lines(data, spec, view, cls.axes(spec, view)[1], kind="log" if view.log_y else "linear")
