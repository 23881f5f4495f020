"""Where the store lives: its address, its file, its transactions."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.schema import Table

from mtl_core.store.complaints import explain, system_error

BUSY_SECONDS = 10.0  # how long one process waits for another's transaction
FILE_NAME = "mtl.sqlite"
_FILE_ENDINGS = (".sqlite", ".sqlite3", ".db")


class Database:
    """One database, opened: short reading and writing transactions.

    Args:
        url: where it is, as ``address`` returns it.
        read_only: refuse every write, in the database too.
    """

    def __init__(self, url: URL, *, read_only: bool = False) -> None:
        self.url = url
        self.read_only = read_only
        self.place = url.database if is_sqlite(url) else url.render_as_string(hide_password=True)
        if is_sqlite(url):
            self.engine = _sqlite_engine(url, read_only)
            self._writer = self.engine.execution_options(mtl_begin="BEGIN IMMEDIATE")  # a lock at once: no deadlock half-way
        else:
            self.engine = _server_engine(url)
            self._writer = self.engine.execution_options(
                isolation_level="READ COMMITTED"
            )  # waits for a locked row, then sees it

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Everything read inside is of one moment."""
        with self._sentences(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All of what is written inside, or nothing of it."""
        if self.read_only:
            raise PermissionError(f"the store {self.place} is open for reading only: nothing can be started or changed in it")
        with self._sentences(), self._writer.begin() as connection:
            yield connection

    def upsert(self, table: Table, keys: tuple[str, ...]) -> postgresql.Insert | sqlite.Insert:
        """An insert that overwrites the row with the same keys."""
        statement = sqlite.insert(table) if is_sqlite(self.url) else postgresql.insert(table)
        others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=others)

    def insert_new(self, table: Table, keys: tuple[str, ...]) -> postgresql.Insert | sqlite.Insert:
        """An insert that leaves out rows whose keys are there already."""
        statement = sqlite.insert(table) if is_sqlite(self.url) else postgresql.insert(table)
        return statement.on_conflict_do_nothing(index_elements=list(keys))

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            sentence = explain(error, str(self.place))
            if sentence is None:
                raise
            raise sentence from error
        except PoolTimeout as error:
            sentence = system_error(
                errno.EAGAIN, f"the store {self.place} has too many readers at once: try again", TimeoutError
            )
            raise sentence from error


def address(url: str | None) -> tuple[URL, Path]:
    """Read a URL, a file or a folder into the database's URL and the folder of the runs. Raises ValueError."""
    text = url or os.environ.get("MTL_EXPLORER_STORE") or "runs"
    if "://" not in text:
        path = Path(text).expanduser()
        return _of_file(path if path.suffix in _FILE_ENDINGS or path.is_file() else path / FILE_NAME)
    try:
        parsed = make_url(text)
    except ArgumentError:
        raise ValueError(f"{text!r} is no address of a store: give a folder, sqlite:///FILE or postgresql://…") from None
    if is_sqlite(parsed):
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("a store in memory cannot be shared by page and worker: give a file, sqlite:///FILE")
        return _of_file(Path(parsed.database))
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(
            f"the store can be SQLite or PostgreSQL, not {parsed.get_backend_name()}: give a folder or postgresql://…"
        )
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed, Path(os.environ.get("MTL_EXPLORER_RUNS") or "runs").expanduser().absolute()


def _of_file(path: Path) -> tuple[URL, Path]:
    return URL.create("sqlite", database=str(path.absolute())), path.absolute().parent


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _sqlite_engine(url: URL, read_only: bool) -> Engine:
    path = Path(str(url.database))
    if read_only:
        if not path.is_file():
            raise ValueError(f"there is no store at {path}: start a run first, or choose another folder")
        question = "mode=ro" if _may_write_beside(path) else "mode=ro&immutable=1"  # a log beside the file needs its folder
    else:
        _make_file(path)
        question = "mode=rw"
    place = f"file:{quote(str(path))}?{question}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows A to Z alone
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")  # with a write-ahead log a power cut costs the last moments, no more
        return connection

    engine = create_engine(url, creator=connect, poolclass=QueuePool, pool_size=8, max_overflow=56)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # the driver begins too late for a steady view of several reads
        connection.exec_driver_sql(connection.get_execution_options().get("mtl_begin", "BEGIN"))

    return engine


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _server_engine(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, isolation_level="REPEATABLE READ")
    except ImportError:
        raise ValueError("a PostgreSQL store needs its driver: pip install -r requirements-cluster.txt") from None


def _may_write_beside(path: Path) -> bool:
    return os.access(path.parent, os.W_OK) or path.with_name(path.name + "-wal").exists()


def _make_file(path: Path) -> None:
    """Create an empty database with a write-ahead log (readers and one writer at the same time), if there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > 0:
            return
    except OSError as error:
        raise system_error(
            error.errno, f"the folder {path.parent} cannot be made ({error.strerror}): choose another one"
        ) from error
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:  # two processes may make it at once
                raise OSError(f"the store {path} cannot be made ({error}): check that the folder may be written") from error
            time.sleep(0.02)
