"""What people say of a run: tags, a note, whether it is put aside or thrown away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, inspect, select, update

from mtl_core.store.database import Database
from mtl_core.store.run import to_json
from mtl_core.store.schema import labels, members

MOST_TAGS = 20
LONGEST_TAG = 40
LONGEST_NOTE = 4_000
_AT_A_TIME = 5_000  # ids bound in one query


@dataclass(frozen=True)
class Label:
    """``deleted``: when the run was thrown away (unix seconds), None while it is not; it is still there and may be taken back."""

    tags: tuple[str, ...] = ()
    note: str = ""
    is_archived: bool = False
    deleted: float | None = None


def read(connection: Connection, run_ids: Iterable[str] | None) -> dict[str, Label]:
    """The labels of those runs (None: of all); a run without one is not among them."""
    if not inspect(connection).has_table(labels.name):  # a store of a version that did not know them
        return {}
    if run_ids is None:
        rows = list(connection.execute(select(labels)))
    else:
        ids, rows = list(run_ids), []
        for begin in range(0, len(ids), _AT_A_TIME):
            rows += connection.execute(select(labels).where(labels.c.run_id.in_(ids[begin : begin + _AT_A_TIME])))
    return {row.run_id: Label(tuple(json.loads(row.tags)), row.note, row.is_archived, row.deleted) for row in rows}


def write(
    connection: Connection,
    database: Database,
    run_id: str,
    *,
    tags: Sequence[str] | None,
    note: str | None,
    archived: bool | None,
    deleted: bool | None,
    now: float,
) -> Label:
    """Change what is given, keep the rest. Raises ValueError for tags or a note that are too long."""
    label = changed(read(connection, [run_id]).get(run_id, Label()), archived=archived, deleted=deleted, now=now)
    if tags is not None:
        label = replace(label, tags=tidy_tags(tags))
    if note is not None:
        label = replace(label, note=_tidy_note(note))
    keep(connection, database, {run_id: label})
    return label


def changed(label: Label, *, archived: bool | None, deleted: bool | None, now: float) -> Label:
    """The label of a run that is put aside or not, thrown away or not; None leaves it."""
    if archived is not None:
        label = replace(label, is_archived=archived)
    if deleted is not None:
        label = replace(label, deleted=(label.deleted or now) if deleted else None)
    return label


def keep(connection: Connection, database: Database, wanted: Mapping[str, Label]) -> None:
    """Set the labels of many runs, all of which are there. Raises ValueError for tags or a note that are too long."""
    rows = [
        {
            "run_id": run_id,
            "tags": to_json(list(tidy_tags(label.tags))),
            "note": _tidy_note(label.note),
            "is_archived": label.is_archived,
            "deleted": label.deleted,
        }
        for run_id, label in wanted.items()
    ]
    if rows:
        connection.execute(database.upsert(labels, ("run_id",)), rows)


def take_back(connection: Connection, sweep_id: str) -> None:
    """None of a sweep's runs is thrown away any more."""
    mine = labels.c.run_id.in_(select(members.c.run_id).where(members.c.sweep_id == sweep_id))
    connection.execute(update(labels).where(mine, labels.c.deleted.is_not(None)).values(deleted=None))


def tidy_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Each tag once and on one line, in the order given. Raises ValueError.

    >>> tidy_tags([" to  show ", "2026", "to show", ""])
    ('to show', '2026')
    """
    tidy = lines(tags)
    for tag in tidy:
        if len(tag) > LONGEST_TAG or not tag.isprintable():
            raise ValueError(f"a tag has at most {LONGEST_TAG} printable characters, got {tag[:60]!r}: put more into the note")
    if len(tidy) > MOST_TAGS:
        raise ValueError(f"a run bears at most {MOST_TAGS} tags, got {len(tidy)}: put more into the note")
    return tidy


def lines(tags: Sequence[str]) -> tuple[str, ...]:
    """Each tag once and on one line, however long. Raises ValueError for a text in place of a list."""
    if isinstance(tags, str):
        raise ValueError(f"tags must be a list of words, got the text {tags[:40]!r}")
    return tuple(dict.fromkeys(line for tag in tags if (line := " ".join(tag.split()))))


def _tidy_note(note: str) -> str:
    kept = note.replace("\x00", "").strip()  # a zero byte is the one character that a database refuses
    if len(kept) > LONGEST_NOTE:
        raise ValueError(f"a note has at most {LONGEST_NOTE:,} characters, got {len(kept):,}")
    return kept
