"""A figure of a comparison as a card: its name, the drawing, how to read it, and what one may conclude."""

from __future__ import annotations

from html import escape

import streamlit as st

from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared


def figure(name: str, compared: Compared, view: View, *, key: str) -> None:
    """One figure, in one of its choices, as a card."""
    with st.container(border=True, key=f"card-{key}"):
        head(name)
        picture(name, compared, view, key=key)
        legend(name)


def head(name: str) -> None:
    """The name of a figure."""
    st.html(f'<div class="mtl-card-head"><h3>{escape(CONTRASTS[name].title)}</h3></div>')


def picture(name: str, compared: Compared, view: View, *, key: str) -> None:
    """The drawing alone, and its numbers to take away."""
    kind = CONTRASTS[name]
    tidy = kind.tidy(compared.table(kind.source, view.choice), compared.spec, view)
    if kind.medium == "plotly":
        st.plotly_chart(kind.draw(tidy, compared.spec, view), theme=None, width="stretch", key=key)
    else:
        st.vega_lite_chart(kind.vega(tidy, compared.spec, view), theme=None, width="stretch", key=key)
    st.download_button(
        "CSV",
        data=lambda: as_csv(tidy).encode(),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"csv-{key}",
        type="tertiary",
        on_click="ignore",
        help="The numbers of this drawing.",
    )


def legend(name: str) -> None:
    """How to read a figure, and what may and may not be concluded from it."""
    kind = CONTRASTS[name]
    st.html(
        f'<div class="mtl-read"><p><b>How to read it.</b> {escape(kind.how_to_read)}</p>'
        f"<p><b>What it says.</b> {escape(kind.may_say)}</p></div>"
    )
