"""Home: what this is, a recorded run that plays by itself, what is running, and one button to start."""

import streamlit as st

from mtl_core.ui import frame, home_view, replay

frame.guard()
store = frame.store()

home_view.welcome(store)
with st.container(border=True, key="card-replay"):
    st.fragment(replay.play, run_every=replay.TICK_S)()
home_view.runs(store)
