"""Opening a store: new, old, newer, foreign, damaged, or where one may not write."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from mtl_core.config import RunConfig
from mtl_core.records import Affinity, Column, Scalars
from mtl_core.store import Store
from mtl_core.store.database import Database, address
from mtl_core.store.schema import STEPS, prepare


def fill(folder: Path) -> str:
    """A closed store with one run of 3,000 steps; returns the run's id."""
    with Store.open(str(folder)) as store:
        run_id = store.enqueue(RunConfig())
        steps = np.arange(3000)
        with store.writer(run_id) as writer:
            values = steps.astype(np.float32)[:, None]
            writer.append(Scalars("train", (Column("", "total"),), steps, steps / 1.0, steps / 1.0, values))
    return run_id


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("a/b", "a/b/mtl.sqlite"),
        ("a/x.sqlite", "a/x.sqlite"),
        ("a/x.db", "a/x.db"),
        ("sqlite:///{}/a/odd name", "a/odd name"),
        ("sqlite:///{}/ä?x=1", "ä"),
    ],
)
def test_a_new_store_is_made_where_it_is_wanted(tmp_path, monkeypatch, given, file):
    monkeypatch.chdir(tmp_path)
    with Store.open(given.format(tmp_path)) as store:
        assert store.runs() == []
        assert store.folder == (tmp_path / file).parent
        again = store.url
    assert (tmp_path / file).read_bytes().startswith(b"SQLite format 3")
    monkeypatch.chdir("/")
    with Store.open(again) as store:
        assert store.folder == (tmp_path / file).parent


def test_the_environment_says_where_and_runs_is_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MTL_EXPLORER_STORE", raising=False)
    with Store.open() as store:
        assert store.folder == tmp_path / "runs"
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path / "elsewhere"))
    with Store.open() as store:
        assert store.folder == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "in memory cannot be shared"),
        ("sqlite:///:memory:", "in memory cannot be shared"),
        ("mysql://u:secret@host/db", "can be SQLite or PostgreSQL, not mysql"),
        ("://", "is no address of a store"),
    ],
)
def test_addresses_that_are_none(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_the_password_of_a_server_is_not_shown():
    url, _ = address("postgresql://ada:secret@db.example/mtl")
    assert url.drivername == "postgresql+psycopg"
    assert "secret" not in repr(url)


@pytest.mark.parametrize("content", [b"name: my first run\n" * 200, b"\x00" * 5000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    file = tmp_path / "mtl.sqlite"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is no store of MTL Explorer|is damaged"):
        Store.open(str(file))
    assert file.read_bytes() == content


def test_a_foreign_database_is_left_alone(tmp_path):
    file = tmp_path / "photos.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE holidays (place TEXT)")
    connection.close()
    before = file.read_bytes()
    for read_only in (False, True):
        with pytest.raises(ValueError, match=r"another program \(it holds holidays\): choose another"):
            Store.open(str(file), read_only=read_only)
    assert file.read_bytes() == before


def test_a_damaged_store_says_so_when_it_is_read(tmp_path):
    run_id = fill(tmp_path)
    file = tmp_path / "mtl.sqlite"
    whole = file.read_bytes()
    for damage in (whole[: len(whole) // 2], whole[:4096] + b"\x5a" * (len(whole) - 4096)):
        file.write_bytes(damage)
        with pytest.raises(ValueError, match="is damaged: move it away"):
            read_everything(tmp_path, run_id)


def read_everything(folder: Path, run_id: str) -> None:
    with Store.open(str(folder)) as store:
        store.run(run_id)
        store.curve(run_id, "train")
        store.read(run_id, "train")


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "mtl.sqlite").touch()
    fill(tmp_path)


@pytest.mark.parametrize("folder", ["/proc/mtl", "/dev/null/runs"])
def test_a_folder_that_cannot_be_made(folder):
    with pytest.raises(OSError, match=r"cannot be made .*: choose another one") as caught:
        Store.open(folder)
    assert "[Errno" not in str(caught.value)


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "mtl.sqlite" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="cannot be opened: check"):
        Store.open(str(tmp_path))


# Versions


def _add_colour(connection):
    connection.execute(text("ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"))


def _add_size(connection):
    connection.execute(text("ALTER TABLE runs ADD COLUMN size INTEGER NOT NULL DEFAULT 3"))


def _break(connection):
    connection.execute(text("ALTER TABLE runs ADD COLUMN half INTEGER"))
    raise ZeroDivisionError


def test_an_older_store_is_brought_up_to_date_step_by_step(tmp_path):
    run_id = fill(tmp_path)
    database = Database(address(str(tmp_path))[0])
    newest = 1 + len(STEPS)
    assert prepare(database, steps=(*STEPS, _add_colour)) == newest + 1
    assert prepare(database, steps=(*STEPS, _add_colour, _add_size)) == newest + 2
    assert prepare(database, steps=(*STEPS, _add_colour, _add_size)) == newest + 2
    with database.reading() as connection:
        assert connection.execute(text("SELECT id, colour, size FROM runs")).all() == [(run_id, "red", 3)]
        assert connection.execute(text("SELECT version FROM mtl_schema ORDER BY version")).scalars().all() == [
            newest,
            newest + 1,
            newest + 2,
        ]
    database.engine.dispose()


def test_a_step_that_fails_changes_nothing(tmp_path):
    run_id = fill(tmp_path)
    database = Database(address(str(tmp_path))[0])
    with pytest.raises(ZeroDivisionError):
        prepare(database, steps=(*STEPS, _add_colour, _break))
    database.engine.dispose()
    with Store.open(str(tmp_path)) as store:
        assert store.run(run_id).id == run_id
        assert len(store.read(run_id, "train").steps) == 3000


def test_a_newer_store_asks_for_an_update(tmp_path):
    fill(tmp_path)
    database = Database(address(str(tmp_path))[0])
    prepare(database, steps=(*STEPS, _add_colour))
    database.engine.dispose()
    newest = 1 + len(STEPS)
    with pytest.raises(ValueError, match=f"has schema {newest + 1}, this program knows up to {newest}: update MTL Explorer"):
        Store.open(str(tmp_path))


def make_first_version(folder):
    """Turn a store into what the first version of the program left: schema 1, no affinities, sweeps or labels."""
    with sqlite3.connect(folder / "mtl.sqlite") as connection:
        for table in ("affinities", "members", "sweeps", "labels"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE mtl_schema SET version = 1")
    connection.close()


def test_a_store_of_the_first_version_opens_and_learns_about_affinities(tmp_path):
    run_id = fill(tmp_path)
    make_first_version(tmp_path)
    with Store.open(str(tmp_path)) as store:
        assert len(store.read(run_id, "train").steps) == 3000
        assert store.affinities(run_id) == []
        with store.writer(run_id) as writer:
            writer.append(Affinity(3, 0.3, 0.03, np.eye(2, dtype=np.float32)))
        assert store.affinities(run_id)[0].values.tolist() == [[1, 0], [0, 1]]
    with sqlite3.connect(tmp_path / "mtl.sqlite") as connection:
        assert [row[0] for row in connection.execute("SELECT version FROM mtl_schema ORDER BY version")] == [1, 2, 3]
    connection.close()


def test_a_store_of_the_first_version_may_be_read_as_it_is(tmp_path):
    run_id = fill(tmp_path)
    make_first_version(tmp_path)
    before = (tmp_path / "mtl.sqlite").read_bytes()
    with Store.open(str(tmp_path), read_only=True) as store:
        assert store.curve(run_id, "train").n_rows == 3000
        assert store.affinities(run_id, at_most=5) == []
    assert (tmp_path / "mtl.sqlite").read_bytes() == before


# Reading only


def test_a_store_opened_for_reading_refuses_every_write(tmp_path):
    run_id = fill(tmp_path)
    with Store.open(str(tmp_path), read_only=True) as store:
        assert store.curve(run_id, "train").n_rows == 3000
        for write in (
            lambda: store.enqueue(RunConfig()),
            lambda: store.ask(run_id, "stop"),
            lambda: store.rename(run_id, "mine"),
            lambda: store.delete(run_id),
            lambda: store.claim("w", "cpu"),
            lambda: store.put("key", 1),
        ):
            with pytest.raises(PermissionError, match="open for reading only"):
                write()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [run_id]
    assert (tmp_path / run_id / "config.yaml").exists()


def test_reading_only_makes_no_store_and_updates_none(tmp_path):
    with pytest.raises(ValueError, match=r"there is no store at .*: start a run first"):
        Store.open(str(tmp_path / "none"), read_only=True)
    assert not (tmp_path / "none").exists()
    fill(tmp_path)
    database = Database(address(str(tmp_path))[0], read_only=True)
    with pytest.raises(ValueError, match="older version: open it once for writing"):
        prepare(database, steps=(*STEPS, _add_colour), readable=2 + len(STEPS))
    database.engine.dispose()


def test_a_folder_without_write_permission_may_still_be_read(tmp_path_factory):
    """As another user, who may read the folder and nothing more (root may write everywhere)."""
    folder = Path(tempfile.gettempdir()) / f"mtl-shared-{os.getpid()}"
    script = textwrap.dedent("""
        import os, sys
        from mtl_core.store import Store
        folder, warm = sys.argv[1:]
        Store.open(warm).runs()  # everything is imported before the rights are given away
        if os.geteuid() == 0:
            os.setuid(65534)
        with Store.open(folder, read_only=True) as store:
            print(store.curve(store.runs()[0].id, "train").n_rows)
        try:
            with Store.open(folder) as store:
                store.rename(store.runs()[0].id, "mine")
        except OSError as error:
            print(error)
    """)
    try:
        fill(folder)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        warm = str(tmp_path_factory.mktemp("warm"))
        done = subprocess.run([sys.executable, "-c", script, str(folder), warm], capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    read, refused = done.stdout.splitlines()
    assert read == "3000"
    assert "may not be written" in refused or "cannot be opened" in refused
