"""Sweeps in the background: handed in, paused, cancelled as one, tried again, and finished after everything was killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from test_jobs import end_all, until

from mtl_core import jobs
from mtl_core.cli.app import main
from mtl_core.config import RunConfig
from mtl_core.jobs import endings
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.identity import identify, machine
from mtl_core.jobs.outlook import LOAD_FACT, duration
from mtl_core.jobs.revival import AGAIN, ON, revive
from mtl_core.jobs.supervisor import in_turn
from mtl_core.store import Run, Store
from mtl_core.sweeps import Sweep

ROOT = Path(__file__).resolve().parents[1]
TEACHER = {"dataset": {"name": "teacher", "train": 200}, "training": {"steps": 100, "batch_size": 16, "device": "cpu"}}


def sweep(*schemes: str, seeds: tuple[int, ...] = (0,), baselines: bool = True, **values: object) -> Sweep:
    vary = {"weighting": list(schemes), "training.seed": list(seeds)}
    return Sweep.from_mapping({"base": TEACHER, "vary": vary, "baselines": baselines, **values})


@pytest.fixture
def store(tmp_path):
    """A store whose supervisor's place is taken by this test, so that nothing is started."""
    with Store.open(str(tmp_path / "runs")) as opened:
        lock = Desk.of(opened).try_lock()
        Desk.of(opened).sign(lock, identity=identify())
        yield opened
        os.close(lock)


def claim(store: Store) -> str:
    """The next run, in the hands of a worker that is alive: this process."""
    return store.claim(identify(), "cpu").id


def finish(store: Store) -> str:
    run_id = claim(store)
    store.change(run_id, "finished", step=100, seconds=2.0)
    return run_id


def states(store: Store, sweep_id: str) -> list[str]:
    return [member.state for member in store.members(sweep_id)]


# Handing in


def test_handing_in_twice_is_once_and_finished_baselines_are_shared(store):
    first = jobs.submit_sweep(store, sweep("equal"), owner="ada")
    baseline, run = (finish(store) for _ in range(2))
    assert jobs.submit_sweep(store, sweep("equal")) == first
    assert states(store, first) == ["finished", "finished"]
    assert jobs.sweep_progress(store, first).state == "finished"
    assert jobs.sweep_outlook(store, sweep("equal", "mgda")).n_finished == 2
    second = jobs.submit_sweep(store, sweep("equal", "mgda"))
    members = store.members(second)
    assert [member.run_id for member in members][:2] == [baseline, run]
    assert [member.state for member in members] == ["finished", "finished", "queued"]
    assert len(store.runs()) == 3


@pytest.mark.parametrize(
    ("vary", "part"),
    [
        ({"weighting": ["equal", "mgdaa"]}, r"one run of the sweep .*mgdaa.* cannot be trained: .*Did you mean 'mgda'"),
        ({"architecture.depth": [1, 9]}, r"depth 9 .* cannot be trained: depth must lie in"),
        ({"training.batch_size": [16, 2], "weighting": ["sdmgrad"]}, "batch_size must be at least"),
    ],
)
def test_every_run_is_checked_before_any_is_queued(store, vary, part):
    asked = Sweep.from_mapping({"base": TEACHER, "vary": vary})
    with pytest.raises(ValueError, match=part):
        jobs.submit_sweep(store, asked)
    assert (store.runs(), store.sweeps()) == ([], [])


def test_handing_in_again_takes_up_what_broke_off_and_leaves_answers_alone(store):
    asked = sweep("equal", seeds=(0, 1, 2, 3, 4), baselines=False)
    sweep_id = jobs.submit_sweep(store, asked)
    for state in ("finished", "diverged", "failed", "interrupted", "stopped"):
        store.change(claim(store), state, f"it {state}")
    jobs.submit_sweep(store, asked)
    assert states(store, sweep_id) == ["finished", "diverged", "queued", "queued", "queued"]
    assert jobs.sweep_progress(store, sweep_id).states == {"finished": 1, "diverged": 1, "queued": 3}


def test_a_single_run_does_not_wait_for_a_sweep(store):
    sweep_id = jobs.submit_sweep(store, sweep("equal", "mgda", baselines=False))
    single = jobs.submit(store, RunConfig.from_mapping(TEACHER))
    members = [member.run_id for member in store.members(sweep_id)]
    assert [run.id for run in in_turn(store.runs(), set())] == [single, *members]
    assert [run.id for run in in_turn(store.runs(), {members[0]})] == [single, members[1]]


# As one


def test_a_paused_sweep_rests_and_goes_on_as_one(store):
    sweep_id = jobs.submit_sweep(store, sweep("equal", "mgda", baselines=False))
    run_id = claim(store)
    jobs.pause_sweep(store, sweep_id)
    assert store.run(run_id).command == "pause"
    assert store.claim("w", "cpu") is None
    jobs.resume_sweep(store, sweep_id)
    assert store.run(run_id).command == "resume", "taken back before the worker met it"
    store.clear_command(run_id)
    jobs.pause_sweep(store, sweep_id)
    store.change(run_id, "paused")
    store.clear_command(run_id)
    progress = jobs.sweep_progress(store, sweep_id)
    assert (progress.state, progress.states, progress.done, progress.total) == ("paused", {"paused": 1, "queued": 1}, 0, 2)
    jobs.resume_sweep(store, sweep_id)
    assert store.run(run_id).command == "resume"
    assert finish(store) != run_id
    assert jobs.sweep_progress(store, sweep_id).state == "running"


def test_a_pause_that_outlasts_its_worker_ends_with_the_sweeps(store):
    sweep_id = jobs.submit_sweep(store, sweep("equal", "mgda", "pcgrad", baselines=False))
    let_go, dead = claim(store), store.claim(f"{machine()}:999999999:1", "cpu").id
    jobs.pause_sweep(store, sweep_id)
    store.change(let_go, "interrupted", f"{endings.PAUSED_FOR} 60 minutes, so its worker was let go")
    store.change(dead, "paused")
    assert revive(store) == {}, "a person paused it"
    jobs.resume_sweep(store, sweep_id)
    assert states(store, sweep_id) == ["queued"] * 3
    assert store.run(dead).reason == "its sweep was taken up again"


def test_a_cancelled_sweep_ends_as_one_and_may_be_taken_up_again(store):
    asked = sweep("equal", "mgda", "pcgrad", baselines=False)
    sweep_id = jobs.submit_sweep(store, asked)
    done, running = finish(store), claim(store)
    jobs.cancel_sweep(store, sweep_id)
    last = store.members(sweep_id)[2].run_id
    assert store.run(running).command == "stop"
    assert (store.run(last).state, store.run(last).reason) == ("stopped", "stopped before it began")
    store.change(running, "interrupted", "killed")
    assert revive(store) == {}
    progress = jobs.sweep_progress(store, sweep_id)
    assert (progress.state, progress.done, progress.seconds_left) == ("cancelled", 3, 0.0)
    for deed in (jobs.pause_sweep, jobs.resume_sweep):
        with pytest.raises(ValueError, match="was cancelled: hand it in again"):
            deed(store, sweep_id)
    assert jobs.submit_sweep(store, asked) == sweep_id
    assert states(store, sweep_id) == ["finished", "queued", "queued"]
    assert store.run(done).state == "finished"


def test_what_another_sweep_wants_is_left_alone(store):
    small = jobs.submit_sweep(store, sweep("equal", "mgda", baselines=False))
    large = jobs.submit_sweep(store, sweep("equal", "mgda", "pcgrad", baselines=False))
    running, queued = claim(store), store.members(small)[1].run_id
    jobs.pause_sweep(store, large)
    assert (store.run(running).command, store.held()) == (None, {store.members(large)[2].run_id})
    jobs.cancel_sweep(store, small)
    assert (store.run(running).command, store.run(queued).state) == ("pause", "queued"), "the paused sweep still wants them"
    assert store.claim("w", "cpu") is None
    jobs.cancel_sweep(store, large)
    assert (store.run(running).command, store.run(queued).state) == ("stop", "stopped")


# Who may


def test_in_class_a_sweep_counts_with_all_its_runs_and_is_its_owners(store, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    monkeypatch.setenv("MTL_EXPLORER_QUOTA", "3")
    with pytest.raises(jobs.NotAllowed, match="these are 4 runs more, you have 0 waiting or running, and 3 are allowed"):
        jobs.submit_sweep(store, sweep("equal", seeds=(0, 1)), owner="ada")
    assert store.runs() == []
    asked = sweep("equal", "mgda")
    sweep_id = jobs.submit_sweep(store, asked, owner="ada")
    assert jobs.submit_sweep(store, asked, owner="ada") == sweep_id, "the same click is no second sweep"
    theirs = jobs.submit_sweep(store, asked, owner="bob")
    assert theirs != sweep_id
    assert store.shared(theirs) == {}
    for control in (jobs.pause_sweep, jobs.resume_sweep, jobs.cancel_sweep):
        with pytest.raises(jobs.NotAllowed, match="someone else's sweep"):
            control(store, sweep_id, owner="bob")
        control(store, sweep_id, owner="ada")


def test_a_demonstration_shows_sweeps_and_changes_none(store, monkeypatch):
    sweep_id = jobs.submit_sweep(store, sweep("equal"))
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    for control in (jobs.pause_sweep, jobs.resume_sweep, jobs.cancel_sweep):
        with pytest.raises(jobs.NotAllowed, match="demonstration"):
            control(store, sweep_id)
    with pytest.raises(jobs.NotAllowed, match="demonstration"):
        jobs.submit_sweep(store, sweep("mgda"))
    assert jobs.sweep_progress(store, sweep_id).states == {"queued": 2}
    assert jobs.sweep_outlook(store, sweep("mgda")).n_runs == 2


# In other words


LONG = {
    "name": "long",
    "dataset": {**TEACHER["dataset"], "noise": 0.1, "target_scale": [1]},
    "tasks": ["a", "b"],
    "architecture": {"name": "hard_sharing", "trunk": "auto", "depth": 2},
    "weighting": {"name": "equal", "heads": "published"},
    "training": {**TEACHER["training"], "lr": 0.001},
    "measure": {"every": "auto"},
}


def test_a_sweep_in_more_words_is_the_same_sweep(store):
    vary = {"weighting": ["equal", "mgda"], "training.seed": [0, 1]}
    first = jobs.submit_sweep(store, Sweep.from_mapping({"base": TEACHER, "vary": vary}))
    again = Sweep.from_mapping({"base": LONG, "vary": vary})
    assert jobs.sweep_outlook(store, again).n_here == 6
    assert jobs.submit_sweep(store, again) == first
    assert len(store.runs()) == 6


def test_baselines_are_found_again_by_a_sweep_that_measures_and_shares_otherwise(store):
    jobs.submit_sweep(store, sweep("equal", seeds=(0, 1)))
    base = {**LONG, "measure": {"every": 5}}
    other = Sweep.from_mapping({"base": base, "vary": {"architecture.depth": [1], "training.seed": [0, 1]}})
    ahead = jobs.sweep_outlook(store, other)
    assert (ahead.n_runs, ahead.n_here) == (4, 2)


def test_what_another_data_set_would_have_otherwise_is_kept(store):
    base = {**LONG, "training": {**TEACHER["training"], "device": "cpu"}}
    asked = Sweep.from_mapping({"base": base, "vary": {"dataset.n_tasks": [2, 3], "architecture.layers": [2, 3]}})
    configs = [member.config for member in jobs.sweep_outlook(store, asked).sweep.members()]
    assert {tuple(config.tasks) for config in configs} == {("a", "b")}
    assert {config.architecture["depth"] for config in configs} == {0, 2}


def test_a_trunk_that_was_asked_for_is_kept_where_the_data_set_varies(store):
    asked = Sweep.from_mapping(
        {
            "base": {"architecture": {"name": "hard_sharing", "trunk": "conv"}},
            "vary": {"dataset": ["digit_scenes", "multi_digits"]},
        }
    )
    runs = [member for member in jobs.sweep_outlook(store, asked).sweep.members() if member.role == "run"]
    assert [member.config.architecture["trunk"] for member in runs] == ["conv", "conv"]


# Again by itself


def fail(store: Store, run_id: str, error: Exception, *, step: int = 0) -> Run:
    """End a run as its worker would end it on that error."""
    ending = endings.of_error(error, step=step, device="cpu", way_on="")
    store.change(run_id, ending.state, ending.reason, error=ending.error, step=step)
    return store.run(run_id)


def test_a_failed_run_is_tried_once_more_and_then_shown(store):
    asked = sweep("equal", baselines=False)
    sweep_id = jobs.submit_sweep(store, asked)
    run_id = claim(store)
    fail(store, run_id, RuntimeError("the cable came loose"), step=7)
    progress = jobs.sweep_progress(store, sweep_id)
    assert (progress.done, progress.state) == (0, "running"), "it is about to go on"
    jobs.reconcile(store)
    assert (store.run(run_id).state, store.run(run_id).reason) == (
        "queued",
        f"{AGAIN}RuntimeError at step 7: the cable came loose",
    )
    assert claim(store) == run_id
    store.change(run_id, "interrupted", "killed")
    assert list(revive(store)) == [run_id]
    assert claim(store) == run_id
    fail(store, run_id, RuntimeError("the cable came loose"), step=7)
    assert revive(store) == {}, "also when it was interrupted between its two failures"
    progress = jobs.sweep_progress(store, sweep_id)
    assert (progress.done, progress.state, progress.states) == (1, "finished", {"failed": 1})
    jobs.submit_sweep(store, asked)
    assert claim(store) == run_id
    fail(store, run_id, RuntimeError("the cable came loose"), step=7)
    assert list(revive(store)) == [run_id], "a person asked for it anew"


@pytest.mark.parametrize(
    ("error", "is_tried"),
    [
        (ValueError("depth must lie in 0..3, got 9"), False),
        (ValueError("several\nlines\n"), False),
        (ValueError(""), True),
        (KeyError("a"), True),
        (MemoryError(), True),
    ],
)
def test_what_cannot_be_is_not_tried_again(store, error, is_tried):
    jobs.submit_sweep(store, sweep("equal", baselines=False))
    run = fail(store, claim(store), error)
    assert list(revive(store)) == [run.id] * is_tried


def test_divergence_and_single_runs_are_left_as_they_are(store):
    jobs.submit_sweep(store, sweep("equal", baselines=False))
    store.change(claim(store), "diverged", "the loss of a became NaN at step 3")
    single = jobs.submit(store, RunConfig.from_mapping(TEACHER))
    assert claim(store) == single
    store.change(single, "interrupted", "killed")
    assert revive(store) == {}


def test_an_interrupted_run_goes_on_as_long_as_it_gets_anywhere(store):
    jobs.submit_sweep(store, sweep("equal", baselines=False))
    run_id = claim(store)
    folder = store.run_folder(run_id)
    for turn in range(5):  # each time a little further
        (folder / "checkpoint.pt").write_bytes(b"")
        (folder / "checkpoint.json").write_text(json.dumps({"step": turn}))
        store.change(run_id, "interrupted", "killed")
        assert revive(store) == {run_id: f"{ON}step {turn}"}
        assert claim(store) == run_id
    for _ in range(2):
        store.change(run_id, "interrupted", "killed")
        assert list(revive(store)) == [run_id]
        assert claim(store) == run_id
    store.change(run_id, "interrupted", "killed")
    assert revive(store) == {}, "three times at the same step: something is wrong with it"


# How long


def test_the_time_left_knows_which_run_asks_for_which_device(store):
    base = {"dataset": {"name": "teacher"}, "training": {"steps": 100}}
    ids, left = [], []
    for devices in (["cpu"], ["cpu", "cuda:6"], ["cuda:6", "cuda:7"]):
        asked = Sweep.from_mapping(
            {"base": base, "vary": {"training.device": devices, "training.seed": [0, 1]}, "baselines": False}
        )
        expected = {member.key: 50.0 for member in asked.members()}
        ids.append(store.add_sweep(asked, expected=expected))
        left.append(jobs.sweep_progress(store, ids[-1]).seconds_left)
    assert left[0] == 102, "one after the other"
    assert 102 <= left[1] == left[2] < 140, "the second device takes half of twice as many"


def test_the_outlook_says_what_is_here_and_whether_it_may_start(store, monkeypatch):
    jobs.submit_sweep(store, sweep("equal", baselines=False), owner="ada")
    ahead = jobs.sweep_outlook(store, sweep("equal", "mgda", baselines=False))
    assert (ahead.n_runs, ahead.n_here, ahead.n_finished, ahead.refusal) == (2, 1, 0, "")
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    asked = sweep("equal", "mgda", seeds=(0, 1, 2), baselines=False)
    assert "ask for at most 2" in jobs.sweep_outlook(store, asked, owner="ada").refusal
    assert "ask for at most 3" in jobs.sweep_outlook(store, asked, owner="bob").refusal
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    assert "demonstration" in jobs.sweep_outlook(store, asked).refusal


def test_only_a_sweep_at_rest_is_deleted_and_its_runs_stay(store):
    sweep_id = jobs.submit_sweep(store, sweep("equal", baselines=False))
    with pytest.raises(ValueError, match="cancel"):
        jobs.delete_sweep(store, sweep_id)
    jobs.cancel_sweep(store, sweep_id)
    jobs.delete_sweep(store, sweep_id)
    assert store.sweeps() == []
    assert len(store.runs()) == 1


def test_a_duration_knows_places_and_that_workers_come_one_at_a_time(monkeypatch):
    assert duration([], load=5) == 0
    assert duration([("cpu", 9.0)] * 3, load=5) == 30, "each has a second of its own around its steps"
    assert duration([("cpu", 1.0)] * 3, load=5) == 12, "the next worker is not ready before"
    assert duration([("cpu", 9.0)] * 2, running=[("cpu", 4.0)], load=5) == 25
    monkeypatch.setenv("MTL_EXPLORER_CPU_SLOTS", "2")
    assert duration([("cpu", 9.0)] * 4, load=5) == 25
    assert duration([("cpu", 9.0), ("cuda:7", 30.0)], load=5) == 36


def test_the_first_worker_of_a_store_has_to_come_up_first(store):
    asked = sweep("equal", baselines=False)
    store.put(LOAD_FACT, 20.0)
    cold = jobs.sweep_outlook(store, asked).seconds
    handle = os.open(Desk.of(store).lock_path, os.O_RDWR)
    Desk.of(store).sign(handle, identity=identify(), is_warm=True)
    os.close(handle)
    assert jobs.sweep_outlook(store, asked).seconds == pytest.approx(cold - 20)


def test_a_store_that_cannot_be_written_is_a_sentence(store):
    (store.folder / ".jobs").rename(store.folder / "moved")
    (store.folder / ".jobs").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="cannot be written"):
        jobs.submit_sweep(store, sweep("equal"))
    assert store.sweeps() == []


def test_the_time_left_follows_what_the_finished_runs_took(store):
    sweep_id = jobs.submit_sweep(store, sweep("equal", seeds=tuple(range(5)), baselines=False))
    before = jobs.sweep_progress(store, sweep_id).seconds_left
    expected = store.members(sweep_id)[0].expected
    assert before > 5 * expected > 0
    run_id = claim(store)
    store.change(run_id, "finished", step=100, seconds=100 * expected + 100)
    slow = jobs.sweep_progress(store, sweep_id).seconds_left
    assert slow == pytest.approx(4 * (100 * expected + 101))
    for _ in range(4):
        finish(store)
    assert jobs.sweep_progress(store, sweep_id).seconds_left == 0


# On the command line


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(sweep("equal", {"name": "cagrad", "c": 0.2}, name="two").model_dump(mode="json")))
    return str(path)


def test_a_dry_run_says_which_runs_and_starts_none(store, file, capsys):
    assert main(["sweep", file, "--dry-run", "--json", "--store", store.url]) == 0
    said = capsys.readouterr()
    plan = json.loads(said.out)
    assert "3 runs; about" in said.err
    assert (plan["name"], plan["n_runs"], plan["n_finished"]) == ("two", 3, 0)
    assert plan["seconds"] >= sum(run["seconds"] for run in plan["runs"]) > 0
    assert [(run["role"], run["weighting"], run["knobs"], run["depth"], run["seed"]) for run in plan["runs"]] == [
        ("baseline", "equal", {}, 0, 0),
        ("run", "equal", {}, None, 0),
        ("run", "cagrad", {"c": 0.2}, None, 0),
    ]
    assert main(["sweep", file, "--dry-run", "--store", store.url]) == 0
    out = capsys.readouterr().out
    assert "3 runs; about" in out
    assert "cagrad c=0.2" in out
    assert store.runs() == []


def test_what_else_varies_and_unequal_budgets_are_told_beforehand(store, tmp_path, capsys):
    schemes = ["equal", {"name": "cagrad", "c": 0.2}, {"name": "cagrad", "c": 0.4}]
    asked = {"base": TEACHER, "vary": {"weighting": schemes, "training.lr": [0.1, 0.01], "dataset.train": [100]}}
    (tmp_path / "wide.yaml").write_text(json.dumps(asked))
    arguments = ["sweep", str(tmp_path / "wide.yaml"), "--store", store.url]
    assert main([*arguments, "--dry-run", "--json"]) == 0
    said = capsys.readouterr()
    assert [run["varied"] for run in json.loads(said.out)["runs"]] == [
        {"training.lr": lr, "dataset.train": 100} for lr in [0.1, 0.01] * 4
    ]
    assert "8 runs; about" in said.err
    assert "; unequal budgets: equal 2, cagrad 4\n" in said.err
    assert main([*arguments, "--no-wait"]) == 0
    assert "lr 0.01, train 100" in capsys.readouterr().out


def test_a_sweep_handed_in_on_the_command_line_is_found_again(store, file, capsys):
    arguments = ["sweep", file, "--store", store.url]
    assert main([*arguments, "--no-wait", "--json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert (answer["state"], answer["name"]) == ("running", "two")
    assert "in the background" in said.err
    assert {run["state"] for run in answer["runs"]} == {"queued"}
    finish(store)
    fail(store, claim(store), ValueError("no such thing"))
    store.change(claim(store), "finished", step=100, result={"test": {"a": {"loss": 0.25}, "b": {"loss": float("nan")}}})
    assert main([*arguments, "--no-wait", "--json"]) == 0
    assert [run["state"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["finished", "queued", "finished"]

    def work():
        until(is_waiting)  # handing it in again, a moment later, would queue the failed run once more
        fail(store, claim(store), ValueError("no such thing"))

    worker = threading.Thread(target=work)
    worker.start()
    assert main(arguments) == 1, "it waits for the run that is tried again"
    worker.join()
    said = capsys.readouterr()
    assert "a 0.25, b –" in said.out
    assert f"finished: sweep {answer['sweep']}" in said.out
    assert "failed: no such thing" in said.err


def test_a_sweep_rests_and_is_given_up_on_the_command_line(store, file, capsys):
    arguments = ["sweep", file, "--json", "--store", store.url]
    assert main([*arguments, "--pause"]) == 2
    assert "not handed in" in capsys.readouterr().err
    assert main([*arguments, "--pause", "--cancel"]) == 2
    assert "take one" in capsys.readouterr().err
    assert main([*arguments, "--no-wait"]) == 0
    sweep_id = json.loads(capsys.readouterr().out)["sweep"]
    for option, state in (("--pause", "paused"), ("--cancel", "cancelled")):
        assert main([*arguments, option]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["sweep"], answer["state"], store.sweep(sweep_id).state) == (sweep_id, state, state)
    assert states(store, sweep_id) == ["stopped"] * 3
    assert main([*arguments, "--no-wait"]) == 0
    assert states(store, sweep_id) == ["queued"] * 3


def test_who_waits_for_a_sweep_hears_that_it_was_cancelled(store, file, capsys):
    def cancel():
        until(is_waiting)
        jobs.cancel_sweep(store, store.sweeps()[0].id)

    hand = threading.Thread(target=cancel)
    hand.start()
    assert main(["sweep", file, "--json", "--store", store.url]) == 1
    hand.join()
    assert "the sweep was cancelled: the same command again goes on" in capsys.readouterr().err


def is_waiting() -> bool:
    """Whether the main thread waits for a sweep."""
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame is not None and frame.f_code.co_name != "_wait":
        frame = frame.f_back
    return frame is not None


@pytest.fixture
def interruptible():
    """Control-C is heard although a shell that runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_control_c_ends_the_waiting_and_not_the_sweep(store, file, capsys):
    def press():
        until(is_waiting)
        signal.raise_signal(signal.SIGINT)

    hand = threading.Thread(target=press)
    hand.start()
    assert main(["sweep", file, "--json", "--store", store.url]) == 130
    hand.join()
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["state"] == "running"
    assert states(store, answer["sweep"]) == ["queued"] * 3
    assert "running in the background: the same command again waits for it" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("vary: {weighting: [mgdaa]}", "Did you mean 'mgda'"),
        ("vary: {weighting: mgda}", "needs a list of values"),
        ("varry: {}", "Did you mean 'vary'"),
        ("- 1", "a sweep is a mapping"),
        ("a: [", "no YAML"),
        (b"name: \xff\xfe\xff", "save it as UTF-8"),
        ("#" * 70_000, "longer than the 64,000 bytes"),
    ],
)
def test_slips_on_the_command_line_are_one_sentence(store, tmp_path, capsys, text, part):
    (tmp_path / "slip.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["sweep", str(tmp_path / "slip.yaml"), "--json", "--store", store.url]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert part in said.err
    assert store.runs() == []


# Killed


@pytest.mark.alone
@pytest.mark.slow
def test_everything_is_killed_halfway_and_the_same_command_finishes_it(tmp_path, capsys):
    asked = sweep("equal", "mgda", baselines=False, name="killed").model_dump(mode="json")
    asked["base"]["training"]["steps"] = 1500
    (tmp_path / "sweep.yaml").write_text(json.dumps(asked))
    quiet = subprocess.DEVNULL
    command = ["sweep", str(tmp_path / "sweep.yaml"), "--json", "--store", str(tmp_path / "runs")]
    with Store.open(str(tmp_path / "runs")) as store, contextlib.ExitStack() as after:
        after.callback(end_all, store)
        with subprocess.Popen([sys.executable, "-m", "mtl_core", *command], cwd=ROOT, stdout=quiet, stderr=quiet) as first:
            (running,) = until(lambda: [run for run in store.runs(states=["running"]) if run.step > 0])
            sweep_id = store.sweeps()[0].id
            jobs.pause_sweep(store, sweep_id)
            until(lambda: store.run(running.id).state == "paused")
            saved = jobs.checkpoint_step(store.run_folder(running.id))
            assert sorted(states(store, sweep_id)) == ["paused", "queued"], "nothing else began meanwhile"
            jobs.resume_sweep(store, sweep_id)
            until(lambda: store.run(running.id).step > saved)
            first.kill()
        end_all(store)
        assert store.run(running.id).state == "running", "nobody is left to say otherwise"

        assert main(command) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["sweep"], answer["state"]) == (sweep_id, "finished")
        assert [run["weighting"] for run in answer["runs"]] == ["equal", "mgda"]
        assert len(store.runs()) == 2
        for run in answer["runs"]:
            assert [change.state for change in store.history(run["run"])].count("finished") == 1
            assert run["test"]["a"]["loss"] > 0
        reasons = [change.reason for change in store.history(running.id)]
        assert reasons.count(f"goes on from step {saved}") == 2, "after the pause, and from its checkpoint after the kill"
        with Store.open(str(tmp_path / "whole")) as other:
            whole = jobs.run_here(other, RunConfig.from_mapping(store.run(running.id).config))
            for split in ("train", "validation", "test"):
                ours, theirs = store.read(running.id, split), other.read(whole.id, split)
                assert np.array_equal(ours.steps, theirs.steps)
                assert np.array_equal(ours.values, theirs.values, equal_nan=True)
