"""Figures as files: SVG and PNG, drawn without a browser and without a network.

What is drawn is what is exported: no smoothing, and where a run is too long for every step to be seen, each bucket's low, high
and mean, of the very numbers that the export holds.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import vl_convert

from mtl_core.comparing import Comparison
from mtl_core.figures import FIGURES, Figure, View
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.frames import RunFrames
from mtl_core.frames.compared import Compared
from mtl_core.palette import Theme, tones
from mtl_core.registry import no_such
from mtl_core.store import Run, Store

POINTS = 1_600  # numbers per series: one bucket per pixel of a wide screen
WIDTH, HEIGHT = 760, 360
SHARP = 2.0  # pixels of a PNG per pixel of the screen


def write_picture(store: Store, run: Run, name: str, path: Path, *, form: str, panel: str = "", theme: Theme = "light") -> Path:
    """Draw one figure of a run into a file.

    Args:
        name: which figure, as the shelf names it.
        panel: which of its panels ("accuracy" of metrics); the first if empty.

    Raises:
        ValueError: there is no such figure or panel, or it has nothing to show for this run.
        OSError: the file cannot be written.
    """
    figure, panel = choose(run, name, panel)
    view = View(theme=theme, height=HEIGHT, choice=panel)
    tables = RunFrames(store, run.id, run.spec or {}, points=POINTS)
    svg = drawn(figure, tables, view)
    path.write_bytes(_encoded(svg, form))
    return path


def write_comparison_picture(
    store: Store,
    comparison: Comparison,
    name: str,
    path: Path,
    *,
    form: Literal["svg", "png"],
    choice: str = "",
    theme: Theme = "light",
) -> Path:
    """Draw one figure of a comparison into a file.

    Args:
        name: which figure, as the shelf of comparison figures names it.
        choice: which of its panels; the first if empty.

    Raises:
        ValueError: there is no such figure or panel, it has nothing to show, or a browser alone can draw it.
        OSError: the file cannot be written.
    """
    compared = Compared(store, comparison, points=POINTS)
    figure, choice = choose_contrast(compared, name, choice)
    if figure.medium == "plotly":
        raise ValueError(f"{name} is drawn by a browser alone: write the report of the comparison (HTML), which has it")
    chart = contrast(figure, compared, View(theme=theme, height=HEIGHT, choice=choice))
    path.write_bytes(_encoded(_as_svg(chart, theme), form))
    return path


def choose_contrast(compared: Compared, name: str, choice: str = "") -> tuple[type[Contrast], str]:
    """A figure of a comparison by its name and one of its panels, the first if none is named. Raises ValueError."""
    if name not in CONTRASTS.names():
        raise ValueError(no_such("comparison figure", name, CONTRASTS.names()))
    figure = CONTRASTS[name]
    if not figure.applies(compared.spec):
        would = [each.variant_name() for each in CONTRASTS if each.applies(compared.spec)]
        raise ValueError(f"{name} has nothing to show for these runs: {', '.join(would) or 'no figure'} would")
    panels = figure.choices(compared.spec)
    if choice and choice not in panels:
        raise ValueError(no_such(f"panel of {name}", choice, panels))
    return figure, choice or next(iter(panels))


def contrast(figure: type[Contrast], compared: Compared, view: View) -> dict[str, Any]:
    """A figure of a comparison as a Vega-Lite specification with its numbers in it, as plain values."""
    tidy = figure.tidy(compared.table(figure.source, view.choice), compared.spec, view)
    return _with_records(figure.vega(tidy, compared.spec, view))


def choose(run: Run, name: str, panel: str = "") -> tuple[type[Figure], str]:
    """A figure by its name and one of its panels, the first if none is named. Raises ValueError if it has nothing to show."""
    if name not in FIGURES.names():
        raise ValueError(no_such("figure", name, FIGURES.names()))
    figure, spec = FIGURES[name], run.spec or {}
    if not figure.applies(spec):
        raise ValueError(f"{name} has nothing to show for run {run.id}: {', '.join(applying(spec)) or 'no figure'} would")
    panels = figure.choices(spec)
    if panel and panel not in panels:
        raise ValueError(no_such(f"panel of {name}", panel, panels))
    return figure, panel or next(iter(panels))


def applying(spec: Any) -> list[str]:
    """The figures that have something to show for such a run."""
    return [figure.variant_name() for figure in FIGURES if figure.applies(spec)]


def drawn(figure: type[Figure], tables: RunFrames, view: View) -> str:
    """A figure as SVG text that stands by itself, on the page's background."""
    if figure.medium == "svg":
        text: str = figure.draw(figure.tidy(tables.table(figure.source), tables.spec), tables.spec, view)
        head, _, rest = text.partition(">")  # of the svg element: in its attributes this sign is escaped
        return f'{head}><rect width="100%" height="100%" fill="{tones(view.theme).card}"/>{rest}'
    return _as_svg(specification(figure, tables, view), view.theme)


def specification(figure: type[Figure], tables: RunFrames, view: View) -> dict[str, Any]:
    """A figure as a Vega-Lite specification with its numbers in it, as plain values."""
    return _with_records(figure.vega(figure.tidy(tables.table(figure.source), tables.spec), tables.spec, view))


def _with_records(chart: dict[str, Any]) -> dict[str, Any]:
    return {**chart, "datasets": {name: records(rows) for name, rows in chart["datasets"].items()}}


def _as_svg(chart: dict[str, Any], theme: Theme) -> str:
    width = {"width": WIDTH} if chart.get("width") == "container" else {}
    themed = {**chart, **width, "background": tones(theme).card}
    converted: str = vl_convert.vegalite_to_svg(themed, vl_version=version(chart))
    return converted


def _encoded(svg: str, form: str) -> bytes:
    return svg.encode() if form == "svg" else vl_convert.svg_to_png(svg, scale=SHARP)


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; null where there is no number."""
    columns = {str(name): [_plain(value) for value in rows[name].tolist()] for name in rows.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def version(chart: dict[str, Any]) -> str:
    """The version of Vega-Lite that a specification is written in: 6.4."""
    found = re.search(r"/v(\d+\.\d+)", str(chart.get("$schema", "")))
    assert found, "Altair names the version that it writes"
    return found[1]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
