"""A run's tables on disk, written part by part so that a long run fits in memory: all from which its figures follow."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas import DataFrame
from pyarrow.parquet import ParquetWriter

from mtl_core import frames
from mtl_core.config import RunConfig
from mtl_core.exchange.archive import affinity_parts, measurement_parts
from mtl_core.exchange.event_files import write_events
from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.frames.series import PLACE
from mtl_core.records import Affinity, Measurement
from mtl_core.store import Run, Store

FORMS = ("csv", "json", "parquet")


def write_tables(store: Store, run: Run, folder: Path, form: str) -> list[Path]:
    """Write all that a run recorded and its config into a folder, and return the files. Raises ValueError, OSError.

    Args:
        form: csv, json or parquet.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder to write into")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{run.id}.yaml"
    config.write_text(RunConfig.from_mapping(run.config).to_yaml(), encoding="utf-8")
    written = [config]
    tables = {
        "curves": frames.export_parts(store, run.id),
        "changes": (_changes(run, part) for part in measurement_parts(store, run.id)),
        "gramian": (_gramian(run, part) for part in measurement_parts(store, run.id)),
        "affinity": (_affinity(run, part) for part in affinity_parts(store, run.id)),
    }
    for name, parts in tables.items():
        path = folder / f"{run.id}.{name}.{form}"
        if _write(parts, path, form):
            written.append(path)
    return written


def zip_tables(store: Store, run: Run, path: Path, form: str) -> Path:
    """The same, or for the form tensorboard its event files, in one zip file. Raises ValueError, OSError."""
    with TemporaryDirectory() as name, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as box:
        folder = Path(name)
        for file in (write_events if form == "tensorboard" else partial(write_tables, form=form))(store, run, folder):
            box.write(file, file.relative_to(folder))
    return path


def _affinity(run: Run, affinities: list[Affinity]) -> DataFrame:
    """[step, epoch, time, task, other, affinity]: what a step for task alone would do for other, a row per ordered pair."""
    tasks = [task["name"] for task in (run.spec or {})["tasks"]]
    rows = [
        (one.step, one.epoch, one.time, task, other, float(one.values[i, j]))
        for one in affinities
        for i, task in enumerate(tasks)
        for j, other in enumerate(tasks)
    ]
    return pd.DataFrame(rows, columns=[*PLACE, "task", "other", "affinity"])


def _changes(run: Run, measurements: list[Measurement]) -> DataFrame:
    """[step, epoch, time, task, loss, weight, change, labelled_a, labelled_b], a row per measured step and task.

    The last two say how many samples of either half-batch had a label: what the whole batch's gradient follows from.
    """
    tasks = [task["name"] for task in (run.spec or {})["tasks"]]
    rows = [
        (one.step, one.epoch, one.time, task, *(float(part[t]) for part in (one.losses, one.weights, one.changes, *one.counts)))
        for one in measurements
        for t, task in enumerate(tasks)
    ]
    return pd.DataFrame(rows, columns=[*PLACE, "task", "loss", "weight", "change", "labelled_a", "labelled_b"])


def _gramian(run: Run, measurements: list[Measurement]) -> DataFrame:
    """[step, stage, task, half, other, other_half, inner], each pair of half-batch gradients once."""
    spec = run.spec or {}
    tasks, stages = [task["name"] for task in spec["tasks"]], spec["shared_stages"]
    names = np.array([(task, half) for half in "ab" for task in tasks])  # row h·T + t of a Gramian
    i, j = np.triu_indices(len(names))
    n, s, p = (index.reshape(-1) for index in np.indices((len(measurements), len(stages), len(i))))
    inner = np.array([one.gramian[:, i, j] for one in measurements]).reshape(-1)
    columns = {"step": np.array([one.step for one in measurements])[n], "stage": np.array(stages)[s]}
    for rows, (task, half) in ((i, ("task", "half")), (j, ("other", "other_half"))):
        columns |= {task: names[rows][p, 0], half: names[rows][p, 1]}
    return pd.DataFrame({**columns, "inner": inner})


def _write(parts: Iterator[DataFrame], path: Path, form: str) -> bool:
    """Write a table that comes in parts; nothing, and False, if there is none."""
    first = next(parts, None)
    if first is None:
        return False
    parts = chain([first], parts)
    if form == "parquet":
        _write_parquet(parts, path)
        return True
    with path.open("w", encoding="utf-8", newline="") as file:
        for n, part in enumerate(parts):
            if form == "csv":
                file.write(as_csv(part, header=n == 0))
            else:  # one array of rows (pandas' own writer would cut numbers off after 15 decimals)
                file.write("[\n" if n == 0 else ",\n")
                file.write(json.dumps(_plain(part), allow_nan=False)[1:-1])
        if form == "json":
            file.write("\n]\n")
    return True


def _plain(part: DataFrame) -> list[dict[str, object]]:
    """Rows as JSON has them: null for what is no number."""
    rows = part.astype(object).to_dict("records")
    return [
        {str(key): None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in rows
    ]


def _write_parquet(parts: Iterator[DataFrame], path: Path) -> None:
    writer = None
    for part in parts:
        words = part.select_dtypes("category").columns
        table = pa.Table.from_pandas(part.astype(dict.fromkeys(words, "str")), preserve_index=False)
        writer = writer or ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
