"""Compare: choose runs, and see who is better at what, by how much, and whether one may believe it."""

import streamlit as st

from mtl_core.ui import frame
from mtl_core.ui.compare import view

frame.guard()
frame.title(
    "Compare", "Choose runs or a whole sweep; seeds are taken together, and every broken rule of a fair comparison is said."
)
store = frame.store()
st.html(frame.HERE / "compare/compare.css")
view.show(store)
