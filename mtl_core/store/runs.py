"""The list of runs: enqueue, claim, follow and end them. One function per question; each runs inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, not_, select, update

from mtl_core.config import RunConfig
from mtl_core.registry import no_such
from mtl_core.store.database import Database
from mtl_core.store.run import JSON_FIELDS, Change, Run, as_run, describe_choices, is_id, tidy_name, to_json
from mtl_core.store.schema import changes, labels, runs
from mtl_core.store.search import newest
from mtl_core.store.states import ENDED, LIVE, Command, State, check_change, check_command
from mtl_core.store.sweeps import is_held

_AT_A_TIME = 5_000  # values bound in one query

_FIELDS = (  # what a change of state may set beside it
    *("spec", "result", "error", "step", "steps", "epoch", "seconds"),
    *("device", "host", "worker", "heartbeat", "command"),
)


def insert(
    connection: Connection,
    run_id: str,
    config: RunConfig,
    *,
    spec: Mapping[str, Any] | None,
    request: str,
    owner: str,
    now: float,
) -> None:
    """Put a new run into the queue."""
    connection.execute(runs.insert().values(**new_row(run_id, config, spec=spec, request=request, owner=owner, now=now)))
    _note_change(connection, run_id, now, "queued", "")


def insert_new(database: Database, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put those of many runs (rows of ``new_row``) into the queue whose requests are not there yet."""
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: str(row["request"]))  # in one order everywhere: nobody waits in a circle
    connection.execute(database.insert_new(runs, ("request",)), ordered)
    made = _existing(connection, [row["id"] for row in rows])
    fresh = [{"run_id": row["id"], "time": row["queued"], "state": "queued", "reason": ""} for row in rows if row["id"] in made]
    if fresh:
        connection.execute(changes.insert(), fresh)


def new_row(
    run_id: str, config: RunConfig, *, spec: Mapping[str, Any] | None, request: str, owner: str, now: float
) -> dict[str, Any]:
    """A run as it enters the queue."""
    mapping = config.to_mapping()
    choices = describe_choices(mapping, spec)
    texts = {"reason": "", "device": "", "host": "", "worker": "", "error": "", "owner": owner}
    return {
        "id": run_id,
        "name": tidy_name(config.name, choices),
        "choices": choices,
        "config": to_json(mapping),
        "spec": None if spec is None else to_json(spec),
        "state": "queued",
        "created": now,
        "queued": now,
        "step": 0,
        "steps": config.training.steps,
        "epoch": 0.0,
        "seconds": 0.0,
        "request": request or None,
        **texts,
    }


def by_request(connection: Connection, request: str) -> str | None:
    """The run that came from a form, None if there is none."""
    return connection.execute(select(runs.c.id).where(runs.c.request == request)).scalar_one_or_none()


def by_requests(connection: Connection, requests: Sequence[str], *, lock: bool = False) -> dict[str, tuple[str, State]]:
    """The runs that came from these requests: request -> id and state. With ``lock`` nobody deletes them until the transaction
    ends."""
    found: dict[str, tuple[str, State]] = {}
    for begin in range(0, len(requests), _AT_A_TIME):
        mine = runs.c.request.in_(requests[begin : begin + _AT_A_TIME])
        query = select(runs.c.request, runs.c.id, runs.c.state).where(mine)
        rows = connection.execute(query.order_by(runs.c.id).with_for_update(read=True, key_share=True) if lock else query)
        found |= {row.request: (row.id, row.state) for row in rows}
    return found


def get(connection: Connection, run_id: str, *, lock: bool = False) -> Run:
    """A run by its id. Raises LookupError with the nearest id or how to list them."""
    query = select(runs).where(runs.c.id == run_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none() if is_id(run_id) else None
    if row is None:
        raise LookupError(_no_such_run(connection, run_id))
    return as_run(row)


def find(
    connection: Connection,
    *,
    states: Sequence[State] | None,
    owner: str | None,
    search: str,
    deleted: bool | None,
    limit: int,
    offset: int,
) -> list[Run]:
    """Runs, newest first; ``search`` looks in name, choices, id, owner, tags and note, whatever the case."""
    query = newest(connection, [runs], states=states, owner=owner, search=search, deleted=deleted)
    return [as_run(row) for row in connection.execute(query.limit(limit).offset(offset))]


def named(connection: Connection, run_ids: Sequence[str]) -> list[Run]:
    """The runs with these ids, in their order; those that are not there are left out."""
    found: dict[str, Run] = {}
    for begin in range(0, len(run_ids), _AT_A_TIME):
        query = select(runs).where(runs.c.id.in_(run_ids[begin : begin + _AT_A_TIME]))
        found |= {row.id: as_run(row) for row in connection.execute(query)}
    return [found[run_id] for run_id in run_ids if run_id in found]


def history(connection: Connection, run_id: str) -> list[Change]:
    """Every change of state, oldest first."""
    query = select(changes).where(changes.c.run_id == run_id).order_by(changes.c.number)
    return [Change(row.time, row.state, row.reason) for row in connection.execute(query)]


def change(connection: Connection, run_id: str, state: State, *, reason: str, fields: Mapping[str, Any], now: float) -> None:
    """Move a run to a state and set fields. Raises ValueError if it cannot go there, LookupError if it is gone."""
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise ValueError("; ".join(no_such("field of a run", name, _FIELDS) for name in unknown))
    before = get(connection, run_id, lock=True)
    check_change(run_id, before.state, state)
    values = {key: to_json(value) if key in JSON_FIELDS and value is not None else value for key, value in fields.items()}
    is_new = state != before.state
    if is_new or reason:
        values |= {"state": state, "reason": reason}
        _note_change(connection, run_id, now, state, reason)
    if fields.get("spec"):
        values["choices"] = describe_choices(before.config, fields["spec"])
        if before.name == tidy_name("", before.choices):  # the name was made of the choices: now they are known in full
            values["name"] = tidy_name("", values["choices"])
    if is_new:
        values = _times(state, before, now) | values
    if values:
        connection.execute(update(runs).where(runs.c.id == run_id).values(**values))
    if is_new and state == "queued":  # what goes on is no longer thrown away
        connection.execute(update(labels).where(labels.c.run_id == run_id).values(deleted=None))


def is_waiting(connection: Connection, run_id: str | None) -> bool:
    """Whether a run (or the one named) is in the queue and not held back by its paused sweep."""
    query = select(runs.c.id).where(runs.c.state == "queued", not_(is_held())).limit(1)
    return connection.execute(query if run_id is None else query.where(runs.c.id == run_id)).first() is not None


def claim(connection: Connection, worker: str, device: str, *, host: str, run_id: str | None, now: float) -> Run | None:
    """Take the oldest queued run (or the one named) that no paused sweep holds back, None if there is none: one statement, so
    that nobody takes it twice."""
    oldest = select(runs.c.id).where(runs.c.state == "queued", not_(is_held())).order_by(runs.c.queued, runs.c.id).limit(1)
    if run_id is not None:
        oldest = oldest.where(runs.c.id == run_id)
    statement = (
        update(runs)
        .where(runs.c.state == "queued", runs.c.id == oldest.with_for_update(skip_locked=True).scalar_subquery())
        .values(
            state="running",
            reason="",
            worker=worker,
            device=device,
            host=host,
            heartbeat=now,
            started=func.coalesce(runs.c.started, now),
            command=None,
        )
        .returning(runs)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    _note_change(connection, row.id, now, "running", "")
    return as_run(row)


def heartbeat(
    connection: Connection, run_id: str, worker: str, *, step: int, epoch: float, seconds: float, now: float
) -> Command | None:
    """Say that the run is alive and read what it was asked. Raises LookupError if it is no longer this worker's."""
    statement = (
        update(runs)
        .where(runs.c.id == run_id, runs.c.worker == worker, runs.c.state.in_(LIVE))
        .values(heartbeat=now, step=step, epoch=epoch, seconds=seconds)
        .returning(runs.c.command)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise LookupError(f"run {run_id} was deleted, ended or given to another worker: this one stops")
    command: Command | None = row.command
    return command


def ask(connection: Connection, run_id: str, command: Command, now: float) -> None:
    """Leave a command for the trainer loop; a queued run is stopped at once. Raises ValueError if it makes no sense."""
    run = get(connection, run_id, lock=True)
    check_command(run_id, run.state, run.command, command)
    if run.state == "queued":
        change(connection, run_id, "stopped", reason="stopped before it began", fields={}, now=now)
    else:
        connection.execute(update(runs).where(runs.c.id == run_id).values(command=command))


def clear_command(connection: Connection, run_id: str, command: Command | None) -> None:
    """Forget what a run was asked; with ``command``, only if it is still that."""
    statement = update(runs).where(runs.c.id == run_id).values(command=None)
    connection.execute(statement if command is None else statement.where(runs.c.command == command))


def rename(connection: Connection, run_id: str, name: str) -> None:
    """Give a run another name; an empty one brings back the name made of its choices."""
    run = get(connection, run_id, lock=True)
    connection.execute(update(runs).where(runs.c.id == run_id).values(name=tidy_name(name, run.choices)))


def _existing(connection: Connection, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for begin in range(0, len(ids), _AT_A_TIME):
        found.update(connection.execute(select(runs.c.id).where(runs.c.id.in_(ids[begin : begin + _AT_A_TIME]))).scalars())
    return found


def _times(state: State, before: Run, now: float) -> dict[str, Any]:
    if state == "queued":
        return {"queued": now, "ended": None, "heartbeat": None, "worker": "", "command": None, "result": None, "error": ""}
    if state in ENDED:
        return {"ended": now, "command": None}
    return {"started": before.started or now}


def _note_change(connection: Connection, run_id: str, now: float, state: State, reason: str) -> None:
    connection.execute(changes.insert().values(run_id=run_id, time=now, state=state, reason=reason))


def _no_such_run(connection: Connection, run_id: object) -> str:
    recent: Select[tuple[str]] = select(runs.c.id).order_by(runs.c.created.desc()).limit(1000)
    sentence = no_such("run", run_id, connection.execute(recent).scalars())
    return (
        sentence
        if "Did you mean" in sentence
        else sentence.partition(" There are")[0] + " `python -m mtl_core runs` lists them."
    )
