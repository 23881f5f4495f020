"""Which runs a list shows: by state, owner, words, tags and sweep, and whether they were put aside or thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, false, func, inspect, null, or_, select

from mtl_core.store.run import to_json
from mtl_core.store.schema import labels, members, runs
from mtl_core.store.states import State

_SAID = (labels.c.tags, labels.c.note, labels.c.is_archived, labels.c.deleted)


def newest(
    connection: Connection,
    fields: Sequence[Any],
    *,
    with_labels: bool = False,
    states: Sequence[State] | None = None,
    owner: str | None = None,
    search: str = "",
    tags: Sequence[str] = (),
    sweep: str | None = None,
    archived: bool | None = None,
    deleted: bool | None = None,
) -> Select[Any]:
    """The question for these fields of runs, newest first.

    Args:
        with_labels: also what people say of each run; nulls where nobody has said anything.
        search: each word must be found in name, choices, id, owner, tags or note, whatever the case.
        tags: each of them must be borne, whatever the case.
        archived, deleted: only runs that are, or are not; None: whether they are or not.
    """
    has_labels, has_sweeps = (inspect(connection).has_table(table.name) for table in (labels, members))  # not in older stores
    if has_labels:
        query = select(*fields, *(_SAID if with_labels else ())).select_from(
            runs.outerjoin(labels, labels.c.run_id == runs.c.id)
        )
        query = query.where(*_are(archived, func.coalesce(labels.c.is_archived, false())))
        query = query.where(*_are(deleted, labels.c.deleted.is_not(None)))
        query = query.where(*(labels.c.tags.icontains(to_json(tag), autoescape=True) for tag in tags))
    else:
        query = select(*fields, *(null().label(field.name) for field in (_SAID if with_labels else ())))
        if archived or deleted or tags:
            query = query.where(false())
    if states is not None:
        query = query.where(runs.c.state.in_(states))
    if owner is not None:
        query = query.where(runs.c.owner == owner)
    if sweep is not None:
        mine = select(members.c.run_id).where(members.c.sweep_id == sweep)
        query = query.where(runs.c.id.in_(mine) if has_sweeps else false())
    query = query.where(*(_speaks_of(word, has_labels=has_labels) for word in search.split()))
    return query.order_by(runs.c.created.desc(), runs.c.id.desc())


def _are(wanted: bool | None, is_so: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    if wanted is None:
        return []
    return [is_so if wanted else ~is_so]


def _speaks_of(word: str, *, has_labels: bool) -> ColumnElement[bool]:
    if "\x00" in word:  # no database takes it, so no text has it
        return false()
    places = [place.icontains(word, autoescape=True) for place in (runs.c.name, runs.c.choices, runs.c.id, runs.c.owner)]
    if has_labels:
        places.append(labels.c.note.icontains(word, autoescape=True))
        places.append(labels.c.tags.icontains(to_json(word)[1:-1], autoescape=True))  # as it stands in JSON
    return or_(*places)
