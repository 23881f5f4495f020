"""A run's life: which state may follow which, and what a person may ask for in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

State = Literal["queued", "running", "paused", "finished", "stopped", "failed", "diverged", "interrupted"]
Command = Literal["stop", "pause", "resume", "save"]  # save: stop and save, with the final test

STATES: tuple[State, ...] = ("queued", "running", "paused", "finished", "stopped", "failed", "diverged", "interrupted")
COMMANDS: tuple[Command, ...] = ("stop", "pause", "resume", "save")
LIVE: tuple[State, ...] = ("running", "paused")  # a worker holds the run
UNENDED: tuple[State, ...] = ("queued", *LIVE)  # may still change by itself
ENDED: tuple[State, ...] = ("finished", "stopped", "failed", "diverged", "interrupted")

NEXT: dict[State, tuple[State, ...]] = {
    "queued": ("running", "stopped", "failed"),
    "running": ("paused", *ENDED),
    "paused": ("running", "queued", *ENDED),  # queued: its worker is gone, another takes over from the checkpoint
    "finished": (),
    "stopped": ("queued",),
    "failed": ("queued",),
    "diverged": ("queued",),
    "interrupted": ("queued",),
}

_MAY_ASK: dict[State, tuple[Command, ...]] = {
    "queued": ("stop",),
    "running": ("stop", "save", "pause"),
    "paused": ("stop", "save", "resume"),
}


def check_change(run_id: str, before: State, after: str) -> None:
    """Raise ValueError if ``after`` cannot follow ``before``. Staying in a state is no change and always allowed."""
    if after not in STATES:
        raise ValueError(f"no state of a run is called {after!r}; there are: {', '.join(STATES)}")
    if after != before and after not in NEXT[before]:
        possible = " or ".join(NEXT[before]) or "nothing: start a new run from its config"
        raise ValueError(f"run {run_id} is {before} and cannot become {after}; after {before} comes {possible}")


def check_command(run_id: str, state: State, pending: str | None, command: str) -> None:
    """Raise ValueError if asking for ``command`` makes no sense now.

    A run that was asked to end is not asked for anything else but another way to end. A pause that the trainer has not met
    yet may be taken back.
    """
    if command not in COMMANDS:
        raise ValueError(f"no command is called {command!r}; there are: {', '.join(COMMANDS)}")
    if pending in ("stop", "save") and command not in ("stop", "save"):
        raise ValueError(f"run {run_id} was asked to {pending} already: it ends in a moment")
    takes_back = command == "resume" and pending == "pause"
    if command not in _MAY_ASK.get(state, ()) and not takes_back:
        may = _MAY_ASK.get(state)
        remedy = f"it may be asked to {' or '.join(may)}" if may else "no worker holds it: retry or resume it from the run list"
        raise ValueError(f"run {run_id} is {state}, so it cannot {command}; {remedy}")


def check_deletable(states: Mapping[str, State], going: Sequence[State]) -> None:
    """Raise ValueError if one of these runs is in a state in which it still goes on.

    >>> check_deletable({"a": "finished", "b": "paused"}, LIVE)
    Traceback (most recent call last):
    ValueError: run b is paused: stop it first, then delete it
    """
    held = [run_id for run_id, state in states.items() if state in going]
    if not held:
        return
    said, more = f"run {held[0]} is {states[held[0]]}", len(held) - 1
    if more:
        said += f", and {more} more {'is' if more == 1 else 'are'} not done either: stop them first, then delete them"
    else:
        said += ": stop it first, then delete it"
    raise ValueError(said)
