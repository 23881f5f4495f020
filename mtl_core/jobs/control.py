"""What people do with runs: start, stop, pause, resume, stop and save, repeat, delete. Each call is checked against the mode.

``owner`` is who asks; it matters in class mode only, where everyone controls their own runs.
"""

from __future__ import annotations

from mtl_core.config import RunConfig
from mtl_core.jobs import checkup
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.modes import check_control, check_submit, is_for_looking
from mtl_core.jobs.office import ensure_supervisor
from mtl_core.store import UNENDED, Command, Run, Store


def submit(store: Store, config: RunConfig, *, request: str = "", owner: str = "") -> str:
    """Queue a run and see to it that somebody takes it up; its id.

    Args:
        request: a key made once per filled-in form: the same key gives the same run, however often Start is pressed.

    Raises NotAllowed (a ValueError) in demo mode and beyond the quota of class mode.
    """
    if is_for_looking(store):
        check_submit(store, owner)
    desk = Desk.of(store)
    with desk.turn("submit"):  # counting against the quota and queueing are one act
        known = _of_request(store, request)
        if known is not None:
            return known
        check_submit(store, owner)
        run_id = store.enqueue(config, request=request, owner=owner)
    _wake(store, desk)
    return run_id


def stop(store: Store, run_id: str, *, owner: str = "") -> None:
    """End a run soon, with a checkpoint from which it can go on; a queued one at once. Raises ValueError, LookupError."""
    _ask(store, run_id, "stop", owner)


def save(store: Store, run_id: str, *, owner: str = "") -> None:
    """End a run soon and well: last validation, checkpoint and final test. Raises ValueError, LookupError."""
    _ask(store, run_id, "save", owner)


def pause(store: Store, run_id: str, *, owner: str = "") -> None:
    """Let a running run wait with a checkpoint on disk; its device is free for others meanwhile. Raises ValueError, LookupError."""
    _ask(store, run_id, "pause", owner)


def resume(store: Store, run_id: str, *, owner: str = "") -> None:
    """Let a paused run go on at once, and put one that was stopped, interrupted or failed back into the queue, where it goes
    on from its checkpoint (within the quota of class mode). Raises ValueError for a finished or diverged run, LookupError for one that is not there."""
    run = _checked(store, run_id, owner)
    if run.state in ("running", "paused") and not checkup.has_died(run):
        store.ask(run_id, "resume")
        return
    if run.state == "diverged":
        raise ValueError(f"run {run_id} would diverge again at the same step: start it anew with a lower learning rate")
    if run.state == "running":
        checkup.bury(store, run, "its worker was gone without a word")
    check_submit(store, owner)
    store.requeue(run_id, f"resumed; {checkup.way_on(store.run_folder(run_id))}")
    _wake(store, Desk.of(store))


def retry(store: Store, run_id: str, *, owner: str = "", request: str = "") -> str:
    """Start a new run with the same config, from the first step; its id. Raises as ``submit`` and LookupError."""
    run = store.run(run_id)
    return submit(store, RunConfig.from_mapping(run.config), owner=owner, request=request)


def delete(store: Store, run_id: str, *, owner: str = "") -> None:
    """Remove a run that has ended: its records, its folder and its checkpoint. Raises ValueError, LookupError."""
    run = _checked(store, run_id, owner)
    if run.state in ("running", "paused") and checkup.has_died(run):
        checkup.bury(store, run, "its worker was gone without a word")
    store.delete(run_id)


def _ask(store: Store, run_id: str, command: Command, owner: str) -> None:
    run = _checked(store, run_id, owner)
    if run.state in ("running", "paused") and checkup.has_died(run):
        checkup.bury(store, run, "its worker was gone without a word")
        run = store.run(run_id)
        raise ValueError(f"run {run_id} has no worker any more ({run.reason}): resume it, retry it or delete it")
    store.ask(run_id, command)


def _checked(store: Store, run_id: str, owner: str) -> Run:
    run = store.run(run_id)
    check_control(store, run, owner)
    return run


def _of_request(store: Store, request: str) -> str | None:
    """The live run that this very click has made already: it must not count against the quota a second time."""
    if not request:
        return None
    return next((run.id for run in store.runs(states=UNENDED, limit=10_000) if run.request == request), None)


def _wake(store: Store, desk: Desk) -> None:
    ensure_supervisor(store)
    desk.ring()
