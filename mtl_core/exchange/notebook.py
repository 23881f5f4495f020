"""The figures and the numbers of a run for a notebook."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtl_core import frames
from mtl_core.exchange.pictures import POINTS, WIDTH, choose
from mtl_core.figures import View, X
from mtl_core.palette import Theme
from mtl_core.store import Store


class Drawing(str):
    """An SVG text that a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def figure(
    store: Store,
    run_id: str,
    name: str = "losses",
    *,
    panel: str = "",
    x: X = "step",
    theme: Theme = "light",
    smooth: float = 0.0,
    log_y: bool = False,
    width: int = WIDTH,
    height: int = 300,
    points: int = POINTS,
) -> Any:
    """One figure of a run, as the dashboard draws it: an Altair chart, or a drawing (SVG), which a notebook shows by itself.

    Args:
        name: which figure: "losses", "metrics", "weights", "cosine_curves" …
        panel: which of its panels ("accuracy" of metrics); the first if empty.
        x: what runs along the horizontal axis.
        smooth: time constant in steps.
        points: at most so many numbers per series; a longer run is drawn as low, high and mean of neighbouring steps.

    Raises:
        LookupError: there is no such run.
        ValueError: there is no such figure or panel, or it has nothing to show for this run.
    """
    run = store.run(run_id)
    drawn, panel = choose(run, name, panel)
    tables = frames.RunFrames(store, run_id, run.spec or {}, points=points, smooth=smooth)
    view = View(theme=theme, x=x, log_y=log_y, height=height, choice=panel)
    chart = drawn.draw(drawn.tidy(tables.table(drawn.source), tables.spec), tables.spec, view)
    return Drawing(chart) if drawn.medium == "svg" else chart.properties(width=width)


def numbers(store: Store, run_id: str) -> pd.DataFrame:
    """Everything that a run recorded, at full resolution: [step, epoch, time, split, task, name, value]. Raises LookupError."""
    store.run(run_id)
    return frames.export(store, run_id)
