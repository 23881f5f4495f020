"""Sweeps in the store: what was asked for, which runs belong to it, and whether they may be taken up.

A run may belong to several sweeps, because equal configs share one run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, inspect, not_, select, update

from mtl_core.registry import no_such
from mtl_core.store.database import Database
from mtl_core.store.run import to_json
from mtl_core.store.schema import members, runs, sweeps
from mtl_core.store.states import UNENDED, State
from mtl_core.sweeps import Member, Role, Sweep

SweepState = Literal["running", "paused", "cancelled"]

SWEEP_STATES: tuple[SweepState, ...] = get_args(SweepState)
_REQUEST = "sweep:"
BROKEN_OFF: tuple[State, ...] = ("failed", "interrupted")


@dataclass(frozen=True)
class StoredSweep:
    """A sweep that was handed in. ``state`` says what was asked of it; how far it is, its members tell."""

    id: str
    name: str
    config: dict[str, Any]
    created: float
    owner: str
    state: SweepState

    def sweep(self) -> Sweep:
        """What was handed in."""
        return Sweep.from_mapping(self.config)


@dataclass(frozen=True)
class StoredMember:
    """A run of a sweep and how far it is. ``expected``: seconds of training as estimated beforehand, None if unknown;
    ``seconds``: those that it has trained."""

    run_id: str
    key: str
    role: Role
    expected: float | None
    state: State
    step: int
    steps: int
    seconds: float


def identify(sweep: Sweep, apart: str) -> str:
    """The id that this content always has; another one for each text that keeps equal contents apart."""
    content = json.dumps([sweep.model_dump(mode="json"), apart], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def request(key: str, apart: str) -> str:
    """The request key under which runs of that config are found again, whichever sweep asks for them."""
    return f"{_REQUEST}{key}:{apart}" if apart else f"{_REQUEST}{key}"


def is_of_sweep(asked: str) -> bool:
    """Whether a run with that request key was queued by a sweep.

    >>> is_of_sweep(request("0a1b", "")), is_of_sweep("form 7")
    (True, False)
    """
    return asked.startswith(_REQUEST)


def add(database: Database, connection: Connection, sweep_id: str, sweep: Sweep, *, owner: str, now: float) -> None:
    """Note that a sweep was handed in; nothing changes if it was before."""
    config = to_json(sweep.model_dump(mode="json"))
    row = {"id": sweep_id, "name": sweep.name, "config": config, "created": now, "owner": owner, "state": "running"}
    connection.execute(database.insert_new(sweeps, ("id",)), row)


def join(
    database: Database,
    connection: Connection,
    sweep_id: str,
    found: Sequence[tuple[str, Member]],
    *,
    expected: Mapping[str, float],
) -> None:
    """Note which runs belong to a sweep, in their order."""
    rows = [
        {
            "sweep_id": sweep_id,
            "key": member.key,
            "run_id": run_id,
            "role": member.role,
            "number": number,
            "expected": expected.get(member.key),
        }
        for number, (run_id, member) in enumerate(found)
    ]
    if rows:
        connection.execute(database.insert_new(members, ("sweep_id", "key")), rows)


def get(connection: Connection, sweep_id: str) -> StoredSweep:
    """A sweep by its id. Raises LookupError with the nearest one."""
    found = find(connection)
    for one in found:
        if one.id == sweep_id:
            return one
    raise LookupError(no_such("sweep", sweep_id, [one.id for one in found]))


def find(connection: Connection) -> list[StoredSweep]:
    """All sweeps, newest first; none in a store of a version that did not know them."""
    if not inspect(connection).has_table(sweeps.name):
        return []
    query = select(sweeps).order_by(sweeps.c.created.desc(), sweeps.c.id)
    return [_as_sweep(row) for row in connection.execute(query)]


def members_of(connection: Connection, sweep_id: str) -> list[StoredMember]:
    """The runs of a sweep in its order, baselines first. Raises LookupError."""
    get(connection, sweep_id)
    fields = (members.c.run_id, members.c.key, members.c.role, members.c.expected)
    query = select(*fields, runs.c.state, runs.c.step, runs.c.steps, runs.c.seconds).join(runs, runs.c.id == members.c.run_id)
    rows = connection.execute(query.where(members.c.sweep_id == sweep_id).order_by(members.c.number))
    return [StoredMember(**row._mapping) for row in rows]


def shared(connection: Connection, sweep_id: str) -> dict[str, set[SweepState]]:
    """The runs of a sweep that belong to other sweeps too, with the states of those."""
    mine, theirs = members.alias(), members.alias()
    query = (
        select(theirs.c.run_id, sweeps.c.state)
        .select_from(mine)
        .join(theirs, theirs.c.run_id == mine.c.run_id)
        .join(sweeps, sweeps.c.id == theirs.c.sweep_id)
        .where(mine.c.sweep_id == sweep_id, theirs.c.sweep_id != sweep_id)
    )
    found: dict[str, set[SweepState]] = {}
    for run_id, state in connection.execute(query):
        found.setdefault(run_id, set()).add(state)
    return found


def change(connection: Connection, sweep_id: str, state: str) -> None:
    """Say that a sweep runs, rests or was given up. Raises LookupError, ValueError."""
    if state not in SWEEP_STATES:
        raise ValueError(no_such("state of a sweep", state, SWEEP_STATES))
    get(connection, sweep_id)
    connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(state=state))


def remove(connection: Connection, sweep_id: str) -> list[str]:
    """Forget a sweep; its runs stay. Returns the runs that no other sweep has. Raises LookupError, and ValueError while it
    still has something to do."""
    sweep = get(connection, sweep_id)
    mine = {member.run_id: member.state for member in members_of(connection, sweep_id)}
    todo = [run_id for run_id, state in mine.items() if state in UNENDED]
    if sweep.state != "cancelled" and todo:
        said = f"the sweep {sweep.name or sweep.id} still has {len(todo)} run{'' if len(todo) == 1 else 's'} to do"
        raise ValueError(f"{said}: cancel it first, then delete it")
    theirs = shared(connection, sweep_id)
    connection.execute(delete(sweeps).where(sweeps.c.id == sweep_id))
    return [run_id for run_id in mine if run_id not in theirs]


def held(connection: Connection) -> set[str]:
    """The queued runs that nobody may take up, because their sweep is paused."""
    return set(connection.execute(select(runs.c.id).where(runs.c.state == "queued", is_held())).scalars())


def broken_off(connection: Connection) -> list[tuple[str, float]]:
    """Runs of sweeps that failed or were interrupted and are still wanted, with the time at which they ended."""
    query = select(runs.c.id, runs.c.ended).where(
        runs.c.state.in_(BROKEN_OFF), _is_in_sweep(("running", "paused")), runs.c.ended.is_not(None)
    )
    return [(row.id, row.ended) for row in connection.execute(query.order_by(runs.c.queued, runs.c.id))]


def is_held() -> ColumnElement[bool]:
    """Whether a run (of the surrounding query) belongs to a paused sweep and to none that runs."""
    return and_(_is_in_sweep(("paused",)), not_(_is_in_sweep(("running",))))


def _is_in_sweep(states: Sequence[SweepState]) -> ColumnElement[bool]:
    """Whether a run (of the surrounding query) belongs to a sweep in one of these states."""
    mine = exists().where(members.c.run_id == runs.c.id, members.c.sweep_id == sweeps.c.id, sweeps.c.state.in_(states))
    return mine.correlate(runs)


def _as_sweep(row: Row[Any]) -> StoredSweep:
    values = dict(row._mapping)
    return StoredSweep(**{**values, "config": json.loads(values["config"])})
