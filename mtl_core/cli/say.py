"""What the command line says: answers on stdout (words or strict JSON), everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store", help="Where runs are kept: a folder, an .sqlite file or a URL [default: runs/].", show_default=False
    ),
]


def plain(value: Any) -> Any:
    """The same value in types that JSON has: NaN and infinity become null, arrays and numpy numbers lists and numbers.

    >>> plain({"loss": float("nan"), "steps": (1, 2)})
    {'loss': None, 'steps': [1, 2]}
    """
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def json_line(value: Any) -> str:
    """One line of JSON without NaN or Infinity, which most readers of JSON refuse.

    >>> json_line({"direction": [0.5, float("inf")]})
    '{"direction": [0.5, null]}'
    """
    return json.dumps(plain(value), allow_nan=False)


def read_json(text: str, option: str, example: str = "[1, 0]") -> Any:
    """What an option holds in JSON. Raises ValueError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{option} must be JSON, as in '{example}': {error}") from None


def answer(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on stdout; cells are shown as they are, markup in them has no meaning."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        *columns, title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(drawn)


def number(value: float | None) -> str:
    """A number for people: four significant digits, a dash for nothing.

    >>> number(0.123456), number(None), number(float("nan"))
    ('0.1235', '–', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"
