"""Keeping order among thousands of runs: tags and the bin, one by one or many at once, and what is deleted for good."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select
from sqlalchemy import delete as delete_rows

from mtl_core.store import labels, runs, sweeps
from mtl_core.store.complaints import system_error
from mtl_core.store.labels import Label, tidy_tags
from mtl_core.store.run import is_id
from mtl_core.store.schema import runs as runs_table
from mtl_core.store.states import LIVE, UNENDED, State, check_deletable

if TYPE_CHECKING:
    from mtl_core.store import Store

_AT_A_TIME = 5_000  # ids bound in one query


def label(
    store: Store,
    run_id: str,
    *,
    tags: Sequence[str] | None = None,
    note: str | None = None,
    archived: bool | None = None,
    deleted: bool | None = None,
) -> Label:
    """Set a run's tags, its note, whether it is put aside or thrown away; what is left out stays.

    A run thrown away is still there until ``delete``, and may be taken back. Raises LookupError, and ValueError for tags or a
    note that are too long and for throwing away what is queued or trains.
    """
    with store._database.writing() as connection:
        states = _states_of(connection, [run_id])
        if not states:
            runs.get(connection, run_id)  # says what is wrong
        if deleted:
            check_deletable(states, UNENDED)
        return labels.write(
            connection, store._database, run_id, tags=tags, note=note, archived=archived, deleted=deleted, now=time.time()
        )


def label_runs(
    store: Store,
    run_ids: Iterable[str],
    *,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    archived: bool | None = None,
    deleted: bool | None = None,
) -> dict[str, Label]:
    """Label many runs at once, all of them or none, and return their labels before: ``set_labels`` brings those back.

    Runs that are not there any more are left out. Raises ValueError as ``label`` does.
    """
    new, gone = tidy_tags(add_tags), labels.lines(remove_tags)
    with store._database.writing() as connection:
        states = _states_of(connection, run_ids)
        if deleted:
            check_deletable(states, UNENDED)
        now, known = time.time(), labels.read(connection, states)
        before = {run_id: known.get(run_id, Label()) for run_id in states}
        after = {}
        for run_id, one in before.items():
            tags = tidy_tags([*(tag for tag in one.tags if tag not in gone), *new])
            after[run_id] = replace(labels.changed(one, archived=archived, deleted=deleted, now=now), tags=tags)
        labels.keep(connection, store._database, {run_id: one for run_id, one in after.items() if one != before[run_id]})
    return before


def set_labels(store: Store, wanted: Mapping[str, Label]) -> None:
    """Give runs exactly these labels, all of them or none; those that are not there any more are left out.

    Raises ValueError as ``label`` does.
    """
    with store._database.writing() as connection:
        states = _states_of(connection, wanted)
        check_deletable({run_id: state for run_id, state in states.items() if wanted[run_id].deleted is not None}, UNENDED)
        labels.keep(connection, store._database, {run_id: wanted[run_id] for run_id in states})


def delete(store: Store, run_id: str) -> None:
    """Delete a run for good, all it recorded, and its folder. Raises LookupError, and ValueError while a worker holds it."""
    store.run(run_id)
    delete_runs(store, [run_id])


def delete_runs(store: Store, run_ids: Iterable[str]) -> list[str]:
    """Delete runs for good, all or none, and return the ids of those that were there. Raises ValueError while a worker holds one."""
    with store._database.writing() as connection:
        states = _states_of(connection, run_ids)
        check_deletable(states, LIVE)
        found = list(states)
        for begin in range(0, len(found), _AT_A_TIME):
            connection.execute(delete_rows(runs_table).where(runs_table.c.id.in_(found[begin : begin + _AT_A_TIME])))
    _remove_folders([store.folder / run_id for run_id in found])
    return found


def delete_sweep(store: Store, sweep_id: str, *, with_runs: bool = False) -> dict[str, Label]:
    """Forget a sweep. Its runs stay, or are thrown away too but for those that other sweeps have.

    Returns the labels before of the runs thrown away: ``set_labels`` takes them back. Raises LookupError, and ValueError while
    the sweep has something to do or one of the runs to throw away still goes on.
    """
    with store._database.writing() as connection:
        own = sweeps.remove(connection, sweep_id)
        if not with_runs:
            return {}
        states = _states_of(connection, own)  # without those that were deleted for good at this very moment
        check_deletable(states, UNENDED)
        now, known = time.time(), labels.read(connection, states)
        before = {run_id: known.get(run_id, Label()) for run_id in states}
        after = {run_id: labels.changed(one, archived=None, deleted=True, now=now) for run_id, one in before.items()}
        labels.keep(connection, store._database, after)
    return before


def _states_of(connection: Connection, run_ids: Iterable[str]) -> dict[str, State]:
    """The states of those runs that are there; nobody changes them until the transaction ends."""
    wanted = [run_id for run_id in dict.fromkeys(run_ids) if is_id(run_id)]
    found: dict[str, State] = {}
    for begin in range(0, len(wanted), _AT_A_TIME):
        query = select(runs_table.c.id, runs_table.c.state).where(runs_table.c.id.in_(wanted[begin : begin + _AT_A_TIME]))
        found |= {row.id: row.state for row in connection.execute(query.order_by(runs_table.c.id).with_for_update())}
    return {run_id: found[run_id] for run_id in wanted if run_id in found}


def _remove_folders(folders: Sequence[Path]) -> None:
    """Raises OSError naming the first that stays, once all others are gone."""
    failed: list[tuple[Path, OSError]] = []
    for folder in folders:
        try:
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            failed.append((folder, error))
    if failed:
        folder, first = failed[0]
        more = f" (nor are {len(failed) - 1} others)" if len(failed) > 1 else ""
        sentence = f"the run is deleted, but its folder {folder} is not{more} ({first.strerror}): delete it by hand"
        raise system_error(first.errno, sentence) from first
