"""The figures and the numbers of a run, and of several runs side by side, for a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mtl_core import frames
from mtl_core.comparing import Comparison
from mtl_core.comparing.named import compare_named
from mtl_core.exchange.compare_report import write_compare_report
from mtl_core.exchange.compare_tables import results
from mtl_core.exchange.event_files import write_events
from mtl_core.exchange.pictures import POINTS, WIDTH, choose, choose_contrast
from mtl_core.exchange.report import write_report
from mtl_core.exchange.tables import FORMS, write_tables
from mtl_core.figures import View, X
from mtl_core.frames.compared import Compared
from mtl_core.palette import Theme
from mtl_core.registry import no_such
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


def export(store: Store, run_id: str, folder: str | Path, form: str = "csv") -> list[Path]:
    """Write everything that a run recorded into a folder, for other programs, and return the files.

    Args:
        form: csv, json or parquet for its tables (curves, changes, gramian, affinity), or tensorboard for event files.

    Raises:
        LookupError: there is no such run.
        ValueError: there is no such form.
        OSError: the files cannot be written.
    """
    run = store.run(run_id)
    if form not in (*FORMS, "tensorboard"):
        raise ValueError(no_such("form", form, (*FORMS, "tensorboard")))
    return write_events(store, run, Path(folder)) if form == "tensorboard" else write_tables(store, run, Path(folder), form)


def run_report(store: Store, run_id: str, path: str | Path) -> Path:
    """Write a run as one HTML file that opens offline: how it ended, every figure, its config. Raises LookupError, OSError."""
    return write_report(store, store.run(run_id), Path(path))


def compare_runs(store: Store, ids: str | Iterable[str], *, baseline: str | None = None) -> Comparison:
    """Put runs side by side, seeds taken together, with every rule of a fair comparison that they break in ``warnings``.

    Args:
        ids: ids of runs, and of sweeps for all of theirs; one alone may be given as it is.
        baseline: the run whose group Δm and Δp are measured against; None: each group's single-task baseline.

    Raises:
        LookupError: there is no such run.
        ValueError: no runs, or a baseline without a test result.
    """
    return compare_named(store, (ids,) if isinstance(ids, str) else ids, baseline=baseline)


def comparison_table(store: Store, comparison: Comparison) -> pd.DataFrame:
    """The results of a comparison, a row per group: each test metric with its 95 % interval over seeds, Δm, Δp, mean rank."""
    return results(store, comparison)


def comparison_figure(
    store: Store,
    comparison: Comparison,
    name: str,
    *,
    choice: str = "",
    x: X = "step",
    theme: Theme = "light",
    smooth: float = 0.0,
    log_y: bool = False,
    apart: bool = False,
    width: int = WIDTH,
    height: int = 300,
    points: int = 400,
) -> Any:
    """One figure of a comparison, as the dashboard draws it: an Altair chart or a Plotly figure, which a notebook shows.

    Args:
        name: which figure; a wrong name is answered with all there are.
        choice: which of its panels; the first if empty.
        x: what runs along the horizontal axis of curves.
        smooth: time constant in steps.
        apart: every run by itself instead of seeds as mean and band.
        points: at most so many numbers per curve.

    Raises:
        ValueError: there is no such figure or panel, or it has nothing to show for these runs.
    """
    compared = Compared(store, comparison, points=points, smooth=smooth, apart=apart)
    figure, choice = choose_contrast(compared, name, choice)
    view = View(theme=theme, x=x, log_y=log_y, height=height, choice=choice)
    tidy = figure.tidy(compared.table(figure.source, choice), compared.spec, view)
    if figure.medium == "plotly":
        return figure.draw(tidy, compared.spec, view).update_layout(width=width)
    chart = figure.draw(tidy, compared.spec, view)
    return chart.properties(width=width) if figure.vega(tidy, compared.spec, view).get("width") == "container" else chart


def comparison_report(store: Store, comparison: Comparison, path: str | Path) -> Path:
    """Write a comparison as one HTML file that opens offline: broken rules, results, every figure, configs. Raises OSError."""
    return write_compare_report(store, comparison, Path(path))
