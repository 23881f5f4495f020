"""Runs to compare by their ids, and by those of whole sweeps."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from mtl_core.comparing import Comparison, compare
from mtl_core.store import Run, Store


def compare_named(store: Store, ids: Iterable[str], *, baseline: str | None = None) -> Comparison:
    """Put the runs with these ids side by side, those of the sweeps among them included; each counts once.

    Args:
        baseline: the id of a run whose group is the baseline of all, whether ``ids`` names it or not; None: the single-task one
            of each.

    Raises:
        LookupError: there is no such run or sweep, with the nearest one.
        ValueError: no runs, or a baseline that is a sweep or has no test result.
    """
    sweeps = {sweep.id for sweep in store.sweeps()}
    wanted: dict[str, None] = {}
    for one in ids:
        wanted |= dict.fromkeys(runs_of(store, one) if one in sweeps else [one])
    if baseline in sweeps:
        raise ValueError(f"the baseline must be one run, and {baseline} is a sweep: name a run of it (its whole group counts)")
    runs = [_run(store, run_id, sweeps) for run_id in wanted]
    if baseline is not None and baseline not in wanted:
        runs.append(store.run(baseline))
    return compare(runs, baseline=baseline)


def runs_of(store: Store, sweep_id: str) -> list[str]:
    """The runs of a sweep in its order, without those that somebody threw away. Raises LookupError."""
    ids = [member.run_id for member in store.members(sweep_id)]
    gone = {run_id for run_id, label in store.labels(ids).items() if label.deleted is not None}
    return [run_id for run_id in ids if run_id not in gone]


def _run(store: Store, name: str, sweeps: Collection[str]) -> Run:
    try:
        return store.run(name)
    except LookupError:
        near = difflib.get_close_matches(name.lower(), sweeps, n=1, cutoff=0.8)
        if not near:
            raise
        raise LookupError(f"no run and no sweep is called {name!r}. Did you mean the sweep {near[0]!r}?") from None
