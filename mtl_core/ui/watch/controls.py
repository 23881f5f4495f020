"""The buttons of a run: what makes sense in its state, and the words when it is refused."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.store import Run, Store
from mtl_core.ui import errors, visitor
from mtl_core.ui.links import to_params

SAID = "controls.said"


def buttons(store: Store, run: Run) -> None:
    """One row: stop, pause, resume, stop and save, retry, delete, as the state allows."""
    with st.container(horizontal=True, gap="small", key="run-buttons"):
        if run.state == "running":
            _button("Stop", ":material/stop:", jobs.stop, store, run, help="Ends now. What was recorded stays.")
            _button(
                "Pause", ":material/pause:", jobs.pause, store, run, help="Keeps the exact state; Resume goes on from there."
            )
            _button(
                "Stop and save", ":material/flag:", jobs.save, store, run, help="Ends as if out of steps: test and checkpoint."
            )
        if run.state == "queued":
            _button("Cancel", ":material/close:", jobs.stop, store, run, help="Takes it out of the queue.")
        if run.state == "paused":
            _button("Resume", ":material/play_arrow:", jobs.resume, store, run, is_primary=True)
            _button("Stop", ":material/stop:", jobs.stop, store, run)
        if run.state in ("interrupted", "stopped", "failed"):
            _button(
                "Resume from checkpoint", ":material/play_arrow:", jobs.resume, store, run, is_primary=run.state != "failed"
            )
        if run.state in ("finished", "stopped", "failed", "diverged", "interrupted"):
            _again(run)
            _delete(store, run)
    said = st.session_state.pop(SAID, "")
    if said:
        errors.show(said)


def _button(
    label: str,
    icon: str,
    act: Callable[..., object],
    store: Store,
    run: Run,
    *,
    is_primary: bool = False,
    help: str | None = None,
) -> None:
    st.button(
        label,
        icon=icon,
        key=f"do-{label}-{run.id}",
        type="primary" if is_primary else "secondary",
        help=help,
        on_click=_try,
        args=(act, store, run.id),
    )


def _try(act: Callable[..., object], store: Store, run_id: str) -> None:
    try:
        act(store, run_id, owner=visitor.owner())
    except errors.EXPECTED as error:
        st.session_state[SAID] = errors.sentence(error)


def _again(run: Run) -> None:
    """Back to Train with this run's config filled in: to mend it, or to run it again."""
    is_broken = run.state in ("failed", "diverged")
    label = "Fix and retry" if is_broken else "Train again"
    if st.button(label, icon=":material/replay:", key=f"again-{run.id}", type="primary" if is_broken else "secondary"):
        with errors.say_errors("This version of the program cannot read the run's config."):
            st.switch_page("pages/train.py", query_params=to_params(RunConfig.from_mapping(run.config)))


def _delete(store: Store, run: Run) -> None:
    with st.popover("Delete", icon=":material/delete:", type="tertiary"):
        st.markdown("Delete this run, its records and its checkpoint? There is no way back.")
        if st.button("Delete for good", key=f"delete-{run.id}", type="primary"):
            _try(jobs.delete, store, run.id)
            if SAID not in st.session_state:
                st.query_params.pop("run", None)
                st.rerun()
