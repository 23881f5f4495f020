"""Sweeps and labels in the store: nothing is queued twice, equal configs share a run, a paused sweep holds its runs back."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtl_core.config import RunConfig
from mtl_core.store import Label, Store
from mtl_core.sweeps import MOST_RUNS, Sweep

TEACHER = {"dataset": {"name": "teacher"}, "training": {"steps": 10}}


def sweep(*schemes: str, seeds: tuple[int, ...] = (0,), **values: object) -> Sweep:
    return Sweep.from_mapping({"base": TEACHER, "vary": {"weighting": list(schemes), "training.seed": list(seeds)}, **values})


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def test_the_same_content_is_the_same_sweep_and_queues_nothing_twice(store):
    asked = sweep("equal", "mgda", seeds=(0, 1), name="pair")
    first = store.add_sweep(asked, "ada", expected={asked.members()[0].key: 7.5})
    assert store.add_sweep(Sweep.from_mapping(asked.model_dump(mode="json")), "bob") == first
    assert len(store.runs()) == 6
    kept = store.sweep(first)
    assert (kept.name, kept.owner, kept.state, kept.sweep()) == ("pair", "ada", "running", asked)
    assert store.sweeps() == [kept]
    members = store.members(first)
    assert [member.role for member in members] == ["baseline"] * 2 + ["run"] * 4
    assert [member.key for member in members] == [member.key for member in asked.members()]
    assert [member.expected for member in members] == [7.5, *[None] * 5]
    assert {member.state for member in members} == {"queued"}
    for member, config in zip(members, asked.members(), strict=True):
        assert RunConfig.from_mapping(store.run(member.run_id).config) == config.config
        assert (store.run_folder(member.run_id) / "config.yaml").exists()
        assert [change.state for change in store.history(member.run_id)] == ["queued"]
    claimed = [store.claim("w", "cpu").id for _ in members]
    assert claimed == [member.run_id for member in members], "taken up in the sweep's order"


def test_equal_configs_share_a_run_unless_they_are_kept_apart(store):
    small, large = sweep("equal"), sweep("equal", "mgda", seeds=(0, 1))
    first, second = store.add_sweep(small), store.add_sweep(large)
    shared = {member.run_id for member in store.members(first)}
    assert shared < {member.run_id for member in store.members(second)}
    assert len(store.runs()) == 6
    assert store.shared(first) == {run_id: {"running"} for run_id in shared}
    assert store.shared(second) == {run_id: {"running"} for run_id in shared}
    assert set(store.states_of(small)) == {member.key for member in small.members()}
    assert store.states_of(small, apart="ada") == {}
    apart = store.add_sweep(small, "ada", apart="ada")
    assert apart != first
    assert shared.isdisjoint(member.run_id for member in store.members(apart))


def test_a_paused_sweep_holds_back_what_no_other_sweep_wants(store):
    first, second = store.add_sweep(sweep("equal")), store.add_sweep(sweep("equal", "mgda"))
    own = {member.run_id for member in store.members(second)} - {member.run_id for member in store.members(first)}
    store.change_sweep(second, "paused")
    assert store.held() == own
    assert {store.claim("w", "cpu").id for _ in range(2)} == {member.run_id for member in store.members(first)}
    assert store.claim("w", "cpu") is None
    assert store.claim("w", "cpu", next(iter(own))) is None, "not even by name"
    single = store.enqueue(RunConfig())
    assert store.claim("w", "cpu").id == single
    store.change_sweep(second, "running")
    assert store.held() == set()
    assert store.claim("w", "cpu").id in own


def test_what_broke_off_is_told_while_a_sweep_wants_it(store):
    sweep_id = store.add_sweep(sweep("equal", "mgda", baselines=False))
    failed, interrupted = [store.claim("w", "cpu").id for _ in range(2)]
    store.change(failed, "failed", "x")
    store.change(interrupted, "interrupted", "x")
    single = store.enqueue(RunConfig())
    store.claim("w", "cpu", single)
    store.change(single, "interrupted", "x")
    ends = [(run_id, store.run(run_id).ended) for run_id in (failed, interrupted)]
    for state, wanted in (("running", ends), ("paused", ends), ("cancelled", [])):
        store.change_sweep(sweep_id, state)
        assert store.broken_off() == wanted


def test_a_deleted_run_leaves_its_sweep_and_comes_anew_when_it_is_asked_for_again(store):
    asked = sweep("equal")
    sweep_id = store.add_sweep(asked)
    gone = store.members(sweep_id)[0].run_id
    store.delete(gone)
    assert gone not in [member.run_id for member in store.members(sweep_id)]
    assert store.add_sweep(asked) == sweep_id
    members = store.members(sweep_id)
    assert [member.key for member in members] == [member.key for member in asked.members()]
    assert gone not in [member.run_id for member in members]


def test_a_sweep_is_queued_whole_or_not_at_all(store, monkeypatch):
    asked = sweep("equal", seeds=(0, 1, 2))
    with sqlite3.connect(store.folder / "mtl.sqlite") as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON members WHEN NEW.number = 4 BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    other.close()
    with pytest.raises(OSError, match="is full"):
        store.add_sweep(asked)
    assert (store.runs(), store.sweeps()) == ([], [])
    assert [path for path in store.folder.iterdir() if path.is_dir()] == []


def test_a_run_that_is_deleted_while_a_sweep_comes_to_share_it_is_made_anew(store):
    gone = store.members(store.add_sweep(sweep("equal")))[0].run_id
    asked, before = sweep("equal", seeds=tuple(range(150))), set(store.folder.iterdir())

    def delete_once_it_has_begun():
        until = time.monotonic() + 30
        while set(store.folder.iterdir()) == before and time.monotonic() < until:
            time.sleep(0.001)
        store.delete(gone)

    with ThreadPoolExecutor() as pool:
        deleted = pool.submit(delete_once_it_has_begun)
        members = store.members(store.add_sweep(asked))
        deleted.result()
    assert [member.key for member in members] == [member.key for member in asked.members()]
    runs = {run.id for run in store.runs(limit=1000)}
    assert gone not in runs
    assert {path.name for path in store.folder.iterdir() if path.is_dir()} == runs


def test_slips(store):
    sweep_id = store.add_sweep(sweep("equal"))
    with pytest.raises(LookupError, match=f"Did you mean '{sweep_id}'"):
        store.sweep(sweep_id[:-1])
    for question in (store.members, lambda one: store.change_sweep(one, "paused")):
        with pytest.raises(LookupError, match="no sweep is called"):
            question("'; DROP TABLE sweeps; --")
    with pytest.raises(ValueError, match="Did you mean 'paused'"):
        store.change_sweep(sweep_id, "pausd")


def test_the_largest_sweep_is_queued_and_held_whole(store):
    asked = Sweep.from_mapping(
        {"base": TEACHER, "vary": {"training.seed": list(range(MOST_RUNS))}, "baselines": False},
    )
    sweep_id = store.add_sweep(asked)
    assert len(store.members(sweep_id)) == MOST_RUNS
    store.change_sweep(sweep_id, "paused")
    assert store.claim("w", "cpu") is None
    assert len(store.held()) == MOST_RUNS


# Labels


def test_a_label_keeps_what_is_not_named(store):
    first, second = (store.enqueue(RunConfig()) for _ in range(2))
    assert store.labels() == {}
    store.ask(first, "stop")
    store.label(first, tags=[" to  show ", "ä", "to show"])
    store.label(first, note="  best so far\n<b>")
    began = time.time()
    label = store.label(first, archived=True, deleted=True)
    assert (label.tags, label.note, label.is_archived) == (("to show", "ä"), "best so far\n<b>", True)
    assert began <= label.deleted <= time.time()
    assert store.label(first, deleted=True).deleted == label.deleted, "thrown away once"
    assert store.labels([first, second]) == {first: label}
    back = store.label(first, deleted=False, archived=False, tags=[], note="")
    assert back == Label()
    assert store.labels([]) == {}
    store.delete(first)
    assert store.labels() == {}


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"tags": "word"}, "a list of words"),
        ({"tags": ["x" * 41]}, "at most 40"),
        ({"tags": ["a\x00b"]}, "printable"),
        ({"tags": [str(n) for n in range(21)]}, "at most 20 tags, got 21"),
        ({"note": "x" * 4001}, "at most 4,000"),
    ],
)
def test_labels_that_are_too_much(store, given, part):
    run_id = store.enqueue(RunConfig())
    with pytest.raises(ValueError, match=part):
        store.label(run_id, **given)
    assert store.labels() == {}
    with pytest.raises(LookupError, match="no run is called"):
        store.label("nobody", note="x")


def test_labels_of_very_many_runs_are_one_question_for_the_caller(store):
    run_id = store.enqueue(RunConfig())
    store.label(run_id, note="x\x00y")
    assert store.labels([*(str(n) for n in range(40_000)), run_id]) == {run_id: Label(note="xy")}


# Older stores


def make_second_version(folder):
    """Turn a store into what the version before sweeps left."""
    with sqlite3.connect(folder / "mtl.sqlite") as connection:
        for table in ("members", "sweeps", "labels"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE mtl_schema SET version = 2")
    connection.close()


def test_a_store_from_before_sweeps_learns_about_them_and_may_be_read_as_it_is(tmp_path):
    with Store.open(str(tmp_path)) as store:
        run_id = store.enqueue(RunConfig())
    make_second_version(tmp_path)
    before = (tmp_path / "mtl.sqlite").read_bytes()
    with Store.open(str(tmp_path), read_only=True) as store:
        assert (store.sweeps(), store.labels()) == ([], {})
        with pytest.raises(LookupError, match="no sweep is called"):
            store.members("x")
    assert (tmp_path / "mtl.sqlite").read_bytes() == before
    with Store.open(str(tmp_path)) as store:
        assert store.claim("w", "cpu").id == run_id
        assert store.members(store.add_sweep(sweep("equal")))
        store.label(run_id, note="old")
    with Store.open(str(tmp_path), read_only=True) as store, pytest.raises(PermissionError, match="for reading only"):
        store.add_sweep(sweep("mgda"))
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 3, (
        "the run and the sweep's two, nothing of the refused one"
    )
