"""The list of thousands of runs, labels for many at once, the bin, and sweeps that go: real databases, real processes."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from streamlit.testing.v1 import AppTest

from mtl_core.cli.app import main
from mtl_core.comparing import compare
from mtl_core.config import RunConfig
from mtl_core.store import EndedRun, Label, Score, Store
from mtl_core.store.database import address
from mtl_core.store.run import new_id
from mtl_core.sweeps import Sweep
from mtl_core.ui.watch.picker import IN_BIN

ROOT = Path(__file__).parent.parent
SERVER = os.environ.get("MTL_TEST_POSTGRES", "")  # postgresql://…/database: the same tests once more, there
NASTY = """ÄÖ "x" '; DROP TABLE runs; -- <b>% _ \\ 数"""
SPEC = {
    "tasks": [
        {
            "name": "a",
            "title": "Task A",
            "metrics": [
                {"name": "r2", "title": "R²", "higher_is_better": True, "unit": ""},
                {"name": "mae", "title": "Error", "higher_is_better": False, "unit": "px"},
            ],
        },
        {
            "name": "b",
            "title": "Task B",
            "metrics": [{"name": "mae", "title": "Error", "higher_is_better": False, "unit": "px"}],
        },
        {"name": "c", "title": "Nothing measured", "metrics": []},
    ],
    "all_tasks": ["a", "b", "c"],
    "stages": ["one", "two"],
    "shared_stages": ["one"],
}


@pytest.fixture(params=["sqlite", "postgresql"] if SERVER else ["sqlite"])
def store(request, tmp_path, monkeypatch):
    if request.param == "sqlite":
        with Store.open(str(tmp_path / "runs")) as opened:
            yield opened
        return
    monkeypatch.setenv("MTL_EXPLORER_RUNS", str(tmp_path / "runs"))
    schema = f"test_{time.time_ns()}"
    server = create_engine(address(SERVER)[0])
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    with Store.open(f"{SERVER}?options=-csearch_path%3D{schema}") as opened:
        yield opened
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


def finish(store: Store, *, result=None, spec=None, seconds=7.0, owner="", **config) -> str:
    """A finished run."""
    run_id = store.enqueue(RunConfig.from_mapping({"dataset": "teacher", **config}), owner=owner)
    store.claim("w", "cpu", run_id)
    store.change(run_id, "running", spec=SPEC if spec is None else spec)
    store.heartbeat(run_id, "w", step=10, epoch=1.0, seconds=seconds)
    store.change(run_id, "finished", result=result)
    return run_id


def ids(found) -> list[str]:
    return [one.id for one in found]


def sweep(*schemes: str) -> Sweep:
    base = {"dataset": "teacher", "training": {"steps": 10}}
    return Sweep.from_mapping({"base": base, "vary": {"weighting": list(schemes)}, "baselines": False})


def end_members(store: Store, sweep_id: str) -> list[str]:
    """Finish every run of a sweep that waits."""
    members = store.members(sweep_id)
    for member in members:
        if store.claim("w", "cpu", member.run_id) is not None:
            store.change(member.run_id, "finished")
    return [member.run_id for member in members]


# The list


def test_a_row_says_what_a_run_is_and_how_good_it_was(store):
    test = {"a": {"loss": 1.0, "r2": 0.5, "mae": 3}, "b": {"loss": 1.0, "mae": 2}, "c": {"loss": 1.0}}
    run_id = finish(
        store,
        name=NASTY,
        owner="ada",
        result={"test": test, "seconds": 3.5},
        weighting={"name": "cagrad", "c": 0.4},
        training={"steps": 10, "lr": 0.02, "batch_size": 8, "seed": 4, "optimizer": "sgd"},
    )
    store.label(run_id, tags=[NASTY[:12], "to show"], note=NASTY, archived=True)
    queued = store.enqueue(RunConfig(tasks=["box"], architecture={"name": "hard_sharing", "depth": 0}))
    (waiting,) = store.listing()
    assert (waiting.id, waiting.state, waiting.tasks, waiting.depth, waiting.scores) == (queued, "queued", ("box",), 0, {})
    assert (waiting.scheme, waiting.knobs, waiting.tags, waiting.note, waiting.deleted) == ("equal", "", (), "", None)
    (row,) = store.listing(archived=True)
    run = store.run(run_id)
    same = ("id", "name", "choices", "state", "created", "ended", "step", "steps", "device", "owner")
    assert [getattr(row, name) for name in same] == [getattr(run, name) for name in same]
    assert (row.dataset, row.tasks, row.architecture, row.depth) == ("teacher", ("a", "b", "c"), "hard_sharing", 1)
    assert (row.scheme, row.knobs, row.lr, row.batch_size, row.seed, row.optimizer) == ("cagrad", "c 0.4", 0.02, 8, 4, "sgd")
    assert row.scores == {
        "a": Score("r2", 0.5, "R²", "Task A", higher_is_better=True, unit=""),
        "b": Score("mae", 2.0, "Error", "Task B", higher_is_better=False, unit="px"),
    }
    assert (row.seconds, row.is_foreign, row.sweeps, row.is_archived) == (3.5, False, (), True)
    assert (row.tags, row.note) == ((NASTY[:12].strip(), "to show"), NASTY)


def test_scores_that_are_no_numbers_and_tests_that_never_came_are_left_out(store):
    test = {"a": {"r2": float("nan")}, "b": {"mae": None}, "gone": {"mae": 1.0}}
    wild, bare, none = (finish(store, result=result) for result in ({"test": test}, {"test": None}, None))
    found = {row.id: row for row in store.listing()}
    assert [dict(found[one].scores) for one in (wild, bare, none)] == [{}, {}, {}]
    assert found[none].seconds == 7.0


def test_groups_are_those_of_a_comparison(store):
    for scheme in ("equal", "mgda"):
        for seed in (0, 1):
            finish(store, name=f"{scheme} {seed}", weighting=scheme, training={"seed": seed})
    for n in range(2):
        now = time.time() + n
        config = RunConfig(dataset={"name": "teacher"}, name="theirs")
        spec = {**SPEC, "origin": {"kind": "a table", "file": "x.csv"}}
        ended = EndedRun(new_id(now), config, spec, "finished", "", now, now, now, 1, 1.0, 1.0)
        store.add_ended(ended, [], origin="from a table")
    listed = store.listing()
    comparison = compare(store.runs())
    assert {row.id: row.group for row in listed} == {run.id: group.id for group in comparison.groups for run in group.runs}
    assert len({row.group for row in listed}) == 4, "two of two seeds, and two foreign ones that nothing joins"
    assert {(row.is_foreign, row.depth) for row in listed} == {(False, 1), (True, None)}


def test_three_views_and_what_narrows_them(store):
    usual, put_aside, thrown, both, other = (finish(store, name=f"run {n}", owner="Ödön") for n in range(5))
    store.label(put_aside, archived=True)
    store.label(thrown, deleted=True)
    store.label(both, archived=True, deleted=True)
    assert ids(store.listing()) == [other, usual]
    assert ids(store.listing(archived=True)) == [put_aside]
    assert ids(store.listing(deleted=True)) == ids(store.listing(deleted=True, archived=True)) == [both, thrown]
    assert ids(store.listing(limit=1)) == [other]
    assert ids(store.listing(limit=1, offset=1)) == [usual]
    assert (store.listing(offset=2), store.listing(limit=0)) == ([], [])
    queued = store.enqueue(RunConfig())
    assert ids(store.listing(states=["queued"])) == [queued]
    assert store.listing(states=[]) == []
    assert ids(store.runs()) == [queued, other, put_aside, usual], "a run put aside is not gone"
    assert ids(store.runs(deleted=True)) == [both, thrown]
    assert len(store.runs(deleted=None)) == 6
    assert store.run(thrown).id == thrown
    assert ids(store.runs_named([thrown, usual])) == [thrown, usual]


def test_words_are_found_wherever_they_stand_whatever_the_case(store):
    first = finish(store, name="Grün 100%", owner="Ödön")
    second = finish(store, name="under_score", weighting="mgda")
    store.label(first, tags=['say "Ä"', "back\\slash"], note="Vergiß\nnicht")
    store.label(second, tags=["say"])
    for words in ("grün", "GRÜN 100%", "ödön", 'SAY "ä"', '"', "\\", "back\\SLASH", "nicht vergiß", first.upper()):
        assert ids(store.listing(search=words)) == ids(store.runs(search=words)) == [first], words
    for words in ("r_s", "mgda", "say mgda"):
        assert ids(store.listing(search=words)) == [second], words
    for words in ("100_", "grün mgda", "'; DROP TABLE runs; --", "%%", "\x00"):
        assert store.listing(search=words) == [], words
    assert ids(store.listing(tags=['SAY "ä"'])) == [first]
    assert ids(store.listing(tags=["say"])) == [second], "a tag is no part of another"
    assert store.listing(tags=['say "ä"', "say"]) == []
    assert store.listing(tags=["sa"]) == []


def test_runs_of_a_sweep(store):
    first, second = store.add_sweep(sweep("equal", "mgda")), store.add_sweep(sweep("mgda", "dwa"))
    alone = store.enqueue(RunConfig())
    of = {row.id: set(row.sweeps) for row in store.listing()}
    shared = set(ids(store.listing(sweep=first))) & set(ids(store.listing(sweep=second)))
    assert [of[one] for one in shared] == [{first, second}]
    assert of[alone] == set()
    assert sorted(map(len, of.values())) == [0, 1, 1, 2]
    assert store.listing(sweep="'; DROP TABLE members; --") == []


def test_five_thousand_runs_are_listed_in_no_time(tmp_path):
    n = 5_000
    with Store.open(str(tmp_path)) as store:
        run_id = finish(store, result={"test": {"a": {"r2": 0.5}}})
        with sqlite3.connect(tmp_path / "mtl.sqlite") as connection:
            rows = connection.execute("SELECT * FROM runs")
            names = [column[0] for column in rows.description]
            (row,) = [dict(zip(names, values, strict=True)) for values in rows]
            config = json.loads(row["config"])
            copies = []
            for number in range(1, n):
                config["training"] |= {"seed": number % 5, "lr": 0.001 * (1 + number // 5)}
                mine = {"id": new_id(row["created"] - number), "created": row["created"] - number, "config": json.dumps(config)}
                copies.append([*{**row, **mine, "request": None}.values()])
            connection.executemany(f"INSERT INTO runs VALUES ({','.join('?' * len(names))})", copies)
        connection.close()
        listed = store.listing()
        assert store.listing() == listed
        assert (len(listed), listed[0].id) == (n, run_id)
        assert [row.created for row in listed] == sorted((row.created for row in listed), reverse=True)
        assert len({row.group for row in listed}) == n / 5
        before = store.label_runs(ids(listed), add_tags=["all"], deleted=True)
        assert len(before) == n
        assert store.listing() == []
        store.set_labels(before)
        assert len(store.listing()) == n
        assert store.delete_runs(ids(listed)) == ids(listed)
        assert store.runs(deleted=None) == []


# Labels of many


def test_many_labels_at_once_and_back_exactly(store):
    runs = [finish(store) for _ in range(4)]
    store.label(runs[0], tags=["old", "both"], note=NASTY, archived=True)
    store.label(runs[1], tags=["both"])
    known = store.labels()
    gone = finish(store)
    store.delete(gone)
    before = store.label_runs([*runs[:3], runs[0], gone, "nobody", NASTY], add_tags=[" new  one "], remove_tags=["old", "none"])
    assert before == {runs[0]: known[runs[0]], runs[1]: known[runs[1]], runs[2]: Label()}
    assert list(before) == runs[:3]
    assert [store.labels()[run_id].tags for run_id in runs[:3]] == [("both", "new one"), ("both", "new one"), ("new one",)]
    assert store.labels()[runs[0]] == Label(("both", "new one"), NASTY, is_archived=True)
    assert runs[3] not in store.labels()
    began = time.time()
    store.label_runs(runs, archived=False, deleted=True)
    assert all(began <= store.labels()[run_id].deleted <= time.time() for run_id in runs)
    assert not any(store.labels()[run_id].is_archived for run_id in runs)
    store.delete(runs[2])
    store.set_labels(before)
    assert {run_id: store.labels()[run_id] for run_id in runs[:2]} == {run_id: before[run_id] for run_id in runs[:2]}
    assert ids(store.listing(deleted=True)) == [runs[3]], "what was not named stays"
    assert store.label_runs([], add_tags=["x"]) == {}
    store.set_labels({})


def test_all_labels_are_set_or_none(store):
    runs = [finish(store) for _ in range(3)]
    store.label(runs[1], tags=[str(n) for n in range(20)])
    known = store.labels()
    for slip, part in (
        ({"add_tags": ["one more"]}, "at most 20 tags, got 21"),
        ({"add_tags": ["x" * 41]}, "at most 40"),
        ({"add_tags": "word"}, "a list of words"),
    ):
        with pytest.raises(ValueError, match=part):
            store.label_runs(runs, archived=True, **slip)
        assert store.labels() == known
    with pytest.raises(ValueError, match="at most 4,000"):
        store.set_labels({runs[0]: Label(("fine",)), runs[1]: Label(note="x" * 4001)})
    assert store.labels() == known


def test_what_still_goes_on_is_not_thrown_away(store):
    done, queued, running = finish(store), store.enqueue(RunConfig()), store.enqueue(RunConfig())
    store.claim("w", "cpu", running)
    with pytest.raises(ValueError, match=f"run {queued} is queued, and 1 more is not done either: stop them first"):
        store.label_runs([done, queued, running], deleted=True)
    for deed in (
        lambda: store.label(running, deleted=True),
        lambda: store.label_runs([done, running], deleted=True),
        lambda: store.set_labels({done: Label(("x",)), running: Label(deleted=1.0)}),
        lambda: store.delete_runs([done, running]),
    ):
        with pytest.raises(ValueError, match=f"run {running} is running: stop it first, then delete it"):
            deed()
        assert (store.labels(), len(store.runs())) == ({}, 3)
    store.label_runs([queued, running], add_tags=["live"], archived=True)
    assert len(store.listing(archived=True)) == 2
    with pytest.raises(LookupError, match="no run is called"):
        store.label("nobody", deleted=True)


def test_a_run_that_goes_on_is_no_longer_thrown_away(store):
    run_id = store.enqueue(RunConfig())
    store.ask(run_id, "stop")
    store.label(run_id, deleted=True, tags=["kept"])
    assert store.runs() == []
    store.requeue(run_id, "again")
    assert ids(store.runs()) == [run_id]
    assert store.labels() == {run_id: Label(("kept",))}


def test_deleted_for_good(store):
    runs = [finish(store) for _ in range(3)]
    others = store.run_folder(runs[1])
    (others / "checkpoint.pt").write_bytes(b"x")
    assert store.delete_runs([runs[1], "nobody", runs[0], runs[1]]) == [runs[1], runs[0]]
    assert ids(store.runs(deleted=None)) == [runs[2]]
    assert sorted(path.name for path in store.folder.iterdir() if path.is_dir()) == [runs[2]]
    assert store.delete_runs([runs[0]]) == []
    with pytest.raises(LookupError, match="no run is called"):
        store.delete(runs[0])


# Sweeps that go


def test_a_sweep_goes_and_its_runs_stay_or_go_into_the_bin(store):
    first, second = store.add_sweep(sweep("equal", "mgda")), store.add_sweep(sweep("mgda", "dwa"))
    with pytest.raises(ValueError, match=f"the sweep {first} still has 2 runs to do: cancel it first"):
        store.delete_sweep(first)
    end_members(store, first)
    end_members(store, second)
    assert store.delete_sweep(first) == {}
    assert [one.id for one in store.sweeps()] == [second]
    assert len(store.listing()) == 3
    with pytest.raises(LookupError, match="no sweep is called"):
        store.delete_sweep(first)
    first = store.add_sweep(sweep("equal", "mgda"))
    before = store.delete_sweep(first, with_runs=True)
    (thrown,) = store.listing(deleted=True)
    assert before == {thrown.id: Label()}
    assert thrown.scheme == "equal", "the other run belongs to the other sweep too"
    store.set_labels(before)
    assert len(store.listing()) == 3


def test_a_cancelled_sweep_may_go_before_its_last_run_has_stopped_but_not_into_the_bin(store):
    sweep_id = store.add_sweep(sweep("equal", "mgda"))
    running = store.claim("w", "cpu").id
    store.change_sweep(sweep_id, "cancelled")
    with pytest.raises(ValueError, match=f"run {running} is running"):
        store.delete_sweep(sweep_id, with_runs=True)
    assert len(store.members(sweep_id)) == 2
    store.delete_sweep(sweep_id)
    assert (store.sweeps(), len(store.listing())) == ([], 2)


def test_a_sweep_that_is_handed_in_again_takes_its_runs_out_of_the_bin(store):
    sweep_id = store.add_sweep(sweep("equal", "mgda"))
    runs, other = end_members(store, sweep_id), finish(store)
    store.label_runs([*runs, other], deleted=True, add_tags=["x"])
    assert store.add_sweep(sweep("equal", "mgda")) == sweep_id
    assert sorted(ids(store.listing())) == sorted(runs)
    assert ids(store.listing(deleted=True)) == [other]
    assert {label.tags for label in store.labels().values()} == {("x",)}


# Older stores, other processes, the command line


def test_a_store_from_before_sweeps_and_labels_is_listed_as_it_is(tmp_path):
    with Store.open(str(tmp_path)) as store:
        run_id = finish(store, name="old one", result={"test": {"a": {"r2": 0.5}}})
    with sqlite3.connect(tmp_path / "mtl.sqlite") as connection:
        for table in ("members", "sweeps", "labels"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE mtl_schema SET version = 2")
    connection.close()
    with Store.open(str(tmp_path), read_only=True) as store:
        (row,) = store.listing(search="old")
        assert (row.id, row.tags, row.note, row.is_archived, row.deleted, row.sweeps) == (run_id, (), "", False, None, ())
        assert row.scores["a"].value == 0.5
        for none in ({"archived": True}, {"deleted": True}, {"tags": ["x"]}, {"sweep": "x"}, {"search": "new"}):
            assert store.listing(**none) == []
        assert ids(store.runs()) == ids(store.runs(deleted=None)) == [run_id]
        assert store.runs(deleted=True) == []
        for deed in (lambda: store.label_runs([run_id], archived=True), lambda: store.delete_runs([run_id])):
            with pytest.raises(PermissionError, match="for reading only"):
                deed()
    with Store.open(str(tmp_path)) as store:
        store.label(run_id, deleted=True)
        assert ids(store.listing(deleted=True)) == [run_id]


def test_an_empty_store(store):
    assert (store.listing(), store.listing(deleted=True), store.listing(search="x")) == ([], [], [])


LABEL = """
import sys
from mtl_core.store import Store
store, me = Store.open(sys.argv[1]), sys.argv[2]
ids = sys.argv[3:]
print("ready", flush=True)
sys.stdin.readline()
for n in range(20):
    store.label_runs(ids, add_tags=[f"{me}"], archived=n % 2 == 0)
    store.label_runs(ids, remove_tags=[f"{me}"] if n < 19 else [])
"""


def test_two_processes_label_the_same_runs_and_neither_loses_the_others_tags(tmp_path):
    with Store.open(str(tmp_path)) as store:
        runs = [finish(store) for _ in range(20)]
        gone = runs.pop()
        command = [sys.executable, "-c", LABEL, str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        others = [subprocess.Popen([*command, me, *runs, gone], **pipes) for me in ("one", "two")]
        for other in others:
            assert other.stdout.readline() == "ready\n"
        for other in others:
            other.stdin.write("go\n")
            other.stdin.flush()
        store.delete(gone)
        for other in others:
            other.communicate(timeout=120)
        assert [other.returncode for other in others] == [0, 0]
        labels = store.labels()
        assert set(labels) == set(runs)
        assert {frozenset(label.tags) for label in labels.values()} == {frozenset(("one", "two"))}


def test_the_command_line_lists_the_bin_when_it_is_asked(tmp_path, capsys):
    with Store.open(str(tmp_path)) as store:
        kept, thrown = finish(store), finish(store)
        store.label(thrown, deleted=True)
    listed = []
    for more in ([], ["--deleted"]):
        assert main(["runs", "--json", "--store", str(tmp_path), *more]) == 0
        listed.append([run["run"] for run in json.loads(capsys.readouterr().out)])
    assert listed == [[kept], [thrown]]


def shown(app: AppTest) -> str:
    """All HTML on the page."""
    return " ".join(part.proto.body for part in app.get("html"))


def test_a_link_to_a_run_in_the_bin_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    with Store.open(str(tmp_path)) as store:
        thrown = store.enqueue(RunConfig(name="thrown away"))
        store.ask(thrown, "stop")
        store.label(thrown, deleted=True)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    assert "Recent runs" in shown(app)
    assert "thrown away" not in str(app.main) + shown(app)
    app.switch_page("pages/watch.py")
    app.query_params["run"] = thrown
    app.run()
    assert not app.exception
    assert IN_BIN in shown(app)
    with Store.open(str(tmp_path)) as store:
        store.label(thrown, deleted=False)
    app.run()
    assert IN_BIN not in shown(app)
