"""Making sure that a store has its supervisor, and asking about it: cheap enough for each rerun of a page."""

from __future__ import annotations

import contextlib
import os
import time

from mtl_core.jobs import checkup
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.identity import is_alive
from mtl_core.jobs.launch import detach, environment, python
from mtl_core.jobs.modes import is_for_looking
from mtl_core.jobs.revival import revive
from mtl_core.store import UNENDED, Store

START_S = 15.0  # a supervisor that has not come up after so long will not


def ensure_supervisor(store: Store) -> None:
    """Start the store's supervisor unless it has one. Returns at once: it comes up in a fraction of a second.

    However many processes call it at the same moment, one supervisor starts: the lock is taken before it is started and
    handed down to it. Does nothing in demo mode or for a store opened for reading.
    """
    if is_for_looking(store):
        return
    desk = Desk.of(store)
    lock = desk.try_lock()
    if lock is None:
        return
    try:
        signed = desk.signature()
        if "identity" not in signed and time.time() - float(signed.get("time", 0.0)) < START_S:
            return  # one was started a moment ago and died at once: not again on each rerun of a page
        desk.sign(lock)
        command = python("mtl_core.jobs.supervisor", "--lock", str(lock))
        detach(command, env=environment(store), log=desk.log_path, keep=[lock])
    finally:
        os.close(lock)


def has_supervisor(store: Store) -> bool:
    """Whether a supervisor has come up for this store and is alive."""
    return _is_supervised(Desk.of(store))


def is_warm(store: Store) -> bool:
    """Whether a worker stands by that has loaded torch: a run that is started now shows its first points at once."""
    desk = Desk.of(store)
    return _is_supervised(desk) and desk.signature().get("is_warm") is True


def reconcile(store: Store) -> None:
    """Look after what nobody looks after: runs of dead workers become interrupted, and go on if they belong to a sweep; queued
    runs get a supervisor, and fail with its last words if none can start. Two queries when all is well."""
    if is_for_looking(store):
        return
    revive(store)
    live = store.runs(states=UNENDED, limit=1000)
    if not live:
        return
    desk = Desk.of(store)
    is_supervised = _is_supervised(desk)
    for run in live:
        if run.state != "queued" and checkup.has_died(run) and (checkup.silence(run) > checkup.GRACE_S or not is_supervised):
            checkup.bury(store, run, "its worker was gone without a word")
    queued = [*(run.id for run in live if run.state == "queued"), *revive(store)]
    if queued and not is_supervised:
        signed = desk.signature()
        if "time" in signed and "identity" not in signed and time.time() - float(signed["time"]) > START_S:
            reason = f"no supervisor could start: {checkup.last_line(desk.log_path)}"
            for run_id in queued:
                with contextlib.suppress(LookupError, ValueError):
                    store.change(run_id, "failed", reason)
        ensure_supervisor(store)


def _is_supervised(desk: Desk) -> bool:
    identity = desk.signature().get("identity")
    return isinstance(identity, str) and is_alive(identity) is True
