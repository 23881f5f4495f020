"""An HTML page that needs nothing but itself: its words, its numbers, and the programs that draw them, in both themes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Literal

import numpy as np
import pandas as pd
import vl_convert

from mtl_core.exchange.pictures import version
from mtl_core.palette import THEMES, TYPE, Theme, tones

TEMPLATE = Path(__file__).with_name("report.html")
MOST_PANELS = 12
_GLOBALS = "window.vegaEmbed = vegaEmbed;"


@dataclass
class Page:
    """What a page holds so far. ``charts`` are what the browser draws, by the id of their place."""

    title: str
    lead: str
    colours: Mapping[Theme, Mapping[str, str]] = field(default_factory=dict)  # further ones, by theme
    is_wide: bool = False
    sections: list[str] = field(default_factory=list)
    charts: dict[str, Any] = field(default_factory=dict)

    def add(self, title: str, *parts: str) -> None:
        """A section; its parts are HTML. Nothing if all of them are empty."""
        if any(parts):
            self.sections.append(f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>")

    def vega(self, name: str, draw: Callable[[Theme], Mapping[str, Any]]) -> str:
        """A place for a chart: ``draw`` makes its Vega-Lite specification, with its numbers as a table in ``datasets``."""
        drawn: dict[str, Any] = {}
        for theme in THEMES:
            chart = dict(draw(theme))
            drawn[theme] = {"chart": chart, "rows": columns(chart.pop("datasets")["rows"])}
        if drawn["dark"]["rows"] == drawn["light"]["rows"]:
            del drawn["dark"]["rows"]
        return self._place(name, "vega", drawn)

    def plotly(self, name: str, draw: Callable[[Theme], Any]) -> str:
        """A place for a Plotly figure."""
        return self._place(name, "plotly", {theme: json.loads(draw(theme).to_json()) for theme in THEMES})

    def html(self) -> str:
        """The whole page."""
        return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            title=escape(self.title),
            lead=self.lead,
            width="wide" if self.is_wide else "",
            sections="\n".join(self.sections),
            figures=_in_script(json.dumps(self.charts, allow_nan=False, separators=(",", ":"))),
            bundle=_programs(self.charts),
            font=TYPE.font,
            **{theme: self._colours(theme) for theme in THEMES},
        )

    def _place(self, name: str, medium: Literal["vega", "plotly"], drawn: Mapping[str, Any]) -> str:
        key = f"{name}-{len(self.charts)}"
        self.charts[key] = {"medium": medium, **drawn}
        return f'<div class="chart" id="figure-{key}"></div>'

    def _colours(self, theme: Theme) -> str:
        tone = tones(theme)
        named = {
            "page": tone.page,
            "card": tone.card,
            "ink": tone.ink,
            "soft": tone.soft_ink,
            "grid": tone.grid,
            "wrong": tone.wrong,
        }
        return "; ".join(f"--{name}: {value}" for name, value in {**named, **self.colours.get(theme, {})}.items())


def note(text: str) -> str:
    """Small grey words."""
    return f'<p class="note">{escape(text)}</p>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Cells are HTML (``cell`` makes one); the head is words."""
    titles = "".join(f"<th>{escape(word)}</th>" for word in head)
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{lines}</table>" if lines else ""


def cell(words: object, kind: str = "") -> str:
    """A cell of words, of a kind that the page has a style for."""
    return f'<td class="{kind}">{escape(str(words))}</td>' if kind else f"<td>{escape(str(words))}</td>"


def number(value: float | None) -> str:
    """Four significant digits, a dash for what is no number.

    >>> number(0.123456), number(None), number(float("inf"))
    ('0.1235', '–', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def date(seconds: float) -> str:
    """A time of the clock in words."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def columns(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """A table as plain values, column by column, as the export writes them: the shortest text that is the same number."""
    return {str(name): _plain(rows[name]) for name in rows.columns}


def _plain(column: pd.Series) -> list[Any]:
    if column.dtype == np.float32:
        values: list[Any] = [float(text) for text in column.to_numpy().astype("U24")]
    else:
        values = column.tolist()
    return [None if value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)) else value for value in values]


def _in_script(text: str) -> str:
    """JSON that cannot end the script element that holds it."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _programs(charts: Mapping[str, Any]) -> str:
    """What draws these charts, as one script: Vega is 1 MB, Plotly 5 MB, so only what is needed."""
    vega = next((chart["light"]["chart"] for chart in charts.values() if chart["medium"] == "vega"), None)
    scripts = [] if vega is None else [_vega(version(vega))]
    if any(chart["medium"] == "plotly" for chart in charts.values()):
        scripts.append(_plotly())
    return "\n".join(scripts)


@cache
def _vega(vl_version: str) -> str:
    """Vega, Vega-Lite and Vega-Embed."""
    script: str = vl_convert.javascript_bundle(_GLOBALS, vl_version)
    return script.replace("</script", "<\\/script")


@cache
def _plotly() -> str:
    script = files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    return script.replace("</script", "<\\/script")
