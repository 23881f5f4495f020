"""A sweep that somebody waits for, in a notebook or at the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mtl_core.jobs.office import reconcile
from mtl_core.jobs.outlook import SweepProgress, sweep_progress
from mtl_core.jobs.sweeping import submit_sweep
from mtl_core.store import Store
from mtl_core.sweeps import Sweep

LOOK_S = 0.5  # between two looks at how far it is
LOOK_SHARE = 0.1  # of the time at most goes into looking, however many runs there are


def run_sweep(
    store: Store,
    sweep: Sweep | Mapping[str, Any] | str,
    *,
    wait: bool = True,
    on_look: Callable[[SweepProgress], None] | None = None,
    owner: str = "",
) -> str:
    """Train every run of a sweep in the background and return its id once all have ended, for ``compare_runs``.

    Handing the same sweep in again goes on where it was; what is finished counts. Ctrl-C, or stopping the cell, ends the waiting
    and not the sweep. How its runs ended is in the store.

    Args:
        sweep: what to run: a Sweep, the same as a mapping, or as YAML text.
        wait: False: return at once.
        on_look: called twice a second with how far it is.

    Raises:
        ValueError: a sweep that makes no sense, a run that cannot be trained, or the mode of this place forbids it.
    """
    if isinstance(sweep, str):
        sweep = Sweep.from_yaml(sweep)
    elif not isinstance(sweep, Sweep):
        sweep = Sweep.from_mapping(sweep)
    sweep_id = submit_sweep(store, sweep, owner=owner)
    for progress in looks(store, sweep_id) if wait else ():
        if on_look is not None:
            on_look(progress)
    return sweep_id


def looks(store: Store, sweep_id: str) -> Iterator[SweepProgress]:
    """How far a sweep is, twice a second, until all its runs have ended for good or it was cancelled.

    Whoever dies in between is brought back.
    """
    while True:
        began = time.monotonic()
        reconcile(store)
        progress = sweep_progress(store, sweep_id)
        yield progress
        if progress.state in ("finished", "cancelled"):
            return
        time.sleep(max(LOOK_S, (time.monotonic() - began) / LOOK_SHARE))
