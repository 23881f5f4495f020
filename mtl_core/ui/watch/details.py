"""The small print of a run: its config, what happened to it, the worker's log, its error, and all its numbers to take away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from mtl_core import frames
from mtl_core.config import RunConfig
from mtl_core.estimate import in_words
from mtl_core.exchange.archive import pack
from mtl_core.exchange.report import report
from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.exchange.tables import zip_tables
from mtl_core.store import ENDED, Run, Store
from mtl_core.ui import errors, live, status

LOG_LINES = 200
EVENTS = 50
TABLES = {
    "csv": "All tables (CSV, .zip)",
    "parquet": "All tables (Parquet, .zip)",
    "json": "All tables (JSON, .zip)",
    "tensorboard": "Curves (TensorBoard, .zip)",
}
TRACEBACK, MESSAGE = 8000, 600  # signs


def error(run: Run) -> None:
    """What a failed run died of: the last line of its traceback, and beneath it how it came to that."""
    with st.container(border=True, key="card-error"):
        st.html('<div class="mtl-card-head"><h3>What went wrong</h3></div>')
        st.html(f'<p class="mtl-note"><b>{escape(last_line(run.error))}</b></p>')
        with st.expander("The traceback"):
            st.code(run.error[-TRACEBACK:], language="python", height=260)


def last_line(traceback: str) -> str:
    """The line of a traceback that says what happened.

    >>> last_line("Traceback (most recent call last):\\n  File 'a.py', line 1\\nValueError: no\\n\\n")
    'ValueError: no'
    """
    lines = [line.strip() for line in traceback.splitlines() if line.strip()]
    return lines[-1][:MESSAGE] if lines else ""


def show(store: Store, run: Run) -> None:
    """Everything that is no curve."""
    left, right = live.halves("details")
    with left:
        with st.container(border=True, key="card-config"):
            st.html('<div class="mtl-card-head"><h3>Config</h3></div>')
            with errors.say_errors("This version of the program cannot read the run's config."):
                st.code(RunConfig.from_mapping(run.config).to_yaml(), language="yaml", wrap_lines=True)
        with st.container(border=True, key="card-downloads"):
            st.html('<div class="mtl-card-head"><h3>Take it with you</h3></div>')
            _downloads(store, run)
    with right:
        with st.container(border=True, key="card-history"):
            st.html('<div class="mtl-card-head"><h3>What happened</h3></div>')
            _happened(store, run)
        with st.container(border=True, key="card-log"):
            st.html('<div class="mtl-card-head"><h3>Log</h3><span>the last lines of the worker</span></div>')
            st.code(log_tail(store, run) or "The worker has said nothing.", language=None, height=240, wrap_lines=True)


def _downloads(store: Store, run: Run) -> None:
    st.html(
        '<p class="mtl-note">All curves at full resolution; in a .zip with the gradients\' inner products, from which every figure of '
        "conflict follows, and the config; a report with all figures, for a browser without a network; or the whole run as a file "
        "that another installation imports. For one picture, use the menu at a chart's top right.</p>"
    )
    _download("All numbers (CSV)", lambda: csv(store, run.id), f"{run.id}.csv", "text/csv", key="csv")
    for form, label in TABLES.items():
        _download(label, partial(tables, store, run, form), f"{run.id}.{form}.zip", "application/zip", key=f"tables-{form}")
    _download("Report (HTML)", lambda: report(store, run).encode(), f"{run.id}.html", "text/html", key="html")
    if run.state in ENDED:
        _download("Archive (.mtlrun)", lambda: archive(store, run.id), f"{run.id}.mtlrun", "application/zip", key="archive")


def _download(label: str, data: Callable[[], bytes], file_name: str, mime: str, *, key: str) -> None:
    """A button whose file is made when it is pressed."""
    icon = ":material/download:"
    st.download_button(label, data=data, file_name=file_name, mime=mime, icon=icon, key=key, on_click="ignore")


def archive(store: Store, run_id: str) -> bytes:
    """A run as another installation imports it, without its checkpoint."""
    with TemporaryDirectory() as folder:
        return pack(store, run_id, Path(folder) / "run.mtlrun").read_bytes()


def tables(store: Store, run: Run, form: str) -> bytes:
    """All tables of a run and its config, or its event files, in one zip file."""
    with TemporaryDirectory() as folder:
        return zip_tables(store, run, Path(folder) / "tables.zip", form).read_bytes()


def csv(store: Store, run_id: str) -> bytes:
    """Every number a run has recorded, one a line, written part by part."""
    parts = frames.export_parts(store, run_id)
    return b"".join(as_csv(part, header=n == 0).encode() for n, part in enumerate(parts))


def _happened(store: Store, run: Run) -> None:
    changes = store.history(run.id)
    start = changes[0].time if changes else run.created
    rows = [
        (in_words(change.time - start) if change.time - start >= 1 else "start", status.chip(change.state), change.reason)
        for change in changes
    ]
    rows += [(f"step {event.step:,}", "", event.text) for event in store.events(run.id)[-EVENTS:]]
    cells = "".join(f"<div><span>{when}</span><span>{what} {escape(why)}</span></div>" for when, what, why in rows)
    st.html(f'<div class="mtl-timeline">{cells}</div>')


def log_tail(store: Store, run: Run) -> str:
    """The last lines of the worker's log, at most 64 kB read; empty if there is none."""
    path = store.run_folder(run.id) / "worker.log"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-LOG_LINES:])
