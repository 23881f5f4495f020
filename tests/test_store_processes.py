"""The store among real processes: nobody takes a run twice, a kill loses no more than the last moment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mtl_core.config import RunConfig
from mtl_core.store import Store
from mtl_core.store.schema import STEPS

CLAIM = """
while (run := store.claim(str(os.getpid()), "cpu")) is not None:
    print(run.id, flush=True)
"""
SUBMIT = """
for n in range(10):
    print(store.enqueue(RunConfig(), request=f"form {n}"))
"""
WRITE = """
writer = store.writer(sys.argv[2])
start = store.last_step(sys.argv[2], "train") + 1
while start < 400_000:
    end = start + start % 97 + 1
    steps = np.arange(start, end)
    values = np.stack([steps, -steps], axis=1).astype(np.float32)
    writer.append(Scalars("train", (Column("", "up"), Column("", "down")), steps, steps / 10.0, steps / 100.0, values))
    writer.append(Event(end - 1, 0.0, str(end - 1)))
    writer.flush()
    start = end
"""
MIGRATE = """
def add(connection):
    connection.execute(text("ALTER TABLE runs ADD COLUMN colour TEXT"))
    time.sleep(0.1)
print(prepare(Database(address(sys.argv[1])[0]), steps=(*STEPS, add)))
"""
HEAD = """
import os, sys, time
import numpy as np
from sqlalchemy import text
from mtl_core.config import RunConfig
from mtl_core.records import Column, Event, Scalars
from mtl_core.store import Store
from mtl_core.store.database import Database, address
from mtl_core.store.schema import STEPS, prepare
print("ready", flush=True)
sys.stdin.readline()  # all begin at once
"""
OPEN = "store = Store.open(sys.argv[1])\n"


def start(script: str, *arguments: str) -> subprocess.Popen:
    """A process that has imported everything and waits for a line."""
    command = [sys.executable, "-c", HEAD + script, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def at_once(script: str, folder: Path, n_processes: int) -> list[list[str]]:
    """What each of several processes printed that ran together."""
    processes = [start(script, str(folder)) for _ in range(n_processes)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * n_processes
    return outputs


def test_a_run_is_claimed_once(tmp_path):
    with Store.open(str(tmp_path)) as store:
        ids = [store.enqueue(RunConfig()) for _ in range(40)]
        outputs = at_once(OPEN + CLAIM, tmp_path, 4)
        assert sorted(name for output in outputs for name in output) == sorted(ids)
        assert all(output == sorted(output, key=ids.index) for output in outputs)  # oldest first
        assert [len(store.history(name)) for name in ids] == [2] * 40


def test_a_double_submit_from_several_processes_makes_one_run_each(tmp_path):
    outputs = at_once(OPEN + SUBMIT, tmp_path, 4)  # and none of them finds a store there
    assert outputs == [outputs[0]] * 4
    with Store.open(str(tmp_path)) as store:
        assert sorted(run.id for run in store.runs()) == sorted(outputs[0])
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(outputs[0])


def test_an_older_store_that_several_open_at_once_is_brought_up_to_date_once(tmp_path):
    Store.open(str(tmp_path)).close()
    assert at_once(MIGRATE, tmp_path, 3) == [[str(2 + len(STEPS))]] * 3


@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_a_killed_writer_leaves_whole_levels_and_the_next_one_goes_on(tmp_path, seconds):
    with Store.open(str(tmp_path)) as store:
        run_id = store.enqueue(RunConfig())
        last = -1
        for _ in range(2):
            process = start(OPEN + WRITE, str(tmp_path), run_id)
            process.stdin.write("go\n")
            process.stdin.flush()
            wait_until(lambda before=last: store.last_step(run_id, "train") > before)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                assert_whole(store, run_id)  # also while it is being written
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                pipe.close()
            last = assert_whole(store, run_id)
            assert store.events(run_id)[-1].step == last


def assert_whole(store: Store, run_id: str) -> int:
    """Every view shows every row from 0 to the last: values are the step, up and down."""
    for window in ({"points": 40}, {"first": 50, "points": 100}, {}):
        curve = store.curve(run_id, "train", **window)
        np.testing.assert_array_equal(curve.first_steps[1:], curve.steps[:-1] + 1)
        assert curve.n_rows == sum(curve.steps - curve.first_steps + 1)
        for low, high, sign in ((curve.low[:, 0], curve.high[:, 0], 1), (curve.high[:, 1], curve.low[:, 1], -1)):
            np.testing.assert_array_equal(low, sign * curve.first_steps)
            np.testing.assert_array_equal(high, sign * curve.steps)
    assert curve.first_steps[0] == 0
    return int(curve.steps[-1])


def wait_until(claim) -> None:
    end = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_store_needs_no_torch_pandas_or_streamlit(tmp_path):
    script = (
        "import json, sys, mtl_core.store; print(json.dumps([m for m in ('torch', 'pandas', 'streamlit') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
