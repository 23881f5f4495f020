"""How curved the loss would have to be for surgery on a pair of gradients to be sure to help."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._pairs import pair_lines, pair_rows, with_pairs
from mtl_core.figures._parts import y_axis


@FIGURES.register
class Curvature(Figure):
    """ξ = (1 − cos²)‖a − b‖² / ‖a + b‖² of each pair, the multi-task curvature bounding measure (Yu et al. 2020)."""

    title = "Curvature bounding measure"
    how_to_read = (
        "A line striped in two colours is that pair of tasks: ξ is the share of the largest curvature that gradient surgery needs "
        "to be sure to help, so from 1 on no loss is curved enough (of many pairs the four lowest stand out)."
    )
    when_to_worry = "A pair in conflict stays far below 1: plain sums overshoot there, as the tragic triad has it."
    waiting = "It appears with the first measurement of gradients."
    source = "pairs"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, pair, task, other, cosine, similarity, curvature, value]; value is the smoothed curvature."""
        known = with_pairs(frame[frame["curvature"].notna().to_numpy()], spec)
        columns = ["step", "epoch", "time", "pair", "task", "other", "cosine", "similarity", "curvature", "value"]
        return known.rename(columns={"smooth_curvature": "value"})[columns].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "ξ (log scale)"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return pair_rows(tidy, spec, view, log=True)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = y_axis("value", cls.axes(spec, view)[1], view, kind="log", level=1.0)
        return pair_lines(data, spec, view, y, title="ξ", form=".3~g")
