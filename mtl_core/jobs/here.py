"""Training a run in this very process, for the command line: same store, same code path, same ends as in a worker."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable

from mtl_core.config import RunConfig
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.devices import devices, place
from mtl_core.jobs.identity import identify
from mtl_core.jobs.modes import check_submit
from mtl_core.records import RunOutput
from mtl_core.store import Run, Store


def run_here(
    store: Store,
    config: RunConfig | None = None,
    *,
    resume: str = "",
    on_item: Callable[[RunOutput], None] | None = None,
    on_start: Callable[[Run], None] | None = None,
    owner: str = "",
) -> Run:
    """Train a config, or go on with a queued run, in this process and return the run as it ended; whatever goes wrong is in its state and reason.

    Ctrl-C (in the main thread) stops it with a checkpoint; a second one ends it at once. Pages see it like any other run and
    may pause or stop it.

    Args:
        config: what to train.
        resume: instead of a config, the id of a run that waits in the queue.
        on_item: called with everything that the trainer yields.
        on_start: called once with the run before it trains.
    """
    if config is None:
        config = RunConfig.from_mapping(store.run(resume).config)
    check_submit(store, owner)
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # GPUs are numbered as the driver numbers them
    wanted = config.training.device
    device = place(wanted, {}, devices()) or wanted
    with Desk.of(store).turn("claim"):  # between the two lines a supervisor could take it
        run_id = resume or store.enqueue(config, owner=owner)
        run = store.claim(identify() or "", device, run_id)
    if run is None:
        raise ValueError(f"run {run_id} is {store.run(run_id).state}, so it cannot be taken up here: resume it first")
    if on_start is not None:
        on_start(run)
    work = importlib.import_module("mtl_core.jobs.work")  # only now: who asks about jobs need not load torch
    ended: Run = work.train_run(store, run, device=device, on_item=on_item)
    return ended
