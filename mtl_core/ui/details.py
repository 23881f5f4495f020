"""The small print of a run: its config, what happened to it, the worker's log, its error, and all its numbers to take away."""

from __future__ import annotations

from html import escape

import streamlit as st

from mtl_core import frames
from mtl_core.config import RunConfig
from mtl_core.estimate import in_words
from mtl_core.store import Run, Store
from mtl_core.ui import errors, live, status

LOG_LINES = 200
EVENTS = 50
TRACEBACK = 8000  # signs


def error(run: Run) -> None:
    """The end of a failed run's traceback."""
    with st.container(border=True, key="card-error"):
        st.html('<div class="mtl-card-head"><h3>What went wrong</h3><span>the end of the traceback</span></div>')
        st.code(run.error[-TRACEBACK:], language="python", height=260)


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
        '<p class="mtl-note">Every recorded number at full resolution. For a picture, use the menu at the top right of a chart.</p>'
    )
    st.download_button(
        "All numbers (CSV)",
        data=lambda: csv(store, run.id),
        file_name=f"{run.id}.csv",
        mime="text/csv",
        icon=":material/download:",
        key="csv",
        on_click="ignore",
    )


def csv(store: Store, run_id: str) -> bytes:
    """Every number a run has recorded, one a line, written part by part."""
    parts = frames.export_parts(store, run_id)
    return b"".join(part.to_csv(index=False, header=n == 0).encode() for n, part in enumerate(parts))


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
