"""The growing ends of a split's levels, held in memory between flushes so that nothing has to be read back."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, func, select

from mtl_core.records import Column, Scalars, Split
from mtl_core.store import levels
from mtl_core.store.schema import series
from mtl_core.store.series import columns

_LARGEST_STEP = 2**53  # float64 holds every whole number up to here


class SplitTails:
    """The end of every level of one split, and the rows that wait to be added."""

    def __init__(self, run_id: str, split: Split, names: tuple[Column, ...], tails: list[LevelTail], last_step: int) -> None:
        self.run_id = run_id
        self.split = split
        self.columns = names
        self.tails = tails
        self.last_step = last_step
        self.columns_written = bool(names)
        self.pending: list[Scalars] = []
        self._ready: dict[tuple[int, int], dict[str, object]] = {}  # blocks as they will be written, by level and chunk

    @classmethod
    def load(cls, connection: Connection, run_id: str, split: Split) -> SplitTails:
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
            tail = LevelTail(found.chunk, levels.unpack(found.block, found.level, found.rows, len(names)))
            tail.drop_whole_blocks()
            tails.append(tail)
        last_step = int(blocks[0].last_step) if blocks else -1
        return cls(run_id, split, names, tails or [LevelTail(0, levels.empty(0, len(names)))], last_step)

    @property
    def is_waiting(self) -> bool:
        return bool(self.pending or self._ready) or any(tail.is_dirty for tail in self.tails)

    def append(self, scalars: Scalars) -> None:
        n = len(scalars.steps)
        if scalars.values.shape != (n, len(scalars.columns)) or len(scalars.epochs) != n or len(scalars.times) != n:
            raise ValueError(
                f"{n} steps of {len(scalars.columns)} columns need values of that shape, got {scalars.values.shape}"
            )
        if n == 0:
            return
        steps = scalars.steps
        if steps[0] <= self.last_step or (n > 1 and not (steps[1:] > steps[:-1]).all()) or steps[-1] > _LARGEST_STEP:
            raise ValueError(
                f"the {self.split} steps of run {self.run_id} must rise, got {int(steps[0])} to {int(steps[-1])} after "
                f"{self.last_step}: truncate(step) first when a run goes on from an earlier step"
            )
        if self.columns != scalars.columns:
            self._take_columns(scalars.columns)
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
        for level, tail in enumerate(self.tails):
            if not tail.is_dirty:
                continue
            for start in range(0, len(tail.rows), levels.CHUNK):
                part = tail.rows.part(start, start + levels.CHUNK)
                chunk = tail.chunk + start // levels.CHUNK
                row = {"run_id": self.run_id, "split": self.split, "level": level, "chunk": chunk, **stored(part)}
                self._ready[level, chunk] = row
        return list(self._ready.values())

    def prepare(self) -> None:
        """Make the blocks of the rows that wait, and let go of what is in whole ones."""
        if self.pending:
            self.blocks()
            for tail in self.tails:
                tail.drop_whole_blocks()

    def written(self) -> None:
        self.columns_written = bool(self.columns)
        self._ready.clear()
        for tail in self.tails:
            tail.drop_whole_blocks()

    def _add_pending(self) -> None:
        """Put the rows that wait into the levels."""
        if not self.pending:
            return
        places = np.concatenate([np.stack([s.steps, s.epochs, s.times], axis=1, dtype=np.float64) for s in self.pending])
        numbers = np.concatenate([np.asarray(s.values, np.float32) for s in self.pending])[:, None]
        self.tails[0].extend(levels.Rows(places, numbers))
        self.pending.clear()
        level = 0
        while (whole := self.tails[level].n_rows // levels.FACTOR) > 0:
            if level + 1 == len(self.tails):
                self.tails.append(LevelTail(0, levels.empty(level + 1, len(self.columns))))
            above = self.tails[level + 1]
            if whole == above.n_rows:
                return
            ready = self.tails[level].from_row(above.n_rows * levels.FACTOR)
            above.extend(levels.coarsen(ready.part(0, len(ready) // levels.FACTOR * levels.FACTOR)))
            level += 1

    def _take_columns(self, names: tuple[Column, ...]) -> None:
        if self.columns:
            raise ValueError(
                f"the columns of {self.split} of run {self.run_id} are fixed by its first row: "
                f"{_listed(self.columns)}; got {_listed(names)}"
            )
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{self.split} needs one or more columns, each named once, got {_listed(names)}")
        self.columns = tuple(Column(*name) for name in names)
        self.tails = [LevelTail(0, levels.empty(0, len(names)))]


class LevelTail:
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


def stored(rows: levels.Rows) -> dict[str, object]:
    """A block's columns in the table."""
    return {"rows": len(rows), "first_step": rows.first_step, "last_step": rows.last_step, "block": levels.pack(rows)}


def _listed(names: tuple[Column, ...]) -> str:
    return ", ".join(f"{task}/{name}" if task else name for task, name in names) or "none"
