"""Figures: one file per question that a person asks of a run. A figure thinks (``tidy``), then draws (``draw``).

Two media: "altair" for charts (live ones keep their zoom, because only their data change from tick to tick) and "svg" for
drawings. A figure reads one table of ``frames.RunFrames``; which one, its ``source`` says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pandas as pd

from mtl_core.palette import Theme
from mtl_core.registry import Shelf, Variant

Spec = Mapping[str, Any]
X = Literal["step", "epoch", "time"]


@dataclass(frozen=True)
class View:
    """How a figure is looked at, the same for every figure of a page.

    Args:
        x: what runs along the horizontal axis; time in seconds of training.
        log_y: logarithmic vertical axis, where the figure leaves the choice.
        x_domain: the shared window; None shows all. Changing it rebuilds a chart, so change it when a zoom has ended.
        height: of the whole chart in pixels.
        choice: which of the figure's ``choices``.
    """

    theme: Theme = "light"
    x: X = "step"
    log_y: bool = False
    x_domain: tuple[float, float] | None = None
    height: int = 300
    choice: str = ""


class Figure(Variant, ABC):
    """One way to look at a run."""

    title: ClassVar[str]
    how_to_read: ClassVar[str]
    when_to_worry: ClassVar[str]
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
    @abstractmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        """An Altair chart or, for medium "svg", an SVG text. Without rows: axes and a sentence."""


def shares_anything(spec: Spec, *, at_least: int = 2) -> bool:
    """Whether the run has so many tasks and a shared stage, without which there is no conflict to see."""
    return len(spec.get("tasks", ())) >= at_least and bool(spec.get("shared_stages"))


FIGURES: Shelf[Figure] = Shelf("figure", "mtl_core.figures")
