"""What a run records beside its curves: gradient measurements, affinities, sample predictions and events.

Legend: T tasks, S shared stages.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, Table, delete, func, inspect, select, update

from mtl_core.records import Affinity, Event, Measurement, Preview
from mtl_core.store.schema import affinities, events, measurements, previews

MOST_PREVIEWS = 20
_AT_A_TIME = 5_000  # numbers bound in one query
_NUMBER = np.dtype("<f4")
_KINDS: dict[type, tuple[Table, str]] = {  # what has rising steps: its table, and what to call many of them
    Measurement: (measurements, "measurements"),
    Affinity: (affinities, "affinities"),
    Preview: (previews, "previews"),
}


def add(connection: Connection, run_id: str, items: Iterable[Measurement | Affinity | Preview | Event]) -> None:
    """Write them in their order."""
    of_kind: dict[type, list[dict[str, object]]] = {kind: [] for kind in (*_KINDS, Event)}
    for item in items:
        row: dict[str, object] = {"run_id": run_id, "step": item.step, "time": item.time}
        if isinstance(item, Measurement):
            n_stages, n_tasks = _shape(item)
            row |= {"epoch": item.epoch, "stages": n_stages, "tasks": n_tasks, "block": _pack_measurement(item)}
        elif isinstance(item, Affinity):
            row |= {"epoch": item.epoch, "tasks": len(item.values), "block": _pack(item.values)}
        elif isinstance(item, Preview):
            row |= {"epoch": item.epoch, "block": pack_arrays(item.arrays)}
        else:
            row |= {"text": item.text}
        of_kind[type(item)].append(row)
    for kind, (table, _) in _KINDS.items():
        if of_kind[kind]:
            connection.execute(table.insert(), _numbered(connection, table, run_id, of_kind[kind]))
    if of_kind[Preview]:
        _thin_previews(connection, run_id)
    if of_kind[Event]:
        connection.execute(events.insert(), of_kind[Event])


def truncate(connection: Connection, run_id: str, step: int) -> None:
    """Forget what came after a step."""
    for table in (measurements, affinities, previews, events):
        connection.execute(delete(table).where(table.c.run_id == run_id, table.c.step > step))


def last_step(connection: Connection, run_id: str, kind: type) -> int:
    """The newest step of a Measurement, an Affinity or a Preview, -1 if there is none."""
    table, _ = _KINDS[kind]
    step = connection.execute(select(func.max(table.c.step)).where(table.c.run_id == run_id)).scalar_one()
    return -1 if step is None else int(step)


def check(item: Measurement | Affinity | Preview, after: int) -> None:
    """Raise ValueError unless the step is later than ``after`` and the arrays can be kept."""
    _, noun = _KINDS[type(item)]
    if item.step <= after:
        raise ValueError(
            f"the steps of {noun} must rise, got {item.step} after {after}: truncate(step) first when a run goes on"
        )
    if isinstance(item, Affinity):
        shape = np.shape(item.values)
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"values of an affinity must have a row and a column per task, got shape {shape}")
        return
    if isinstance(item, Preview):
        for name, array in item.arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise ValueError(f"{name} of a preview holds objects: give numbers or texts")
        return
    n_stages, n_tasks = _shape(item)
    expected = {
        "gramian": (n_stages, 2 * n_tasks, 2 * n_tasks),
        "counts": (2, n_tasks),
        "losses": (n_tasks,),
        "weights": (n_tasks,),
        "changes": (n_tasks,),
    }
    for name, shape in expected.items():
        got = np.shape(getattr(item, name))
        if got != shape:
            raise ValueError(f"{name} of a measurement of {n_tasks} tasks must have shape {shape}, got {got}")


def count(connection: Connection, run_id: str, table: Table = measurements) -> int:
    """How many measurements (or rows of another numbered table) a run has."""
    query = select(func.max(table.c.number)).where(table.c.run_id == run_id)
    last = connection.execute(query).scalar_one()
    return 0 if last is None else int(last) + 1


def read_measurements(
    connection: Connection, run_id: str, *, after_step: int, limit: int | None, at_most: int | None
) -> list[Measurement]:
    """Measurements after a step: the first ``limit`` of them, or ``at_most`` evenly spread ones, the last among them."""
    rows = _some(connection, select(measurements), measurements, run_id, after_step=after_step, limit=limit, at_most=at_most)
    return [_as_measurement(row) for row in rows]


def measured_steps(connection: Connection, run_id: str, *, at_most: int | None) -> list[int]:
    """The steps of a run's measurements: all, or ``at_most`` evenly spread ones, the last among them."""
    rows = _some(connection, select(measurements.c.step), measurements, run_id, at_most=at_most)
    return [int(row.step) for row in rows]


def read_affinities(
    connection: Connection, run_id: str, *, after_step: int, limit: int | None, at_most: int | None
) -> list[Affinity]:
    """Affinities, as ``read_measurements``; none in a store of a version that did not know them."""
    if not inspect(connection).has_table(affinities.name):
        return []
    rows = _some(connection, select(affinities), affinities, run_id, after_step=after_step, limit=limit, at_most=at_most)
    return [_as_affinity(row) for row in rows]


def _some(
    connection: Connection,
    query: Select[Any],
    table: Table,
    run_id: str,
    *,
    after_step: int = -1,
    limit: int | None = None,
    at_most: int | None,
) -> Iterator[Row[Any]]:
    """Rows of a numbered table after a step: the first ``limit`` of them, or ``at_most`` evenly spread ones and the last."""
    for name, value in (("limit", limit), ("at_most", at_most)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}: leave it out to read everything")
    mine = query.where(table.c.run_id == run_id).order_by(table.c.number)
    if at_most is None:
        yield from connection.execute(mine.where(table.c.step > after_step).limit(limit))
        return
    first = select(func.min(table.c.number)).where(table.c.run_id == run_id, table.c.step > after_step)
    start = connection.execute(first).scalar_one()
    if start is None:
        return
    end = count(connection, run_id, table)
    numbers = spread(int(start), end if limit is None else min(start + limit, end), at_most)
    for begin in range(0, len(numbers), _AT_A_TIME):
        yield from connection.execute(mine.where(table.c.number.in_(numbers[begin : begin + _AT_A_TIME])))


def read_measurement(connection: Connection, run_id: str, step: int | None) -> Measurement | None:
    """The newest measurement at or before a step (None: of all), None if there is none."""
    row = connection.execute(_newest(measurements, run_id, step)).one_or_none()
    return None if row is None else _as_measurement(row)


def preview_steps(connection: Connection, run_id: str) -> list[int]:
    """The steps whose sample predictions are kept."""
    query = select(previews.c.step).where(previews.c.run_id == run_id, previews.c.block.is_not(None))
    return [int(step) for step in connection.execute(query.order_by(previews.c.number)).scalars()]


def read_preview(connection: Connection, run_id: str, step: int | None) -> Preview | None:
    """The newest kept preview at or before a step (None: of all), None if there is none."""
    row = connection.execute(_newest(previews, run_id, step).where(previews.c.block.is_not(None))).one_or_none()
    return None if row is None else Preview(int(row.step), row.epoch, row.time, unpack_arrays(row.block))


def read_events(connection: Connection, run_id: str) -> list[Event]:
    """The run's log lines, oldest first."""
    query = select(events).where(events.c.run_id == run_id).order_by(events.c.number)
    return [Event(int(row.step), row.time, row.text) for row in connection.execute(query)]


def spread(start: int, end: int, at_most: int) -> list[int]:
    """At most so many of the numbers ``start`` to ``end`` (not included): multiples of a power of two, and the last one.

    A longer row keeps the numbers that a shorter one had, or every other one of them: a picture of it does not jump.

    >>> spread(0, 10, 4), spread(0, 11, 4), spread(5, 7, 9)
    ([0, 4, 8, 9], [0, 4, 8, 10], [5, 6])
    """
    if end - start <= at_most:
        return list(range(start, end))
    if at_most == 1:
        return [end - 1]
    stride = 2
    while len(multiples := range(-(-start // stride) * stride, end - 1, stride)) > at_most - 1:
        stride *= 2
    return [*multiples, end - 1]


def pack_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Named arrays as the bytes of an .npz file. Raises ValueError for arrays of objects, which would need pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return file.getvalue()


def unpack_arrays(block: bytes) -> dict[str, NDArray[np.generic]]:
    """What ``pack_arrays`` packed. Raises ValueError if it is damaged."""
    try:
        with np.load(io.BytesIO(block), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"a preview in the store is damaged ({error}): bring back a copy of the store") from error


def _numbered(connection: Connection, table: Table, run_id: str, rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    last = connection.execute(select(func.max(table.c.number)).where(table.c.run_id == run_id)).scalar_one()
    start = 0 if last is None else last + 1
    return [row | {"number": start + n} for n, row in enumerate(rows)]


def _thin_previews(connection: Connection, run_id: str) -> None:
    """Keep the pictures of the first, the last, and every 2^k-th between, and of the others only where they were."""
    mine = previews.c.run_id == run_id
    end = connection.execute(select(func.max(previews.c.number)).where(mine)).scalar_one() + 1
    kept = spread(0, end, MOST_PREVIEWS)
    connection.execute(
        update(previews).where(mine, previews.c.block.is_not(None), previews.c.number.not_in(kept)).values(block=None)
    )


def _newest(table: Table, run_id: str, step: int | None) -> Select[tuple[object, ...]]:
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.step.desc()).limit(1)
    return query if step is None else query.where(table.c.step <= step)


def _shape(item: Measurement) -> tuple[int, int]:
    return len(item.gramian), len(item.losses)


def _pack_measurement(item: Measurement) -> bytes:
    arrays = (item.gramian, item.counts, item.losses, item.weights, item.changes)
    return b"".join(_pack(array) for array in arrays)


def _pack(array: NDArray[np.float32]) -> bytes:
    return np.asarray(array).astype(_NUMBER, copy=False).tobytes()


def _as_affinity(row: Row[Any]) -> Affinity:
    values = np.frombuffer(row.block, _NUMBER)
    if len(values) != row.tasks**2:
        raise ValueError(f"the affinity at step {row.step} of run {row.run_id} is damaged: bring back a copy of the store")
    return Affinity(int(row.step), row.epoch, row.time, values.copy().reshape(row.tasks, row.tasks))


def _as_measurement(row: Row[tuple[object, ...]]) -> Measurement:
    n_stages, n_tasks = row.stages, row.tasks
    sizes = np.array([n_stages * 4 * n_tasks**2, 2 * n_tasks, n_tasks, n_tasks, n_tasks])
    numbers = np.frombuffer(row.block, _NUMBER)
    if len(numbers) != sizes.sum():
        raise ValueError(f"the measurement at step {row.step} of run {row.run_id} is damaged: bring back a copy of the store")
    gramian, counts, losses, weights, changes = np.split(numbers.copy(), np.cumsum(sizes)[:-1])
    shape = (n_stages, 2 * n_tasks, 2 * n_tasks)
    return Measurement(
        int(row.step), row.epoch, row.time, gramian.reshape(shape), counts.reshape(2, n_tasks), losses, weights, changes
    )
