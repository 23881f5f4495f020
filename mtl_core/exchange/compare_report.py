"""A comparison as one HTML file that opens anywhere, offline: its broken rules first, then numbers, figures, configs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

from mtl_core.comparing import Comparison, Group, in_words
from mtl_core.config import RunConfig
from mtl_core.exchange._page import MOST_PANELS, Page, cell, note, number, table
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS, Contrast, draw_legend
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.result_texts import ALIKE, arrow
from mtl_core.frames.compared.results import Cell, result_table
from mtl_core.palette import THEMES
from mtl_core.store import Store

FIRST = ("task_results", "group_curves", "equal_budgets", "front", "heat_map", "weighed_delta")  # then what others there are
POINTS = 400  # numbers per curve: dozens of curves lie over each other
HOW_DRAWN = (
    "Nothing is smoothed here; long curves are thinned for the screen with every low and high kept, and the export has every single "
    "number. Ctrl and the wheel look closer."
)
HOW_TABLED = (
    "Test numbers: mean over seeds ± half a 95 % interval. Bold: the best of its column. Grey with ≈: its interval overlaps that of the "
    "best, so these seeds do not tell the two apart; one seed alone has no interval and tells nothing. Δm: mean relative change over "
    "metrics against the baseline, lower is better. Δp: mean within each task, then over tasks, higher is better."
)
FAIR = (
    "None of the rules that can be checked is broken: same data and budget, several seeds, no unequal search. "
    "Whether each scheme was tuned as well as it could be, no program can see."
)


def write_compare_report(store: Store, comparison: Comparison, path: Path) -> Path:
    """Write the report of a comparison. Raises OSError."""
    path.write_text(compare_report(store, comparison), encoding="utf-8")
    return path


def compare_report(store: Store, comparison: Comparison) -> str:
    """The report of a comparison as HTML that needs no network: what draws its figures is in it, and every number they draw."""
    n_runs = sum(len(group.runs) for group in comparison.groups)
    title = comparison.groups[0].name if len(comparison.groups) == 1 else f"{len(comparison.groups)} groups compared"
    page = Page(title, f"<p>{escape(_lead(comparison, n_runs))}</p>", is_wide=True)
    _rules(page, comparison)
    compared = Compared(store, comparison, points=POINTS)
    _results(page, compared)
    before = len(page.sections)
    _figures(page, compared)
    if page.charts:
        page.sections.insert(before, note(HOW_DRAWN) + _legend(compared))
    _differences(page, comparison)
    _runs(page, comparison)
    return page.html()


def _lead(comparison: Comparison, n_runs: int) -> str:
    sets = dict.fromkeys(str(group.settings.get("dataset.name", "")) for group in comparison.groups)
    chosen = comparison.group(comparison.chosen) if comparison.chosen is not None else None
    base = chosen.name if chosen is not None else "each group's single-task runs"
    runs = f"{n_runs} run{'' if n_runs == 1 else 's'} in {len(comparison.groups)} group{'' if len(comparison.groups) == 1 else 's'}"
    return f"{runs} that differ in more than their seed. Data: {', '.join(sets)}. Baseline of Δm and Δp: {base}."


def _rules(page: Page, comparison: Comparison) -> None:
    broken = "".join(f"<li>{escape(warned.sentence)}</li>" for warned in comparison.warnings)
    if broken:
        page.sections.append(f'<section class="warn"><h2>Before you conclude anything</h2><ul>{broken}</ul></section>')
    else:
        page.sections.append(note(FAIR))


def _results(page: Page, compared: Compared) -> None:
    """A row per group that was tested, the best of each column marked, and those that cannot be told from it."""
    found, front = result_table(compared), compared.comparison.front()
    head = ["Group", "Seeds", *(f"{column.name} {arrow(column.higher_is_better)}".strip() for column in found.columns)]
    rows = []
    for row in found.rows:
        cells = [_cell(row.cells.get(column.key)) for column in found.columns]
        rows.append([cell(f"{row.name}{' (baseline)' if row.is_baseline else ''}"), cell(row.n_seeds, "number"), *cells])
    drawn = ""
    if front is not None:
        axes = " and ".join(metric.label for metric in front.metrics)
        names = "; ".join(group.name for group in compared.comparison.groups if group.id in front.members)
        drawn = note(f"Beaten by nobody in both {axes}: {names}. Hypervolume {number(front.hypervolume)}.")
    if rows:
        page.add("Results", table(head, rows), note(HOW_TABLED), drawn)
    else:
        page.add("Results", note("None of these runs has a final test yet: there is nothing to compare but curves."))


def _cell(one: Cell | None) -> str:
    if one is None:
        return cell("–", "number")
    return cell(f"{ALIKE} {one.words}", "same") if one.is_alike else cell(one.words, "best" if one.is_best else "number")


def _legend(compared: Compared) -> str:
    """Who is who in all figures."""
    said = {
        group["name"]: f"{group['n_seeds']} seed{'' if group['n_seeds'] == 1 else 's'}" for group in compared.spec["groups"]
    }
    drawn = (f'<div class="{theme}">{draw_legend(compared.spec, View(theme=theme), said)}</div>' for theme in THEMES)
    return f"<section><h2>Groups</h2>{''.join(drawn)}</section>"


def _figures(page: Page, compared: Compared) -> None:
    """A section per figure that has something to show, with what it may and may not say."""
    for name in sorted(CONTRASTS.names(), key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        figure = CONTRASTS[name]
        if not figure.applies(compared.spec):
            continue
        drawings = []
        panels = figure.choices(compared.spec)
        for choice, label in list(panels.items())[:MOST_PANELS]:
            drawn = _drawing(page, figure, compared, choice)
            if drawn:
                drawings.append((f"<h3>{escape(label)}</h3>" if label else "") + drawn)
        may = f'<p class="note"><b>What it says:</b> {escape(figure.may_say)}</p>'
        left = (
            note(f"{len(panels) - MOST_PANELS} more like these are on the page Compare.") if len(panels) > MOST_PANELS else ""
        )
        if drawings:
            page.add(figure.title, *drawings, left, note(figure.how_to_read), may)


def _drawing(page: Page, figure: type[Contrast], compared: Compared, choice: str) -> str:
    """A place for the figure in one of its choices; empty if it has nothing to show there."""
    frame, spec = compared.table(figure.source, choice), compared.spec
    tidy = figure.tidy(frame, spec, View(choice=choice))
    if tidy.empty:
        return ""
    if figure.medium == "plotly":
        return page.plotly(figure.variant_name(), lambda theme: figure.draw(tidy, spec, View(theme=theme, choice=choice)))
    return page.vega(figure.variant_name(), lambda theme: figure.vega(tidy, spec, View(theme=theme, choice=choice)))


def _differences(page: Page, comparison: Comparison) -> None:
    """The settings in which the groups differ, and one whole config of each group."""
    varied = comparison.varied
    rows = [
        [cell(group.name), *(cell(in_words(values[n])) for values in varied.values())]
        for n, group in enumerate(comparison.groups)
    ]
    configs = "".join(
        f"<details><summary>{escape(group.name)}</summary><pre>{escape(_config(group))}</pre></details>"
        for group in comparison.groups
    )
    what = table(("Group", *varied), rows) if varied else note("One group, or groups that differ in nothing that is known.")
    page.add("What differs", what, note("Everything else is the same. One config of each group, in full:"), configs)


def _config(group: Group) -> str:
    """As YAML; as it is kept if this version of the program cannot read it."""
    try:
        return RunConfig.from_mapping(group.runs[0].config).to_yaml()
    except ValueError:
        return json.dumps(group.runs[0].config, indent=1, ensure_ascii=False)


def _runs(page: Page, comparison: Comparison) -> None:
    def rows() -> Iterator[list[str]]:
        for group in comparison.groups:
            for run in group.runs:
                seed, seconds = run.config["training"]["seed"], number((run.result or {}).get("seconds") or run.seconds)
                yield [
                    *(cell(run.id), cell(run.name), cell(group.name), cell(seed, "number"), cell(run.state)),
                    *(cell(f"{run.step:,} of {run.steps:,}", "number"), cell(seconds, "number"), cell(run.device)),
                ]

    page.add("Runs", table(("Run", "Name", "Group", "Seed", "State", "Steps", "Seconds", "Device"), rows()))
