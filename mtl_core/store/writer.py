"""Recording a run: rows are gathered in memory and written together, with their levels of detail."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from sqlalchemy import Connection, delete, func, select, update

from mtl_core.records import SPLITS, Column, Event, Measurement, Preview, RunOutput, Scalars, Split
from mtl_core.store import levels, observations
from mtl_core.store.database import Database
from mtl_core.store.schema import columns as columns_table
from mtl_core.store.schema import series
from mtl_core.store.series import columns, on_level, rows_up_to

_LARGEST_STEP = 2**53  # float64 holds every whole number up to here


class Writer:
    """Takes what a run yields and writes it in one transaction per ``flush``.

    ``append`` is cheap: it looks at the form and keeps the item. A flush that fails (a full disk) leaves everything in memory,
    so the next one writes it. One writer per run at a time.
    """

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self._run_id = run_id
        self._series: dict[Split, _Series] = {}
        self._others: list[Measurement | Preview | Event] = []

    def append(self, item: RunOutput) -> None:
        """Keep an item for the next flush. Raises ValueError if it does not fit what the run recorded before."""
        if isinstance(item, Scalars):
            self._series_of(item.split).append(item)
        else:
            if isinstance(item, Measurement):
                observations.check_measurement(item)
            self._others.append(item)

    def flush(self) -> None:
        """Write everything that was appended, or, if that fails, nothing of it (OSError: it may be tried again)."""
        if not self._others and not any(kept.is_waiting for kept in self._series.values()):
            return
        with self._database.writing() as connection:
            new_columns = [row for kept in self._series.values() for row in kept.column_rows()]
            if new_columns:
                connection.execute(columns_table.insert(), new_columns)
            blocks = [row for kept in self._series.values() for row in kept.blocks()]
            if blocks:
                connection.execute(self._database.upsert(series, ("run_id", "split", "level", "chunk")), blocks)
            observations.add(connection, self._run_id, self._others)
        self._others.clear()
        for kept in self._series.values():
            kept.written()

    def truncate(self, step: int) -> None:
        """Forget everything after a step, so that a run resumed from there goes on as if it had never gone further."""
        self.flush()
        with self._database.writing() as connection:
            for split in SPLITS:
                _truncate_series(connection, self._run_id, split, step)
            observations.truncate(connection, self._run_id, step)
        self._series.clear()

    def close(self) -> None:
        """Write what is left."""
        self.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _series_of(self, split: Split) -> _Series:
        if split not in self._series:
            with self._database.reading() as connection:
                self._series[split] = _Series.load(connection, self._run_id, split)
        return self._series[split]


class _Tail:
    """The end of one level: its rows from the last whole block on."""

    def __init__(self, chunk: int, rows: levels.Rows) -> None:
        self.chunk = chunk  # of the first row held
        self.rows = rows
        self.is_dirty = False

    @property
    def n_rows(self) -> int:
        return self.chunk * levels.CHUNK + len(self.rows)

    def extend(self, rows: levels.Rows) -> None:
        self.rows = levels.join([self.rows, rows])
        self.is_dirty = True

    def from_row(self, row: int) -> levels.Rows:
        return self.rows.part(row - self.chunk * levels.CHUNK)

    def drop_whole_blocks(self) -> None:
        whole = len(self.rows) // levels.CHUNK
        self.chunk += whole
        self.rows = self.rows.part(whole * levels.CHUNK)
        self.is_dirty = False


class _Series:
    """The end of every level of one split, and the rows that wait to be added."""

    def __init__(self, run_id: str, split: Split, names: tuple[Column, ...], tails: list[_Tail], last_step: int) -> None:
        self.run_id = run_id
        self.split = split
        self.columns = names
        self.tails = tails
        self.last_step = last_step
        self.columns_written = bool(names)
        self.pending: list[Scalars] = []

    @classmethod
    def load(cls, connection: Connection, run_id: str, split: Split) -> _Series:
        names = columns(connection, run_id, split)
        newest = (
            select(series.c.level, func.max(series.c.chunk).label("chunk"))
            .where(series.c.run_id == run_id, series.c.split == split)
            .group_by(series.c.level)
            .subquery()
        )
        query = (
            select(series)
            .where(series.c.run_id == run_id, series.c.split == split)
            .join(newest, (series.c.level == newest.c.level) & (series.c.chunk == newest.c.chunk))
            .order_by(series.c.level)
        )
        blocks = connection.execute(query).all()
        tails = []
        for found in blocks:
            tail = _Tail(found.chunk, levels.unpack(found.block, found.level, found.rows, len(names)))
            tail.drop_whole_blocks()
            tails.append(tail)
        last_step = int(blocks[0].last_step) if blocks else -1
        return cls(run_id, split, names, tails or [_Tail(0, levels.empty(0, len(names)))], last_step)

    @property
    def is_waiting(self) -> bool:
        return bool(self.pending) or any(tail.is_dirty for tail in self.tails)

    def append(self, scalars: Scalars) -> None:
        n = len(scalars.steps)
        if scalars.values.shape != (n, len(scalars.columns)) or len(scalars.epochs) != n or len(scalars.times) != n:
            raise ValueError(
                f"{n} steps of {len(scalars.columns)} columns need values of that shape, got {scalars.values.shape}"
            )
        if n == 0:
            return
        if self.columns != scalars.columns:
            self._take_columns(scalars.columns)
        steps = scalars.steps
        if steps[0] <= self.last_step or (n > 1 and not (steps[1:] > steps[:-1]).all()) or steps[-1] > _LARGEST_STEP:
            raise ValueError(
                f"the {self.split} steps of run {self.run_id} must rise, got {int(steps[0])} to {int(steps[-1])} after "
                f"{self.last_step}: truncate(step) first when a run goes on from an earlier step"
            )
        self.last_step = int(steps[-1])
        self.pending.append(scalars)

    def column_rows(self) -> list[dict[str, object]]:
        if self.columns_written:
            return []
        key = {"run_id": self.run_id, "split": self.split}
        return [key | {"position": n, "task": column.task, "name": column.name} for n, column in enumerate(self.columns)]

    def blocks(self) -> list[dict[str, object]]:
        """The blocks that changed since they were last written."""
        self._add_pending()
        rows: list[dict[str, object]] = []
        for level, tail in enumerate(self.tails):
            if not tail.is_dirty:
                continue
            for start in range(0, len(tail.rows), levels.CHUNK):
                part = tail.rows.part(start, start + levels.CHUNK)
                chunk = tail.chunk + start // levels.CHUNK
                rows.append({"run_id": self.run_id, "split": self.split, "level": level, "chunk": chunk, **stored(part)})
        return rows

    def written(self) -> None:
        self.columns_written = bool(self.columns)
        for tail in self.tails:
            tail.drop_whole_blocks()

    def _take_columns(self, names: tuple[Column, ...]) -> None:
        if self.columns:
            raise ValueError(
                f"the columns of {self.split} of run {self.run_id} are fixed by its first row: "
                f"{_listed(self.columns)}; got {_listed(names)}"
            )
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{self.split} needs one or more columns, each named once, got {_listed(names)}")
        self.columns = tuple(Column(*name) for name in names)
        self.tails = [_Tail(0, levels.empty(0, len(names)))]

    def _add_pending(self) -> None:
        if not self.pending:
            return
        places = np.concatenate([np.stack([s.steps, s.epochs, s.times], axis=1, dtype=np.float64) for s in self.pending])
        numbers = np.concatenate([np.asarray(s.values, np.float32) for s in self.pending])[:, None]
        self.tails[0].extend(levels.Rows(places, numbers))
        self.pending.clear()
        level = 0
        while (whole := self.tails[level].n_rows // levels.FACTOR) > 0:
            if level + 1 == len(self.tails):
                self.tails.append(_Tail(0, levels.empty(level + 1, len(self.columns))))
            above = self.tails[level + 1]
            if whole == above.n_rows:
                return
            ready = self.tails[level].from_row(above.n_rows * levels.FACTOR)
            above.extend(levels.coarsen(ready.part(0, len(ready) // levels.FACTOR * levels.FACTOR)))
            level += 1


def stored(rows: levels.Rows) -> dict[str, object]:
    """A block's columns in the table."""
    return {"rows": len(rows), "first_step": rows.first_step, "last_step": rows.last_step, "block": levels.pack(rows)}


def _truncate_series(connection: Connection, run_id: str, split: Split, step: int) -> None:
    names = columns(connection, run_id, split)
    keep = rows_up_to(connection, run_id, split, step, len(names))
    if keep == 0:
        mine = columns_table.c.run_id == run_id, columns_table.c.split == split
        connection.execute(delete(columns_table).where(*mine))
    highest = select(func.max(series.c.level)).where(series.c.run_id == run_id, series.c.split == split)
    for level in range((connection.execute(highest).scalar_one() or 0) + 1):
        chunk, n_rows = divmod(keep // levels.FACTOR**level, levels.CHUNK)
        here = on_level(run_id, split, level)
        connection.execute(delete(series).where(*here, series.c.chunk >= chunk + (n_rows > 0)))
        found = connection.execute(select(series).where(*here, series.c.chunk == chunk)).one_or_none()
        if found is not None and found.rows > n_rows:
            kept = levels.unpack(found.block, level, found.rows, len(names)).part(0, n_rows)
            connection.execute(update(series).where(*here, series.c.chunk == chunk).values(**stored(kept)))


def _listed(names: tuple[Column, ...]) -> str:
    return ", ".join(f"{task}/{name}" if task else name for task, name in names) or "none"
