"""A run as the list shows it: its id, its name, its fields."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Row

from mtl_core.store.states import Command, State

JSON_FIELDS = ("config", "spec", "result")
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # base 32 without i, l, o, u: nothing to misread
_TIME_DIGITS, _CHANCE_DIGITS = 9, 6
_ID = re.compile(f"[{_DIGITS}]{{{_TIME_DIGITS + _CHANCE_DIGITS}}}")
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Run:
    """One run as the list shows it. Times are unix seconds; ``seconds`` is time spent training.

    ``choices`` says in a line what it is made of, ``spec`` what was planned (None until it starts), ``worker`` which process
    holds or held it, ``command`` what it was asked and has not met yet, ``result`` the final test (None until it ends),
    ``error`` a failed run's traceback, ``request`` the key of the form it came from.
    """

    id: str
    name: str
    choices: str
    config: dict[str, Any]
    spec: dict[str, Any] | None
    state: State
    reason: str
    created: float
    queued: float
    started: float | None
    ended: float | None
    step: int
    steps: int
    epoch: float
    seconds: float
    device: str
    host: str
    owner: str
    command: Command | None
    worker: str
    heartbeat: float | None
    result: dict[str, Any] | None
    error: str
    request: str


@dataclass(frozen=True)
class Change:
    """A step in a run's life."""

    time: float
    state: State
    reason: str


def new_id(now: float) -> str:
    """Letters and digits that sort by time and that nobody can guess from the last one: 9 of milliseconds, 6 of chance."""
    number = int(now * 1000)
    digits = [_DIGITS[number >> 5 * place & 31] for place in reversed(range(_TIME_DIGITS))]
    return "".join(digits + [secrets.choice(_DIGITS) for _ in range(_CHANCE_DIGITS)])


def is_id(text: object) -> bool:
    """Whether it has the form of a run's id; nothing else ever becomes part of a path."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def describe_choices(config: Mapping[str, Any], spec: Mapping[str, Any] | None = None) -> str:
    """What a run is made of, in a line.

    >>> architecture = {"name": "hard_sharing", "depth": 3}
    >>> describe_choices({"tasks": ["digit", "box"], "architecture": architecture, "weighting": {"name": "mgda"}})
    'digit+box · depth 3 · mgda'
    """
    spec = spec or {}
    tasks = [str(task["name"]) for task in spec.get("tasks", ())] or config.get("tasks") or []
    what = "+".join(tasks) if 0 < len(tasks) <= 4 else config["dataset"]["name"]
    depth = config["architecture"].get("depth")
    if depth is None and "shared_stages" in spec and spec.get("stages") != []:  # a foreign run has a network that nobody knows
        depth = len(spec["shared_stages"])
    how = config["architecture"]["name"] if depth is None else f"depth {depth}"
    return f"{what} · {how} · {config['weighting']['name']}"


def tidy_name(name: str, choices: str) -> str:
    """One line of at most 80 characters; the run's choices if nothing is left."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split()) or choices
    return line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1] + "…"


def to_json(value: Any) -> str:
    """Plain values as text; numbers and arrays of numpy become plain ones."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def as_run(row: Row[tuple[Any, ...]]) -> Run:
    values = dict(row._mapping)
    for field in JSON_FIELDS:
        values[field] = None if values[field] is None else json.loads(values[field])
    values["request"] = values["request"] or ""
    return Run(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be kept in the store: give plain values")
