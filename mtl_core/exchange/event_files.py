"""TensorBoard's event files: a run's curves out to them, and the curves of other programs in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.errors import DataLossError, OpError
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

from mtl_core.config import RunConfig
from mtl_core.records import SPLITS, Split
from mtl_core.store import Run, Store

ROWS = 10_000  # so many steps at once
PATTERN = "*tfevents*"


class Point(NamedTuple):
    """A number as TensorBoard knows it; ``time`` in unix seconds."""

    folder: str
    tag: str
    step: int
    time: float
    value: float


def write_events(store: Store, run: Run, folder: Path) -> list[Path]:
    """Write every curve at full resolution, each split as a run of TensorBoard's, so that it draws them over each other.

    The files lie in ``folder/RUN/SPLIT``, so several runs may share a folder; tags are ``task/name``, or ``name`` for the run
    as a whole. What was not measured (NaN) is left out; times of the clock follow from the run's start. Raises OSError.
    """
    started = run.started or run.created
    home = folder / run.id
    home.mkdir(parents=True, exist_ok=True)
    config = home / "config.yaml"
    config.write_text(RunConfig.from_mapping(run.config).to_yaml(), encoding="utf-8")
    written = [config]
    for split in SPLITS:
        if store.columns(run.id, split):
            path = home / split / f"events.out.tfevents.{int(started)}.{run.id}"
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                records = RecordWriter(file)
                for event in _events(store, run.id, split, started):
                    records.write(event.SerializeToString())
                records.flush()
            written.append(path)
    return written


def read_events(path: Path) -> Iterator[Point]:
    """The numbers in an event file, or in all event files below a folder, in the order in which they were written.

    Where a program says that it began again at a step, what it had written from there on before does not count, as in TensorBoard.
    Raises ValueError for a file that is damaged (one cut off at its end, as a killed program leaves it, is read to there) and
    where there is none.
    """
    files = sorted(file for file in path.rglob(PATTERN) if file.is_file()) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} holds no event files of TensorBoard: their names contain 'tfevents'")
    found: dict[str, list[Point]] = {}
    for file in files:
        folder = "" if path in (file.parent, file) else file.parent.relative_to(path).as_posix()
        points = found.setdefault(folder, [])
        for n_events, event in enumerate(_load(file)):
            if n_events == 0 and not event.file_version:
                break
            if event.session_log.status == SessionLog.START:
                points[:] = [point for point in points if point.step < event.step]
            for value in event.summary.value:
                number = _number(value)
                if number is not None:
                    points.append(Point(folder, value.tag, event.step, event.wall_time, number))
    return chain.from_iterable(found.values())


def _load(file: Path) -> Iterator[Event]:
    try:
        yield from EventFileLoader(str(file)).Load()
    except DataLossError:
        return  # cut off or damaged: what came before it is sound, each record carries its own checksum
    except (OpError, ValueError, TypeError) as error:
        raise ValueError(f"{file.name} is no event file of TensorBoard: {str(error)[:200]}") from error


def _number(value: Summary.Value) -> float | None:
    """A scalar, as old and new programs write it; None for pictures, texts and the like."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name in ("scalars", ""):
        tensor = value.tensor
        if not tensor.tensor_shape.dim and tensor.dtype in (1, 2, 3, 9):  # float, double, int32, int64
            return float(make_ndarray(tensor))
    return None


def _events(store: Store, run_id: str, split: Split, started: float) -> Iterator[Event]:
    yield Event(wall_time=started, file_version="brain.Event:2")
    after = -1
    while (rows := store.read(run_id, split, after_step=after, limit=ROWS)) is not None and len(rows.steps):
        tags = [f"{column.task}/{column.name}" if column.task else column.name for column in rows.columns]
        for step, time, values in zip(rows.steps.tolist(), rows.times.tolist(), rows.values.tolist(), strict=True):
            known = [
                Summary.Value(tag=tag, simple_value=value)
                for tag, value in zip(tags, values, strict=True)
                if not math.isnan(value)
            ]
            yield Event(wall_time=started + time, step=step, summary=Summary(value=known))
        after = int(rows.steps[-1])
