"""What the Playground shows: the walks as they are computed, the picture that plays, and the table beneath it."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from mtl_core.palette import Theme
from mtl_core.ui import frame
from mtl_core.ui.playground import figure, form
from mtl_core.ui.playground import words as playground_words
from mtl_core.ui.playground.choice import Choice, Start, to_params
from mtl_core.ui.playground.state import Memory
from mtl_core.ui.playground.trails import Trail, trails

HOW_TO_READ = (
    "Left, the two parameters: each walk goes from its ring to its marker over the landscape of losses, bluer is lower. Right, the "
    "same walks in losses: down and left is better. On the thick grey curve, the best trade-offs, no loss falls without the other rising."
)
WHEN_TO_WORRY = (
    "A walk zigzags on the spot in the upper half: it is in a valley where one loss's steep gradient drowns the other's, and a scheme "
    "that adds gradients cannot leave it."
)


def walk(choice: Choice) -> list[Trail]:
    """All walks of the choice, with a bar that says how far they are while they are computed."""
    names = form.titles()
    order = [(start, scheme) for start in choice.starts for scheme in choice.schemes]
    place = st.empty()

    def report(scheme: str, start: Start, step: int) -> None:
        share = (order.index((start, scheme)) + step / choice.steps) / len(order)
        words = f"{names[scheme]} from {playground_words.place(start)}: step {step:,} of {choice.steps:,}"
        place.progress(min(share, 1.0), text=words)

    found = trails().all_of(choice, report)
    place.empty()
    return found


def picture(choice: Choice, memory: Memory) -> Choice:
    """The card with the picture; returns the choice with the landscape that is shown."""
    with st.container(border=True, key="card-picture"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="pg-head"):
            st.html('<div class="mtl-card-head"><h3>The walks</h3></div>')
            choice = form.surface(choice, memory)
        memory.keep(choice)
        found = walk(choice)
        table = figure.tidy(found)
        drawn = _drawn(str(to_params(choice)), frame.theme(), table, choice)
        st.plotly_chart(drawn, theme=None, width="stretch", key="pg-picture", config={"displayModeBar": False})
        st.html(
            f'<div class="mtl-read"><p><b>How to read it.</b> {escape(HOW_TO_READ)}</p>'
            f"<p><b>Worry when.</b> {escape(WHEN_TO_WORRY)}</p></div>"
        )
    _ends(found, choice, table.to_csv(index=False).encode())
    return choice


@st.cache_resource(show_spinner=False, max_entries=16)
def _drawn(link: str, theme: Theme, _table: pd.DataFrame, _choice: Choice) -> go.Figure:
    """The picture; the link says all that it depends on, so it is drawn once for all visitors."""
    del link
    return figure.draw(_table, _choice, figure.looks(_choice.schemes, form.titles(), theme), theme)


def _ends(found: list[Trail], choice: Choice, csv: bytes) -> None:
    names = form.titles()
    chosen = {name: names[name] for name in choice.schemes}
    colours = {name: look.colour for name, look in figure.looks(choice.schemes, names, frame.theme()).items()}
    with st.container(border=True, key="card-ends"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="pg-ends"):
            st.html('<div class="mtl-card-head"><h3>Where they end</h3></div>')
            st.download_button(
                "All places (CSV)", csv, "playground.csv", "text/csv", type="tertiary", icon=":material/download:"
            )
        frame.note(playground_words.summary(found, chosen))
        st.html(Path(__file__).with_name("playground.css"))
        st.html(playground_words.table(found, choice, names, colours))
