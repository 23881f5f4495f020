"""Runs to compare by their ids, and by those of whole sweeps."""

from __future__ import annotations

from collections.abc import Iterable

from mtl_core.comparing import Comparison, compare
from mtl_core.store import Store


def compare_named(store: Store, ids: Iterable[str], *, baseline: str | None = None) -> Comparison:
    """Put the runs with these ids side by side, those of the sweeps among them included; each counts once.

    Args:
        baseline: the id of a run whose group is the baseline of all, whether ``ids`` names it or not; None: the single-task one
            of each.

    Raises:
        LookupError: there is no such run.
        ValueError: no runs, or a baseline without a test result.
    """
    sweeps = {sweep.id for sweep in store.sweeps()}
    wanted: dict[str, None] = {}
    for one in ids:
        wanted |= dict.fromkeys([member.run_id for member in store.members(one)] if one in sweeps else [one])
    if baseline is not None:
        wanted[baseline] = None
    return compare([store.run(run_id) for run_id in wanted], baseline=baseline)
