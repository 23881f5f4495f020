"""A worker process: it imports torch, waits for one run, trains it and ends. CUDA is touched nowhere else."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import socket
import sys
import threading
from typing import Any

from mtl_core.jobs.endings import EXIT_DISK_FULL
from mtl_core.store import Store

NICENESS = 10
HEAVY = ("torch", "torchvision", "torchmetrics", "sklearn", "mtl_core.jobs.work")


def main() -> int:
    """Wait at the line that the supervisor handed down; the exit status tells it what the store could not be told."""
    parser = argparse.ArgumentParser(prog="python -m mtl_core.jobs.worker", description=__doc__)
    parser.add_argument("--store", help="address of the store (default: MTL_EXPLORER_STORE)")
    parser.add_argument("--line", type=int, required=True, help="open socket to the supervisor")
    parser.add_argument("--polite", action="store_true", help="load with low priority")
    options = parser.parse_args()
    line = socket.socket(fileno=options.line)
    store = Store.open(options.store)
    warm_up(is_polite=options.polite)
    line.sendall(b"ready\n")
    with line.makefile("rb") as orders:
        order = orders.readline()
    line.close()
    return train(store, json.loads(order)) if order else 0  # no order: the supervisor is gone


def warm_up(*, is_polite: bool) -> None:
    """Import and rehearse what training needs; if asked, in a thread of low priority, so that a run that trains now keeps the processor.

    The priority of a thread cannot be raised again without privilege; the thread that will train never lowered its own.
    """
    failure: list[BaseException] = []

    def load() -> None:
        if is_polite and sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            for name in HEAVY:
                importlib.import_module(name)
            importlib.import_module("mtl_core.jobs.work").rehearse()
        except (ImportError, RuntimeError, OSError, SyntaxError) as error:
            failure.append(error)

    thread = threading.Thread(target=load, name="warm-up")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    gc.collect()
    gc.freeze()


def train(store: Store, order: dict[str, Any]) -> int:
    """Carry out ``{"run": id, "device": key, "visible": GPU}``; the run was claimed in this process's name."""
    device = str(order["device"])
    if order["visible"]:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(order["visible"])  # before CUDA is first touched: it sees this GPU alone
        device = "cuda:0"
    work = importlib.import_module("mtl_core.jobs.work")
    try:
        _log_to(store, str(order["run"]))
        run = work.train_run(store, store.run(str(order["run"])), device=device)
    except (work.TakenAway, LookupError):
        print("the run was deleted or given to another worker")
        return 0
    except work.Unwritable as error:
        print(f"the disk is full: {error}", file=sys.stderr)
        return EXIT_DISK_FULL
    print(f"{run.state}: {run.reason}\n{run.error}".strip(), flush=True)
    return 0


def _log_to(store: Store, run_id: str) -> None:
    """From now on, what this process prints goes to the run's own log."""
    handle = os.open(store.run_folder(run_id) / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
