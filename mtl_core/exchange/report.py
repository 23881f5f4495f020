"""A run as one HTML file that opens anywhere, offline: what it was, how it ended, and its figures, interactive."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from mtl_core.config import RunConfig
from mtl_core.exchange._page import MOST_PANELS, Page, cell, date, note, number, table
from mtl_core.exchange.pictures import POINTS
from mtl_core.figures import FIGURES, Figure, View
from mtl_core.frames import RunFrames
from mtl_core.palette import THEMES, state_colours
from mtl_core.store import Run, Store

LEFT_OUT = ("sparkline", "architecture")  # the one is a figure in a list, the other stands above the rest
FIRST = ("losses", "metrics", "weights", "cosine_curves", "cosine_matrix", "conflict_by_stage", "predictions")
LOADS_TORCH = "what_if"
HOW_DRAWN = (
    f"Nothing is smoothed here. Curves of more than {POINTS // 2:,} steps are drawn as the low, the high and the mean of "
    "neighbouring steps; the run's export has every single number. Drag to move along a chart, Ctrl and the wheel to look closer."
)
ASKED_LIVE = (
    "What other weightings would have done at a step is not in this file: they are asked anew each time, on the dashboard, "
    "page Watch, What if."
)


def write_report(store: Store, run: Run, path: Path) -> Path:
    """Write a run's report. Raises OSError."""
    path.write_text(report(store, run), encoding="utf-8")
    return path


def report(store: Store, run: Run) -> str:
    """A run's report as HTML that needs no network: Vega is in it (1 MB), and so is every number that it draws."""
    colours = {theme: {"state": state_colours(theme)[run.state]} for theme in THEMES}
    page = Page(run.name, f'<p><span class="state">{escape(run.state)}</span> {escape(_facts(run))}</p>', colours)
    tables = RunFrames(store, run.id, run.spec or {}, points=POINTS)
    _results(page, run)
    _architecture(page, tables)
    before = len(page.sections)
    _figures(page, tables)
    if page.charts:
        page.sections.insert(before, note(HOW_DRAWN))
    if any(figure.source == LOADS_TORCH and figure.applies(tables.spec) for figure in FIGURES):
        page.sections.append(note(ASKED_LIVE))
    _small_print(page, store, run)
    return page.html()


def _figures(page: Page, tables: RunFrames) -> None:
    """A section per figure that has something to show."""
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
            drawings.append(_drawing(page, figure, tidy, tables, panel))
        worry = f'<p class="note"><b>When to worry:</b> {escape(figure.when_to_worry)}</p>'
        page.add(figure.title, *drawings, note(figure.how_to_read), worry)


def _drawing(page: Page, figure: type[Figure], tidy: Any, tables: RunFrames, panel: str = "") -> str:
    """A chart for the browser to draw, or an SVG in both themes, of which the page shows one."""
    spec = tables.spec
    if figure.medium == "altair":
        return page.vega(figure.variant_name(), lambda theme: figure.vega(tidy, spec, View(theme=theme, choice=panel)))
    drawn = {theme: figure.draw(tidy, spec, View(theme=theme, choice=panel)) for theme in THEMES}
    return "".join(f'<div class="{theme}">{svg}</div>' for theme, svg in drawn.items())


def _architecture(page: Page, tables: RunFrames) -> None:
    figure = FIGURES["architecture"]
    if figure.applies(tables.spec):
        tidy = figure.tidy(tables.table(figure.source), tables.spec)
        page.add(figure.title, _drawing(page, figure, tidy, tables), note(figure.how_to_read))


def _results(page: Page, run: Run) -> None:
    """The final test, a row per task and measure."""
    test = (run.result or {}).get("test") or {}
    tasks = (run.spec or {}).get("tasks", ())
    titles = {task["name"]: task["title"] for task in tasks}
    known = {
        (task["name"], metric["name"]): f"{metric['title']} {'↑' if metric['higher_is_better'] else '↓'}"
        for task in tasks
        for metric in task["metrics"]
    }
    rows = []
    for task, values in test.items():
        for name, value in values.items():
            title = known.get((task, name), f"{name.capitalize()}{' ↓' if name == 'loss' else ''}")
            rows.append([cell(titles.get(task, task)), cell(title), cell(number(value), "number")])
    if rows:
        words = "On examples that were not trained on. ↑: higher is better, ↓: lower is better. One run says nothing of chance."
        page.add("Results", table(("Task", "Measure", "Test"), rows), note(words))


def _small_print(page: Page, store: Store, run: Run) -> None:
    happened = [(date(change.time), f"{change.state} {change.reason}") for change in store.history(run.id)]
    happened += [(f"step {event.step:,}", event.text) for event in store.events(run.id)]
    if run.error:
        page.add("What went wrong", f"<pre>{escape(run.error)}</pre>")
    said = store.labels([run.id]).get(run.id)
    if said is not None:
        page.add(
            "Notes", note(" · ".join(said.tags)) if said.tags else "", f"<pre>{escape(said.note)}</pre>" if said.note else ""
        )
    page.add("Config", f"<pre>{escape(RunConfig.from_mapping(run.config).to_yaml())}</pre>")
    page.add("What happened", table(("When", "What"), [[cell(when), cell(what)] for when, what in happened]))


def _facts(run: Run) -> str:
    ended = f", {date(run.ended)}" if run.ended else ""
    where = f" on {run.device}" if run.device else ""
    choices = f". {run.choices}" if run.choices != run.name else ""
    reason = f" ({run.reason})" if run.reason else ""
    return f"{reason} after {run.step:,} of {run.steps:,} steps, {run.seconds:,.1f} s of training{where}{ended}{choices}"
