"""``worker``: the queue's supervisor in the foreground, for a server that keeps its services itself."""

from __future__ import annotations

from mtl_core.cli.say import StoreUrl, note

A_YEAR = 525_600  # minutes: whoever started it in the foreground ends it


def worker(*, store: StoreUrl = None) -> int:
    """Train what is queued, run after run, until Ctrl-C. The dashboard starts one by itself where none is running."""
    from mtl_core.jobs.supervisor import serve
    from mtl_core.store import Store

    kept = Store.open(store)
    note("training what is queued; Ctrl-C ends this, while runs that train go on to their end")
    if serve(kept, idle_minutes=A_YEAR):
        return 0
    raise ValueError("this store has a worker already: it trains what is queued, so there is nothing to do")
