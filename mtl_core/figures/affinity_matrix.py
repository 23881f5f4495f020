"""Who helps whom, now: what a step for one task alone would do for each task."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._cells import cells, task_axes
from mtl_core.figures._parts import by_label, labels, wire
from mtl_core.palette import TYPE


@FIGURES.register
class AffinityMatrix(Figure):
    """A table of inter-task affinities (Fifty et al. 2021, TAG): rows take the step, columns win or lose by it."""

    title = "Affinity now"
    how_to_read = (
        "Each cell is by how much of itself the column's loss falls after a step for the row's task alone, averaged over the "
        "last measurements: blue helps, orange harms; colours are relative to the strongest cell off the outlined diagonal."
    )
    when_to_worry = "A cell is orange in both directions: these two tasks are better off with less in common."
    waiting = "Turn on “Look ahead every” under Training on Train: the run then measures it."
    source = "affinity_matrix"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[task, other, affinity, helped, n, strength]; strength is the affinity over the largest between different tasks."""
        known = frame[frame["affinity"].notna().to_numpy()].reset_index(drop=True)
        is_pair = (known["task"].cat.codes != known["other"].cat.codes).to_numpy()
        most = np.abs(known["affinity"].to_numpy()[is_pair]).max(initial=0.0)
        strength = known["affinity"].to_numpy(dtype=np.float64) / (most or 1.0)
        return known.assign(strength=np.clip(strength, -1, 1))

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Whose loss", "Step for"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        tasks = {name: by_label(tidy[name], spec) for name in ("task", "other")}
        return wire(tidy, view, list(tidy.columns), **tasks)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        x_title, y_title = cls.axes(spec, view)
        x, y = task_axes(list(labels(spec).values()), view, x_title=x_title, y_title=y_title)
        percent = "(100 * datum.affinity)"
        tooltip = [
            alt.Tooltip("task:N", title="Step for"),
            alt.Tooltip("other:N", title="Loss of"),
            alt.Tooltip("affinity:Q", title="falls by", format="+.3~%"),
            alt.Tooltip("helped:Q", title="Steps that helped", format=".0%"),
            alt.Tooltip("n:Q", title="Measurements"),
        ]
        return cells(
            data,
            view,
            x,
            y,
            colour="strength",
            legend="Affinity: −1 harms most, +1 helps most",
            shown=f"abs({percent}) < 0.005 ? '0 %' : format({percent}, abs({percent}) < 1 ? '+.2f' : '+.2r') + ' %'",
            rim="datum.task == datum.other",
            tooltip=tooltip,
            size=TYPE.title if len(spec["tasks"]) < 5 else TYPE.small,
        )
