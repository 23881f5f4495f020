"""The tragic triad: conflict, a gap in length and high curvature, the case that gradient surgery is made for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._named import Look, named_lines, named_rows, named_shares
from mtl_core.figures._parts import y_axis
from mtl_core.palette import tones

NAMES = {
    "conflict": "conflict: cosine < 0",
    "conflict and a gap in length": "… and lengths apart: cosine ≤ −Φ",
    "all three": "… and curvature can suffice: ξ < 1",
}


@FIGURES.register
class TragicTriad(Figure):
    """How often the conditions hold under which Yu et al. (2020, Theorem 2) prove that gradient surgery helps.

    The third, high curvature, needs second derivatives, which a Gramian does not hold. What it holds is how much curvature would
    be needed, as a share ξ of the largest there is: from 1 on no curvature is enough.
    """

    title = "Tragic triad"
    how_to_read = (
        "Shares of all pairs and steps: the cosine is below zero, it also outweighs the likeness of lengths Φ, and the curvature "
        "that surgery needs, ξ times the largest, is also within reach (Theorem 2 of Yu and others, 2020)."
    )
    when_to_worry = "The lowest line is well above zero: there PCGrad and its kin have something to win, elsewhere they do not."
    waiting = "Shares appear with the first measurement of gradients."
    source = "triad"

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, name, value, low, high, n]; value is the share of pairs for which the condition holds."""
        return named_shares(frame, "condition", NAMES)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return None, "Share of pairs"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return named_rows(tidy, view, band=True).drop(columns=["low", "high"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone = tones(view.theme)
        colours = ((tone.floor, (5, 4)), (tone.right, (8, 3)), (tone.wrong, (1, 0)))
        looks: dict[str, Look] = dict(zip(NAMES.values(), colours, strict=True))
        y = y_axis("value", cls.axes(spec, view)[1], view, shares=True)
        return named_lines(data, view, y, looks, form=".0%")
