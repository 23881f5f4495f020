"""The parts of Home beside the recorded run: what this is, the button that starts a live run, and the list of runs."""

from __future__ import annotations

import uuid

import streamlit as st

from mtl_core import jobs
from mtl_core.store import STATES, UNENDED, Run, Store
from mtl_core.ui import errors, status, visitor
from mtl_core.ui.presets import PRESETS

LISTED = 6
WHAT = (
    "Several tasks share one network. They help each other, or they pull it apart.",
    "Pick the tasks, how deep the network is shared, and how the losses are weighted.",
    "Then watch every loss and every conflict between gradients, live, while it trains in the background.",
)


def welcome(store: Store) -> None:
    """Three sentences and two ways on."""
    with st.container(key="halves-home"):
        left, right = st.columns([5, 6], gap="medium", vertical_alignment="center")
    with left:
        st.html('<div class="mtl-hero"><h1>See what tasks do to each other inside one network</h1></div>')
        with st.container(horizontal=True, gap="small"):
            _start(store)
            if st.button("Design your own run", key="design"):
                st.switch_page("pages/train.py")
    with right:
        st.html('<div class="mtl-hero">' + "".join(f"<p>{sentence}</p>" for sentence in WHAT) + "</div>")


def _start(store: Store) -> None:
    request = st.session_state.setdefault("home.request", uuid.uuid4().hex)
    preset = PRESETS["classic"]
    if st.button("Start a live run", type="primary", icon=":material/play_arrow:", key="start-live", help=preset.look):
        with errors.say_errors("The run was not started."):
            run_id = jobs.submit(store, preset.config, request=request, owner=visitor.owner())
            st.session_state["home.started"] = request
            st.switch_page("pages/watch.py", query_params={"run": run_id})
    elif st.session_state.get("home.started") == request:
        st.session_state["home.request"] = uuid.uuid4().hex


def look_after(store: Store) -> None:
    """Runs whose worker has died are named so before they are listed."""
    with errors.say_errors():
        jobs.reconcile(store)


def runs(store: Store) -> None:
    """What runs now, and what ran last."""
    now = [*store.runs(states=("running", "paused"), limit=LISTED), *store.runs(states=("queued",), limit=LISTED)][:LISTED]
    recent = store.runs(states=[state for state in STATES if state not in UNENDED], limit=LISTED)
    with st.container(key="halves-runs"):
        left, right = st.columns(2, gap="small")
    with left, st.container(border=True, key="card-now"):
        st.html('<div class="mtl-card-head"><h3>Running now</h3></div>')
        _list(now, "now", "Nothing is training. Start a run and it appears here.")
    with right, st.container(border=True, key="card-recent"):
        st.html('<div class="mtl-card-head"><h3>Recent runs</h3></div>')
        _list(recent, "recent", "Runs that have ended are listed here.")


def _list(found: list[Run], key: str, otherwise: str) -> None:
    if found:
        status.links(found, key=key)
    else:
        st.html(f'<p class="mtl-note">{otherwise}</p>')
