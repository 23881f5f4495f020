"""A sweep from a notebook: handed in, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
    while wait:
        began = time.monotonic()
        reconcile(store)
        progress = sweep_progress(store, sweep_id)
        if on_look is not None:
            on_look(progress)
        if progress.state in ("finished", "cancelled"):
            break
        time.sleep(max(LOOK_S, (time.monotonic() - began) / LOOK_SHARE))
    return sweep_id
