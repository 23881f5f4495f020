"""Figures on a page that moves: the same node from tick to tick, a zoom that stays, and one window for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from mtl_core.figures import FIGURES, View
from mtl_core.ui.tail import Reading

ZOOM = "zoom"  # session key of the window that all figures share


def figure(name: str, reading: Reading, view: View, *, key: str) -> None:
    """One figure as a card: its name, the drawing, how to read it and when to worry."""
    kind = FIGURES[name]
    with st.container(border=True, key=f"card-{key}"):
        st.html(f'<div class="mtl-card-head"><h3>{escape(kind.title)}</h3></div>')
        picture(name, reading, view, key=key)
        st.html(
            f'<div class="mtl-read"><p><b>How to read it.</b> {escape(kind.how_to_read)}</p>'
            f"<p><b>Worry when.</b> {escape(kind.when_to_worry)}</p></div>"
        )


def picture(name: str, reading: Reading, view: View, *, key: str) -> None:
    """The drawing alone."""
    kind, tidy = FIGURES[name], reading.tidy(name)
    if kind.medium == "svg":
        inline_html(f'<div class="mtl-svg">{kind.draw(tidy, reading.spec, view)}</div>')
        return
    spec = kind.vega(tidy, reading.spec, view)
    if not kind.zooms:
        st.vega_lite_chart(spec, theme=None, width="stretch", key=key)
        return
    node = f"{key}-{st.session_state.get(f'{ZOOM}.version', 0)}"
    st.vega_lite_chart(
        spec, theme=None, width="stretch", key=node, selection_mode=["zoom"], on_select=lambda: _zoomed(node, view.x)
    )


def inline_html(html: str) -> None:
    """HTML of ours with drawings in it, in the page's fonts: st.html would strip SVG, an image would have no web font."""
    st.markdown(" ".join(html.split("\n")), unsafe_allow_html=True)  # a blank line would end the HTML block in Markdown


def window() -> tuple[float, float] | None:
    """The part of the x axis that every figure shows; None for the whole run."""
    domain: tuple[float, float] | None = st.session_state.get(ZOOM)
    return domain


def show_all() -> None:
    """Forget the zoom: all figures show the whole run."""
    st.session_state[ZOOM] = None
    st.session_state[f"{ZOOM}.version"] = st.session_state.get(f"{ZOOM}.version", 0) + 1


def _zoomed(node: str, x: str) -> None:
    """A zoom has ended in one figure: it becomes the window of all."""
    state: Mapping[str, Any] = st.session_state.get(node) or {}
    chosen = (state.get("selection") or {}).get("zoom") or {}
    span = chosen.get(x)
    if isinstance(span, list | tuple) and len(span) == 2 and float(span[0]) < float(span[1]):
        st.session_state[ZOOM] = (float(span[0]), float(span[1]))
    elif not chosen:
        st.session_state[ZOOM] = None
