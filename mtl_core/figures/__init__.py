"""Figures: one file per question that a person asks of a run. A figure thinks (``tidy``), then draws (``draw``).

Two media: "altair" for charts and "svg" for drawings. A figure reads one table of ``frames.RunFrames``; which one, its
``source`` says. A chart is made of two parts, a specification that stays the same from tick to tick (``picture``) and its data
(``rows``): so a page that updates a live chart sends numbers only, and the chart keeps its zoom.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar, Literal

import altair as alt
import pandas as pd

from mtl_core.figures._answer import Answer
from mtl_core.figures._arrows import draw_arrows
from mtl_core.figures._gains import draw_gains, gains_in_words
from mtl_core.figures._parts import empty, empty_rows
from mtl_core.figures._view import Spec, View, X
from mtl_core.registry import Shelf, Variant

__all__ = ["FIGURES", "Answer", "Figure", "Spec", "View", "X", "draw_arrows", "draw_gains", "gains_in_words", "shares_anything"]

DATA = "rows"
_BUILDING = Lock()  # Altair's debug mode is the process's
_FACTS = ("tasks", "all_tasks", "shared_stages", "stages", "groups", "metrics")  # what a picture may depend on


class Figure(Variant, ABC):
    """One way to look at a run."""

    title: ClassVar[str]
    how_to_read: ClassVar[str]
    when_to_worry: ClassVar[str]
    waiting: ClassVar[str]  # what it says while it has no rows
    source: ClassVar[str]
    medium: ClassVar[Literal["altair", "svg"]] = "altair"
    zooms: ClassVar[bool] = True  # has the selection "zoom" on its horizontal axis

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        """Whether it has anything to show for such a run."""
        return bool(spec.get("tasks"))

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        """Its panels, key to label: one chart each. Most figures have one, without a label."""
        return {"": ""}

    @classmethod
    @abstractmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """The rows and columns that it draws, with names that a person may read in the downloaded CSV."""

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """What of it goes to the browser in this view."""
        return tidy

    @classmethod
    @abstractmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        """The drawing: an Altair chart of ``data``, which may be a mere name, or an SVG text of rows."""

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        """Titles of its axes while it is empty; None for the axis of training."""
        return None, cls.title

    @classmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        """An Altair chart or, for medium "svg", an SVG text. Without rows: axes and a sentence."""
        rows = cls.rows(tidy, spec, view)
        return waiting_chart(cls, rows, spec, view) if cls.medium == "altair" and rows.empty else cls.picture(rows, spec, view)

    @classmethod
    def vega(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> dict[str, Any]:
        """What ``draw`` draws as a Vega-Lite specification with its data as a table in ``datasets``.

        For live charts: Altair checks and compiles a chart anew each time (tens of milliseconds), while here the
        specification is made once per run and view, and only the rows change.
        """
        assert cls.medium == "altair", f"{cls.title} is an SVG drawing"
        rows = cls.rows(tidy, spec, view)
        chart = specification(cls, spec, view, is_empty=rows.empty)
        return {**chart, "datasets": {DATA: empty_rows(cls.waiting, view) if rows.empty else rows}}


def shares_anything(spec: Spec, *, at_least: int = 2) -> bool:
    """Whether the run has so many tasks and a shared stage, without which there is no conflict to see."""
    return len(spec.get("tasks", ())) >= at_least and bool(spec.get("shared_stages"))


def specification(figure: Any, spec: Spec, view: View, *, is_empty: bool) -> dict[str, Any]:
    """A figure's chart as a Vega-Lite specification without its data, made once per view and subject."""
    facts = {key: spec[key] for key in _FACTS if key in spec}
    chart: dict[str, Any] = json.loads(_specification(figure, json.dumps(facts), view, is_empty))
    return chart


@lru_cache(maxsize=512)
def _specification(figure: Any, facts: str, view: View, is_empty: bool) -> str:
    spec, data = json.loads(facts), alt.NamedData(name=DATA, format=alt.JsonDataFormat(parse=None))  # numbers arrive as numbers
    with _BUILDING, alt.utils.schemapi.debug_mode(False):  # checking each part against the schema would take as long again
        chart = waiting_chart(figure, data, spec, view) if is_empty else figure.picture(data, spec, view)
        return json.dumps(chart.to_dict(validate=False))


def waiting_chart(figure: Any, data: Any, spec: Spec, view: View) -> Any:
    """Axes and a sentence."""
    x_title, y_title = figure.axes(spec, view)
    place = empty_rows(figure.waiting, view) if isinstance(data, pd.DataFrame) else data
    return empty(place, view, x_title=x_title, y_title=y_title, zooms=figure.zooms)


FIGURES: Shelf[Figure] = Shelf("figure", "mtl_core.figures")
