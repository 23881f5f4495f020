"""The store: every run, its state and everything it recorded, in one database that pages and workers share.

SQLite with a write-ahead log by default, PostgreSQL by URL. Every line of SQL of the project lives in this package.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from mtl_core.config import RunConfig
from mtl_core.records import Affinity, Column, Event, Measurement, Preview, Scalars, Split
from mtl_core.store import imports, labels, listing, observations, runs, series, sweeps, tidying
from mtl_core.store.complaints import system_error
from mtl_core.store.database import Database, address
from mtl_core.store.imports import EndedRun
from mtl_core.store.labels import Label
from mtl_core.store.listing import Listed, Score
from mtl_core.store.run import Change, Run, is_id, new_id, to_json
from mtl_core.store.schema import facts, prepare
from mtl_core.store.series import Curve
from mtl_core.store.states import COMMANDS, ENDED, LIVE, STATES, UNENDED, Command, State
from mtl_core.store.sweeps import StoredMember, StoredSweep, SweepState
from mtl_core.store.writer import Writer
from mtl_core.sweeps import Member, Sweep

__all__ = [
    "COMMANDS",
    "ENDED",
    "LIVE",
    "STATES",
    "UNENDED",
    "Change",
    "Command",
    "Curve",
    "EndedRun",
    "Label",
    "Listed",
    "Run",
    "Score",
    "State",
    "Store",
    "StoredMember",
    "StoredSweep",
    "SweepState",
    "Writer",
]

T = TypeVar("T")
P = ParamSpec("P")


class Store:
    """One store, opened. Threads may share it; processes each open their own. Make one with ``Store.open``."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self.folder = folder

    @classmethod
    def open(cls, url: str | None = None, *, read_only: bool = False) -> Store:
        """Open a store, or make it if there is none; an older one is brought up to date.

        Args:
            url: a folder, a file, ``sqlite:///FILE`` or ``postgresql://…``; None: the environment's ``MTL_EXPLORER_STORE``,
                else the folder ``runs``.
            read_only: nothing is made or changed, and nothing can be.

        Raises:
            ValueError: it is no store of ours, damaged, or written by a newer version.
            OSError: its place cannot be read or written.
        """
        parsed, folder = address(url)
        database = Database(parsed, read_only=read_only)
        try:
            prepare(database)
        except BaseException:
            database.engine.dispose()
            raise
        return cls(database, folder)

    @property
    def url(self) -> str:
        """The address that another process opens (with the password, if there is one: not for pages)."""
        return self._database.url.render_as_string(hide_password=False)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be started or changed."""
        return self._database.read_only

    def close(self) -> None:
        """Let go of the database."""
        self._database.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self._database.place!r})"

    # Runs

    def run_folder(self, run_id: str) -> Path:
        """Where a run's files lie. Raises LookupError for what has not the form of an id."""
        if not is_id(run_id):
            self.run(run_id)  # says what is wrong
        return self.folder / run_id

    def enqueue(self, config: RunConfig, *, spec: Mapping[str, Any] | None = None, request: str = "", owner: str = "") -> str:
        """Put a run into the queue and return its id; the same ``request`` key, if not empty, returns the same run."""
        now = time.time()
        run_id = new_id(now)
        folder = self.folder / run_id
        try:
            with self._database.writing() as connection:
                before = runs.by_request(connection, request) if request else None
                if before is not None:
                    return before
                runs.insert(connection, run_id, config, spec=spec, request=request, owner=owner, now=now)
                _make_folder(folder, config)
        except IntegrityError:  # on a server another process may have come first with the same request
            shutil.rmtree(folder, ignore_errors=True)
            before = self._ask(runs.by_request, request)
            if before is None:
                raise
            return before
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return run_id

    def run(self, run_id: str) -> Run:
        """A run by its id. Raises LookupError with the nearest id, or how to list them."""
        return self._ask(runs.get, run_id)

    def runs(
        self,
        *,
        states: Sequence[State] | None = None,
        owner: str | None = None,
        search: str = "",
        deleted: bool | None = False,
        limit: int = 200,
        offset: int = 0,
    ) -> list[Run]:
        """Runs, newest first. Each word of ``search`` must be found in name, choices, id, owner, tags or note, whatever the case.

        ``deleted``: those thrown away alone; None: those too.
        """
        return self._ask(runs.find, states=states, owner=owner, search=search, deleted=deleted, limit=limit, offset=offset)

    def runs_named(self, run_ids: Iterable[str]) -> list[Run]:
        """The runs with these ids, in their order; those that are not there are left out."""
        return self._ask(runs.named, [run_id for run_id in dict.fromkeys(run_ids) if is_id(run_id)])

    listing = listing.listing

    def history(self, run_id: str) -> list[Change]:
        """Every change of a run's state, oldest first."""
        return self._ask(runs.history, run_id)

    def change(self, run_id: str, state: State, reason: str = "", **fields: Any) -> None:
        """Move a run to a state and set fields of it (spec, result, error, step, worker …), all or nothing.

        Staying in its state is allowed: it sets the fields. Raises ValueError for an impossible change.
        """
        self._do(runs.change, run_id, state, reason=reason, fields=fields, now=time.time())

    def ask(self, run_id: str, command: Command) -> None:
        """Leave a command for the trainer loop; a queued run is stopped at once. Raises ValueError if it makes no sense.

        A pause that was not met yet may be taken back with "resume": the loop then finds "resume" while running, and goes on.
        """
        self._do(runs.ask, run_id, command, time.time())

    def clear_command(self, run_id: str, command: Command | None = None) -> None:
        """Forget what a run was asked, once it is met; with ``command``, only if nothing else was asked since."""
        self._do(runs.clear_command, run_id, command)

    def claim(self, worker: str, device: str, run_id: str | None = None) -> Run | None:
        """Take the run that has waited longest (or the one named) for a worker; None if none waits."""
        if not self._ask(runs.is_waiting, run_id):  # most polls find nothing: they need no lock
            return None
        return self._do(runs.claim, worker, device, host=platform.node(), run_id=run_id, now=time.time())

    def heartbeat(self, run_id: str, worker: str, *, step: int, epoch: float, seconds: float) -> Command | None:
        """Say that a run is alive and how far; returns what it was asked. Raises LookupError if it is no longer the worker's."""
        return self._do(runs.heartbeat, run_id, worker, step=step, epoch=epoch, seconds=seconds, now=time.time())

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name (one line, 80 characters); an empty one brings back the name made of its choices."""
        self._do(runs.rename, run_id, name)

    def requeue(self, run_id: str, reason: str) -> None:
        """Put an ended run, or a paused one whose worker is gone, back into the queue; what it recorded stays."""
        self._do(runs.change, run_id, "queued", reason=reason, fields={}, now=time.time())

    add_ended = imports.add_ended

    delete = tidying.delete
    delete_runs = tidying.delete_runs

    # Sweeps

    def add_sweep(self, sweep: Sweep, owner: str = "", *, apart: str = "", expected: Mapping[str, float] | None = None) -> str:
        """Queue every run of a sweep that nobody has asked for yet, and return the sweep's id; all of it or nothing.

        The same content gives the same sweep, and equal configs share one run, in whatever state it is; one that was thrown
        away is taken back.

        Args:
            apart: a text that keeps equal sweeps, and their runs, apart (the owner, where people may not share).
            expected: estimated seconds of training by member key.
        """
        sweep_id = sweeps.identify(sweep, apart)
        wanted = {sweeps.request(member.key, apart): member for member in sweep.members()}
        while not self._add_sweep(sweep_id, sweep, wanted, owner=owner, expected=expected or {}):
            pass  # a run that it was to share was deleted at that very moment: now it is known to be missing
        return sweep_id

    def _add_sweep(
        self, sweep_id: str, sweep: Sweep, wanted: Mapping[str, Member], *, owner: str, expected: Mapping[str, float]
    ) -> bool:
        """Whether all runs of a sweep (by request) are there or were made, and it was noted; nothing was done if not."""
        now = time.time()
        known = self._ask(runs.by_requests, list(wanted))
        missing = [request for request in wanted if request not in known]
        fresh = {request: new_id(now + n / 1000) for n, request in enumerate(missing)}  # ids sort as the sweep does
        rows = [
            runs.new_row(run_id, wanted[request].config, spec=None, request=request, owner=owner, now=now)
            for request, run_id in fresh.items()
        ]
        used: set[str] = set()
        try:
            for request, run_id in fresh.items():
                _make_folder(self.folder / run_id, wanted[request].config)
            with self._database.writing() as connection:
                there = runs.by_requests(connection, list(known), lock=True)
                if there.keys() != known.keys():
                    return False
                runs.insert_new(self._database, connection, rows)
                found = there | runs.by_requests(connection, missing, lock=True)
                if found.keys() != wanted.keys():  # another process made one of them and deleted it again
                    connection.rollback()
                    return False
                sweeps.add(self._database, connection, sweep_id, sweep, owner=owner, now=now)
                members = [(found[request][0], member) for request, member in wanted.items()]
                sweeps.join(self._database, connection, sweep_id, members, expected=expected)
                labels.take_back(connection, sweep_id)
            used.update(run_id for run_id, _ in found.values())
        finally:
            for run_id in set(fresh.values()) - used:  # it failed, or another process came first with the same runs
                shutil.rmtree(self.folder / run_id, ignore_errors=True)
        return True

    def states_of(self, sweep: Sweep, *, apart: str = "") -> dict[str, State]:
        """The states of those runs of a sweep that exist already, whoever asked for them: member key -> state."""
        wanted = {sweeps.request(member.key, apart): member.key for member in sweep.members()}
        return {wanted[request]: state for request, (_, state) in self._ask(runs.by_requests, list(wanted)).items()}

    def sweep(self, sweep_id: str) -> StoredSweep:
        """A sweep by its id. Raises LookupError."""
        return self._ask(sweeps.get, sweep_id)

    def sweeps(self) -> list[StoredSweep]:
        """All sweeps, newest first."""
        return self._ask(sweeps.find)

    def members(self, sweep_id: str) -> list[StoredMember]:
        """The runs of a sweep and how far each is, baselines first. Raises LookupError."""
        return self._ask(sweeps.members_of, sweep_id)

    def change_sweep(self, sweep_id: str, state: SweepState) -> None:
        """Say that a sweep runs, rests (nobody takes up its queued runs) or was given up; its runs' states stay as they are."""
        self._do(sweeps.change, sweep_id, state)

    delete_sweep = tidying.delete_sweep

    def shared(self, sweep_id: str) -> dict[str, set[SweepState]]:
        """The runs of a sweep that other sweeps have too, with the states of those sweeps."""
        return self._ask(sweeps.shared, sweep_id)

    def held(self) -> set[str]:
        """The queued runs that nobody may take up, because their sweep is paused."""
        return self._ask(sweeps.held)

    def broken_off(self) -> list[tuple[str, float]]:
        """Runs of sweeps that failed or were interrupted and are still wanted: ids, with the times at which they ended."""
        return self._ask(sweeps.broken_off)

    # What people say of runs

    label = tidying.label
    label_runs = tidying.label_runs
    set_labels = tidying.set_labels

    def labels(self, run_ids: Iterable[str] | None = None) -> dict[str, Label]:
        """The labels of those runs (None: of all); a run without one is not among them."""
        return self._ask(labels.read, run_ids)

    # Records

    def writer(self, run_id: str) -> Writer:
        """What the worker hands a run's records to. Raises LookupError if there is no such run."""
        self.run(run_id)
        return Writer(self._database, run_id)

    def columns(self, run_id: str, split: Split) -> tuple[Column, ...]:
        """The columns of a split; none before its first row."""
        return self._ask(series.columns, run_id, split)

    def last_step(self, run_id: str, split: Split) -> int:
        """The newest step recorded, -1 if there is none."""
        return self._ask(series.last_step, run_id, split)

    def read(self, run_id: str, split: Split, *, after_step: int = -1, limit: int | None = None) -> Scalars | None:
        """Every row after a step, at most ``limit``; None if there is none. For tails and exports."""
        return self._ask(series.read, run_id, split, after_step=after_step, limit=limit)

    def curve(
        self, run_id: str, split: Split, *, first: int | None = None, last: int | None = None, points: int = 1500
    ) -> Curve:
        """The steps ``first`` to ``last`` as at most ``points // 2`` buckets, every low and high kept.

        It costs the same for a short run and a long one.
        """
        return self._ask(series.curve, run_id, split, first=first, last=last, points=points)

    def measurements(
        self, run_id: str, *, after_step: int = -1, limit: int | None = None, at_most: int | None = None
    ) -> list[Measurement]:
        """Measurements after a step: the first ``limit``; with ``at_most``, evenly spread ones and the last."""
        return self._ask(observations.read_measurements, run_id, after_step=after_step, limit=limit, at_most=at_most)

    def n_measurements(self, run_id: str) -> int:
        """How many measurements a run has."""
        return self._ask(observations.count, run_id)

    def measurement(self, run_id: str, step: int | None = None) -> Measurement | None:
        """The newest measurement at or before ``step`` (None: of all)."""
        return self._ask(observations.read_measurement, run_id, step)

    def measured_steps(self, run_id: str, *, at_most: int | None = None) -> list[int]:
        """The steps of a run's measurements; with ``at_most``, evenly spread ones and the last."""
        return self._ask(observations.measured_steps, run_id, at_most=at_most)

    def affinities(
        self, run_id: str, *, after_step: int = -1, limit: int | None = None, at_most: int | None = None
    ) -> list[Affinity]:
        """Affinities between tasks after a step: the first ``limit``; with ``at_most``, evenly spread ones and the last."""
        return self._ask(observations.read_affinities, run_id, after_step=after_step, limit=limit, at_most=at_most)

    def previews(self, run_id: str) -> list[int]:
        """The steps whose sample predictions are kept: the first, the last and some between, 20 at most."""
        return self._ask(observations.preview_steps, run_id)

    def preview(self, run_id: str, step: int | None = None) -> Preview | None:
        """The newest kept sample predictions at or before ``step`` (None: of all)."""
        return self._ask(observations.read_preview, run_id, step)

    def events(self, run_id: str) -> list[Event]:
        """The run's log lines, oldest first."""
        return self._ask(observations.read_events, run_id)

    # Facts of the processes

    def get(self, key: str, default: Any = None) -> Any:
        """A small fact that processes share, as ``put`` left it."""
        value = self._ask(
            lambda connection: connection.execute(select(facts.c.value).where(facts.c.key == key)).scalar_one_or_none()
        )
        return default if value is None else json.loads(value)

    def put(self, key: str, value: Any) -> None:
        """Leave a fact (JSON values) for other processes."""
        row = {"key": key, "value": to_json(value)}
        self._do(lambda connection: connection.execute(self._database.upsert(facts, ("key",)), row))

    def _ask(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        with self._database.reading() as connection:
            return question(connection, *args, **options)

    def _do(self, deed: Callable[Concatenate[Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        with self._database.writing() as connection:
            return deed(connection, *args, **options)


def _make_folder(folder: Path, config: RunConfig) -> None:
    try:
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    except OSError as error:
        raise system_error(
            error.errno, f"the run's folder {folder} cannot be written ({error.strerror}): free space or choose another store"
        ) from error
