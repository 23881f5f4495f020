"""Runs from elsewhere: an ended run enters with everything it recorded, all of it or nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from mtl_core.config import RunConfig
from mtl_core.records import RunOutput
from mtl_core.store.complaints import system_error
from mtl_core.store.database import Database
from mtl_core.store.labels import write
from mtl_core.store.run import Change, describe_choices, is_id, tidy_name, to_json
from mtl_core.store.runs import new_row
from mtl_core.store.schema import changes, runs
from mtl_core.store.states import ENDED, State
from mtl_core.store.writer import Writer

if TYPE_CHECKING:
    from mtl_core.store import Store


@dataclass(frozen=True)
class EndedRun:
    """A run that ended somewhere else; times are unix seconds and stay as they are. Its id stays, too: links keep their meaning."""

    id: str
    config: RunConfig
    spec: dict[str, Any] | None
    state: State
    reason: str
    created: float
    started: float | None
    ended: float | None
    step: int
    epoch: float
    seconds: float
    name: str = ""
    device: str = ""
    result: dict[str, Any] | None = None
    error: str = ""
    history: tuple[Change, ...] = ()
    tags: tuple[str, ...] = ()
    note: str = ""


def add_ended(
    store: Store,
    run: EndedRun,
    items: Iterable[RunOutput],
    *,
    origin: str,
    owner: str = "",
    request: str = "",
    fill: Callable[[Path], None] | None = None,
) -> str:
    """Put an ended run from elsewhere among the others and return its id: all of it in one transaction, or nothing.

    Args:
        items: all that it recorded, in the order of its steps.
        origin: where it comes from, in words, for its history ("imported from …").
        request: what nobody may bring in twice; a text of its own.
        fill: called with the run's new folder, to put further files into it.

    Raises:
        ValueError: it is here already, has not ended, or its records do not fit together.
        OSError: the store or its folder cannot be written.
    """
    if run.state not in ENDED:
        raise ValueError(f"run {run.id} is {run.state}: only a run that has ended can be brought in")
    if not is_id(run.id):
        raise ValueError(f"{run.id[:40]!r} is no id of a run: the file is damaged or not ours")
    database: Database = store._database
    folder, made = store.folder / run.id, False
    with database.reading() as connection:
        _check_is_new(connection, run.id, request)
    within = _Within(database)
    writer = Writer(within, run.id)
    for item in items:
        writer.append(item)
        writer.prepare()
    try:
        with database.writing() as connection:
            _check_is_new(connection, run.id, request)
            connection.execute(runs.insert().values(**_row(run, owner, request)))
            last = Change(time.time(), run.state, origin)
            rows = [{"run_id": run.id, "time": c.time, "state": c.state, "reason": c.reason} for c in (*run.history, last)]
            connection.execute(changes.insert(), rows)
            _label(connection, database, run, last.time)
            within.connection = connection
            writer.flush()
            folder.mkdir(parents=True)
            made = True
            (folder / "config.yaml").write_text(run.config.to_yaml(), encoding="utf-8")
            if fill is not None:
                fill(folder)
    except FileExistsError:
        raise system_error(None, f"the folder {folder} exists, though no run {run.id} is known: move it away") from None
    except BaseException:
        if made:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return run.id


def _label(connection: Connection, database: Database, run: EndedRun, now: float) -> None:
    if run.tags or run.note:
        write(connection, database, run.id, tags=run.tags, note=run.note, archived=None, deleted=None, now=now)


def _check_is_new(connection: Connection, run_id: str, request: str) -> None:
    same = runs.c.id == run_id if not request else (runs.c.id == run_id) | (runs.c.request == request)
    before = connection.execute(select(runs.c.id).where(same)).scalar()
    if before is not None:
        raise ValueError(f"this run is here already, as {before}: nothing was changed")


def _row(run: EndedRun, owner: str, request: str) -> dict[str, Any]:
    entered = new_row(run.id, run.config, spec=run.spec, request=request, owner=owner, now=run.created)
    return entered | {
        "name": tidy_name(run.name or run.config.name, describe_choices(run.config.to_mapping(), run.spec)),
        "state": run.state,
        "reason": run.reason,
        "started": run.started,
        "ended": run.ended,
        "step": run.step,
        "epoch": run.epoch,
        "seconds": run.seconds,
        "device": run.device,
        "result": None if run.result is None else to_json(run.result),
        "error": run.error,
    }


class _Within(Database):
    """The database as a writer sees it whose rows are to come with a transaction that others began, or not at all."""

    def __init__(self, database: Database) -> None:
        self.url, self.place, self.read_only = database.url, database.place, database.read_only
        self._database = database
        self.connection: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        assert self.connection is not None
        yield self.connection
