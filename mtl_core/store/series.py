"""Reading a run's curves: raw rows for tails and exports, levels of detail for the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from mtl_core.records import SPLITS, Column, Scalars, Split
from mtl_core.registry import no_such
from mtl_core.store import levels
from mtl_core.store.schema import columns as columns_table
from mtl_core.store.schema import series

MOST_POINTS = 100_000


@dataclass(frozen=True)
class Curve:
    """A window of a run's series, thinned so that no low and no high is lost.

    Shapes: M buckets, C columns. ``steps`` [M] int64, ``epochs`` and ``times`` [M] float64 are those of each bucket's last row,
    ``first_steps`` [M] that of its first; ``low``, ``high``, ``mean`` [M, C] float32, NaN where nothing was measured.
    ``rows_per_bucket`` is a power of two, 1 at full detail; the first and the last bucket may hold fewer. ``n_rows`` is how
    many rows the window holds.
    """

    split: Split
    columns: tuple[Column, ...]
    first_steps: NDArray[np.int64]
    steps: NDArray[np.int64]
    epochs: NDArray[np.float64]
    times: NDArray[np.float64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    mean: NDArray[np.float32]
    rows_per_bucket: int
    n_rows: int


def columns(connection: Connection, run_id: str, split: Split) -> tuple[Column, ...]:
    """The columns of a split, in the order in which they were first written; none before the first row."""
    if split not in SPLITS:
        raise ValueError(no_such("split", split, SPLITS))
    query = (
        select(columns_table.c.task, columns_table.c.name)
        .where(columns_table.c.run_id == run_id, columns_table.c.split == split)
        .order_by(columns_table.c.position)
    )
    return tuple(Column(task, name) for task, name in connection.execute(query))


def last_step(connection: Connection, run_id: str, split: Split) -> int:
    """The newest step written, -1 if there is none."""
    query = select(func.max(series.c.last_step)).where(*on_level(run_id, split, 0))
    step = connection.execute(query).scalar_one()
    return -1 if step is None else int(step)


def read(connection: Connection, run_id: str, split: Split, *, after_step: int, limit: int | None) -> Scalars | None:
    """Every row after a step, at most ``limit``; None if there is none."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}: leave it out to read everything")
    names = columns(connection, run_id, split)
    query = (
        select(series.c.rows, series.c.block)
        .where(*on_level(run_id, split, 0), series.c.last_step > after_step)
        .order_by(series.c.last_step)
    )
    if limit is not None:
        query = query.limit(limit // levels.CHUNK + 2)  # the first block may begin before the window
    parts = [levels.unpack(block, 0, n_rows, len(names)) for n_rows, block in connection.execute(query)]
    if not parts:
        return None
    rows = levels.join(parts)
    start = int(np.searchsorted(rows.places[:, 0], after_step, side="right"))
    rows = rows.part(start, None if limit is None else start + limit)
    steps, epochs, times = rows.places.T.copy()
    return Scalars(split, names, steps.astype(np.int64), epochs, times, rows.numbers[:, 0].copy())


def curve(connection: Connection, run_id: str, split: Split, *, first: int | None, last: int | None, points: int) -> Curve:
    """The steps ``first`` to ``last`` (both included) as at most ``points // 2`` buckets of a low and a high."""
    if not 2 <= points <= MOST_POINTS:
        raise ValueError(f"points must lie in 2..{MOST_POINTS:,}, got {points}: a bucket is drawn as two, its low and its high")
    names = columns(connection, run_id, split)
    start = 0 if first is None else _rows_before(connection, run_id, split, first, len(names), side="left")
    end = _rows_before(connection, run_id, split, last, len(names), side="right")
    if end <= start:
        return _as_curve(split, names, levels.as_buckets(levels.empty(0, len(names))), 1, 0)
    bits = levels.bucket_bits(start, end, points // 2)
    pieces = levels.cover(start, end, bits // 2)  # 2^bits rows = 4^(bits / 2)
    buckets = levels.merge(_read_pieces(connection, run_id, split, pieces, len(names)), levels.group_starts(pieces, bits))
    return _as_curve(split, names, buckets, 1 << bits, end - start)


def rows_up_to(connection: Connection, run_id: str, split: Split, step: int | None, n_columns: int) -> int:
    """How many rows lie at or before a step; None: all of them."""
    return _rows_before(connection, run_id, split, step, n_columns, side="right")


def on_level(run_id: str, split: Split, level: int) -> tuple[ColumnElement[bool], ...]:
    """The condition for the stored blocks of one level."""
    return series.c.run_id == run_id, series.c.split == split, series.c.level == level


def _rows_before(
    connection: Connection, run_id: str, split: Split, step: int | None, n_columns: int, *, side: Literal["left", "right"]
) -> int:
    """How many rows lie before a step ("left") or at and before it ("right")."""
    blocks = select(series.c.chunk, series.c.rows, series.c.block).where(*on_level(run_id, split, 0))
    if step is not None:
        query = blocks.where(series.c.last_step >= step).order_by(series.c.last_step).limit(1)
        found = connection.execute(query).one_or_none()
        if found is not None:
            steps = levels.unpack(found.block, 0, found.rows, n_columns).places[:, 0]
            return int(found.chunk) * levels.CHUNK + int(np.searchsorted(steps, step, side=side))
    newest = select(series.c.chunk, series.c.rows).where(*on_level(run_id, split, 0)).order_by(series.c.chunk.desc()).limit(1)
    end = connection.execute(newest).one_or_none()
    return 0 if end is None else int(end.chunk) * levels.CHUNK + int(end.rows)


def _read_pieces(connection: Connection, run_id: str, split: Split, pieces: list[levels.Piece], n_columns: int) -> levels.Rows:
    """The pieces' rows, joined, as buckets."""
    blocks = {
        (level, chunk): levels.unpack(block, level, n_rows, n_columns)
        for level, chunk, n_rows, block in connection.execute(
            select(series.c.level, series.c.chunk, series.c.rows, series.c.block).where(
                or_(*(and_(*on_level(run_id, split, piece.level), _is_in(piece)) for piece in pieces))
            )
        )
    }
    if any((piece.level, chunk) not in blocks for piece in pieces for chunk in _chunks(piece)):
        raise ValueError(f"some of the curves of run {run_id} are missing from the store: bring back a copy of it")
    parts = []
    for piece in pieces:
        for chunk in _chunks(piece):
            offset = chunk * levels.CHUNK
            rows = blocks[piece.level, chunk].part(max(piece.start - offset, 0), piece.end - offset)
            parts.append(levels.as_buckets(rows))
    return levels.join(parts)


def _is_in(piece: levels.Piece) -> ColumnElement[bool]:
    chunks = _chunks(piece)
    return series.c.chunk.between(chunks[0], chunks[-1])


def _chunks(piece: levels.Piece) -> range:
    return range(piece.start // levels.CHUNK, (piece.end - 1) // levels.CHUNK + 1)


def _as_curve(split: Split, names: tuple[Column, ...], buckets: levels.Rows, rows_per_bucket: int, n_rows: int) -> Curve:
    first_steps, steps, _, epochs, _, times = buckets.places.T.copy()
    low, high, mean, _ = buckets.numbers.transpose(1, 0, 2).copy()
    return Curve(
        split,
        names,
        first_steps.astype(np.int64),
        steps.astype(np.int64),
        epochs,
        times,
        low,
        high,
        mean,
        rows_per_bucket,
        n_rows,
    )
