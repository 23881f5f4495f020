"""Tables as CSV that a spreadsheet opens: numbers in full, and no words that it would take for a formula.

A cell that begins with = + - or @ is computed when a spreadsheet opens it, and may start programs. Names of tasks and runs may
come from strangers, so such words get an apostrophe in front, which our import takes off again.
"""

from __future__ import annotations

import re

import pandas as pd

_COMPUTED = re.compile(r"[=+\-@\t\r]")
_KEPT = re.compile(r"'+[=+\-@\t\r]")


def as_csv(table: pd.DataFrame, *, header: bool = True) -> str:
    """The table without its index.

    >>> as_csv(pd.DataFrame({"task": ["=1+1", "-0.5"], "loss": [-0.5, 2.0]}))
    "task,loss\\n'=1+1,-0.5\\n-0.5,2.0\\n"
    """
    columns = [_harmless(table.iloc[:, n]) for n in range(table.shape[1])]
    safe = pd.concat(columns, axis=1) if columns else table
    safe = safe.set_axis([quoted(name) for name in table.columns], axis=1)
    return safe.to_csv(index=False, header=header, lineterminator="\n")


def quoted(words: object) -> object:
    """Words that a spreadsheet shows and does not compute; all else, numbers written as words included, as it is."""
    if not isinstance(words, str) or not (_COMPUTED.match(words) or _KEPT.match(words)):
        return words
    try:
        float(words)
    except ValueError:
        return f"'{words}"
    return words


def unquoted(words: str) -> str:
    """What ``quoted`` was given.

    >>> [unquoted(str(quoted(words))) for words in ("=1", "'=1", "'tis", "-", "'")]
    ['=1', "'=1", "'tis", '-', "'"]
    """
    return words[1:] if _KEPT.match(words) else words


def _harmless(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.rename_categories([quoted(word) for word in column.cat.categories])
    return column if pd.api.types.is_numeric_dtype(column) else column.map(quoted, na_action="ignore")
