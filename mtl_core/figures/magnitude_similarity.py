"""Likeness of lengths: do two tasks pull equally hard?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._pairs import pair_lines, pair_rows, with_pairs
from mtl_core.figures._parts import y_axis


@FIGURES.register
class MagnitudeSimilarity(Figure):
    """2‖a‖‖b‖ / (‖a‖² + ‖b‖²) of each pair's gradients (Yu et al. 2020)."""

    title = "Likeness of gradient lengths"
    how_to_read = (
        "A line striped in two colours is that pair of tasks: 1 means equally long gradients, 0.2 that one is ten times as long "
        "as the other (of many pairs the four least alike stand out)."
    )
    when_to_worry = "A pair stays below 0.2: under equal weights the longer gradient decides alone."
    waiting = "Lengths appear with the first measurement of gradients."
    source = "pairs"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, pair, task, other, similarity, value]; value is the smoothed similarity."""
        known = with_pairs(frame[frame["similarity"].notna().to_numpy()], spec)
        columns = ["step", "epoch", "time", "pair", "task", "other", "similarity", "value"]
        return known.rename(columns={"smooth_similarity": "value"})[columns].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Similarity of lengths (0 to 1)"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return pair_rows(tidy, spec, view)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        y = y_axis("value", cls.axes(spec, view)[1], view, level=1.0)
        return pair_lines(data, spec, view, y, title="Similarity", form=".3f")
