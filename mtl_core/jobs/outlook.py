"""How long a sweep takes: expected before it starts, and what is left while it runs."""

from __future__ import annotations

import contextlib
import functools
import heapq
import importlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mtl_core.config import RunConfig
from mtl_core.estimate import estimate, learn
from mtl_core.jobs.devices import choices, devices, slots
from mtl_core.jobs.office import is_warm
from mtl_core.jobs.revival import why_again
from mtl_core.store import UNENDED, State, Store, StoredMember, StoredSweep
from mtl_core.store.run import describe_choices
from mtl_core.store.sweeps import BROKEN_OFF
from mtl_core.sweeps import DEPTH, Sweep

LOAD_FACT = "jobs.load_seconds"  # how long the last standby worker took until it was ready
LOAD_S = 8.0  # as long as none has been started yet
DEVICE = "training.device"
AROUND_S = 1.0  # of a run, beside its steps: the data set, the first and last validation, the final test, the last checkpoint


@dataclass(frozen=True)
class Outlook:
    """What handing in a sweep means.

    ``sweep``: the same in the fewest words, as it will be kept;
    ``n_runs`` runs in all, of which ``n_finished`` are finished already, in this sweep or another, and ``n_here`` are in the store
    in whatever state; ``seconds`` until the last one ends if nothing else is to do; ``expected`` seconds of training by member
    key; ``refusal``: why it may not be handed in, empty if it may.
    """

    sweep: Sweep
    n_runs: int
    n_finished: int
    seconds: float
    expected: dict[str, float]
    n_here: int = 0
    refusal: str = ""


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
    sweep = _lean(sweep)
    states = store.states_of(sweep, apart=apart)
    seen: dict[str, float] = {}
    expected, waiting, n_finished = {}, [], 0
    for member in sweep.members():
        expected[member.key] = _seconds(store, member.config, choices(member.config.training.device, known)[0], seen)
        if states.get(member.key) == "finished":
            n_finished += 1
        else:
            waiting.append((member.config.training.device, expected[member.key]))
    load = _load(store)
    seconds = duration(waiting, load=load, ready=0.0 if is_warm(store) else load)
    return Outlook(sweep, len(expected), n_finished, seconds, expected, len(states))


def sweep_progress(store: Store, sweep_id: str) -> SweepProgress:
    """How far a sweep is and how long it will still take. Raises LookupError."""
    sweep = store.sweep(sweep_id)
    members = store.members(sweep_id)
    is_wanted = sweep.state != "cancelled"
    done = sum(_has_ended(store, member, is_wanted=is_wanted) for member in members)
    has_ended = done == len(members)
    state: Literal["running", "paused", "cancelled", "finished"] = "finished" if has_ended and is_wanted else sweep.state
    states: Counter[State] = Counter(member.state for member in members)
    left = 0.0 if has_ended else _left(members, _wanted(sweep), load=_load(store))
    return SweepProgress(sweep.id, sweep.name, state, dict(states), done, len(members), left)


def duration(
    waiting: Iterable[tuple[str, float]], *, running: Iterable[tuple[str, float]] = (), load: float, ready: float = 0.0
) -> float:
    """Seconds until the last of these runs ends, on the devices of this machine and their places.

    Args:
        waiting: for each, in the order of the queue, the device that it asks for and its seconds of training.
        running: the same, with the seconds that are left, for those that train now.
        load: seconds that a worker needs until it is ready; there is one that waits at a time, so no two runs begin closer.
        ready: seconds until the first one is.
    """
    known = devices()
    free: dict[str, list[float]] = {}  # by device, the times at which its places are free
    queues: dict[str, deque[tuple[int, float]]] = {}  # by what they ask for: their places in the queue, and seconds

    def earliest(wanted: str) -> list[float]:
        for key in choices(wanted, known):
            free.setdefault(key, [0.0] * slots(key))
        return min((free[key] for key in choices(wanted, known)), key=lambda times: times[0])

    end = 0.0
    for wanted, seconds in running:
        end = max(end, seconds + AROUND_S)
        heapq.heapreplace(earliest(wanted), seconds + AROUND_S)
    for number, (wanted, seconds) in enumerate(waiting):
        queues.setdefault(wanted, deque()).append((number, seconds))
    while queues:  # the next one begins that finds a free place first; of several, the one that has waited longest
        start, _, wanted = min((max(earliest(asked)[0], ready), queue[0][0], asked) for asked, queue in queues.items())
        _, seconds = queues[wanted].popleft()
        if not queues[wanted]:
            del queues[wanted]
        ready, over = start + load, start + seconds + AROUND_S
        end = max(end, over)
        heapq.heapreplace(earliest(wanted), over)
    return end


def _lean(sweep: Sweep) -> Sweep:
    """The same sweep with its base in the fewest words: in whatever words it was asked for, on the page or in a file, its runs are
    found to be those that are here already."""
    asked = RunConfig.from_mapping(sweep.base)
    base = importlib.import_module("mtl_core.plan").lean(asked).to_mapping()
    del base["name"]  # the runs are named by their choices
    varied = {key.partition(".")[0] for key in sweep.vary}
    if "dataset" in varied and asked.tasks is not None:  # another data set has other tasks anyway
        base["tasks"] = asked.tasks
    if "dataset" in varied or any(key.startswith("architecture") and key != DEPTH for key in sweep.vary):
        base["architecture"] = dict(asked.architecture)  # what is usual for one is not for another
    elif DEPTH in sweep.vary and "depth" in asked.architecture:
        base["architecture"]["depth"] = asked.architecture["depth"]
    return sweep.model_copy(update={"base": base})


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


def _wanted(sweep: StoredSweep) -> Callable[[str], str]:
    """Which device the member of that key asks for."""
    values = sweep.config
    if not {"training", DEVICE}.isdisjoint(values["vary"]):
        by_key = _devices(json.dumps(values, sort_keys=True))
        return lambda key: by_key.get(key, "auto")
    usual = str((values["base"].get("training") or {}).get("device", "auto"))
    return lambda _: usual


@functools.lru_cache(maxsize=16)
def _devices(content: str) -> dict[str, str]:
    """The device of each member, by key; a sweep is asked often, and its content never changes."""
    return {member.key: member.config.training.device for member in Sweep.from_mapping(json.loads(content)).members()}


def _left(members: Sequence[StoredMember], wanted: Callable[[str], str], *, load: float) -> float | None:
    """Seconds until the last of them ends, the estimates corrected by what the finished ones took; None without estimates.
    ``wanted`` gives the device that a member asks for, by its key."""
    finished = [(member.seconds, member.expected) for member in members if member.state == "finished" and member.expected]
    took, estimated = sum(seconds for seconds, _ in finished), sum(expected for _, expected in finished)
    factor = took / estimated if took > 0 else 1.0
    running, waiting = [], []
    for member in members:
        if member.state not in (*UNENDED, *BROKEN_OFF):
            continue
        if member.expected is None:
            return None
        share, device = 1 - member.step / member.steps, wanted(member.key)
        if member.state == "running" and member.seconds > 1:  # its own pace tells best
            running.append((device, member.seconds / max(member.step, 1) * (member.steps - member.step)))
        elif member.state == "running":
            running.append((device, factor * member.expected * share))
        elif member.state in ("queued", "paused"):
            waiting.append((device, factor * member.expected * share))
    return duration(waiting, running=running, load=load)


def _load(store: Store) -> float:
    return float(store.get(LOAD_FACT, LOAD_S))
