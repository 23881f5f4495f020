"""Home: what this is, a recorded run that plays by itself, what is running, and one button to start."""

import streamlit as st

from mtl_core.ui import frame
from mtl_core.ui.home import replay, view
from mtl_core.ui.sweeps import card as sweep_card

frame.guard()
store = frame.store()

view.welcome(store)
view.look_after(store)


def body() -> None:
    """The part that moves."""
    with st.container(border=True, key="card-replay"):
        replay.play()
    view.runs(store)


st.fragment(body, run_every=replay.TICK_S)()
st.fragment(sweep_card.links, run_every=sweep_card.TICK_S)(store)
