"""What every page stands in: the page list, the look, the store, and a guard for links that arrive cold."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from mtl_core import jobs
from mtl_core.palette import Theme
from mtl_core.store import Store
from mtl_core.ui.errors import stop_with

HERE = Path(__file__).parent


def pages() -> list[StreamlitPage]:
    """The pages in the order of the bar. No icons: a page's icon would be fetched from the internet as the tab's icon."""
    return [
        st.Page("pages/home.py", title="Home", default=True),
        st.Page("pages/train.py", title="Train"),
        st.Page("pages/watch.py", title="Watch"),
        st.Page("pages/compare.py", title="Compare"),
        st.Page("pages/methods.py", title="Methods"),
        st.Page("pages/playground.py", title="Playground"),
    ]


def guard() -> None:
    """First line of each page: on a cold server a deep link runs the page without app.py; send it through the frame."""
    if not st.session_state.get("framed"):
        st.navigation(pages(), position="hidden")
        st.rerun()


def dress() -> None:
    """Title, tab icon, mark and styles; called by app.py on every run."""
    st.session_state["framed"] = True
    st.set_page_config(page_title="MTL Explorer", page_icon=str(HERE / "mark.svg"), layout="wide")
    st.logo(str(HERE / "mark.svg"), size="medium")
    st.html(HERE / "style.css")
    settle("pages")


def theme() -> Theme:
    """``light`` or ``dark``, as the visitor sees the page now."""
    return "dark" if st.context.theme.type == "dark" else "light"


def title(text: str, sentence: str) -> None:
    """The head of a page: its name and one sentence that says what to do here."""
    st.html(f'<header class="mtl-head"><h1>{escape(text)}</h1><p>{escape(sentence)}</p></header>')


def note(text: str) -> None:
    """Small grey words."""
    st.html(f'<p class="mtl-note">{escape(text)}</p>')


def store() -> Store:
    """The store of this server, its supervisor awake. A damaged or foreign store ends the page with a sentence."""
    with stop_with("The store of runs cannot be opened."):
        opened = _open(os.environ.get("MTL_EXPLORER_STORE", ""), str(Path.cwd()), jobs.mode())
        if st.context.headers:  # a browser is there: while its visitor reads, a worker warms up for the first click
            jobs.ensure_supervisor(opened)
        return opened


@st.cache_resource(show_spinner=False, max_entries=4)
def _open(url: str, folder: str, mode: jobs.Mode) -> Store:
    del folder  # part of the key: the default store lies under it
    if mode != "demo":
        return Store.open(url or None)
    try:
        return Store.open(url or None, read_only=True)
    except ValueError:
        Store.open(url or None).close()  # there was none: an empty one to look at
        return Store.open(url or None, read_only=True)


@contextmanager
def loading(words: str) -> Iterator[None]:
    """A spinner with a sentence around a heavy import; nothing at all once it has been done in this process."""
    if "torch" in sys.modules:
        yield
        return
    with st.spinner(words):
        yield
    settle("torch")


@st.cache_resource(show_spinner=False)
def settle(what: str) -> None:
    """After heavy imports, once per process: Streamlit collects garbage after every run, 36 to 134 ms each; frozen, < 1 ms."""
    del what  # part of the key: settle again after a late heavy import
    gc.collect()
    gc.freeze()
