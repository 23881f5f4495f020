"""How long a sweep takes: expected before it starts, and what is left while it runs."""

from __future__ import annotations

import contextlib
import heapq
import importlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mtl_core.config import RunConfig
from mtl_core.estimate import estimate, learn
from mtl_core.jobs.devices import choices, devices, slots
from mtl_core.jobs.revival import why_again
from mtl_core.store import UNENDED, State, Store, StoredMember
from mtl_core.store.run import describe_choices
from mtl_core.store.sweeps import BROKEN_OFF
from mtl_core.sweeps import Sweep

LOAD_FACT = "jobs.load_seconds"  # how long the last standby worker took until it was ready
LOAD_S = 8.0  # as long as none has been started yet
AROUND_S = 1.0  # of a run, beside its steps: the data set, the first and last validation, the final test, the last checkpoint


@dataclass(frozen=True)
class Outlook:
    """What handing in a sweep means.

    ``n_runs`` runs in all, of which ``n_finished`` are finished already, in this sweep or another; ``seconds`` until the last one
    ends if nothing else is to do; ``expected`` seconds of training by member key.
    """

    n_runs: int
    n_finished: int
    seconds: float
    expected: dict[str, float]


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is: ``states`` counts its runs by state; ``done`` of ``total`` have ended for good; ``seconds_left`` is
    None where nothing was estimated. ``state`` is finished once all are done, unless it was cancelled."""

    id: str
    name: str
    state: Literal["running", "paused", "cancelled", "finished"]
    states: dict[State, int]
    done: int
    total: int
    seconds_left: float | None


def look_ahead(store: Store, sweep: Sweep, *, apart: str = "") -> Outlook:
    """Check every run of a sweep and estimate how long all of them take. Loads torch. Raises ValueError naming a bad run."""
    if not store.read_only:
        with contextlib.suppress(OSError):
            learn(store)
    known = devices()
    states = store.states_of(sweep, apart=apart)
    seen: dict[str, float] = {}
    expected, waiting, n_finished = {}, [], 0
    for member in sweep.members():
        expected[member.key] = _seconds(store, member.config, choices(member.config.training.device, known)[0], seen)
        if states.get(member.key) == "finished":
            n_finished += 1
        else:
            waiting.append((member.config.training.device, expected[member.key]))
    seconds = duration(waiting, load=_load(store))
    return Outlook(len(expected), n_finished, seconds, expected)


def sweep_progress(store: Store, sweep_id: str) -> SweepProgress:
    """How far a sweep is and how long it will still take. Raises LookupError."""
    sweep = store.sweep(sweep_id)
    members = store.members(sweep_id)
    is_wanted = sweep.state != "cancelled"
    done = sum(_has_ended(store, member, is_wanted=is_wanted) for member in members)
    has_ended = done == len(members)
    state: Literal["running", "paused", "cancelled", "finished"] = "finished" if has_ended and is_wanted else sweep.state
    states: Counter[State] = Counter(member.state for member in members)
    wanted = str(sweep.config["base"].get("training", {}).get("device", "auto"))
    left = 0.0 if has_ended else _left(members, wanted, load=_load(store))
    return SweepProgress(sweep.id, sweep.name, state, dict(states), done, len(members), left)


def duration(waiting: Iterable[tuple[str, float]], *, running: Iterable[tuple[str, float]] = (), load: float) -> float:
    """Seconds until the last of these runs ends, on the devices of this machine and their places.

    Args:
        waiting: for each, in the order of the queue, the device that it asks for and its seconds of training.
        running: the same, with the seconds that are left, for those that train now.
        load: seconds that a worker needs until it is ready; there is one that waits at a time, so no two runs begin closer.
    """
    known = devices()
    free: dict[str, list[float]] = {}
    ready = end = 0.0
    for wanted, seconds, is_running in (*((*one, True) for one in running), *((*one, False) for one in waiting)):
        keys = choices(wanted, known)
        for key in keys:
            free.setdefault(key, [0.0] * slots(key))
        places = min((free[key] for key in keys), key=lambda times: times[0])
        start = places[0] if is_running else max(places[0], ready)
        if not is_running:
            ready = start + load
        end = max(end, start + seconds + AROUND_S)
        heapq.heapreplace(places, start + seconds + AROUND_S)
    return end


def _seconds(store: Store, config: RunConfig, device: str, seen: dict[str, float]) -> float:
    """Expected seconds of training; runs that differ in nothing that costs time are judged once."""
    plan = importlib.import_module("mtl_core.plan")  # only now: who asks about jobs need not load torch
    try:
        checked = plan.check(config)
    except ValueError as error:
        made_of = describe_choices(config.to_mapping())
        raise ValueError(f"one run of the sweep ({made_of}) cannot be trained: {error}") from None
    values = config.to_mapping()
    training = values["training"]
    network = [values.get(part) for part in ("dataset", "tasks", "architecture", "weighting")]
    key = json.dumps([network, training["steps"], training["batch_size"], device], sort_keys=True)
    if key not in seen:
        seen[key] = estimate(store, checked.describe(), values, device).seconds
    return seen[key]


def _has_ended(store: Store, member: StoredMember, *, is_wanted: bool) -> bool:
    """Whether a run has ended for good: not one that the supervisor is about to take up again."""
    if member.state in UNENDED:
        return False
    if not is_wanted or member.state not in BROKEN_OFF:
        return True
    return not why_again(store, store.run(member.run_id))


def _left(members: Sequence[StoredMember], wanted: str, *, load: float) -> float | None:
    """Seconds until the last of them ends, the estimates corrected by what the finished ones took; None without estimates."""
    finished = [(member.seconds, member.expected) for member in members if member.state == "finished" and member.expected]
    took, estimated = sum(seconds for seconds, _ in finished), sum(expected for _, expected in finished)
    factor = took / estimated if took > 0 else 1.0
    running, waiting = [], []
    for member in members:
        if member.state not in (*UNENDED, *BROKEN_OFF):
            continue
        if member.expected is None:
            return None
        share = 1 - member.step / member.steps
        if member.state == "running" and member.seconds > 1:  # its own pace tells best
            running.append((wanted, member.seconds / max(member.step, 1) * (member.steps - member.step)))
        elif member.state == "running":
            running.append((wanted, factor * member.expected * share))
        elif member.state in ("queued", "paused"):
            waiting.append((wanted, factor * member.expected * share))
    return duration(waiting, running=running, load=load)


def _load(store: Store) -> float:
    return float(store.get(LOAD_FACT, LOAD_S))
