"""MTL Explorer: see what tasks do to each other inside one network. Start with ``streamlit run app.py``."""

import streamlit as st

from mtl_core.ui import frame

frame.dress()
st.navigation(frame.pages(), position="top").run()
