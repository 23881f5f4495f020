"""The tables, their version, and the numbered steps from older versions."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    inspect,
    select,
    text,
)

from mtl_core.store.database import Database, is_sqlite

Step = Callable[[Connection], None]

METADATA = MetaData()
READABLE = 1  # a store from this version on may be read as it is: the steps since then only add tables
_LOCK = 7_305_114  # any fixed number: two processes that open a store on a server take turns


def _run_id(*, primary_key: bool = False) -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


versions = Table("mtl_schema", METADATA, Column("version", Integer, primary_key=True), Column("time", Double, nullable=False))

runs = Table(
    "runs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("choices", Text, nullable=False),  # what it is made of, in a line: the default name, and what a search looks in
    Column("config", Text, nullable=False),  # JSON
    Column("spec", Text),  # JSON
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Double, nullable=False),  # times are unix seconds
    Column("queued", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("step", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("device", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("command", Text),
    Column("worker", Text, nullable=False),
    Column("heartbeat", Double),
    Column("result", Text),  # JSON
    Column("error", Text, nullable=False),
    Column("request", Text, unique=True),
    Index("runs_by_age", "created"),
    Index("runs_in_queue", "state", "queued"),
)

changes = Table(
    "changes",
    METADATA,
    Column("number", Integer, primary_key=True),
    _run_id(),
    Column("time", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("changes_of_run", "run_id", "number"),
)

columns = Table(
    "columns",
    METADATA,
    _run_id(primary_key=True),
    Column("split", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("task", Text, nullable=False),
    Column("name", Text, nullable=False),
)

series = Table(
    "series",
    METADATA,
    _run_id(primary_key=True),
    Column("split", Text, primary_key=True),
    Column("level", Integer, primary_key=True),  # 0: every row; level l: one row for 4 of level l - 1
    Column("chunk", Integer, primary_key=True),  # chunk c holds rows 256 c … 256 c + 255 of its level
    Column("rows", Integer, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("block", LargeBinary, nullable=False),  # levels.pack
    Index("series_by_step", "run_id", "split", "level", "last_step"),
)

measurements = Table(
    "measurements",
    METADATA,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),  # 0, 1, 2 … within the run, so that thinning reads an index
    Column("step", BigInteger, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("time", Double, nullable=False),
    Column("stages", Integer, nullable=False),
    Column("tasks", Integer, nullable=False),
    Column("block", LargeBinary, nullable=False),
    UniqueConstraint("run_id", "step"),
)

previews = Table(
    "previews",
    METADATA,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("time", Double, nullable=False),
    Column("block", LargeBinary),  # empty once thinned out
    UniqueConstraint("run_id", "step"),
)

affinities = Table(  # since version 2
    "affinities",
    METADATA,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("epoch", Double, nullable=False),
    Column("time", Double, nullable=False),
    Column("tasks", Integer, nullable=False),
    Column("block", LargeBinary, nullable=False),
    UniqueConstraint("run_id", "step"),
)

events = Table(
    "events",
    METADATA,
    Column("number", Integer, primary_key=True),
    _run_id(),
    Column("step", BigInteger, nullable=False),
    Column("time", Double, nullable=False),
    Column("text", Text, nullable=False),
    Index("events_of_run", "run_id", "number"),
)

sweeps = Table(  # since version 3, like members and labels
    "sweeps",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("config", Text, nullable=False),  # JSON
    Column("created", Double, nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
)

members = Table(
    "members",
    METADATA,
    Column("sweep_id", Text, ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("key", Text, primary_key=True),  # the same for equal configs
    _run_id(),
    Column("role", Text, nullable=False),
    Column("number", Integer, nullable=False),  # place in the sweep
    Column("expected", Double),  # seconds of training, as estimated when it was handed in
    Index("members_of_run", "run_id"),
)

labels = Table(  # what people say of a run
    "labels",
    METADATA,
    _run_id(primary_key=True),
    Column("tags", Text, nullable=False),  # JSON
    Column("note", Text, nullable=False),
    Column("is_archived", Boolean, nullable=False),
    Column("deleted", Double),  # when it was thrown away: it may still be taken back
)

facts = Table("facts", METADATA, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))


def _add_affinities(connection: Connection) -> None:
    affinities.create(connection)


def _add_sweeps_and_labels(connection: Connection) -> None:
    for table in (sweeps, members, labels):
        table.create(connection)


# STEPS[n] brings a store of version n + 1 to n + 2; append only
STEPS: tuple[Step, ...] = (_add_affinities, _add_sweeps_and_labels)


def prepare(database: Database, *, steps: tuple[Step, ...] = STEPS, readable: int = READABLE) -> int:
    """Bring the store to the newest version and return the one it has; a new store gets its tables. Raises ValueError.

    Safe when several processes open the store at once: the first one does it, the others find it done. A store opened for
    reading stays as it is, if its version is at least ``readable``.
    """
    newest = 1 + len(steps)
    with database.reading() as connection:
        version = _check(connection, database, newest)
    if version == newest:
        return newest
    if database.read_only:
        if version >= readable:
            return version
        if version == 0:
            raise ValueError(f"there is no store at {database.place} yet: start a run first, or choose another place")
        raise ValueError(
            f"the store {database.place} is of an older version: open it once for writing, which brings it up to date"
        )
    with database.writing() as connection:
        if not is_sqlite(database.url):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        version = _check(connection, database, newest)
        if version == 0:
            METADATA.create_all(connection)
            version = newest
            connection.execute(versions.insert().values(version=newest, time=time.time()))
        for number in range(version, newest):
            steps[number - 1](connection)
            connection.execute(versions.insert().values(version=number + 1, time=time.time()))
    return newest


def _check(connection: Connection, database: Database, newest: int) -> int:
    """The version of the store, 0 if it is empty. Raises ValueError for a foreign one or a newer one."""
    tables = inspect(connection).get_table_names()
    if versions.name not in tables:
        if tables and is_sqlite(database.url):
            known = ", ".join(tables[:3])
            raise ValueError(
                f"{database.place} is a database of another program (it holds {known}): choose another file or folder"
            )
        return 0
    version = int(connection.execute(select(func.coalesce(func.max(versions.c.version), 0))).scalar_one())
    if version > newest:
        raise ValueError(
            f"the store {database.place} has schema {version}, this program knows up to {newest}: "
            "update MTL Explorer, or choose another store with MTL_EXPLORER_STORE"
        )
    return version
