"""Runs of a sweep that broke off: which of them are tried again without a click, and how often.

One that was interrupted goes on from its checkpoint, as long as it gets anywhere between two interruptions. One that failed is
tried once more, unless its config asks for what cannot be. A diverged run has given its answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from mtl_core.jobs import checkup, endings
from mtl_core.jobs.desk import Desk
from mtl_core.store import Change, Run, Store

AGAIN = "failed once, tried again: "
ON = "interrupted, goes on by itself from "
MOST_TIMES = 3  # going on at the same checkpoint: after that something keeps killing it, and a person should look

_judged: set[tuple[str, float]] = set()  # runs and the time of that end of theirs which this process has looked at


def revive(store: Store) -> dict[str, str]:
    """Queue again what should go on by itself; the ids of those runs and why. One query when all is well."""
    fresh = [end for end in store.broken_off() if end not in _judged]
    if not fresh:
        return {}
    revived = {}
    with Desk.of(store).turn("revive"):
        for run_id, ended in fresh:
            with contextlib.suppress(LookupError, ValueError):  # deleted, or somebody's click came first
                run = store.run(run_id)
                reason = why_again(store, run) if run.ended == ended else ""
                if reason:
                    store.requeue(run_id, reason)
                    revived[run_id] = reason
            _judged.add((run_id, ended))
    return revived


def why_again(store: Store, run: Run) -> str:
    """Why a run of a sweep that broke off goes on by itself; empty if it stays as it is."""
    if run.state == "failed":
        has_been = any(change.reason.startswith(AGAIN) for change in _by_itself(store.history(run.id)))
        return "" if has_been or endings.is_slip(run) else AGAIN + run.reason
    if run.state == "interrupted" and not run.reason.startswith(endings.PAUSED_FOR):
        step = checkup.checkpoint_step(store.run_folder(run.id))
        reason = ON + ("the start" if step is None else f"step {step}")
        before = [change.reason for change in _by_itself(store.history(run.id))]
        return "" if before[:MOST_TIMES] == [reason] * MOST_TIMES else reason
    return ""


def _by_itself(history: Sequence[Change]) -> Iterator[Change]:
    """The times it was queued again without a person asking for it, the last one first, back to the last click."""
    for change in reversed(history):
        if change.state != "queued":
            continue
        if not change.reason.startswith((AGAIN, ON)):
            return
        yield change
