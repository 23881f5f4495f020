"""The tables of Results as HTML: readable without colour, and everything that somebody else wrote is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from mtl_core.comparing import Verdict
from mtl_core.frames.compared.result_texts import ALIKE, arrow
from mtl_core.frames.compared.results import DELTA_M, DELTA_P, RANK, SECONDS, Cell, Column, ResultTable, Row
from mtl_core.frames.compared.words import p_value, signless

_SMALL = {
    DELTA_M: "mean over metrics",
    DELTA_P: "mean over tasks",
    RANK: "of these groups",
    SECONDS: "seconds",
}
_BETTER = {True: "higher is better", False: "lower is better", None: ""}
WIDE = 7  # columns from which an interval stands under its mean: so many fit beside each other on a laptop
SIGNS = {"better": "▲", "worse": "▼", "no difference shown": "≈", "too few seeds to say": "?"}


def results_html(table: ResultTable) -> str:
    """A row per group, a column per number; each task's metrics stand under its title."""
    over = [(title, len(list(mine))) for title, mine in groupby(table.columns, key=lambda column: column.over)]
    top = "".join(f'<th colspan="{n}" scope="colgroup">{escape(title)}</th>' for title, n in over)
    heads = "".join(_head(column) for column in table.columns)
    rows = "".join(_row(row, table.columns) for row in table.rows)
    return _table(
        f'<thead><tr><td></td><td></td>{top}</tr><tr><th scope="col">Group</th><th scope="col">Seeds</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody>",
        is_wide=len(table.columns) >= WIDE,
    )


def verdicts_html(found: Sequence[Verdict]) -> str:
    """A row per group, a column per metric: the verdict, the mean difference, and both p-values."""
    metrics = list({one.metric.key: one.metric for one in found}.values())
    groups = list({one.group.id: one.group for one in found}.values())
    known = {(one.group.id, one.metric.key): one for one in found}
    heads = "".join(
        f'<th scope="col">{escape(metric.title)} {arrow(metric.higher_is_better)}<small>{escape(metric.task_title)}</small></th>'
        for metric in metrics
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(group.name)}</th>'
        + "".join(_verdict(known.get((group.id, metric.key))) for metric in metrics)
        + "</tr>"
        for group in groups
    )
    return _table(f'<thead><tr><th scope="col">Group</th>{heads}</tr></thead><tbody>{rows}</tbody>')


class Weighed(NamedTuple):
    """A group's Δp and Δm, in words, with equal task weights and with others, and its place in either order."""

    group: str
    even: tuple[str, str]
    chosen: tuple[str, str]
    place_even: int
    place: int


def weighed_html(rows: Sequence[Weighed]) -> str:
    """A row per group: Δp and Δm with equal weights, with others, and its place."""
    top = "".join(f'<th colspan="2" scope="colgroup">{over}</th>' for over in ("Equal weights", "Your weights"))
    pair = "".join(f'<th scope="col">{delta} % {arrow(up)}</th>' for delta, up in (("Δp", True), ("Δm", False)))
    head = f'<tr><td></td>{top}<td></td></tr><tr><th scope="col">Group</th>{pair}{pair}<th scope="col">Place</th></tr>'
    body = "".join(
        f'<tr><th scope="row">{escape(row.group)}</th>{_cells(row.even)}<td><b>{escape(row.chosen[0])}</b></td>'
        f"{_cells(row.chosen[1:])}<td>{_moved(row.place_even, row.place)}</td></tr>"
        for row in rows
    )
    return _table(f"<thead>{head}</thead><tbody>{body}</tbody>")


def _cells(words: Sequence[str]) -> str:
    return "".join(f"<td>{escape(word)}</td>" for word in words)


def _table(inner: str, *, is_wide: bool = False) -> str:
    return f'<div class="mtl-results{" is-wide" if is_wide else ""}"><table>{inner}</table></div>'


def _head(column: Column) -> str:
    unit = "" if column.key in _SMALL or not column.unit else f" ({escape(column.unit)})"
    small = _SMALL.get(column.key, "")
    percent = " %" if column.key in (DELTA_M, DELTA_P) else ""
    says = "".join(f"<small>{said}</small>" for said in (_BETTER[column.higher_is_better] if small else "", small) if said)
    sign = arrow(column.higher_is_better)
    named = f"{escape(column.title)}{percent}{unit}" + (f"&nbsp;{sign}" if sign else "")  # the arrow stays with the last word
    return f'<th scope="col" title="{_BETTER[column.higher_is_better]}">{named}{says}</th>'


def _row(row: Row, columns: Sequence[Column]) -> str:
    mark = "<small>baseline</small>" if row.is_baseline else ""
    cells = "".join(_cell(row.cells.get(column.key)) for column in columns)
    return f'<tr><th scope="row">{escape(row.name)}{mark}</th><td>{row.n_seeds}</td>{cells}</tr>'


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="is-alike">–</td>'
    mean, _, margin = cell.words.partition(" ± ")
    words = mean + (f"<span> ± {margin}</span>" if margin else "")
    if cell.is_best:
        return f"<td><b>{words}</b></td>"
    alike = f'<i title="cannot be told from the best">{ALIKE}</i> '
    return f'<td class="is-alike">{alike}{words}</td>' if cell.is_alike else f"<td>{words}</td>"


def _verdict(one: Verdict | None) -> str:
    if one is None or one.paired.difference is None:
        return '<td class="is-alike">–<small>no seed in common</small></td>' if one is not None else "<td>–</td>"
    difference = signless(f"{one.paired.difference:+.3g}")
    tests = f"t {p_value(one.paired.t)}, Holm {p_value(one.corrected)}"
    if one.paired.wilcoxon is not None:
        tests += f", Wilcoxon {p_value(one.paired.wilcoxon)}"
    is_clear = one.words in ("better", "worse")
    said, look = f"{SIGNS[one.words]} {one.words}", "" if is_clear else ' class="is-alike"'
    return (
        f"<td{look}>{f'<b>{said}</b>' if is_clear else said}"
        f"<small>{difference} on {one.paired.n} pair{'' if one.paired.n == 1 else 's'}</small><small>{tests}</small></td>"
    )


def _moved(old: int, new: int) -> str:
    """A place, and how many places it has gone up or down.

    >>> _moved(3, 1), _moved(1, 2), _moved(2, 2)
    ('1 ▲ 2', '2 ▼ 1', '2')
    """
    return f"{new}" if new == old else f"{new} {'▲' if new < old else '▼'} {abs(new - old)}"
