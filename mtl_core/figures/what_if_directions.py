"""What if, directions: how far each scheme's step would have been from the one taken."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View, shares_anything
from mtl_core.figures._parts import finish, signed
from mtl_core.figures._schemes import WAITING, scheme_axis, scheme_rows, sentences
from mtl_core.palette import TYPE, tones


@FIGURES.register
class WhatIfDirections(Figure):
    """The cosine of every scheme's step with the step taken, and its length against it."""

    title = "What if: direction"
    how_to_read = (
        "Further right is nearer to the step taken: 1 = the same direction, 0 = at right angles; the number is how long the step "
        "is against the one taken, which the learning rate can make up for."
    )
    when_to_worry = "All schemes crowd at 1: here the choice of scheme changes little beyond the length of the step."
    waiting = WAITING
    source = "what_if"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return shares_anything(spec)

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, scheme, title, cosine, length, note], a row per scheme."""
        first = frame.drop_duplicates("scheme")
        return first[["step", "scheme", "title", "cosine", "length", "note"]].reset_index(drop=True)

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "Cosine with the step taken", "Scheme"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        return scheme_rows(tidy, spec, view, ["cosine", "length"])

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone, y = tones(view.theme), scheme_axis(view)
        x = alt.X(
            "cosine:Q",
            title=cls.axes(spec, view)[0],
            scale=alt.Scale(zero=False, nice=True, padding=26),
            axis=alt.Axis(labelExpr=signed("+.2~f"), tickCount=5, grid=True),
        )
        base = alt.Chart(data)
        known = base.transform_filter("isValid(datum.cosine)")
        words = [
            alt.Tooltip("title:N", title="Scheme"),
            alt.Tooltip("cosine:Q", title="Cosine", format="+.3f"),
            alt.Tooltip("length:Q", title="Length", format=".3~g"),
            alt.Tooltip("note:N", title=" "),
        ]
        shape = alt.condition("datum.is_taken == 1", alt.value("diamond"), alt.value("circle"))
        dots = known.mark_point(filled=True, size=95, opacity=1, color=tone.right).encode(y=y, x=x, shape=shape, tooltip=words)
        lengths = known.transform_calculate(times="'× ' + format(datum.length, '.2~r')").mark_text(
            align="left", dx=9, fontSize=TYPE.small, color=tone.soft_ink
        )
        layers = [dots, lengths.encode(y=y, x=x, text="times:N"), sentences(base, y, view, alt.value(0), "cosine")]
        return finish(alt.layer(*layers), view, zooms=False)
