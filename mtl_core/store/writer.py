"""Recording a run: rows are gathered in memory and written together, with their levels of detail."""

from __future__ import annotations

from types import TracebackType

from sqlalchemy import Connection, delete, func, select, update

from mtl_core.records import SPLITS, Affinity, Event, Measurement, Preview, RunOutput, Scalars, Split
from mtl_core.store import levels, observations
from mtl_core.store.database import Database
from mtl_core.store.schema import columns as columns_table
from mtl_core.store.schema import series
from mtl_core.store.series import columns, on_level, rows_up_to
from mtl_core.store.tails import SplitTails, stored


class Writer:
    """Takes what a run yields and writes it in one transaction per ``flush``.

    ``append`` is cheap: it looks at the form and keeps the item itself, so its arrays must not be written to afterwards. A
    flush that fails (a full disk) leaves everything in memory, and the next one writes it. One writer per run at a time.
    """

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self._run_id = run_id
        self._write_blocks = database.upsert(series, ("run_id", "split", "level", "chunk"))
        self._series: dict[Split, SplitTails] = {}
        self._others: list[Measurement | Affinity | Preview | Event] = []
        self._last_steps: dict[type, int] = {}

    def append(self, item: RunOutput) -> None:
        """Keep an item for the next flush. Raises ValueError if it does not fit what the run recorded before."""
        if isinstance(item, Scalars):
            self._series_of(item.split).append(item)
            return
        if not isinstance(item, Event):
            self._check(item)
        self._others.append(item)

    def prepare(self) -> None:
        """Do the arithmetic of the next flush now, so that its transaction is short, and keep its rows as they will lie on disk."""
        for kept in self._series.values():
            kept.prepare()

    def flush(self) -> None:
        """Write everything that was appended, or nothing of it. Raises OSError (it may be tried again), LookupError if the run is gone."""
        if not self._others and not any(kept.is_waiting for kept in self._series.values()):
            return
        with self._database.writing() as connection:
            new_columns = [row for kept in self._series.values() for row in kept.column_rows()]
            if new_columns:
                connection.execute(columns_table.insert(), new_columns)
            blocks = [row for kept in self._series.values() for row in kept.blocks()]
            if blocks:
                connection.execute(self._write_blocks, blocks)
            observations.add(connection, self._run_id, self._others)
        self._others.clear()
        for kept in self._series.values():
            kept.written()

    def truncate(self, step: int) -> None:
        """Forget everything after a step, so that a run resumed from there goes on as if it had never gone further.

        The test goes in any case: it ends a run, and a run that goes on has not ended.
        """
        self.flush()
        with self._database.writing() as connection:
            for split in SPLITS:
                _truncate_series(connection, self._run_id, split, -1 if split == "test" else step)
            observations.truncate(connection, self._run_id, step)
        self._series.clear()
        self._last_steps.clear()

    def close(self) -> None:
        """Write what is left."""
        self.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _check(self, item: Measurement | Affinity | Preview) -> None:
        kind = type(item)
        if kind not in self._last_steps:
            with self._database.reading() as connection:
                self._last_steps[kind] = observations.last_step(connection, self._run_id, kind)
        observations.check(item, self._last_steps[kind])
        self._last_steps[kind] = item.step

    def _series_of(self, split: Split) -> SplitTails:
        if split not in self._series:
            with self._database.reading() as connection:
                self._series[split] = SplitTails.load(connection, self._run_id, split)
        return self._series[split]


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
