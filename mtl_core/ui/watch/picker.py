"""Which run to watch: from the link, or from the list of recent ones; the choice is in the URL."""

from __future__ import annotations

import streamlit as st

from mtl_core import jobs
from mtl_core.store import Run, Store
from mtl_core.ui import errors, frame, live, status

LISTED = 200
FOLLOW = "follow"
IN_BIN = "This run is in the bin; Compare › Runs › Deleted brings it back."


def pick(store: Store) -> Run | None:
    """The run in the URL, or the newest one; None, with a sentence, where there is nothing to watch."""
    with errors.say_errors():
        jobs.reconcile(store)
    runs = store.runs(limit=LISTED)
    wanted = st.query_params.get("run", "")
    chosen: Run | None = None
    if wanted:
        with errors.say_errors("The link names a run that is not here."):
            chosen = store.run(wanted)
    elif runs:
        chosen = runs[0]
    if not runs and chosen is None:
        nothing()
        return None
    found = _select(runs, chosen)
    if found is not None:
        _say_if_deleted(store, found)
    return found


def nothing() -> None:
    """The page before the first run."""
    frame.title("Watch", "Start a run on Train; its curves appear here.")
    st.page_link("pages/train.py", label="Go to Train", icon=":material/arrow_forward:")


def _select(runs: list[Run], chosen: Run | None) -> Run | None:
    by_id = {run.id: run for run in ([chosen] if chosen else [])} | {run.id: run for run in runs}
    ids = list(by_id)
    with st.container(horizontal=True, vertical_alignment="center", key="watch-head"):
        run_id = st.selectbox(
            "Run",
            ids,
            index=None if chosen is None else ids.index(chosen.id),
            format_func=lambda each: _label(by_id[each]),
            key=f"run-{chosen.id if chosen else ''}",
            placeholder="Choose a run",
            label_visibility="collapsed",
        )
        if chosen is not None and status.is_going(chosen):
            st.toggle("Follow live", value=True, key=FOLLOW, help="Off: the page stands still while the run goes on.")
    if run_id is None:
        return None
    if chosen is None or run_id != chosen.id:
        live.ZOOM.show_all()
        st.query_params["run"] = run_id
        st.rerun()
    if st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id
    return by_id[run_id]


def _say_if_deleted(store: Store, run: Run) -> None:
    label = store.labels([run.id]).get(run.id)
    if label is not None and label.deleted is not None:
        st.html(f'<p class="mtl-note">{IN_BIN}</p>')


def _label(run: Run) -> str:
    """A run in the list. Only how it ended: what it is doing now would be old a moment later."""
    ended = [] if status.is_going(run) else [run.state]
    return " · ".join([run.name, *ended, status.age(run.created)])


def still_there(store: Store, run_id: str) -> Run:
    """The run as it is now; the page says so and ends if somebody has deleted it."""
    with errors.stop_with("This run is gone."):
        return store.run(run_id)


def follows(run: Run) -> bool:
    """Whether the page moves by itself: while the run lives, unless the visitor has paused the page."""
    return status.is_going(run) and bool(st.session_state.get(FOLLOW, True))
