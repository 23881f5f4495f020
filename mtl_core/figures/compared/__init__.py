"""Figures of several runs: one file per question that a person asks of a comparison.

They work as the figures of one run do: a figure reads one table of ``frames.compared.Compared`` (its ``source``), thinks
(``tidy``), then draws (``picture``). Each says how to read it, and what may and what may not be concluded from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import pandas as pd

from mtl_core.figures import DATA, Spec, View, specification, waiting_chart
from mtl_core.figures._parts import empty_rows
from mtl_core.figures.compared._legend import draw_legend
from mtl_core.registry import Shelf, Variant

__all__ = ["CONTRASTS", "Contrast", "draw_legend"]


class Contrast(Variant, ABC):
    """One way to look at several groups of runs."""

    title: ClassVar[str]
    how_to_read: ClassVar[str]
    may_say: ClassVar[str]  # what may be concluded from it, and what not
    waiting: ClassVar[str]  # what it says while it has no rows
    source: ClassVar[str]
    medium: ClassVar[Literal["altair", "plotly"]] = "altair"
    zooms: ClassVar[bool] = False  # has the selection "zoom" on its horizontal axis

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        """Whether it has anything to show for such groups."""
        return bool(spec.get("groups"))

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """Its panels, key to label. Most figures have one, without a label."""
        return {"": ""}

    @classmethod
    @abstractmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """The rows and columns that it draws, with names that a person may read in the downloaded CSV."""

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """What of it goes to the browser in this view."""
        return tidy

    @classmethod
    @abstractmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        """The drawing: an Altair chart of ``data``, which may be a mere name, or a Plotly figure of rows."""

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        """Titles of its axes while it is empty; None for the axis of training."""
        return None, cls.title

    @classmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        """An Altair chart or a Plotly figure. Without rows: axes and a sentence."""
        rows = cls.rows(tidy, spec, view)
        return waiting_chart(cls, rows, spec, view) if rows.empty else cls.picture(rows, spec, view)

    @classmethod
    def vega(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> dict[str, Any]:
        """What ``draw`` draws as a Vega-Lite specification with its data as a table in ``datasets``."""
        assert cls.medium == "altair", f"{cls.title} is a Plotly figure"
        rows = cls.rows(tidy, spec, view)
        chart = specification(cls, spec, view, is_empty=rows.empty)
        return {**chart, "datasets": {DATA: empty_rows(cls.waiting, view) if rows.empty else rows}}


CONTRASTS: Shelf[Contrast] = Shelf("comparison figure", "mtl_core.figures.compared")
