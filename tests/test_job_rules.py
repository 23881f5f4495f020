"""Who may do what, which device a run gets, how errors are worded, and a supervisor or workers that cannot start."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import torch

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.jobs import checkup, endings
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.devices import Device, _chosen, place
from mtl_core.jobs.identity import identify
from mtl_core.jobs.launch import environment
from mtl_core.store import Store

CONFIG = RunConfig(dataset={"name": "teacher"}, training={"steps": 10})


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "a store")) as opened:
        yield opened


@pytest.fixture
def unattended(store):
    """A store whose supervisor's place is taken by this test, so that nothing is started."""
    lock = Desk.of(store).try_lock()
    Desk.of(store).sign(lock, identity=identify())
    yield store
    os.close(lock)


def test_lab_allows_everything(unattended):
    run_id = jobs.submit(unattended, CONFIG, owner="ada")
    jobs.stop(unattended, run_id, owner="bob")
    jobs.resume(unattended, run_id)
    assert unattended.run(run_id).state == "queued"
    jobs.stop(unattended, run_id)
    jobs.delete(unattended, run_id, owner="carl")
    assert unattended.runs() == []


def test_class_has_a_quota_and_everyone_their_own_runs(unattended, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    monkeypatch.setenv("MTL_EXPLORER_QUOTA", "2")
    first, _ = (jobs.submit(unattended, CONFIG, owner="ada", request=f"form {n}") for n in range(2))
    assert jobs.submit(unattended, CONFIG, owner="ada", request="form 0") == first, "the same click is not a third run"
    with pytest.raises(jobs.NotAllowed, match="you have 2 runs"):
        jobs.submit(unattended, CONFIG, owner="ada")
    jobs.submit(unattended, CONFIG, owner="bob")
    for control in (jobs.stop, jobs.pause, jobs.resume, jobs.save, jobs.delete):
        with pytest.raises(jobs.NotAllowed, match="someone else's"):
            control(unattended, first, owner="bob")
    jobs.stop(unattended, first, owner="ada")
    jobs.submit(unattended, CONFIG, owner="ada")
    with pytest.raises(jobs.NotAllowed, match="you have 2 runs"):
        jobs.resume(unattended, first, owner="ada")


def test_twenty_clicks_at_once_keep_to_the_quota(unattended, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    made = []

    def click():
        with contextlib.suppress(jobs.NotAllowed):
            made.append(jobs.submit(unattended, CONFIG, owner="ada"))

    clicks = [threading.Thread(target=click) for _ in range(20)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    assert len(made) == jobs.quota() == 3


def test_demo_only_looks(store, monkeypatch):
    run_id = store.enqueue(CONFIG)
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    with pytest.raises(jobs.NotAllowed, match="demonstration"):
        jobs.submit(store, CONFIG)
    for control in (jobs.stop, jobs.pause, jobs.resume, jobs.save, jobs.delete, jobs.retry):
        with pytest.raises(ValueError, match="demonstration"):
            control(store, run_id)
    jobs.ensure_supervisor(store)
    jobs.reconcile(store)
    assert not (store.folder / ".jobs").exists()
    assert store.run(run_id).state == "queued"


def test_a_store_opened_for_reading_is_a_demo(store):
    run_id = store.enqueue(CONFIG)
    with Store.open(store.url, read_only=True) as reader:
        jobs.reconcile(reader)
        jobs.ensure_supervisor(reader)
        with pytest.raises(jobs.NotAllowed):
            jobs.stop(reader, run_id)


@pytest.mark.parametrize(
    ("variable", "word"), [("MTL_EXPLORER_MODE", "labb"), ("MTL_EXPLORER_QUOTA", "-1"), ("MTL_EXPLORER_QUOTA", "x")]
)
def test_a_wrong_setting_is_a_sentence(variable, word, monkeypatch):
    monkeypatch.setenv(variable, word)
    with pytest.raises(ValueError, match=variable):
        (jobs.mode, jobs.quota)[variable.endswith("QUOTA")]()


CPU = Device("cpu", "", "cpu")
GPUS = [Device(f"cuda:{n}", "", "gpu", f"GPU-{n}f{n}f") for n in range(3)]


@pytest.mark.parametrize(
    ("wanted", "taken", "known", "given"),
    [
        ("auto", {}, [CPU], "cpu"),
        ("auto", {"cpu": 1}, [CPU], None),
        ("cpu", {"cuda:0": 1}, [CPU, *GPUS], "cpu"),
        ("auto", {"cpu": 5}, [CPU, *GPUS[:1]], "cuda:0"),
        ("auto", {"cuda:0": 1, "cuda:2": 1}, [CPU, *GPUS], "cuda:1"),
        ("cuda", {gpu.key: 1 for gpu in GPUS}, [CPU, *GPUS], None),
        ("cuda:2", {"cuda:0": 1}, [CPU, *GPUS], "cuda:2"),
        ("cuda:2", {"cuda:2": 1}, [CPU, *GPUS], None),
        ("cuda", {}, [CPU], "cuda:0"),
    ],
)
def test_a_run_goes_where_it_asks_and_where_there_is_room(wanted, taken, known, given):
    assert place(wanted, taken, known) == given


def test_more_places_by_environment(monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_CPU_SLOTS", "2")
    assert place("auto", {"cpu": 1}, [CPU]) == "cpu"
    assert place("auto", {"cpu": 2}, [CPU]) is None


@pytest.mark.parametrize(
    ("wish", "visible"),
    [
        ("", []),
        ("1", ["GPU-1f1f"]),
        ("2,0", ["GPU-2f2f", "GPU-0f0f"]),
        ("GPU-1f,7,0", ["GPU-1f1f"]),
        ("MIG-a, MIG-b", ["MIG-a", "MIG-b"]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(wish, visible):
    numbered = [Device(str(n), gpu.name, "gpu", gpu.visible) for n, gpu in enumerate(GPUS)]
    assert [gpu.visible for gpu in _chosen(numbered, wish)] == visible


def test_load_is_told_for_every_device():
    cpu = jobs.device_load()[-1]
    assert cpu.key == "cpu"
    assert 0 <= cpu.busy <= 1
    assert 0 < cpu.memory_used < cpu.memory_total


def raised(act) -> Exception:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        act()
    return caught.value


def test_out_of_memory_is_known_however_it_is_said():
    for act in (lambda: torch.empty(2**50), lambda: np.empty(2**50), lambda: bytearray(2**62)):
        ending = endings.of_error(raised(act), step=7, device="cpu", way_on="")
        assert ending.state == "failed"
        assert "out of memory at step 7" in ending.reason
        assert "smaller batch" in ending.reason
    assert "the GPU ran out" in endings.of_error(torch.OutOfMemoryError("x"), step=1, device="cuda:0", way_on="").reason
    assert not endings.is_out_of_memory(RuntimeError("shapes do not match"))
    unread = ValueError("the checkpoint does not fit this version of the network")
    unread.__cause__ = RuntimeError("DefaultCPUAllocator: can't allocate memory")
    assert "ran out of memory" in endings.of_error(unread, step=0, device="cpu", way_on="").reason
    assert not endings.is_disk_full(OSError("unplugged"))


def test_how_a_process_ended_is_told():
    with subprocess.Popen(["sleep", "30"]) as process:
        process.terminate()
    assert "signal 15, SIGTERM" in endings.of_process(process.returncode)
    assert "status 3" in endings.of_process(3)
    assert "disk was full" in endings.of_process(endings.EXIT_DISK_FULL)


def test_checkpoint_notes_that_are_nonsense_are_none(tmp_path):
    assert checkup.checkpoint_step(tmp_path) is None
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    for note in ("", "[]", "{}", '{"step": null}', "\x00"):
        (tmp_path / "checkpoint.json").write_text(note)
        assert checkup.checkpoint_step(tmp_path) is None
    (tmp_path / "checkpoint.json").write_text('{"step": 12}')
    assert checkup.way_on(tmp_path) == "Resume continues from step 12"


def test_the_lock_is_held_by_one_and_goes_with_its_holder(store):
    desk = Desk.of(store)
    script = (
        "import sys, time; from mtl_core.jobs.desk import Desk; from mtl_core.store import Store\n"
        f"lock = Desk.of(Store.open({store.url!r})).try_lock(); print(lock is not None, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        assert desk.try_lock() is None
        holder.kill()
    lock = desk.try_lock()
    assert lock is not None
    os.close(lock)


def test_a_store_reached_by_another_name_has_the_same_desk(store, tmp_path):
    (tmp_path / "link").symlink_to(store.folder)
    with Store.open(str(tmp_path / "link")) as linked, Store.open(str(store.folder / "second.sqlite")) as second:
        assert Desk.of(linked) == Desk.of(store)
        assert Desk.of(second) != Desk.of(store)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff\x00"])
def test_a_scribbled_lock_file_is_no_signature(store, content):
    desk = Desk.of(store)
    desk.lock_path.write_text(content, encoding="latin-1")
    assert desk.signature() == {}
    assert not jobs.has_supervisor(store)


def test_the_environment_of_our_processes_has_no_settings_of_the_server(store, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "8501")
    found = environment(store)
    assert not [name for name in found if name.startswith("STREAMLIT_")]
    assert found["MTL_EXPLORER_STORE"] == store.url


def test_ringing_never_waits_even_if_nobody_listens(store):
    desk = Desk.of(store)
    desk.ring()
    ends = desk.hear()
    began = time.monotonic()
    for _ in range(70_000):  # a pipe holds 65,536 bytes
        desk.ring()
    assert time.monotonic() - began < 10
    for end in ends:
        os.close(end)


def broken(tmp_path, monkeypatch, module: str) -> None:
    """Processes started from here find a module that does not load."""
    folder = tmp_path / "broken" / module
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('lib of no use')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))


def test_a_supervisor_that_cannot_start_fails_the_queue_with_its_last_words(store, tmp_path, monkeypatch):
    broken(tmp_path, monkeypatch, "sqlalchemy")
    run_id = jobs.submit(store, CONFIG)
    desk = Desk.of(store)
    end = time.monotonic() + 30
    while "lib of no use" not in desk.log_path.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    jobs.reconcile(store)
    assert store.run(run_id).state == "queued", "it may still come"
    signed = desk.signature()
    desk.lock_path.write_text(json.dumps({**signed, "time": signed["time"] - 60}))
    jobs.reconcile(store)
    run = store.run(run_id)
    assert run.state == "failed"
    assert run.reason == "no supervisor could start: ImportError: lib of no use"


def test_workers_that_cannot_start_fail_the_queue_with_their_last_words(store, tmp_path, monkeypatch):
    broken(tmp_path, monkeypatch, "torch")
    run_id = jobs.submit(store, CONFIG)
    try:
        end = time.monotonic() + 60
        while store.run(run_id).state == "queued" and time.monotonic() < end:
            time.sleep(0.05)
        run = store.run(run_id)
        assert run.state == "failed"
        assert run.reason == "no worker could start: ImportError: lib of no use"
        assert "Traceback" in run.error
    finally:
        _, pid, _ = Desk.of(store).signature()["identity"].split(":")
        psutil.Process(int(pid)).terminate()
        psutil.wait_procs([psutil.Process(int(pid))], timeout=10)
