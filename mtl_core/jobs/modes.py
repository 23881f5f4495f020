"""What visitors may do here: everything (lab), start runs within a quota and control their own (class), or only look (demo).

The mode is read from the environment where runs are written, so that a hidden button is never the only guard.
"""

from __future__ import annotations

import os
from typing import Literal, get_args

from mtl_core.registry import no_such
from mtl_core.store import UNENDED, Run, Store, StoredSweep

Mode = Literal["lab", "class", "demo"]

MODES: tuple[Mode, ...] = get_args(Mode)


class NotAllowed(ValueError):
    """The mode of this dashboard forbids it; the message says what can be done instead."""


def mode() -> Mode:
    """The mode, from ``MTL_EXPLORER_MODE`` (lab if unset). Raises ValueError for a word that is no mode."""
    word = os.environ.get("MTL_EXPLORER_MODE", "").strip().lower() or "lab"
    for known in MODES:
        if word == known:
            return known
    raise ValueError(f"MTL_EXPLORER_MODE: {no_such('mode', word, MODES)}")


def is_for_looking(store: Store) -> bool:
    """Whether nothing can be started or changed here: demo mode, or a store that was opened for reading."""
    return mode() == "demo" or store.read_only


def quota() -> int:
    """How many waiting, running or paused runs a person may have in class mode, from ``MTL_EXPLORER_QUOTA`` (3 if unset)."""
    return whole_number("MTL_EXPLORER_QUOTA", 3, least=1)


def check_submit(store: Store, owner: str, *, n_runs: int = 1) -> None:
    """Raise NotAllowed if this person may not start so many more runs."""
    if is_for_looking(store):
        raise NotAllowed("this is a demonstration: it replays recorded runs and starts none. Install it to train your own.")
    if mode() != "class":
        return
    n_live = sum(run.owner == owner for run in store.runs(states=UNENDED, limit=10_000))
    if n_live + n_runs <= quota():
        return
    if n_runs > 1:
        raise NotAllowed(
            f"these are {n_runs} runs more, you have {n_live} waiting or running, and {quota()} are allowed here: "
            + (f"ask for at most {quota() - n_live}" if n_live < quota() else "stop some or wait for them")
        )
    raise NotAllowed(f"you have {n_live} runs waiting or running, and {quota()} are allowed here: stop one or wait for it")


def check_control(store: Store, thing: Run | StoredSweep, owner: str) -> None:
    """Raise NotAllowed if this person may not stop, resume, repeat or delete that run or sweep."""
    if is_for_looking(store):
        raise NotAllowed("this is a demonstration: its runs can be watched, not changed")
    if mode() == "class" and thing.owner != owner:
        kind = "sweep" if isinstance(thing, StoredSweep) else "run"
        raise NotAllowed(
            f"{thing.name or thing.id} is someone else's {kind}: you can watch it, and start your own from its config"
        )


def whole_number(variable: str, default: int, *, least: int) -> int:
    """A whole number from the environment. Raises ValueError if it is none or too small."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{variable} must be a whole number of at least {least}, got {text!r}")
    return int(text)
