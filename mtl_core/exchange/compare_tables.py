"""A comparison as tables: its results, and every curve of every run at full resolution."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd
from pyarrow import Table
from pyarrow.parquet import ParquetWriter

from mtl_core.comparing import Comparison
from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.curves import EXPORTED, export_compared
from mtl_core.frames.compared.results import result_frame, result_table
from mtl_core.store import Store

ROWS = 500_000  # of a block in a Parquet file


def results(store: Store, comparison: Comparison) -> pd.DataFrame:
    """A row per group: every test metric with its 95 % interval over seeds, Δm, Δp, mean rank, seconds of training."""
    table = result_frame(result_table(Compared(store, comparison), with_losses=True))
    return table.astype({name: float for name in table.columns if table[name].dtype == object and name != "group"})


def write_curves(store: Store, comparison: Comparison, path: Path, form: Literal["csv", "parquet"]) -> Path:
    """Write all curves, part by part: a CSV in a zip file (text is a tenth of its size there), or a Parquet file. Raises OSError."""
    if form == "csv":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as box,
            box.open("curves.csv", "w", force_zip64=True) as file,
        ):
            file.write(f"{','.join(EXPORTED)}\n".encode())
            for part in export_compared(store, comparison.groups):
                file.write(as_csv(part, header=False).encode())
        return path
    writer = None
    try:
        for whole in _gathered(export_compared(store, comparison.groups)):
            table = Table.from_pandas(whole, preserve_index=False)
            writer = writer or ParquetWriter(path, table.schema)
            writer.write_table(table)
        if writer is None:
            pd.DataFrame(columns=list(EXPORTED)).to_parquet(path)
    finally:
        if writer is not None:
            writer.close()
    return path


def _gathered(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Small parts one below the other, so that a file has few large blocks."""
    waiting: list[pd.DataFrame] = []
    for part in parts:
        waiting.append(part.assign(**{name: part[name].astype("str") for name in ("split", "task", "name")}))
        if sum(map(len, waiting)) >= ROWS:
            yield pd.concat(waiting, ignore_index=True)
            waiting = []
    if waiting:
        yield pd.concat(waiting, ignore_index=True)
