"""One run from claim to end, in this process: what may be asked of it, and every way in which it can end."""

import errno
import os
import signal
import threading
import time

import numpy as np
import pytest
from sqlalchemy import event

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.jobs.work import OnItem
from mtl_core.records import Measurement, Scalars
from mtl_core.store import Run, Store


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def config(steps: int = 60, **training) -> RunConfig:
    measure = {"every": 5}
    return RunConfig(dataset={"name": "teacher"}, training={"steps": steps, "batch_size": 16, **training}, measure=measure)


def at_step(step: int, act) -> OnItem:
    """Does something once, when the training has recorded that step."""
    done = []

    def look(item):
        if isinstance(item, Scalars) and item.split == "train" and item.steps[-1] >= step and not done:
            done.append(True)
            act()

    return look


def only_run(store: Store) -> Run:
    (run,) = store.runs()
    return run


def test_a_run_is_trained_recorded_and_tested(store):
    seen, started = [], []
    run = jobs.run_here(store, config(), on_item=seen.append, on_start=started.append)
    assert (run.state, run.reason, run.error, run.step) == ("finished", "", "", 60)
    assert started[0].state == "running"
    assert started[0].id == run.id
    assert set(run.result["test"]) == {task["name"] for task in run.spec["tasks"]}
    rows = store.read(run.id, "train")
    assert rows.steps.tolist() == list(range(1, 61))
    assert store.n_measurements(run.id) == sum(isinstance(item, Measurement) for item in seen) > 0
    assert store.last_step(run.id, "test") >= 0
    assert jobs.checkpoint_step(store.run_folder(run.id)) == 60
    assert [change.state for change in store.history(run.id)] == ["queued", "running", "finished"]
    assert not (store.run_folder(run.id) / "ballast").exists()


def test_stop_ends_it_soon_and_resume_goes_on_to_the_same_curve(store):
    whole = store.read(jobs.run_here(store, config(2000)).id, "train")
    run = jobs.run_here(store, config(2000), on_item=at_step(20, lambda: jobs.stop(store, store.runs()[0].id)))
    assert run.state == "stopped"
    assert 20 <= run.step < 2000
    assert f"stopped at step {run.step} of 2000" in run.reason
    assert store.last_step(run.id, "train") == run.step == jobs.checkpoint_step(store.run_folder(run.id))
    store.requeue(run.id, "again")
    run = jobs.run_here(store, resume=run.id)
    assert run.state == "finished"
    again = store.read(run.id, "train")
    assert np.array_equal(again.steps, whole.steps)
    assert np.array_equal(again.values, whole.values, equal_nan=True)


def pause_then(store: Store, act) -> threading.Thread:
    """Pause the only run, and do something with it once it waits."""
    run_id = only_run(store).id

    def wait_and_act():
        until = time.monotonic() + 20
        while store.run(run_id).state != "paused" and time.monotonic() < until:
            time.sleep(0.02)
        act(store.run(run_id))

    jobs.pause(store, run_id)
    helper = threading.Thread(target=wait_and_act)
    helper.start()
    return helper


def test_pause_waits_with_a_checkpoint_until_resume(store):
    was, helpers = [], []

    def look_and_resume(run):
        was.append((run.state, jobs.checkpoint_step(store.run_folder(run.id)), run.step))
        jobs.resume(store, run.id)

    run = jobs.run_here(store, config(2000), on_item=at_step(10, lambda: helpers.append(pause_then(store, look_and_resume))))
    helpers[0].join()
    ((state, saved, step),) = was
    assert state == "paused"
    assert saved == step >= 10
    assert run.state == "finished"
    assert [change.state for change in store.history(run.id)] == ["queued", "running", "paused", "running", "finished"]
    assert store.read(run.id, "train").steps.tolist() == list(range(1, 2001))


def test_stop_and_save_while_paused_still_tests(store):
    helpers = []

    def pause():
        helpers.append(pause_then(store, lambda run: jobs.save(store, run.id)))

    run = jobs.run_here(store, config(100_000), on_item=at_step(10, pause))
    helpers[0].join()
    assert run.state == "finished"
    assert "as asked" in run.reason
    assert run.result["test"]
    assert run.step < 100_000


def test_a_signal_ends_it_with_a_checkpoint(store):
    run = jobs.run_here(store, config(100_000), on_item=at_step(10, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert run.state == "interrupted"
    assert "SIGTERM" in run.reason
    assert f"Resume continues from step {run.step}" in run.reason
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_ctrl_c_stops_it_with_a_checkpoint_and_twice_ends_it_at_once(store):
    run = jobs.run_here(store, config(100_000), on_item=at_step(10, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert run.state == "stopped"
    assert "Ctrl-C" in run.reason
    assert jobs.checkpoint_step(store.run_folder(run.id)) == run.step

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    run = jobs.run_here(store, config(100_000), on_item=at_step(10, twice))
    assert run.state == "interrupted"
    assert "Resume trains it again from the start" in run.reason


def test_divergence_is_a_result_with_step_and_task(store):
    run = jobs.run_here(store, config(500, optimizer="sgd", lr=100.0))
    assert run.state == "diverged"
    assert f"at step {run.step}" in run.reason
    assert "learning rate" in run.reason
    assert any(task["name"] in run.reason for task in run.spec["tasks"])
    assert store.last_step(run.id, "train") >= run.step > 0, "the curve up to there is kept"
    with pytest.raises(ValueError, match="diverge again"):
        jobs.resume(store, run.id)


def test_a_bad_choice_fails_in_a_sentence(store):
    run = jobs.run_here(store, config().model_copy(update={"weighting": {"name": "pcgard"}}))
    assert (run.state, run.reason) == ("failed", "no weighting is called 'pcgard'. Did you mean 'pcgrad'?")


def test_a_fault_fails_with_its_traceback(store):
    def fault():
        raise KeyError("a slip in the code")

    run = jobs.run_here(store, config(), on_item=at_step(1, fault))
    assert run.state == "failed"
    assert "KeyError" in run.reason
    assert "Traceback" in run.error
    assert "a slip in the code" in run.error
    assert store.last_step(run.id, "train") >= 1, "what it recorded before is kept"


def test_a_damaged_checkpoint_fails_in_a_sentence(store):
    run = jobs.run_here(store, config(100_000), on_item=at_step(5, lambda: jobs.stop(store, only_run(store).id)))
    (store.run_folder(run.id) / "checkpoint.pt").write_bytes(b"no checkpoint")
    store.requeue(run.id, "again")
    run = jobs.run_here(store, resume=run.id)
    assert run.state == "failed"
    assert "damaged" in run.reason
    assert "Retry" in run.reason


@pytest.mark.parametrize("fault", ["damaged", "gone"])
def test_a_resume_that_cannot_load_loses_nothing(store, fault):
    jobs.run_here(store, config(steps=4000), on_item=at_step(50, lambda: jobs.stop(store, only_run(store).id)))
    before = only_run(store)
    checkpoint = store.run_folder(before.id) / "checkpoint.pt"
    if fault == "gone":
        checkpoint.unlink()
    else:
        checkpoint.write_bytes(b"damaged")
    store.requeue(before.id, "resumed")
    after = jobs.run_here(store, resume=before.id)
    assert after.state == "failed"
    assert "checkpoint" in after.reason
    assert (after.step, after.seconds) == (before.step, before.seconds)
    assert store.last_step(before.id, "train") == before.step


def test_a_full_disk_interrupts_it(store):
    def fill():
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    run = jobs.run_here(store, config(), on_item=at_step(1, fill))
    assert run.state == "interrupted"
    assert "disk was full" in run.reason
    assert "free some space" in run.reason


def test_a_store_that_is_full_for_a_while_loses_nothing(store, tmp_path):
    """The database's own limit stands in for the disk's: the same error, and it can be lifted again."""
    pages = []

    @event.listens_for(store._database.engine, "checkout")
    def limit(connection, record, proxy):
        connection.execute(f"PRAGMA max_page_count={pages[0] if pages else 2**31 - 2}").fetchall()

    def fill():
        pages.append(1)  # SQLite makes that the present size
        threading.Timer(1.5, lambda: pages.insert(0, 2**31 - 2)).start()

    run = jobs.run_here(store, config(20_000), on_item=at_step(200, fill))
    assert run.state == "interrupted"
    assert "disk was full" in run.reason
    steps = store.read(run.id, "train").steps
    assert steps.tolist() == list(range(1, steps[-1] + 1))
    assert steps[-1] >= 200


def test_a_run_taken_away_is_left_alone(store):
    from mtl_core.jobs.work import TakenAway

    def take():
        store.change(only_run(store).id, "interrupted", "somebody else says so")

    with pytest.raises(TakenAway):
        jobs.run_here(store, config(100_000), on_item=at_step(5, take))
    assert only_run(store).reason == "somebody else says so"


def test_two_runs_of_one_config_are_equal_bit_for_bit(store):
    first, second = (store.read(jobs.run_here(store, config()).id, "train").values for _ in range(2))
    assert np.array_equal(first, second, equal_nan=True)


def test_errno_of_the_full_device_is_what_we_look_for():
    with pytest.raises(OSError, match="No space") as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert caught.value.errno == errno.ENOSPC
