"""A comparison to take away: its results, its curves, a report that opens offline, and the runs themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import streamlit as st

from mtl_core.comparing import Comparison
from mtl_core.exchange.archive import pack_all
from mtl_core.exchange.compare_report import compare_report
from mtl_core.exchange.compare_tables import results, write_curves
from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.store import ENDED, Store

NAME = "comparison"


def show(store: Store, found: Comparison) -> None:
    """A button per file; each is made when its button is pressed."""
    with st.container(gap="small", key="compare-export"):
        _button("Results (CSV)", lambda: as_csv(results(store, found)).encode(), "results.csv", "text/csv")
        _button(
            "All curves (CSV)",
            lambda: curves(store, found, "csv"),
            "curves.csv.zip",
            "application/zip",
            help="Every number of every run at full resolution, zipped.",
        )
        _button(
            "All curves (Parquet)",
            lambda: curves(store, found, "parquet"),
            "curves.parquet",
            "application/vnd.apache.parquet",
            help="The same as a table that pandas, R and DuckDB read quickly.",
        )
        _button(
            "Report (HTML)",
            lambda: compare_report(store, found).encode(),
            "html",
            "text/html",
            help="Rules, results, every figure and the configs in one file, interactive without a network.",
        )
        if any(run.state in ENDED for group in found.groups for run in group.runs):
            _button(
                "Runs (.zip)",
                lambda: archives(store, found),
                "runs.zip",
                "application/zip",
                help="The archives of all runs that have ended: another installation imports them as they are.",
            )


def _button(label: str, data: Callable[[], bytes], ending: str, mime: str, *, help: str | None = None) -> None:
    st.download_button(
        label,
        data=data,
        file_name=f"{NAME}.{ending}",
        mime=mime,
        icon=":material/download:",
        key=f"export.{ending}",
        on_click="ignore",
        help=help,
        type="tertiary",
    )


def curves(store: Store, comparison: Comparison, form: Literal["csv", "parquet"]) -> bytes:
    """All curves as one file."""
    with TemporaryDirectory() as folder:
        return write_curves(store, comparison, Path(folder) / form, form).read_bytes()


def archives(store: Store, comparison: Comparison) -> bytes:
    """The runs that have ended, as another installation imports them."""
    ids = [run.id for group in comparison.groups for run in group.runs]
    with TemporaryDirectory() as folder:
        return pack_all(store, ids, Path(folder) / "runs.zip").read_bytes()
