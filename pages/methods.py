"""Methods: every weighting scheme by the question it asks, and what it does to gradients that one pulls by hand."""

import streamlit as st

from mtl_core.ui import errors, frame

frame.guard()
frame.title("Methods", "Pull the arrows, and see what every scheme makes of them. Choose one to read what it does and when.")
with frame.loading("Loading PyTorch, which the schemes need …"):
    from mtl_core.ui.methods import detail as methods_detail
    from mtl_core.ui.methods import list as methods_list
    from mtl_core.ui.methods import picture as methods_picture
    from mtl_core.ui.methods import state as methods_state
st.html(frame.HERE / "methods/methods.css")
memory = methods_state.current()
for slip in memory.slips:
    st.warning(errors.plain(errors.sentence(ValueError(slip))), icon=":material/link_off:")

with st.container(key="halves-methods"):
    left, right = st.columns([1, 2.3], gap="medium")
with left, st.container(key="methods-left"):
    methods_list.catalogue(memory)
with right:
    methods_picture.picture()
    methods_detail.detail(memory.scene.scheme)
