"""Values that a setting takes, as people type them: ``0.001, 0.01``, ``0..4``, ``[1, 2], [2, 1]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mtl_core.config import load_yaml

MOST_VALUES = 1_000
MOST_SIGNS = 10_000
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
_PLAIN = re.compile(r"[A-Za-z_][\w./+-]*", re.ASCII)
_SHORTEST_RANGE = 3


def read(text: str) -> list[Any]:
    """The values in a typed list. Raises ValueError with a remedy; the list may be empty.

    >>> read("0.001, 0.01"), read("0..3, 9"), read("mgda, {name: cagrad, c: 0.2}")
    ([0.001, 0.01], [0, 1, 2, 3, 9], ['mgda', {'name': 'cagrad', 'c': 0.2}])
    """
    if len(text) > MOST_SIGNS:
        raise ValueError(f"the list is {len(text):,} characters long, at most {MOST_SIGNS:,} are read: take fewer values")
    if not text.strip():
        return []
    try:
        found = load_yaml(f"[{text}\n]")  # a new line: a # would comment the bracket out
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError(f"{_short(text)} is no list of values: write them with one comma between two, as in 0.001, 0.01")
    values: list[Any] = []
    for each in found:
        values += _expand(each)
        if len(values) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values are typed: take fewer, a sweep cannot run them all")
    return values


def write(values: Sequence[Any]) -> str:
    """The values as a line that ``read`` takes back.

    >>> write([0, 1, 2, 3]), write([0.001, 1e-05]), write(["mgda", {"name": "cagrad", "c": 0.2}, None])
    ('0..3', '0.001, 1.0e-05', 'mgda, {name: cagrad, c: 0.2}, null')
    """
    is_whole = all(type(value) is int for value in values)
    if is_whole and len(values) >= _SHORTEST_RANGE and list(values) == list(range(values[0], values[0] + len(values))):
        return f"{values[0]}..{values[-1]}"
    return ", ".join(map(one, values))


def one(value: Any) -> str:
    """A single value as text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        digits = repr(value)  # YAML wants a point in 1e-05
        return digits if "e" not in digits or "." in digits else digits.replace("e", ".0e")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(one, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{one(str(key))}: {one(each)}" for key, each in value.items()) + "}"
    return _word(value) if isinstance(value, str) else str(value)


def _expand(value: Any) -> list[Any]:
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return [value]
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < MOST_VALUES:
        raise ValueError(f"{value} is no range of at most {MOST_VALUES:,} numbers: write the smaller one first, as in 0..4")
    return list(range(first, last + 1))


def _word(text: str) -> str:
    """Text as it is where YAML reads it back so, else in quotes."""
    if _PLAIN.fullmatch(text) and load_yaml(text) == text:
        return text
    return '"' + "".join(_sign(sign) for sign in text) + '"'


def _sign(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    code = ord(sign)
    return sign if 32 <= code < 127 else f"\\U{code:08x}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 40 else line[:39] + "…")
