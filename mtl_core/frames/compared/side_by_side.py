"""Two configs line by line, beside each other."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

_YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


def as_yaml(config: Mapping[str, Any]) -> str:
    """A config as YAML with one setting per line, so that two can be held beside each other.

    >>> print(as_yaml({"name": "a: b", "weighting": {"name": "fixed", "weights": [0.5, 1]}}))
    name: "a: b"
    weighting:
      name: fixed
      weights: [0.5, 1]
    """
    lines = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{key}:", *(f"  {inner}: {_scalar(kept)}" for inner, kept in value.items())]
        else:
            lines.append(f"{key}: {_scalar(value)}")
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    """JSON, which is YAML; plain words without quotes."""
    is_plain = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]*", value) and value not in _YAML_WORDS
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False)


Change = Literal["same", "changed", "left only", "right only"]


@dataclass(frozen=True)
class Line:
    """A line of two texts side by side."""

    left: str
    right: str
    change: Change


def side_by_side(left: str, right: str) -> list[Line]:
    """Two texts line by line, equal lines beside each other.

    >>> [line.change for line in side_by_side("lr: 1\\nseed: 0", "lr: 2\\nseed: 0\\nl1: 3")]
    ['changed', 'same', 'right only']
    """
    mine, theirs = left.splitlines(), right.splitlines()
    return list(_aligned(mine, theirs))


def _aligned(mine: list[str], theirs: list[str]) -> Iterator[Line]:
    for kind, a, b, c, d in difflib.SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        for n in range(max(b - a, d - c)):
            one, other = mine[a + n] if n < b - a else "", theirs[c + n] if n < d - c else ""
            if kind == "equal":
                yield Line(one, other, "same")
            elif n >= d - c:
                yield Line(one, "", "left only")
            else:
                yield Line(one, other, "changed" if n < b - a else "right only")
