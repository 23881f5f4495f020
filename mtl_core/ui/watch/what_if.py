"""The What if section of Watch: at any measured step, what every Gramian scheme would have done, without training again."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from importlib import import_module

import pandas as pd
import streamlit as st

from mtl_core.figures import FIGURES, View
from mtl_core.store import LIVE, Run, Store
from mtl_core.ui import frame, live
from mtl_core.ui.tail import Reading, tail

AT = "at"  # URL parameter: the measured step in view; the newest if left out
STEPS = "what_if.steps"  # session key: the steps on the slider
MOST_STEPS = 200
KEPT_S = 15.0  # a slider of a live run stands still for so long: nobody can drag one that changes every second
NEWEST = -1
ROW, AROUND = 25, 90  # pixels per scheme, and for axis and legend


def show(store: Store, run: Run, view: Callable[..., View]) -> None:
    """A slider over the measured steps, and three pictures of the chosen one."""
    spec = run.spec or {}
    if not FIGURES["what_if_weights"].applies(spec):
        live.empty(
            "Nothing to weigh",
            "What if needs at least two tasks and one shared stage. Raise the depth or add a task on Train.",
        )
        return
    if not store.n_measurements(run.id):
        live.empty("No gradients measured yet", _why_none(run))
        return
    step = _step(store, run)
    with frame.loading("Loading PyTorch, which this section of the page alone needs …"):
        import_module("mtl_core.what_if")
    reading = tail().reading(store, run, what_if_step=None if step == NEWEST else step)
    table = reading.frames.what_if
    shown = int(table["step"].iloc[0])
    frame.note(
        f"Step {shown:,}: the gradients that were measured there, handed to every scheme, each fresh and with its default settings "
        "(the run's own scheme with the run's). What was really done is at the top."
    )
    height = ROW * table["scheme"].nunique() + AROUND
    left, right = live.halves("what-if")
    with left:
        live.figure("what_if_weights", reading, view(height=height), key="what_if_weights")
    with right:
        live.figure("what_if_gains", reading, view(height=height), key="what_if_gains")
    live.figure("what_if_directions", reading, view(height=height), key="what_if_directions")
    _notes(reading)


def _why_none(run: Run) -> str:
    if (run.config.get("measure") or {}).get("every") == 0:
        return "This run was told to measure none: set “Measure gradients every” on Train and start another."
    return "The schemes are asked as soon as the run has measured gradients for the first time."


def _step(store: Store, run: Run) -> int:
    """The chosen step, ``NEWEST`` where the page follows a live run."""
    asked = _asked(store, run)
    steps = _steps(store, run)
    options = sorted({*steps, *([] if asked in (None, NEWEST) else [asked])})
    options = [*options, NEWEST] if run.state in LIVE else options
    value = asked if asked in options else options[-1]
    key = f"what-if-{run.id}-{len(options)}-{options[-2:]}"

    def moved() -> None:
        chosen = st.session_state[key]
        if chosen == NEWEST:
            st.query_params.pop(AT, None)
        else:
            st.query_params[AT] = str(chosen)

    if len(options) == 1:
        return int(options[0])
    return int(st.select_slider("Measured step", options, value=value, format_func=_shown, key=key, on_change=moved))


def _shown(step: int) -> str:
    return "newest" if step == NEWEST else f"{step:,}"


def _asked(store: Store, run: Run) -> int | None:
    """The measured step that the link names, or the one before it; None if it names none."""
    text = st.query_params.get(AT, "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return None
    found = store.measurement(run.id, int(text))
    return None if found is None else found.step


def _steps(store: Store, run: Run) -> list[int]:
    """Measured steps for the slider, which stay as they are for a while."""
    is_live = run.state in LIVE
    kept = st.session_state.get(STEPS)
    if kept is not None and kept[:2] == (run.id, is_live) and (not is_live or time.monotonic() - kept[2] < KEPT_S):
        steps: list[int] = kept[3]
        return steps
    steps = store.measured_steps(run.id, at_most=MOST_STEPS)
    st.session_state[STEPS] = (run.id, is_live, time.monotonic(), steps)
    return steps


def _notes(reading: Reading) -> None:
    """What the answers leave out, scheme by scheme."""
    table: pd.DataFrame = reading.frames.what_if.drop_duplicates("scheme")
    with st.expander("What these answers leave out, scheme by scheme"):
        lines = [
            f"<b>{escape(str(title))}</b> {escape(str(note))}"
            for title, note in zip(table["title"], table["note"], strict=True)
            if note
        ]
        st.html("".join(f'<p class="mtl-note">{line}</p>' for line in lines))
