"""The recorded run on Home: it plays by itself, through the code that draws live runs, and starts over."""

from __future__ import annotations

import shutil
import tempfile
import time
from html import escape
from pathlib import Path

import streamlit as st

from mtl_core.figures import FIGURES, View
from mtl_core.store import Run, Store
from mtl_core.ui import frame, live
from mtl_core.ui.home.record import RECORDED
from mtl_core.ui.tail import Reading, tail

FRAMES = 30  # pictures in one showing
TICK_S = 0.8
PICTURES = 6
HOLD = 6  # ticks for which the end stays on the screen


@st.cache_resource(show_spinner=False)
def recorded() -> tuple[Store, Run] | None:
    """The recorded run in a store of its own; a copy, so that nothing is ever written beside the package. None if there is none."""
    if not RECORDED.exists():
        return None
    folder = Path(tempfile.mkdtemp(prefix="mtl-explorer-recorded-"))
    store = Store.open(str(shutil.copy(RECORDED, folder / RECORDED.name)), read_only=True)
    runs = store.runs(states=["finished"], limit=1)
    return (store, runs[0]) if runs else None


def position(started: float, steps: int) -> int:
    """The step at which the showing stands now, in one of 30 places, so that all viewers share what was read.

    >>> position(time.monotonic(), 300), position(time.monotonic() - 29.9 * TICK_S, 300)
    (10, 300)
    """
    ticks = int((time.monotonic() - started) / TICK_S) % (FRAMES + HOLD)
    return round(steps * min(ticks + 1, FRAMES) / FRAMES)


def play() -> None:
    """One picture of the showing: where it stands, the losses, what is predicted, who pulls against whom."""
    found = recorded()
    if found is None:
        st.html(
            '<div class="mtl-empty"><h3>No recorded run is shipped here</h3>'
            "<p>Start one: its curves appear on Watch within seconds.</p></div>"
        )
        return
    store, run = found
    started = st.session_state.setdefault("replay.started", time.monotonic())
    step = position(started, run.steps)
    reading = tail().reading(store, run, last=step, points=400, smooth=20.0, preview_step=step)
    view = View(theme=frame.theme(), x_domain=(0.0, float(run.steps)), height=220)
    st.html(
        f'<div class="mtl-card-head"><h3>{escape(run.name)}</h3><span>a recorded run, step {step:,} of {run.steps:,}</span></div>'
        f'<div class="mtl-bar" style="--chip:var(--mtl-accent)"><i style="width:{step / run.steps:.1%}"></i></div>'
    )
    with st.container(key="halves-replay"):
        left, right = st.columns(2, gap="medium")
    with left:
        _named("losses", "Each task's loss", reading, view)
    with right:
        _named("cosine_curves", "Do their gradients pull the same way?", reading, view)
    _pictures(reading, view)


def _named(name: str, title: str, reading: Reading, view: View) -> None:
    st.html(f'<p class="mtl-note"><b>{escape(title)}</b></p>')
    live.picture(name, reading, view, key=f"replay-{name}")


def _pictures(reading: Reading, view: View) -> None:
    """One row of sample predictions."""
    figure = FIGURES["predictions"]
    if figure.applies(reading.spec):
        tidy = reading.tidy("predictions")
        svg = reading.kept(("row", view), lambda: figure.draw(tidy[tidy["example"] < PICTURES], reading.spec, view))
        live.inline_html(f'<div class="mtl-svg">{svg}</div>')
