"""Playground: the two-dimensional problem of the papers, any schemes, any start, walks that play."""

import streamlit as st

from mtl_core.ui import errors, frame

frame.guard()
frame.title(
    "Playground",
    "Two tasks share two parameters. Choose schemes and a start, press Play, and see who finds the best trade-offs and who gets stuck.",
)
with frame.loading("Loading PyTorch, which the schemes are written in …"):
    from mtl_core.ui.playground import form as playground_form
    from mtl_core.ui.playground import state as playground_state
    from mtl_core.ui.playground import view
memory = playground_state.current()
for slip in memory.slips:
    st.warning(errors.plain(errors.sentence(ValueError(slip))), icon=":material/link_off:")

choice = playground_form.controls(memory)
memory.keep(choice)
with errors.stop_with("This cannot be walked."):
    choice.check()
    view.picture(choice, memory)
