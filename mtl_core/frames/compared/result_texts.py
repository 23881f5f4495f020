"""The table of results for a paper: Markdown and LaTeX, with the best in bold and what cannot be told from it marked."""

from __future__ import annotations

from collections.abc import Callable

from mtl_core.frames.compared.results import Cell, ResultTable

ALIKE = "≈"
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{
        "±": r"$\pm$",
        "−": "$-$",
        "Δ": r"$\Delta$",
        "²": "$^2$",
        "°": r"$^\circ$",
        "≈": r"$\approx$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
    },
}


def as_markdown(table: ResultTable) -> str:
    """A pipe table.

    >>> as_markdown(ResultTable((), ()))
    '| group | seeds |\\n|---|---|\\n'
    """
    heads = [_markdown(head) for head in _heads(table)]
    lines = [heads, ["---"] * len(heads)]
    for row in table.rows:
        lines.append([_markdown(row.name), str(row.n_seeds), *_cells(table, row.cells.get, "**{}**", _markdown)])
    dashes = "|" + "|".join(lines[1]) + "|"
    return "\n".join(dashes if n == 1 else f"| {' | '.join(line)} |" for n, line in enumerate(lines)) + "\n"


def as_latex(table: ResultTable) -> str:
    """A ``tabular`` in the style of booktabs."""
    heads = [_latex(head) for head in _heads(table)]
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = [_latex(row.name), str(row.n_seeds), *_cells(table, row.cells.get, r"\textbf{{{}}}", _latex)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def arrow(higher_is_better: bool | None) -> str:
    """Which way is better."""
    return "" if higher_is_better is None else "↑" if higher_is_better else "↓"


def _heads(table: ResultTable) -> list[str]:
    return ["group", "seeds", *(f"{column.name} {arrow(column.higher_is_better)}".strip() for column in table.columns)]


def _cells(table: ResultTable, cell_of: Callable[[str], Cell | None], bold: str, escape: Callable[[str], str]) -> list[str]:
    said = []
    for column in table.columns:
        cell = cell_of(column.key)
        words = "–" if cell is None else escape(cell.words + (f" {ALIKE}" if cell.is_alike else ""))
        said.append(bold.format(words) if cell is not None and cell.is_best else words)
    return said


def _markdown(text: str) -> str:
    """Harmless in a cell of a table."""
    text = " ".join(text.split())
    for sign in "\\|*_`[]<>":
        text = text.replace(sign, f"\\{sign}")
    return text


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))
