"""Watch: one run, live or ended: how it learns, who pulls where, and who pays."""

import streamlit as st

from mtl_core.ui import frame, status
from mtl_core.ui.watch import controls, picker, view

frame.guard()
store = frame.store()
run = picker.pick(store)
if run is None:
    st.stop()


def body() -> None:
    """The part that moves: read the run, draw it, and stop ticking once it has ended."""
    now = picker.still_there(store, run.id)
    if status.is_going(now) != status.is_going(run):
        st.rerun()
    with st.container(border=True, key="card-status"):
        st.html(status.headline(now))
        controls.buttons(store, now)
    choice = view.choose(now)
    view.section(store, now, choice)
    if is_new and now.step > 0:
        st.rerun()  # the first curve is there: from now on at the usual pace


is_new = run.step == 0
TICK_S = 0.4 if is_new else 1.0
st.fragment(body, run_every=TICK_S if picker.follows(run) else None)()
