"""Who pulls against whom, now: the cosines of all pairs of tasks, with each task against itself on the diagonal."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._cells import cells, task_axes
from mtl_core.figures._parts import by_label, labels, wire


@FIGURES.register
class CosineMatrix(Figure):
    """A table of cosines over the last measured steps of the window."""

    title = "Gradient conflict now"
    how_to_read = (
        "Each cell compares two tasks' gradients across two halves of a batch, averaged over the last 20 measurements: blue "
        "pulls together, orange apart; the outlined diagonal is a task against itself and shows how much is noise."
    )
    when_to_worry = "A cell is clearly orange while both of its diagonal cells are clearly blue: that conflict is real."
    waiting = "The table appears with the first measurement of gradients."
    source = "matrix"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[task, other, cross, cosine, denoised, similarity, below, n], see ``frames.matrix_frame``."""
        return frame[frame["cross"].notna()].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Task", "Task"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        tasks = {name: by_label(tidy[name], spec) for name in ("task", "other")}
        return wire(tidy, view, list(tidy.columns), **tasks)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        x, y = task_axes(list(labels(spec).values()), view)
        return cells(
            data,
            view,
            x,
            y,
            colour="cross",
            legend="Cosine: −1 apart, +1 together",
            shown="abs(datum.cross) < 0.005 ? '0.00' : format(datum.cross, '+.2f')",  # −0.00 says nothing
            rim="datum.task == datum.other",
            tooltip=_tooltips(),
        )


def _tooltips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("other:N", title="with"),
        alt.Tooltip("cross:Q", title="Across halves", format="+.3f"),
        alt.Tooltip("cosine:Q", title="Whole batch", format="+.3f"),
        alt.Tooltip("denoised:Q", title="Without batch noise (estimate)", format="+.2f"),
        alt.Tooltip("below:Q", title="Measurements below zero", format=".0%"),
        alt.Tooltip("similarity:Q", title="Similarity of lengths", format=".2f"),
        alt.Tooltip("n:Q", title="Measurements"),
    ]
