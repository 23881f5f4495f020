"""Figures on a page that moves: the same node from tick to tick, a zoom that stays, and one window for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import islice
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.figures import FIGURES, View
from mtl_core.ui.tail import Reading

ZOOM = "zoom"  # session key and URL parameter of the window that all figures share


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


def window(x: str) -> tuple[float, float] | None:
    """The part of that axis which every figure shows; None for the whole run. It is in the URL, for a reload."""
    if ZOOM not in st.session_state:
        st.session_state[ZOOM] = read_window(st.query_params.get(ZOOM, ""))
    axis, first, last = st.session_state[ZOOM] or ("", 0.0, 0.0)
    return (first, last) if axis == x else None


def read_window(text: str) -> tuple[str, float, float] | None:
    """Axis and bounds from a link, None if it names none that make sense.

    >>> read_window("step:100:250.5")
    ('step', 100.0, 250.5)
    >>> [read_window(text) for text in ("", "step:9:1", "wat:1:2", "step:nan:2", "step:1", "step:-inf:inf")]
    [None, None, None, None, None, None]
    """
    axis, _, bounds = text[:60].partition(":")
    try:
        first, last = (float(bound) for bound in bounds.split(":"))
    except ValueError:
        return None
    is_sound = axis in ("step", "epoch", "time") and -1e15 < first < last < 1e15
    return (axis, first, last) if is_sound else None


def show_all() -> None:
    """Forget the zoom: all figures show the whole run."""
    _set_window(None)
    st.session_state[f"{ZOOM}.version"] = st.session_state.get(f"{ZOOM}.version", 0) + 1


def _zoomed(node: str, x: str) -> None:
    """A zoom has ended in one figure: it becomes the window of all."""
    state: Mapping[str, Any] = st.session_state.get(node) or {}
    chosen = (state.get("selection") or {}).get("zoom") or {}
    span = chosen.get(x)
    if isinstance(span, list | tuple) and len(span) == 2:
        _set_window(read_window(f"{x}:{float(span[0]):.6g}:{float(span[1]):.6g}"))
    elif not chosen:
        _set_window(None)


def _set_window(chosen: tuple[str, float, float] | None) -> None:
    st.session_state[ZOOM] = chosen
    if chosen is None:
        st.query_params.pop(ZOOM, None)
    else:
        st.query_params[ZOOM] = ":".join(f"{part:g}" if isinstance(part, float) else part for part in chosen)
