"""Reading an archive's members back: forms, arrays, and from them what a run yielded when it trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from mtl_core.config import RunConfig
from mtl_core.exchange._box import Box
from mtl_core.exchange._form import RunForm, Series, plain
from mtl_core.exchange._samples import find_slip
from mtl_core.records import Affinity, Column, Event, Measurement, Preview, RunOutput, Scalars, Split
from mtl_core.registry import explain
from mtl_core.store import Change, EndedRun

PLACES = {"steps": "<i8", "epochs": "<f8", "times": "<f8"}  # where a row stands, as arrays
MOST_MANIFEST = 2**16  # bytes
MOST = 1e12  # epochs and seconds, as in run.json
AT_ONCE = 2**18  # numbers handed on together: levels of detail take some twenty times their memory while they are made

F = TypeVar("F", bound=BaseModel)


def read_form(box: Box, name: str, form: type[F], most: int | None = None) -> F:
    """A JSON member of at most so many bytes, checked. Raises ValueError."""
    text = box.text(name, most)
    try:
        return form.model_validate(json.loads(text))
    except ValidationError as error:
        raise box.damaged(explain(error, name)[:500]) from None
    except (ValueError, RecursionError) as error:
        raise box.damaged(f"{name}: {str(error)[:200]}") from error


def ended_run(form: RunForm, config: RunConfig, name: str) -> EndedRun:
    """What the store takes in."""
    history = tuple(Change(moment.time, moment.state, moment.reason) for moment in form.history)
    facts = {key: getattr(form, key) for key in ("id", "state", "reason", "created", "started", "ended", "step", "epoch")}
    more = {key: getattr(form, key) for key in ("seconds", "device", "error")}
    return EndedRun(
        **facts,
        **more,
        config=config,
        spec=plain(form.spec),
        result=plain(form.result),
        history=history,
        tags=tuple(form.tags),
        note=form.note,
        name=name or form.name,
    )


def recorded(box: Box, form: RunForm) -> Iterator[RunOutput]:
    """Everything that it recorded, as it was yielded when it trained."""
    for split, series in form.series.items():
        yield from _rows(box, split, series)
    n_tasks, n_stages = (len(form.spec.tasks), len(form.spec.shared_stages)) if form.spec else (0, 0)
    shapes = {
        "gramian": (n_stages, 2 * n_tasks, 2 * n_tasks),
        "counts": (2, n_tasks),
        "losses": (n_tasks,),
        "weights": (n_tasks,),
        "changes": (n_tasks,),
    }
    for place, arrays in _stacked(box, "measurements", form.measurements, shapes):
        yield Measurement(*place, *arrays)
    for place, arrays in _stacked(box, "affinities", form.affinities, {"values": (n_tasks, n_tasks)}):
        yield Affinity(*place, *arrays)
    for n, head in enumerate(form.previews):
        pictures = {name: box.array(f"previews/{n}/{k}.npy") for k, name in enumerate(head.arrays)}
        slip = find_slip(pictures, form.spec) if form.spec else ""
        if slip:
            raise box.damaged(f"previews/{n}: {slip}")
        yield Preview(head.step, head.epoch, head.time, pictures)
    for said in form.events:
        yield Event(said.step, said.time, said.text)


def _rows(box: Box, split: Split, series: Series) -> Iterator[Scalars]:
    columns = tuple(Column(*column) for column in series.columns)
    for part in range(series.parts):
        where = f"series/{split}/{part}"
        steps, epochs, times = _places(box, where)
        values = box.array(f"{where}/values.npy", "<f4")
        if values.shape != (steps.size, len(columns)):
            raise box.damaged(f"{where}: {values.shape} numbers for {steps.size} steps of {len(columns)} columns")
        n_rows = max(1, AT_ONCE // len(columns))
        for start in range(0, len(steps), n_rows):
            some = slice(start, start + n_rows)
            yield Scalars(split, columns, steps[some], epochs[some], times[some], values[some])


def _stacked(
    box: Box, folder: str, n_parts: int, shapes: dict[str, tuple[int, ...]]
) -> Iterator[tuple[tuple[int, float, float], list[NDArray[np.float32]]]]:
    for part in range(n_parts):
        where = f"{folder}/{part}"
        steps, epochs, times = _places(box, where)
        arrays = {name: box.array(f"{where}/{name}.npy", "<f4") for name in shapes}
        if any(arrays[name].shape != (steps.size, *shape) for name, shape in shapes.items()):
            raise box.damaged(f"{where}: the numbers do not fit the run's tasks and stages")
        for n, step in enumerate(steps):
            place = (int(step), float(epochs[n]), float(times[n]))
            yield place, [array[n] for array in arrays.values()]


def _places(box: Box, where: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Steps, epochs and times of a part: finite, from 0 on, as many of each."""
    steps, epochs, times = (box.array(f"{where}/{name}.npy", kind) for name, kind in PLACES.items())
    if not steps.shape == epochs.shape == times.shape == (steps.size,):
        raise box.damaged(f"{where}: {steps.size} steps, {epochs.size} epochs and {times.size} times")
    for name, found in (("epochs", epochs), ("times", times)):
        if len(found) and not (found.min() >= 0 and found.max() <= MOST):  # NaN is in no range
            raise box.damaged(f"{where}: {name} must be numbers from 0 on")
    return steps, epochs, times
