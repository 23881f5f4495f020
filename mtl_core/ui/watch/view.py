"""What the Watch page shows of one run: an overview first, and sections for those who want to know more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from mtl_core.figures import FIGURES, View
from mtl_core.store import Run, Store
from mtl_core.ui import frame, live
from mtl_core.ui.tail import Reading, tail
from mtl_core.ui.watch import conflict, details, tiles, what_if

SECTIONS = ("Overview", "Learning", "Weights", "Conflict", "What if", "Predictions", "Details")
Axis = Literal["step", "epoch", "time"]
AXES: dict[Axis, str] = {"step": "Step", "epoch": "Epoch", "time": "Time"}
SMOOTHING = (0, 5, 20, 50, 200, 1000)  # steps
POINTS = 800
PREVIEW = "preview.step"


@dataclass(frozen=True)
class Choice:
    """How the visitor wants to see the run."""

    section: str
    x: Axis
    smooth: int
    log_y: bool

    def view(self, *, height: int = 260, choice: str = "") -> View:
        return View(
            theme=frame.theme(), x=self.x, log_y=self.log_y, x_domain=live.ZOOM.window(self.x), height=height, choice=choice
        )


def choose(run: Run) -> Choice:
    """Section and axes; all of it is in the URL. A diverged run's losses start logarithmic: else its last steps are all one sees."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="watch-bar"):
        section = st.segmented_control(
            "Section",
            SECTIONS,
            default=SECTIONS[0],
            required=True,
            key="view",
            bind="query-params",
            label_visibility="collapsed",
        )
        with st.popover("Axes and smoothing", icon=":material/tune:", type="tertiary"):
            x = st.segmented_control(
                "Horizontal axis",
                list(AXES),
                default="step",
                required=True,
                format_func=AXES.__getitem__,
                key="x",
                bind="query-params",
            )
            smooth = st.select_slider(
                "Smoothing, in steps", SMOOTHING, value=20, key="smooth", bind="query-params",
                help="A moving average over so many steps; the band behind it shows every low and high.",
            )  # fmt: skip
            if run.state == "diverged":
                log_y = st.toggle("Logarithmic losses", value=True, key="log.diverged")
            else:
                log_y = st.toggle("Logarithmic losses", key="log", bind="query-params")
        if live.ZOOM.window(x or "step") is not None:
            st.button("Show the whole run", icon=":material/zoom_out_map:", type="tertiary", on_click=live.ZOOM.show_all)
    return Choice(section or SECTIONS[0], x or "step", int(smooth or 0), bool(log_y))


def read(store: Store, run: Run, choice: Choice, *, preview_step: int | None = None, is_whole: bool = False) -> Reading:
    """The run through the window that the visitor chose, or the whole of it."""
    window: dict[str, Any] = {"points": POINTS, "smooth": float(choice.smooth)}
    span = live.ZOOM.window(choice.x)
    if span is not None and choice.x == "step" and not is_whole:
        window |= {"first": int(span[0]), "last": int(span[1]) + 1}
    if preview_step is not None:
        window["preview_step"] = preview_step
    return tail().reading(store, run, **window)


def section(store: Store, run: Run, choice: Choice) -> None:
    """The chosen section."""
    if run.error and choice.section in ("Overview", "Details"):
        details.error(run)
    if run.spec is None and choice.section != "Details":
        live.empty("Nothing recorded yet", "The first numbers appear here as soon as a worker has taken up the run.")
        return
    sections = {
        "Overview": _overview,
        "Learning": _learning,
        "Weights": _weights,
        "Conflict": _conflict,
        "What if": _what_if,
        "Predictions": _predictions,
        "Details": _details,
    }
    sections[choice.section](store, run, choice)


def _overview(store: Store, run: Run, choice: Choice) -> None:
    reading = read(store, run, choice)
    tiles.show(store, run, reading if live.ZOOM.window(choice.x) is None else read(store, run, choice, is_whole=True))
    live.figure("losses", reading, choice.view(height=300), key="losses")
    left, right = live.halves("overview")
    with left:
        _if_it_applies("cosine_curves", reading, choice)
    with right:
        _if_it_applies("weights", reading, choice)


def _learning(store: Store, run: Run, choice: Choice) -> None:
    reading = read(store, run, choice)
    live.figure("losses", reading, choice.view(height=320), key="losses")
    titles = FIGURES["metrics"].choices(reading.spec)
    headlines = {task["metrics"][0]["title"] for task in reading.spec["tasks"]}
    first = [panel for panel, title in titles.items() if title.rpartition(" (")[0] in headlines] or list(titles)[:2]
    shown = st.pills(
        "Metrics to show",
        list(titles),
        selection_mode="multi",
        default=first,
        format_func=titles.__getitem__,
        key="metrics",
        bind="query-params",
    )
    if shown:
        live.panels("metrics", reading, choice.view(height=240), [panel for panel in titles if panel in shown], key="metrics")


def _weights(store: Store, run: Run, choice: Choice) -> None:
    reading = read(store, run, choice)
    _if_it_applies("weights", reading, choice)
    _if_it_applies("who_pays", reading, choice)


def _conflict(store: Store, run: Run, choice: Choice) -> None:
    reading = read(store, run, choice)
    whole = reading if live.ZOOM.window(choice.x) is None else read(store, run, choice, is_whole=True)
    conflict.show(run, reading, choice.view, whole=whole)


def _what_if(store: Store, run: Run, choice: Choice) -> None:
    what_if.show(store, run, choice.view)


def _predictions(store: Store, run: Run, choice: Choice) -> None:
    steps = store.previews(run.id)
    at = None
    if len(steps) > 1:
        asked = st.session_state.get(PREVIEW)
        start = asked if asked in steps else steps[-1]  # a new sample makes a new slider: keep what was asked for
        shown = st.select_slider("Predictions at step", steps, value=start, key=f"{PREVIEW}-{run.id}-{len(steps)}-{steps[-1]}")
        at = None if shown == steps[-1] else shown
        st.session_state[PREVIEW] = at
    reading = read(store, run, choice, preview_step=at)
    _if_it_applies("predictions", reading, choice)
    _if_it_applies("predicted_vs_true", reading, choice)


def _details(store: Store, run: Run, choice: Choice) -> None:
    details.show(store, run)


def _if_it_applies(name: str, reading: Reading, choice: Choice, panel: str = "") -> None:
    if FIGURES[name].applies(reading.spec):
        live.figure(name, reading, choice.view(choice=panel), key=f"{name}-{panel}" if panel else name)
