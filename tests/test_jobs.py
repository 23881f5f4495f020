"""Queue, supervisor and workers as real processes: what happens when any of them is killed."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.identity import pid_of
from mtl_core.store import UNENDED, Run, Store

pytestmark = pytest.mark.slow

PATIENCE_S = 90  # a worker imports torch, perhaps on a busy machine


def config(steps: int, **training) -> RunConfig:
    return RunConfig(dataset={"name": "teacher"}, training={"steps": steps, "batch_size": 16, **training}, measure={"every": 5})


def processes_of(store: Store) -> list[psutil.Process]:
    """The supervisor and the workers of a store, and nobody else's: they carry its address in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get("MTL_EXPLORER_STORE") == store.url and process.pid != os.getpid()
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_all(store: Store) -> None:
    while left := processes_of(store):  # a supervisor may have started one more meanwhile
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(str(tmp_path_factory.mktemp("jobs"))) as opened:
        try:
            yield opened
        finally:
            end_all(opened)
        assert processes_of(opened) == []


def until(condition, *, seconds: float = PATIENCE_S):
    """Wait for something to be true and return it."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
    return value


def ended(store: Store, run_id: str) -> Run:
    until(lambda: store.run(run_id).state not in UNENDED)
    return store.run(run_id)


def training(store: Store, run_id: str, *, past: int = 0) -> Run:
    """The run, once it has recorded more steps than that."""
    until(lambda: store.last_step(run_id, "train") > past or store.run(run_id).state not in UNENDED)
    run = store.run(run_id)
    assert run.state == "running", run.reason
    return run


def supervisor_pid(store: Store) -> int | None:
    return pid_of(str(Desk.of(store).signature().get("identity", "")))


def supervisors(store: Store) -> list[int]:
    """All that are alive; a child of one that is just becoming a worker still bears its parent's command line."""
    found = [process for process in processes_of(store) if "mtl_core.jobs.supervisor" in process.cmdline()]
    return [process.pid for process in found if process.ppid() not in [other.pid for other in found]]


def test_a_click_becomes_a_finished_run_and_a_double_click_no_second_one(store):
    assert not jobs.is_warm(store)
    jobs.ensure_supervisor(store)
    until(lambda: jobs.is_warm(store))
    run_id = jobs.submit(store, config(100), request="form 1")
    assert jobs.submit(store, config(100), request="form 1") == run_id
    run = ended(store, run_id)
    assert (run.state, run.reason, run.step) == ("finished", "", 100)
    assert jobs.submit(store, config(100), request="form 1") == run_id, "even when it has ended"
    assert len(store.runs()) == 1
    assert "finished" in until((store.run_folder(run_id) / "worker.log").read_text)
    assert run.device in {load.key for load in jobs.device_load()}


def test_a_killed_worker_is_named_and_its_run_resumes_onto_the_same_curve(store):
    whole = store.read(jobs.run_here(store, config(1500)).id, "train")
    run_id = jobs.submit(store, config(1500))
    training(store, run_id)
    jobs.pause(store, run_id)
    until(lambda: store.run(run_id).state == "paused")
    saved = jobs.checkpoint_step(store.run_folder(run_id))
    jobs.resume(store, run_id)
    os.kill(pid_of(training(store, run_id, past=saved).worker), signal.SIGKILL)
    run = ended(store, run_id)
    assert run.state == "interrupted"
    assert "signal 9, SIGKILL" in run.reason
    assert f"Resume continues from step {saved}" in run.reason
    with pytest.raises(ValueError, match="interrupted"):
        jobs.stop(store, run_id)
    jobs.resume(store, run_id)
    assert ended(store, run_id).state == "finished"
    again = store.read(run_id, "train")
    assert np.array_equal(again.steps, whole.steps)
    assert np.array_equal(again.values, whole.values, equal_nan=True)


def test_a_run_survives_the_death_of_its_server_and_of_its_supervisor_and_the_queue_keeps_its_limit(store):
    script = (
        "import os, signal, sys; from mtl_core import jobs; from mtl_core.config import RunConfig; from mtl_core.store import Store\n"
        f"store = Store.open({store.url!r})\n"
        f"print(jobs.submit(store, RunConfig.from_mapping({config(1_000_000).to_mapping()!r})), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    server = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert server.returncode == -signal.SIGKILL, server.stderr
    first = server.stdout.strip()
    worker = pid_of(training(store, first).worker)
    second = jobs.submit(store, config(30))

    before = supervisor_pid(store)
    os.kill(before, signal.SIGKILL)
    until(lambda: supervisor_pid(store) is None)
    with concurrent.futures.ThreadPoolExecutor(20) as sessions:
        list(sessions.map(lambda _: jobs.ensure_supervisor(store), range(20)))
    after = until(lambda: supervisor_pid(store))
    assert after != before
    assert supervisors(store) == [after]
    other = subprocess.run(
        [sys.executable, "-m", "mtl_core.jobs.supervisor", "--store", store.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "has a supervisor already" in other.stdout

    step = store.last_step(first, "train")
    run = training(store, first, past=step)
    assert pid_of(run.worker) == worker, "the same process trains on"
    time.sleep(1.5)  # the new supervisor has looked
    assert store.run(second).state == "queued", "the run that it found takes the only place"
    began = time.monotonic()
    jobs.stop(store, first)
    assert ended(store, first).state == "stopped"
    assert time.monotonic() - began < 5
    assert ended(store, second).state == "finished"


def test_sigterm_is_honoured_and_a_worker_without_supervisor_is_missed(store):
    run_id = jobs.submit(store, config(1_000_000))
    os.kill(pid_of(training(store, run_id).worker), signal.SIGTERM)
    run = ended(store, run_id)
    assert run.state == "interrupted"
    assert "SIGTERM" in run.reason
    jobs.resume(store, run_id)
    worker = pid_of(training(store, run_id, past=run.step).worker)
    os.kill(supervisor_pid(store), signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    until(lambda: supervisor_pid(store) is None and not psutil.pid_exists(worker))
    jobs.reconcile(store)
    run = store.run(run_id)
    assert run.state == "interrupted"
    assert "gone without a word" in run.reason
    again = jobs.retry(store, run_id)
    jobs.stop(store, again)
    assert store.run(again).state == "stopped"
    for done in (run_id, again):
        jobs.delete(store, done)
        assert not store.run_folder(done).exists()
    assert jobs.has_supervisor(store) or until(lambda: jobs.has_supervisor(store))


def test_a_run_that_cannot_be_trained_tells_why(store):
    run_id = jobs.submit(store, config(10).model_copy(update={"weighting": {"name": "pcgard"}}))
    run = ended(store, run_id)
    assert (run.state, run.reason) == ("failed", "no weighting is called 'pcgard'. Did you mean 'pcgrad'?")
    assert "Traceback" in run.error
    log = store.run_folder(run_id) / "worker.log"
    until(lambda: "Traceback" in log.read_text())  # the worker's last words come after the state


def test_the_supervisor_loads_no_torch_and_leaves_when_there_is_nothing_to_do(tmp_path):
    with Store.open(str(tmp_path)) as store:
        script = (
            "import sys; from mtl_core.jobs.supervisor import serve; from mtl_core.store import Store\n"
            f"assert serve(Store.open({store.url!r}), idle_minutes=0)\n"
            "heavy = {'torch', 'pandas', 'streamlit', 'sklearn'} & set(sys.modules); assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
        until(lambda: processes_of(store) == [], seconds=10)


def test_pages_load_no_torch_because_of_jobs(tmp_path):
    script = (
        "import sys; from mtl_core import jobs; from mtl_core.store import Store\n"
        f"store = Store.open({str(tmp_path)!r}); jobs.reconcile(store); jobs.device_load(); jobs.mode()\n"
        "heavy = {'torch', 'pandas', 'streamlit'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
