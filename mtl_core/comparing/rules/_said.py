"""What a broken rule says, and the words that the rules have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mtl_core.comparing.groups import Group
from mtl_core.store.alike import in_words

Rule = (
    Literal["elsewhere", "data", "seeds", "budget", "settings", "treatment", "tuning", "selection", "diverged", "left out"]
    | Literal["baseline", "numbers", "pairs", "repeats", "device", "time"]
)
NAMED = 3  # groups named in a sentence


@dataclass(frozen=True)
class Warned:
    """A broken rule: which, and what it means here."""

    rule: Rule
    sentence: str


def names(groups: Sequence[Group], more: Any = lambda _: "") -> str:
    said = [f"{group.name}{more(group)}" for group in groups[:NAMED]]
    rest = len(groups) - len(said)
    return "; ".join([*said, *([f"{rest} more"] if rest > 0 else [])])


def listed(values: Sequence[Any]) -> str:
    """
    >>> listed([60, 120, 240])
    '60, 120 and 240'
    """
    words = [in_words(value) for value in values]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def counted(items: Sequence[object], what: str) -> str:
    return f"{len(items)} {what}{'' if len(items) == 1 else 's'}"
