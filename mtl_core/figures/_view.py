"""How a figure is looked at, and what it is told of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mtl_core.palette import Theme

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
