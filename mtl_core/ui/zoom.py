"""One window for many charts: a zoom in one of them becomes the window of all, in the session and in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mtl_core.ui import address

Window = tuple[str, float, float]  # axis, first, last


class Zoom:
    """The window on the horizontal axis that a page's charts share. ``name``: its session key and URL parameter."""

    def __init__(self, name: str) -> None:
        self.name = name

    def window(self, x: str) -> tuple[float, float] | None:
        """The part of that axis which every chart shows; None for all of it. It is in the URL, for reload, link and Back."""
        told = address.arrived(self.name)
        if told is not None:
            if st.session_state.get(self.name) is not None:
                self._renew()  # Back: what the charts hold themselves is over
            st.session_state[self.name] = read_window(told)
        axis, first, last = st.session_state.get(self.name) or ("", 0.0, 0.0)
        return (first, last) if axis == x else None

    def show_all(self) -> None:
        """Forget the zoom: all charts show everything."""
        self._set(None)
        self._renew()

    def chart(self, spec: Mapping[str, Any], x: str, *, key: str) -> None:
        """A chart whose selection "zoom" sets the window once it has ended."""
        node = f"{key}-{st.session_state.get(f'{self.name}.version', 0)}"
        st.vega_lite_chart(
            spec, theme=None, width="stretch", key=node, selection_mode=["zoom"], on_select=lambda: self._zoomed(node, x)
        )

    def _zoomed(self, node: str, x: str) -> None:
        state: Mapping[str, Any] = st.session_state.get(node) or {}
        chosen = (state.get("selection") or {}).get("zoom") or {}
        span = chosen.get(x)
        if isinstance(span, list | tuple) and len(span) == 2:
            self._set(read_window(f"{x}:{float(span[0]):.6g}:{float(span[1]):.6g}"))
        elif not chosen:
            self._set(None)

    def _set(self, chosen: Window | None) -> None:
        st.session_state[self.name] = chosen
        address.say_one(self.name, ":".join(f"{part:g}" if isinstance(part, float) else part for part in chosen or ()))

    def _renew(self) -> None:
        """New charts in the place of those that hold a selection of their own."""
        st.session_state[f"{self.name}.version"] = st.session_state.get(f"{self.name}.version", 0) + 1


def read_window(text: str) -> Window | None:
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
