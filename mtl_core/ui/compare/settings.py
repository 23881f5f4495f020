"""Settings as tables of a page: per group, and two configs line by line. Every text in them is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from mtl_core.frames.compared.side_by_side import Line

FEW = 6  # groups whose values are all stressed where no value is that of most


def table(settings: pd.DataFrame, names: Mapping[str, str], usual: Sequence[str | None], *, groups_across: bool) -> str:
    """The settings as an HTML table.

    Args:
        settings: as ``frames.compared.knobs.settings_table`` makes it.
        names: group id to name.
        usual: the value of most groups in each row, others are stressed; None, if there is none, stresses few groups' values all.
        groups_across: a column per group; else a row per group.
    """
    rows = settings.to_dict("records")
    values = {group: [str(row[group]) for row in rows] for group in names}
    are_few = len(names) <= FEW
    if groups_across:
        head = "<th>Setting</th>" + "".join(f"<th>{escape(name)}</th>" for name in names.values())
        body = "".join(
            f"<tr><th>{escape(row['setting'])}<small>{escape(row['section'])}</small></th>"
            + "".join(_cell(values[group][n], usual[n], are_few) for group in names)
            + "</tr>"
            for n, row in enumerate(rows)
        )
    else:
        head = "<th>Group</th>" + "".join(
            f"<th>{escape(row['setting'])}<small>{escape(row['section'])}</small></th>" for row in rows
        )
        body = "".join(
            f"<tr><th>{escape(name)}</th>{''.join(_cell(*pair, are_few) for pair in zip(values[group], usual, strict=True))}</tr>"
            for group, name in names.items()
        )
    return f'<div class="mtl-set"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def two(lines: Sequence[Line], left: str, right: str) -> str:
    """Two texts side by side; lines that differ have a sign and a colour."""
    signs = {"same": (" ", " "), "changed": ("≠", "≠"), "left only": ("−", " "), "right only": (" ", "+")}
    body = "".join(
        f'<tr class="{"" if line.change == "same" else "is-other"}">'
        + "".join(
            f"<td><i>{sign}</i><code>{escape(text)}</code></td>"
            for sign, text in zip(signs[line.change], (line.left, line.right), strict=True)
        )
        + "</tr>"
        for line in lines
    )
    head = f"<th>{escape(left)}</th><th>{escape(right)}</th>"
    return f'<div class="mtl-two"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: str, usual: str | None, are_few: bool) -> str:
    is_stressed = are_few if usual is None else value != usual
    return f"<td>{escape(value)}</td>" if not is_stressed else f'<td class="is-other">{escape(value)}</td>'
