"""Figures on a page that moves: the same node from tick to tick, a zoom that stays, and one window for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape
from itertools import islice

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.figures import FIGURES, View
from mtl_core.ui.tail import Reading
from mtl_core.ui.zoom import Zoom

ZOOM = Zoom("zoom")  # the window that all figures of the Watch page share


def figure(name: str, reading: Reading, view: View, *, key: str) -> None:
    """One figure as a card: its name, the drawing, how to read it and when to worry."""
    with st.container(border=True, key=f"card-{key}"):
        st.html(f'<div class="mtl-card-head"><h3>{escape(FIGURES[name].title)}</h3></div>')
        picture(name, reading, view, key=key)
        legend(name)


def empty(title: str, sentence: str) -> None:
    """What stands where there is nothing yet."""
    with st.container(border=True, key="card-empty"):
        st.html(f'<div class="mtl-empty"><h3>{escape(title)}</h3><p>{escape(sentence)}</p></div>')


def panels(name: str, reading: Reading, view: View, shown: Sequence[str], *, key: str) -> None:
    """Several drawings of one figure in one card, two in a row; how to read them is said once."""
    with st.container(border=True, key=f"card-{key}"):
        st.html(f'<div class="mtl-card-head"><h3>{escape(FIGURES[name].title)}</h3></div>')
        for pair in batched(shown, 2):
            with st.container(key=f"halves-{key}-{pair[0]}"):
                cells = st.columns(2, gap="medium")
            for cell, panel in zip(cells, pair, strict=False):
                with cell:
                    picture(name, reading, replace(view, choice=panel), key=f"{key}-{panel}")
        legend(name)


def batched(items: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """The items in groups of that size; the last may be smaller."""
    left = iter(items)
    while group := tuple(islice(left, size)):
        yield group


def halves(key: str) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Two columns, which a narrow window stacks."""
    with st.container(key=f"halves-{key}"):
        return st.columns(2, gap="small")


def legend(name: str) -> None:
    """How to read a figure, and when to worry."""
    kind = FIGURES[name]
    st.html(
        f'<div class="mtl-read"><p><b>How to read it.</b> {escape(kind.how_to_read)}</p>'
        f"<p><b>Worry when.</b> {escape(kind.when_to_worry)}</p></div>"
    )


def picture(name: str, reading: Reading, view: View, *, key: str) -> None:
    """The drawing alone."""
    kind, tidy = FIGURES[name], reading.tidy(name)
    if kind.medium == "svg":
        svg = reading.kept((name, view), lambda: kind.draw(tidy, reading.spec, view))
        inline_html(f'<div class="mtl-svg">{svg}</div>')
        return
    spec = kind.vega(tidy, reading.spec, view)
    if kind.zooms:
        ZOOM.chart(spec, view.x, key=key)
    else:
        st.vega_lite_chart(spec, theme=None, width="stretch", key=key)


def inline_html(html: str) -> None:
    """HTML of ours with drawings in it, in the page's fonts: st.html would strip SVG, an image would have no web font."""
    st.markdown(" ".join(html.split("\n")), unsafe_allow_html=True)  # a blank line would end the HTML block in Markdown
