"""A run as one HTML file that opens anywhere, offline: what it was, how it ended, and its figures, interactive."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import vl_convert

from mtl_core.config import RunConfig
from mtl_core.exchange.pictures import POINTS, records, version
from mtl_core.figures import FIGURES, Figure, View
from mtl_core.frames import RunFrames
from mtl_core.palette import TYPE, Theme, state_colours, tones
from mtl_core.store import Run, Store

TEMPLATE = Path(__file__).with_name("report.html")
LEFT_OUT = ("sparkline", "architecture")  # the one is a figure in a list, the other stands above the rest
FIRST = ("losses", "metrics", "weights", "cosine_curves", "cosine_matrix", "conflict_by_stage", "predictions")
LOADS_TORCH = "what_if"
MOST_PANELS = 12
_GLOBALS = "window.vegaEmbed = vegaEmbed;"
HOW_DRAWN = (
    f'<p class="note">Nothing is smoothed here. Curves of more than {POINTS // 2:,} steps are drawn as the low, the high and the mean of '
    "neighbouring steps; the run's export has every single number. Drag to move along a chart, Ctrl and the wheel to look closer.</p>"
)
THEMES: tuple[Theme, ...] = ("light", "dark")


def write_report(store: Store, run: Run, path: Path) -> Path:
    """Write a run's report. Raises OSError."""
    path.write_text(report(store, run), encoding="utf-8")
    return path


def report(store: Store, run: Run) -> str:
    """A run's report as HTML that needs no network: Vega is in it (1 MB), and so is every number that it draws."""
    spec = run.spec or {}
    tables = RunFrames(store, run.id, spec, points=POINTS)
    charts: dict[str, Any] = {}
    figures = _figures(tables, charts)
    sections = [_results(run), _architecture(tables), HOW_DRAWN if charts else "", *figures, *_small_print(store, run)]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(run.name),
        state=escape(run.state),
        facts=escape(_facts(run)),
        sections="\n".join(section for section in sections if section),
        figures=_in_script(json.dumps(charts, allow_nan=False, separators=(",", ":"))),
        bundle=_bundle(_version(charts)) if charts else "",
        font=TYPE.font,
        **{theme: _colours(run, theme) for theme in THEMES},
    )


def _figures(tables: RunFrames, charts: dict[str, Any]) -> list[str]:
    """A section per figure; what the browser draws goes into ``charts``."""
    sections = []
    for name in dict.fromkeys((*FIRST, *FIGURES.names())):
        figure = FIGURES[name]
        if name in LEFT_OUT or figure.source == LOADS_TORCH or not figure.applies(tables.spec):
            continue
        tidy = figure.tidy(tables.table(figure.source), tables.spec)
        if tidy.empty:
            continue
        drawings = []
        for panel, label in list(figure.choices(tables.spec).items())[:MOST_PANELS]:
            drawings.append(f"<h3>{escape(label)}</h3>" if label else "")
            if figure.medium == "svg":
                drawings.append(_both(figure, tidy, tables, panel))
            else:
                key = f"{name}-{len(charts)}"
                charts[key] = _chart(figure, tidy, tables, panel)
                drawings.append(f'<div class="chart" id="figure-{key}"></div>')
        read, worry = escape(figure.how_to_read), escape(figure.when_to_worry)
        words = f'<p class="note">{read}</p><p class="note"><b>When to worry:</b> {worry}</p>'
        sections.append(f"<section><h2>{escape(figure.title)}</h2>{''.join(drawings)}{words}</section>")
    return sections


def _chart(figure: type[Figure], tidy: Any, tables: RunFrames, panel: str) -> dict[str, Any]:
    """A chart in both themes; the dark one without its rows where they are those of the light one."""
    drawn: dict[str, Any] = {}
    for theme in THEMES:
        chart = figure.vega(tidy, tables.spec, View(theme=theme, choice=panel))
        rows = records(chart.pop("datasets")["rows"])
        drawn[theme] = {"chart": chart, "rows": rows}
    if drawn["dark"]["rows"] == drawn["light"]["rows"]:
        del drawn["dark"]["rows"]
    return drawn


def _both(figure: type[Figure], tidy: Any, tables: RunFrames, panel: str = "") -> str:
    """A drawing in both themes, of which the page shows one."""
    drawn = {theme: figure.draw(tidy, tables.spec, View(theme=theme, choice=panel)) for theme in THEMES}
    return "".join(f'<div class="{theme}">{svg}</div>' for theme, svg in drawn.items())


def _architecture(tables: RunFrames) -> str:
    figure = FIGURES["architecture"]
    if not figure.applies(tables.spec):
        return ""
    drawing = _both(figure, figure.tidy(tables.table(figure.source), tables.spec), tables)
    return f'<section><h2>{escape(figure.title)}</h2>{drawing}<p class="note">{escape(figure.how_to_read)}</p></section>'


def _results(run: Run) -> str:
    """The final test, a row per task and measure."""
    test = (run.result or {}).get("test") or {}
    known = {
        (task["name"], metric["name"]): (metric["title"], "↑" if metric["higher_is_better"] else "↓")
        for task in (run.spec or {}).get("tasks", ())
        for metric in task["metrics"]
    }
    titles = {task["name"]: task["title"] for task in (run.spec or {}).get("tasks", ())}
    rows = []
    for task, values in test.items():
        for name, value in values.items():
            title, arrow = known.get((task, name), (name.capitalize(), "↓" if name == "loss" else ""))
            number = "–" if value is None or not math.isfinite(value) else f"{value:.4g}"
            cells = f"<td>{escape(titles.get(task, task))}</td><td>{escape(title)} {arrow}</td>"
            rows.append(f'<tr>{cells}<td class="number">{number}</td></tr>')
    if not rows:
        return ""
    head = "<tr><th>Task</th><th>Measure</th><th>Test</th></tr>"
    note = "On examples that were not trained on. ↑: higher is better, ↓: lower is better. One run says nothing of chance."
    return f'<section><h2>Results</h2><table>{head}{"".join(rows)}</table><p class="note">{note}</p></section>'


def _small_print(store: Store, run: Run) -> list[str]:
    config = escape(RunConfig.from_mapping(run.config).to_yaml())
    happened = [(_date(change.time), f"{change.state} {change.reason}") for change in store.history(run.id)]
    happened += [(f"step {event.step:,}", event.text) for event in store.events(run.id)]
    cells = "".join(f"<tr><td>{escape(when)}</td><td>{escape(what)}</td></tr>" for when, what in happened)
    error = f"<section><h2>What went wrong</h2><pre>{escape(run.error)}</pre></section>" if run.error else ""
    return [
        error,
        f"<section><h2>Config</h2><pre>{config}</pre></section>",
        f"<section><h2>What happened</h2><table>{cells}</table></section>",
    ]


def _facts(run: Run) -> str:
    ended = f", {_date(run.ended)}" if run.ended else ""
    where = f" on {run.device}" if run.device else ""
    choices = f". {run.choices}" if run.choices != run.name else ""
    reason = f" ({run.reason})" if run.reason else ""
    return f"{reason} after {run.step:,} of {run.steps:,} steps, {run.seconds:,.1f} s of training{where}{ended}{choices}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _colours(run: Run, theme: Theme) -> str:
    tone = tones(theme)
    named = {"page": tone.page, "card": tone.card, "ink": tone.ink, "soft": tone.soft_ink, "grid": tone.grid}
    return "; ".join(f"--{name}: {value}" for name, value in {**named, "state": state_colours(theme)[run.state]}.items())


def _in_script(text: str) -> str:
    """JSON that cannot end the script element that holds it."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _version(charts: dict[str, Any]) -> str:
    return version(next(iter(charts.values()))["light"]["chart"])


@cache
def _bundle(vl_version: str) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    script: str = vl_convert.javascript_bundle(_GLOBALS, vl_version)
    return script.replace("</script", "<\\/script")
