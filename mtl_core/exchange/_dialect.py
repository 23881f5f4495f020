"""How a table of another program is written: what separates its cells, and whether a comma stands before its decimals."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd

SEPARATORS = ",;\t"  # of two that stand equally often in the first line the former counts
_EXCEL = re.compile(rf"sep=([{SEPARATORS}|])\s*")  # a first line that tells Excel, and is no part of the table
_COMMA = r"\s*[-+]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][-+]?\d+)?\s*"  # 1.234,5 or 0,5
_THOUSANDS = r"\s*[-+]?\d{1,3}(?:\.\d{3})+\s*"  # beside such numbers 1.234 is a whole one
_LINES = 2**16  # bytes in which the first line ends


def read_table(path: Path) -> pd.DataFrame:
    """A CSV in UTF-8 with commas, semicolons or tabs; line ``n`` of the file has the index ``n - 2``. Raises ValueError."""
    with path.open("rb") as file:
        lines = file.read(_LINES).decode("utf-8-sig", errors="replace").splitlines()
    told = _EXCEL.fullmatch(lines[0]) if lines else None
    lines = [line for line in lines[told is not None :] if line.strip()] or [""]
    separator = told[1] if told else "\t" if path.suffix == ".tsv" else _most_often(lines[0])
    try:
        heads, *cells = csv.reader(lines[:2], delimiter=separator)
    except csv.Error as error:
        raise ValueError(f"{path.name} is no CSV in UTF-8: {error}") from None
    if cells and len(cells[0]) > len(heads):  # pandas would take the first column for an index
        raise ValueError(f"{path.name} names {len(heads)} columns in its first line, and has {len(cells[0])} cells in the next")
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            skiprows=int(told is not None),
            index_col=False,
            low_memory=False,
            encoding="utf-8-sig",
            compression=None,  # no bombs
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path.name} is no CSV in UTF-8: {str(error)[:200].strip()}") from None
    table.index += int(told is not None)
    if separator != ",":
        for name in table.columns[~table.columns.duplicated(keep=False)]:
            table[name] = _with_points(table[name])
    return table


def _most_often(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    return max(SEPARATORS, key=bare.count)


def _with_points(column: pd.Series) -> pd.Series:
    """A column of numbers with decimal commas as the same with points; any other as it is.

    >>> list(_with_points(pd.Series(["1.234,5", "0,5", "1.234", "7"])))
    ['1234.5', '0.5', '1234', '7']
    """
    if pd.api.types.is_numeric_dtype(column) or not column.astype("str").str.fullmatch(_COMMA).any():
        return column
    texts = column.astype("str")
    is_number = texts.str.fullmatch(_COMMA) | texts.str.fullmatch(_THOUSANDS)
    plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return column.where(~is_number, plain)
