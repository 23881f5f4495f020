"""The store: runs and their life, what they record, and what it refuses."""

import errno
import json
import os
import time

import numpy as np
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import Pool

from mtl_core.config import RunConfig
from mtl_core.records import Affinity, Column, Event, Measurement, Preview, Scalars
from mtl_core.store import COMMANDS, ENDED, LIVE, STATES, Store
from mtl_core.store.database import address
from mtl_core.store.observations import spread
from mtl_core.store.states import NEXT

SERVER = os.environ.get("MTL_TEST_POSTGRES", "")  # postgresql://…/database: the same tests once more, there
COLUMNS = (Column("digit", "loss"), Column("box", "loss"))


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


@pytest.fixture
def run_id(store):
    return store.enqueue(RunConfig())


def bring(store: Store, state: str) -> str:
    """A run in a state, the way a real one gets there."""
    run_id = store.enqueue(RunConfig())
    if state == "queued":
        return run_id
    store.claim("worker", "cpu", run_id)
    if state != "running":
        store.change(run_id, state, "as the test wants")
    return run_id


def scalars(start: int, end: int, split: str = "train") -> Scalars:
    steps = np.arange(start, end)
    values = np.stack([steps, -steps], axis=1).astype(np.float32)
    return Scalars(split, COLUMNS, steps, steps / 10.0, steps / 100.0, values)


def measurement(step: int, n_tasks: int = 3, n_stages: int = 2) -> Measurement:
    rng = np.random.default_rng(step)
    numbers = [rng.normal(size=s).astype(np.float32) for s in ((n_stages, 2 * n_tasks, 2 * n_tasks), (2, n_tasks))]
    return Measurement(step, step / 10, step / 100, *numbers, *rng.normal(size=(3, n_tasks)).astype(np.float32))


def affinity(step: int, n_tasks: int = 3) -> Affinity:
    values = np.random.default_rng(step).normal(size=(n_tasks, n_tasks)).astype(np.float32)
    return Affinity(step, step / 10, step / 100, values)


def preview(step: int) -> Preview:
    image = np.full((2, 8, 8, 3), step % 256, np.uint8)
    return Preview(step, step / 10, step / 100, {"inputs": image, "target/digit": np.array([3, step])})


# A run's life


def test_a_new_run_waits_with_its_config_and_folder(store):
    config = RunConfig(tasks=["digit", "box"], architecture={"name": "hard_sharing", "depth": 3}, weighting="cagrad")
    run = store.run(store.enqueue(config, owner="ada"))
    assert (run.state, run.owner, run.steps, run.step, run.worker, run.started) == ("queued", "ada", 1500, 0, "", None)
    assert run.name == run.choices == "digit+box · depth 3 · cagrad"
    assert RunConfig.from_mapping(run.config) == config
    assert RunConfig.from_yaml((store.run_folder(run.id) / "config.yaml").read_text(encoding="utf-8")) == config
    assert [change.state for change in store.history(run.id)] == ["queued"]


def test_the_same_request_gives_the_same_run(store):
    one = store.enqueue(RunConfig(), request="form 7")
    assert store.enqueue(RunConfig(name="again"), request="form 7") == one
    assert store.enqueue(RunConfig()) != store.enqueue(RunConfig())
    assert len(store.runs()) == 3
    assert len([path for path in store.folder.iterdir() if path.is_dir()]) == 3


def test_ids_sort_by_time_and_are_safe_in_a_path(store):
    ids = [store.enqueue(RunConfig()) for _ in range(20)]
    assert [name[:9] for name in ids] == sorted(name[:9] for name in ids)
    assert len({name[9:] for name in ids}) == 20
    assert all(name.isalnum() and name == name.lower() and len(name) == 15 for name in ids)
    assert [run.id for run in store.runs()] == ids[::-1]


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_only_possible_changes_happen(store, before, after):
    run_id = bring(store, before)
    n_changes = len(store.history(run_id))
    if after in NEXT[before]:
        store.change(run_id, after, "because")
        assert store.history(run_id)[-1].reason == store.run(run_id).reason == "because"
        assert (store.run(run_id).ended is not None) == (after in ENDED)
    elif after != before:
        with pytest.raises(ValueError, match=f"is {before} and cannot become {after}"):
            store.change(run_id, after, "because")
    assert store.run(run_id).state == (after if after in NEXT[before] else before)
    assert len(store.history(run_id)) == n_changes + (after in NEXT[before])


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", COMMANDS)
def test_only_sensible_commands_are_taken(store, state, command):
    run_id = bring(store, state)
    allowed = {"queued": {"stop"}, "running": {"stop", "save", "pause"}, "paused": {"stop", "save", "resume"}}
    if command not in allowed.get(state, ()):
        with pytest.raises(ValueError, match=f"is {state}, so it cannot {command}"):
            store.ask(run_id, command)
        assert store.run(run_id).command is None
        return
    store.ask(run_id, command)
    if state == "queued":
        assert (store.run(run_id).state, store.claim("worker", "cpu")) == ("stopped", None)
    else:
        assert store.heartbeat(run_id, "worker", step=1, epoch=0.1, seconds=2.0) == command
        store.clear_command(run_id, command)
        assert store.heartbeat(run_id, "worker", step=1, epoch=0.1, seconds=2.0) is None


def test_an_end_once_asked_for_stands_and_a_pause_may_be_taken_back(store):
    run_id = bring(store, "running")
    store.ask(run_id, "pause")
    store.ask(run_id, "resume")
    store.clear_command(run_id, "pause")  # it is "resume" by now: nothing is lost
    assert store.run(run_id).command == "resume"
    store.ask(run_id, "save")
    store.ask(run_id, "stop")
    with pytest.raises(ValueError, match="was asked to stop already"):
        store.ask(run_id, "pause")
    assert store.run(run_id).command == "stop"


def test_the_one_that_waited_longest_is_claimed_first(store):
    first, second, third = (store.enqueue(RunConfig()) for _ in range(3))
    assert store.claim("w", "cpu", third).id == third
    store.change(third, "interrupted", "its worker is gone")
    store.requeue(third, "goes on")  # has waited least now
    claimed = store.claim("w", "cuda:0")
    assert (claimed.id, claimed.state, claimed.worker, claimed.device) == (first, "running", "w", "cuda:0")
    assert claimed.started == claimed.heartbeat
    assert [store.claim("w", "cpu").id for _ in range(2)] == [second, third]
    assert store.claim("w", "cpu") is None
    assert store.claim("w", "cpu", first) is None


def test_a_heartbeat_is_refused_to_a_worker_that_lost_its_run(store):
    run_id = bring(store, "running")
    assert store.heartbeat(run_id, "worker", step=7, epoch=0.7, seconds=3.5) is None
    run = store.run(run_id)
    assert (run.step, run.epoch, run.seconds) == (7, 0.7, 3.5)
    for lose in (
        lambda: store.change(run_id, "interrupted"),
        lambda: store.requeue(run_id, "again"),
        lambda: store.claim("other", "cpu", run_id),
        lambda: (store.change(run_id, "stopped"), store.delete(run_id)),
    ):
        lose()
        with pytest.raises(LookupError, match="this one stops"):
            store.heartbeat(run_id, "worker", step=8, epoch=0.8, seconds=4.0)


def test_a_requeued_run_keeps_its_records_and_its_start(store):
    run_id = bring(store, "running")
    with store.writer(run_id) as writer:
        writer.append(scalars(0, 10))
    before = store.run(run_id)
    store.change(run_id, "failed", "out of memory", error="Traceback …", result={"test": {}})
    store.requeue(run_id, "smaller batch")
    run = store.run(run_id)
    assert (run.state, run.error, run.result, run.worker, run.ended) == ("queued", "", None, "", None)
    assert run.started == before.started
    assert store.last_step(run_id, "train") == 9
    assert [change.reason for change in store.history(run_id)][-2:] == ["out of memory", "smaller batch"]
    for state in ("finished", "running"):
        with pytest.raises(ValueError, match=f"is {state} and cannot become queued"):
            store.requeue(bring(store, state), "no")


def test_facts_of_a_run_are_set_without_a_change(store):
    run_id = bring(store, "running")
    spec = {"tasks": [{"name": "digit"}], "shared_stages": ["a", "b"], "numbers": np.arange(2), "one": np.float32(0.5)}
    store.change(run_id, "running", spec=spec, steps=99)
    run = store.run(run_id)
    assert (run.steps, run.spec["numbers"], run.spec["one"]) == (99, [0, 1], 0.5)
    assert run.name == "digit · depth 2 · equal"
    assert len(store.history(run_id)) == 2
    store.change(run_id, "diverged", "loss of digit is NaN", result={"digit": float("nan")})
    assert np.isnan(store.run(run_id).result["digit"])
    with pytest.raises(ValueError, match=r"no field of a run is called 'stpe'\. Did you mean 'step'"):
        store.change(run_id, "diverged", stpe=1)
    with pytest.raises(ValueError, match="no state of a run is called 'done'"):
        store.change(run_id, "done")


# Finding, naming, deleting


def test_runs_are_found_by_state_owner_and_words(store):
    one = store.enqueue(RunConfig(name="100% digits_are Größe", weighting="mgda"), owner="ada")
    two = store.enqueue(RunConfig(name="100 digits"), owner="bob")
    store.claim("w", "cpu", two)
    assert [run.id for run in store.runs(states=["running"])] == [two]
    assert [run.id for run in store.runs(states=[])] == []
    assert [run.id for run in store.runs(owner="ada")] == [one]
    for words, expected in (("DIGITS", [two, one]), ("100%", [one]), ("s_a", [one]), ("mgda digits", [one]), ("'; --", [])):
        assert [run.id for run in store.runs(search=words)] == expected, words
    assert [run.id for run in store.runs(limit=1, offset=1)] == [one]


@pytest.mark.parametrize(
    "wrong", ["", "../../etc/passwd", "/etc", "x", "0" * 14, "0" * 15, "ILOU" * 4, "0" * 14 + "\n", None, 7]
)
def test_a_wrong_id_is_looked_up_nowhere(store, wrong):
    for look in (
        store.run,
        store.delete,
        store.writer,
        lambda name: store.ask(name, "stop"),
        lambda name: store.rename(name, "x"),
    ):
        with pytest.raises(LookupError, match=r"no run is called .*(lists them|Did you mean)"):
            look(wrong)
    if wrong != "0" * 15:
        with pytest.raises(LookupError):
            store.run_folder(wrong)


def test_a_slip_in_an_id_suggests_the_nearest(store, run_id):
    with pytest.raises(LookupError, match=f"Did you mean '{run_id}'"):
        store.run(run_id[:-1] + "u")


def test_names_are_one_short_line(store, run_id):
    for name, expected in (("a\n\tb\x00 ", "a b"), ("  ", store.run(run_id).choices), ("x" * 200, "x" * 79 + "…")):
        store.rename(run_id, name)
        assert store.run(run_id).name == expected


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_deleted_with_all_it_has_unless_it_lives(store, state):
    run_id, other = bring(store, state), store.enqueue(RunConfig())
    for name in (run_id, other):
        with store.writer(name) as writer:
            for item in (scalars(0, 2000), measurement(3), affinity(3), preview(3), Event(3, 0.0, "three")):
                writer.append(item)
    folder = store.run_folder(run_id)
    (folder / "checkpoint.pt").write_bytes(b"x")
    if state in LIVE:
        with pytest.raises(ValueError, match="stop it first"):
            store.delete(run_id)
        assert folder.exists()
        return
    store.delete(run_id)
    assert not folder.exists()
    assert [run.id for run in store.runs()] == [other]
    assert (store.read(run_id, "train"), store.measurements(run_id), store.previews(run_id)) == (None, [], [])
    assert (store.affinities(run_id), len(store.affinities(other))) == ([], 1)
    assert (store.events(run_id), store.history(run_id), store.columns(run_id, "train")) == ([], [], ())
    assert len(store.read(other, "train").steps) == 2000


def test_deleting_never_follows_a_link_out_of_the_folder(store, run_id, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    folder = store.run_folder(run_id)
    (folder / "config.yaml").unlink()
    folder.rmdir()
    folder.symlink_to(precious)
    store.delete(run_id)
    assert (precious / "thesis.tex").exists()
    assert not folder.is_symlink()


# Records


def test_raw_rows_come_back_as_they_were(store, run_id):
    with store.writer(run_id) as writer:
        for start in range(0, 900, 45):
            writer.append(scalars(start, start + 45))
            writer.append(scalars(start + 44, start + 45, "validation"))
    assert store.columns(run_id, "train") == COLUMNS
    assert (store.last_step(run_id, "train"), store.last_step(run_id, "test")) == (899, -1)
    whole = store.read(run_id, "train")
    np.testing.assert_array_equal(whole.values, scalars(0, 900).values)
    np.testing.assert_array_equal(whole.epochs, scalars(0, 900).epochs)
    assert store.read(run_id, "train", after_step=250, limit=10).steps.tolist() == list(range(251, 261))
    assert store.read(run_id, "train", after_step=254, limit=600).steps.tolist() == list(range(255, 855))
    assert store.read(run_id, "train", after_step=899) is None
    assert len(store.read(run_id, "validation").steps) == 20
    with pytest.raises(ValueError, match="limit must be at least 1"):
        store.read(run_id, "train", limit=0)


def test_rows_that_do_not_fit_are_refused_and_harm_nothing(store, run_id):
    writer = store.writer(run_id)
    writer.append(scalars(0, 10))
    good = scalars(10, 20)
    slips = {
        "columns of train": Scalars("train", COLUMNS[:1], good.steps, good.epochs, good.times, good.values[:, :1]),
        "must rise, got 9": scalars(9, 12),
        "must rise, got 19": Scalars("train", COLUMNS, good.steps[::-1], good.epochs, good.times, good.values),
        "need values of that shape": Scalars("train", COLUMNS, good.steps, good.epochs, good.times, good.values[:, :1]),
        "must rise, got -3": Scalars("test", COLUMNS, good.steps - 13, good.epochs, good.times, good.values),
        "each named once": Scalars("test", COLUMNS[:1] * 2, good.steps, good.epochs, good.times, good.values),
    }
    for message, slip in slips.items():
        with pytest.raises(ValueError, match=message):
            writer.append(slip)
    writer.append(good)
    writer.append(Scalars("test", COLUMNS[:1], good.steps, good.epochs, good.times, good.values[:, :1]))
    writer.close()
    assert store.columns(run_id, "test") == COLUMNS[:1]
    assert store.read(run_id, "train").steps.tolist() == list(range(20))


def test_the_writer_of_a_deleted_run_learns_it(store):
    run_id = bring(store, "running")
    writer = store.writer(run_id)
    writer.append(scalars(0, 10))
    writer.flush()
    store.change(run_id, "interrupted", "taken for dead")
    store.delete(run_id)
    writer.append(scalars(10, 20))
    with pytest.raises(LookupError, match="it was deleted meanwhile"):
        writer.flush()


def test_measurements_come_back_and_thin_evenly(store, run_id):
    with store.writer(run_id) as writer:
        for step in range(0, 1000, 10):
            writer.append(measurement(step))
    assert store.n_measurements(run_id) == 100
    one = store.measurement(run_id, 55)
    for name in ("gramian", "counts", "losses", "weights", "changes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(measurement(50), name))
    assert (store.measurement(run_id).step, store.measurement(run_id, -1)) == (990, None)
    assert [m.step for m in store.measurements(run_id, after_step=960)] == [970, 980, 990]
    assert [m.step for m in store.measurements(run_id, after_step=960, limit=2)] == [970, 980]
    thin = [m.step for m in store.measurements(run_id, at_most=10)]
    assert thin == [0, 160, 320, 480, 640, 800, 960, 990]
    assert [m.step for m in store.measurements(run_id, at_most=1)] == [990]
    assert store.measurements(run_id, after_step=990, at_most=5) == []
    with pytest.raises(ValueError, match="at_most must be at least 1"):
        store.measurements(run_id, at_most=0)


def test_affinities_come_back_thin_evenly_and_have_a_row_per_task(store, run_id):
    with store.writer(run_id) as writer:
        for step in range(0, 1000, 10):
            writer.append(affinity(step))
        with pytest.raises(ValueError, match="the steps of affinities must rise, got 990 after 990"):
            writer.append(affinity(990))
        with pytest.raises(ValueError, match=r"a row and a column per task, got shape \(3,\)"):
            writer.append(Affinity(1000, 0.0, 0.0, np.ones(3, np.float32)))
        with pytest.raises(ValueError, match=r"got shape \(2, 3\)"):
            writer.append(Affinity(1000, 0.0, 0.0, np.ones((2, 3), np.float32)))
    found = store.affinities(run_id)
    assert [(one.step, one.epoch, one.time) for one in found] == [(s, s / 10, s / 100) for s in range(0, 1000, 10)]
    np.testing.assert_array_equal(found[7].values, affinity(70).values)
    assert [one.step for one in store.affinities(run_id, at_most=10)] == [0, 160, 320, 480, 640, 800, 960, 990]
    assert [one.step for one in store.affinities(run_id, after_step=960, limit=2)] == [970, 980]
    with pytest.raises(ValueError, match="limit must be at least 1"):
        store.affinities(run_id, limit=0)


def test_the_steps_of_measurements_are_read_without_their_gramians(store, run_id):
    assert store.measured_steps(run_id) == []
    with store.writer(run_id) as writer:
        for step in range(0, 200, 10):
            writer.append(measurement(step))
    assert store.measured_steps(run_id) == list(range(0, 200, 10))
    assert store.measured_steps(run_id, at_most=6) == [m.step for m in store.measurements(run_id, at_most=6)]


@pytest.mark.parametrize("at_most", [1, 2, 3, 20, 999])
def test_thinning_keeps_the_last_one_and_never_jumps(at_most):
    kept = [0]
    for end in range(1, 400):
        newer = spread(0, end, at_most)
        assert newer[-1] == end - 1
        assert len(newer) <= at_most
        assert set(newer) - {end - 1} <= set(kept)
        kept = newer


def test_a_measurement_of_the_wrong_shape_is_refused(store, run_id):
    whole = measurement(0)
    broken = Measurement(0, 0.0, 0.0, whole.gramian[:, :4], whole.counts, whole.losses, whole.weights, whole.changes)
    with pytest.raises(ValueError, match=r"gramian of a measurement of 3 tasks must have shape \(2, 6, 6\), got \(2, 4, 6\)"):
        store.writer(run_id).append(broken)


def test_previews_are_thinned_without_pickle(store, run_id):
    with store.writer(run_id) as writer:
        for step in range(0, 500, 5):
            writer.append(preview(step))
            writer.flush()
        with pytest.raises(ValueError, match="inputs of a preview holds objects"):
            writer.append(Preview(500, 50.0, 5.0, {"inputs": np.array([{"a": 1}])}))
        with pytest.raises(ValueError, match="the steps of previews must rise, got 495 after 495"):
            writer.append(preview(495))
    steps = store.previews(run_id)
    assert (steps[0], steps[-1]) == (0, 495)
    assert 10 <= len(steps) <= 20
    found = store.preview(run_id)
    assert (found.step, found.time, sorted(found.arrays)) == (495, 4.95, ["inputs", "target/digit"])
    np.testing.assert_array_equal(found.arrays["inputs"], preview(495).arrays["inputs"])
    assert found.arrays["target/digit"].dtype == np.int64
    assert store.preview(run_id, steps[3] + 1).step == steps[3]
    assert store.preview(run_id, -1) is None


def test_truncate_forgets_everything_after_a_step(store, run_id):
    with store.writer(run_id) as writer:
        for step in range(0, 600, 50):
            others = (measurement(step), affinity(step), preview(step), Event(step, 0.0, f"at {step}"))
            for item in (scalars(step, step + 50), *others):
                writer.append(item)
        writer.truncate(300)
        assert store.last_step(run_id, "train") == 300
        assert store.measurement(run_id).step == store.previews(run_id)[-1] == store.events(run_id)[-1].step == 300
        assert store.affinities(run_id)[-1].step == 300
        for item in (scalars(301, 310), measurement(305), affinity(305), preview(305), Event(305, 0.0, "on")):
            writer.append(item)
    assert store.n_measurements(run_id) == len(store.affinities(run_id)) == 8
    assert store.read(run_id, "train").steps.tolist() == list(range(310))
    assert [e.text for e in store.events(run_id)][-2:] == ["at 300", "on"]


def test_a_run_that_goes_on_has_not_been_tested_yet(store, run_id):
    for _ in range(2):
        with store.writer(run_id) as writer:
            writer.truncate(100)
            writer.append(scalars(60, 61, "test"))
    assert store.read(run_id, "test").steps.tolist() == [60]


def test_facts_are_shared_between_processes(store):
    assert store.get("supervisor") is None
    store.put("supervisor", {"pid": 7, "since": 1.5})
    store.put("supervisor", {"pid": 8, "names": ["ä"]})
    with Store.open(store.url) as other:
        assert other.get("supervisor") == {"pid": 8, "names": ["ä"]}
    assert store.get("nothing", 3) == 3


def test_a_full_disk_loses_nothing_that_was_recorded(tmp_path):
    pages = {"most": 2**30}

    def limit(connection, record, proxy):
        connection.execute(f"PRAGMA max_page_count={pages['most']}")

    event.listen(Pool, "checkout", limit)
    try:
        with Store.open(str(tmp_path)) as store:
            run_id = store.enqueue(RunConfig())
            writer = store.writer(run_id)
            pages["most"] = 1  # SQLite takes it as "no more than there are now"
            caught, written = None, 0
            while caught is None and written < 100_000:
                writer.append(scalars(written, written + 300))
                written += 300
                try:
                    writer.flush()
                except OSError as error:
                    caught = error
            assert caught is not None
            assert caught.errno == errno.ENOSPC
            assert str(caught).endswith("is full: delete old runs or free space, then resume the run")
            assert store.run(run_id).state == "queued"
            pages["most"] = 2**30
            writer.append(scalars(written, written + 5))
            writer.flush()
            np.testing.assert_array_equal(store.read(run_id, "train").values, scalars(0, written + 5).values)
            assert store.curve(run_id, "train").n_rows == written + 5
    finally:
        event.remove(Pool, "checkout", limit)


def test_a_run_whose_folder_cannot_be_made_does_not_exist(store, tmp_path):
    (tmp_path / "file").touch()
    broken = Store(store._database, tmp_path / "file")
    with pytest.raises(OSError, match="cannot be written"):
        broken.enqueue(RunConfig())
    assert store.runs() == []


def test_what_a_run_holds_is_json(store, run_id):
    run = store.run(run_id)
    assert json.loads(json.dumps(run.__dict__)) == run.__dict__
    with pytest.raises(TypeError, match="cannot be kept in the store"):
        store.put("key", object())
