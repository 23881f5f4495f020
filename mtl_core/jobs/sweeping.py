"""What people do with sweeps: hand in, pause, resume, cancel, each for all of its runs at once.

A run that another sweep shares is left alone as long as that one wants it. In class mode nobody's runs are shared.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from mtl_core.jobs import checkup
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.modes import NotAllowed, check_control, check_submit, is_for_looking, mode
from mtl_core.jobs.office import ensure_supervisor
from mtl_core.jobs.outlook import Outlook, look_ahead
from mtl_core.store import UNENDED, Command, Label, State, Store, StoredMember, StoredSweep
from mtl_core.sweeps import Sweep

TAKEN_UP = "its sweep was taken up again"


def sweep_outlook(store: Store, sweep: Sweep, *, owner: str = "") -> Outlook:
    """How many runs a sweep has, how long they take here, and whether they may be started. Raises ValueError naming a run that
    cannot be trained."""
    apart = _apart(owner)
    ahead = look_ahead(store, sweep, apart=apart)
    try:
        check_submit(store, owner, n_runs=_n_more(store, ahead.sweep, apart))
    except NotAllowed as refused:
        return replace(ahead, refusal=str(refused))
    return ahead


def submit_sweep(store: Store, sweep: Sweep, *, owner: str = "") -> str:
    """Queue what is not there yet of a sweep, and return its id; the same content is the same sweep, however often it comes.

    Every run is checked before any is queued. A finished run with an equal config counts, whichever sweep it was made for.
    Runs that were stopped, interrupted or failed are queued again and go on from their checkpoints; a paused or cancelled
    sweep goes on.

    Raises ValueError for a run that cannot be trained, and NotAllowed in demo mode and beyond the quota of class mode.
    """
    if is_for_looking(store):
        check_submit(store, owner)
    apart = _apart(owner)
    ahead = look_ahead(store, sweep, apart=apart)
    with Desk.of(store).turn("submit"):  # counting against the quota and queueing are one act
        check_submit(store, owner, n_runs=_n_more(store, ahead.sweep, apart))
        sweep_id = store.add_sweep(ahead.sweep, owner, apart=apart, expected=ahead.expected)
        _take_up(store, sweep_id, again=("stopped", "failed", "interrupted"))
    _wake(store)
    return sweep_id


def pause_sweep(store: Store, sweep_id: str, *, owner: str = "") -> None:
    """Let a sweep rest: none of its queued runs begins, those that train wait with a checkpoint. Raises ValueError, LookupError."""
    _check_uncancelled(_checked(store, sweep_id, owner))
    store.change_sweep(sweep_id, "paused")  # first: what is claimed from now on is not ours
    others = store.shared(sweep_id)
    for member in store.members(sweep_id):
        if member.state == "running" and "running" not in others.get(member.run_id, ()):
            _ask(store, member, "pause")


def resume_sweep(store: Store, sweep_id: str, *, owner: str = "") -> None:
    """Let a paused sweep go on where it was. Raises ValueError if it was cancelled, LookupError."""
    _check_uncancelled(_checked(store, sweep_id, owner))
    _take_up(store, sweep_id, again=("interrupted",))
    _wake(store)


def cancel_sweep(store: Store, sweep_id: str, *, owner: str = "") -> None:
    """Give a sweep up: its queued runs end before they begin, those that train stop with a checkpoint, what is finished stays.
    Handing it in again goes on. Raises ValueError, LookupError."""
    _checked(store, sweep_id, owner)
    store.change_sweep(sweep_id, "paused")  # nothing more of it begins while it is taken apart
    others = store.shared(sweep_id)
    for member in store.members(sweep_id):
        wanted = others.get(member.run_id, set())
        if member.state not in UNENDED or "running" in wanted:
            continue
        if "paused" not in wanted:
            _ask(store, member, "stop")
        elif member.state == "running":
            _ask(store, member, "pause")
    store.change_sweep(sweep_id, "cancelled")


def delete_sweep(store: Store, sweep_id: str, *, owner: str = "", with_runs: bool = False) -> dict[str, Label]:
    """Forget a sweep that has nothing more to do; its runs stay, or are thrown away too. Returns their labels before, which
    ``Store.set_labels`` brings back. Raises ValueError, LookupError."""
    _checked(store, sweep_id, owner)
    return store.delete_sweep(sweep_id, with_runs=with_runs)


def _take_up(store: Store, sweep_id: str, *, again: tuple[State, ...]) -> None:
    """Let its paused runs go on, queue those in the states ``again`` once more, and let its queued runs be claimed."""
    for member in store.members(sweep_id):
        with contextlib.suppress(LookupError, ValueError):  # deleted, ended or taken up by somebody else meanwhile
            if member.state in ("running", "paused"):
                _go_on(store, member)
            elif member.state in again:
                store.requeue(member.run_id, TAKEN_UP)
    store.change_sweep(sweep_id, "running")  # last: a paused run goes on before others take its device


def _go_on(store: Store, member: StoredMember) -> None:
    run = store.run(member.run_id)
    if checkup.has_died(run):
        checkup.bury(store, run, "its worker was gone without a word")
        store.requeue(run.id, TAKEN_UP)
    elif run.state == "paused" or run.command == "pause":
        store.ask(run.id, "resume")


def _ask(store: Store, member: StoredMember, command: Command) -> None:
    with contextlib.suppress(LookupError, ValueError):  # deleted or ended meanwhile, or asked for something stronger already
        store.ask(member.run_id, command)


def _checked(store: Store, sweep_id: str, owner: str) -> StoredSweep:
    sweep = store.sweep(sweep_id)
    check_control(store, sweep, owner)
    return sweep


def _check_uncancelled(sweep: StoredSweep) -> None:
    if sweep.state == "cancelled":
        raise ValueError(f"the sweep {sweep.name or sweep.id} was cancelled: hand it in again, and it goes on where it was")


def _n_more(store: Store, sweep: Sweep, apart: str) -> int:
    """How many runs would be queued."""
    states = store.states_of(sweep, apart=apart)
    return sum(states.get(member.key) not in ("finished", "diverged", *UNENDED) for member in sweep.members())


def _apart(owner: str) -> str:
    """In class mode everyone controls their own runs, so none is shared."""
    return owner if mode() == "class" else ""


def _wake(store: Store) -> None:
    ensure_supervisor(store)
    Desk.of(store).ring()
