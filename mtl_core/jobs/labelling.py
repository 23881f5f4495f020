"""What people do with lists of runs: tag, note, rename, put aside, throw away, take back. Each call is checked against the mode.

A call changes all of its runs or none. Those that return labels return them as they were: ``put_back`` undoes the change exactly.
``owner`` is who asks; it matters in class mode only, where everyone changes their own runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mtl_core.jobs.modes import check_control
from mtl_core.store import UNENDED, Label, Run, Store

_NAMED = 3  # runs named in a sentence


def tag(
    store: Store, run_ids: Sequence[str], *, add: Iterable[str] = (), remove: Iterable[str] = (), owner: str = ""
) -> dict[str, Label]:
    """Give tags to runs and take tags away. Raises ValueError for tags that are too long or too many, LookupError."""
    _checked(store, run_ids, owner)
    return store.label_runs(run_ids, add_tags=tuple(add), remove_tags=tuple(remove))


def annotate(store: Store, run_id: str, note: str, *, owner: str = "") -> dict[str, Label]:
    """Write a note to a run, "" for none. Raises ValueError if it is too long, LookupError."""
    _checked(store, [run_id], owner)
    before = store.labels([run_id]).get(run_id, Label())
    store.label(run_id, note=note)
    return {run_id: before}


def rename(store: Store, run_id: str, name: str, *, owner: str = "") -> str:
    """Give a run another name, "" for the one made of its choices; the name that it had. Raises LookupError."""
    (run,) = _checked(store, [run_id], owner)
    store.rename(run_id, name)
    return run.name


def put_aside(store: Store, run_ids: Sequence[str], *, owner: str = "") -> dict[str, Label]:
    """Take runs out of the usual list; they stay as they are. Raises LookupError."""
    _checked(store, run_ids, owner)
    return store.label_runs(run_ids, archived=True)


def take_out(store: Store, run_ids: Sequence[str], *, owner: str = "") -> dict[str, Label]:
    """Bring runs that were put aside or thrown away back into the usual list. Raises LookupError."""
    _checked(store, run_ids, owner)
    return store.label_runs(run_ids, archived=False, deleted=False)


def throw_away(store: Store, run_ids: Sequence[str], *, owner: str = "") -> dict[str, Label]:
    """Throw ended runs away; they can be taken back until they are deleted for good. Raises ValueError naming those that have
    not ended, LookupError."""
    _check_ended(_checked(store, run_ids, owner))
    return store.label_runs(run_ids, deleted=True)


def delete_for_good(store: Store, run_ids: Sequence[str], *, owner: str = "") -> None:
    """Remove runs that were thrown away: their records, folders and checkpoints. Raises ValueError naming a run that was not
    thrown away, LookupError."""
    runs = _checked(store, run_ids, owner)
    _check_ended(runs)
    labels = store.labels(run_ids)
    kept = [run for run in runs if labels.get(run.id, Label()).deleted is None]
    if kept:
        raise ValueError(f"{_names(kept)} {_is_or_are(kept)} not thrown away: delete first, then delete for good")
    store.delete_runs(run_ids)


def put_back(store: Store, before: Mapping[str, Label], *, owner: str = "") -> None:
    """Undo a change of labels. Raises LookupError if a run is gone."""
    _checked(store, list(before), owner)
    store.set_labels(before)


def _checked(store: Store, run_ids: Sequence[str], owner: str) -> list[Run]:
    runs = store.runs_named(run_ids)
    found = {run.id for run in runs}
    for run_id in run_ids:
        if run_id not in found:
            store.run(run_id)  # says that it is not there
    for run in runs:
        check_control(store, run, owner)
    return runs


def _check_ended(runs: Sequence[Run]) -> None:
    live = [run for run in runs if run.state in UNENDED]
    if live:
        states = " or ".join(dict.fromkeys(run.state for run in live))
        raise ValueError(f"{_names(live)} {_is_or_are(live)} still {states}: stop first what you want to delete")


def _names(runs: Sequence[Run]) -> str:
    more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
    return ", ".join(run.name for run in runs[:_NAMED]) + more


def _is_or_are(runs: Sequence[Run]) -> str:
    return "is" if len(runs) == 1 else "are"
