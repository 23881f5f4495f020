"""The Curves section of Compare: a panel per task with every group in it, one zoom for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

import pandas as pd
import streamlit as st

from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.lines import shown
from mtl_core.palette import task_colours
from mtl_core.store import Store
from mtl_core.ui import frame, live
from mtl_core.ui.compare import cards, legend
from mtl_core.ui.zoom import Zoom

NAME = "group_curves"
ZOOM = Zoom("curves.zoom")
HEADLINE = "headline"
AXES: dict[Literal["step", "epoch", "time"], str] = {"step": "Step", "epoch": "Epoch", "time": "Time"}
SMOOTHING = (0, 5, 20, 50, 200, 1000)  # steps
SEEDS, APART = "Seeds together", "Every run"
WORDS_APART = (
    "Every run by itself, in its group's colour. Where there are few, a band shows each run's highest and lowest numbers."
)
MOST_PLACES, PER_LINE = 12_000, (70, 400)  # drawn at once in all panels; by each line, at least and at most


@dataclass(frozen=True)
class Choice:
    """What of the curves is shown, and along what."""

    quantity: str
    x: Literal["step", "epoch", "time"]
    smooth: int
    log_y: bool
    apart: bool
    only: tuple[str, ...]


def show(store: Store, compared: Compared) -> None:
    """Choices, the legend, a panel per task, and what one may conclude."""
    choice = choose(compared)
    window = ZOOM.window(choice.x)
    first, last = window or (None, None)
    looked_at = replace(
        compared, x=choice.x, first=first, last=last, smooth=float(choice.smooth), apart=choice.apart, only=choice.only
    )
    legend.show(looked_at)
    if choice.apart:
        legend.note(WORDS_APART)
    panels = panels_of(compared.spec, choice.quantity)
    looked_at = replace(looked_at, points=2 * places_per_line(looked_at, len(panels)))
    view = View(theme=frame.theme(), x=choice.x, log_y=choice.log_y, x_domain=window, height=280)
    drawn = {}
    for pair in live.batched(panels, 2):
        cells = live.halves(f"curves-{pair[0]}") if len(panels) > 1 else (st.container(),)
        for cell, task in zip(cells, pair, strict=False):
            with cell:
                drawn[task] = _panel(looked_at, task, replace(view, choice=panels[task]))
    with st.container(border=True, key="card-curves-words"):
        cards.head(NAME)
        cards.legend(NAME)
        st.download_button(
            "What is drawn (CSV)", data=lambda: drawn_numbers(drawn), file_name="curves-drawn.csv", mime="text/csv",
            icon=":material/download:", key="curves-drawn", type="tertiary", on_click="ignore",
            help="The numbers of these panels; Take away, above, has every number at full resolution.",
        )  # fmt: skip


def places_per_line(compared: Compared, n_panels: int) -> int:
    """How finely lines may be drawn: the more there are, the less each can show, and the longer a browser takes."""
    n_lines = sum(len(runs) if compared.apart else 1 for _, runs in shown(compared))
    fewest, most = PER_LINE
    return min(most, max(fewest, MOST_PLACES // max(1, n_lines * n_panels)))


def choose(compared: Compared) -> Choice:
    """Quantity, axis, smoothing, seeds together or apart, and which groups; all of it in the URL."""
    names = quantities(compared.spec)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="curves-bar"):
        quantity = st.selectbox(
            "Quantity", list(names), format_func=names.__getitem__, key="curves.quantity", bind="query-params", width=280
        )
        x = st.segmented_control(
            "Horizontal axis", list(AXES), default="step", required=True, format_func=AXES.__getitem__,
            key="curves.x", bind="query-params", help="Equal steps or equal epochs: what is learnt from the same examples. "
            "Equal time: what is learnt for the same cost.",
        )  # fmt: skip
        seeds = st.segmented_control(
            "Lines", [SEEDS, APART], default=SEEDS, required=True, key="curves.lines", bind="query-params"
        )
        with st.popover("Smoothing and groups", icon=":material/tune:", type="tertiary"):
            smooth = st.select_slider(
                "Smoothing, in steps", SMOOTHING, value=20, key="curves.smooth", bind="query-params",
                help="A moving average of each run over so many steps, before seeds are averaged. Validation is as measured.",
            )  # fmt: skip
            log_y = st.toggle("Logarithmic losses", key="curves.log", bind="query-params")
            only = legend.choose_groups(compared, key="curves.groups")
        if ZOOM.window(x or "step") is not None:
            st.button("Show the whole run", icon=":material/zoom_out_map:", type="tertiary", on_click=ZOOM.show_all)
    return Choice(quantity or next(iter(names)), x or "step", int(smooth or 0), bool(log_y), seeds == APART, only)


def quantities(spec: Mapping[str, Any]) -> dict[str, str]:
    """What can be drawn: losses, the tasks' headline metrics, every metric by name, and weights."""
    scored = [metric for task in spec["tasks"] for metric in task["metrics"]]
    titles = {f"validation|{metric['name']}": metric["title"] for metric in reversed(scored)}  # the first of a name counts
    losses = {"validation|loss": "Validation loss", "train|loss": "Training loss"}
    headline = {HEADLINE: "Headline metric (validation)"} if scored else {}
    metrics = {key: f"{titles[key]} (validation)" for key in reversed(titles)}
    return losses | headline | metrics | {"train|weight": "Weight in the step"}


def panels_of(spec: Mapping[str, Any], quantity: str) -> dict[str, str]:
    """The tasks that have such a series, each with the figure's choice for it."""
    known = CONTRASTS[NAME].choices(spec)
    found = {}
    for task in spec["tasks"]:
        headline = next((f"validation|{metric['name']}" for metric in task["metrics"]), "")
        choice = f"{headline if quantity == HEADLINE else quantity}|{task['name']}"
        if choice in known:
            found[str(task["name"])] = choice
    return found


def _panel(compared: Compared, task: str, view: View) -> pd.DataFrame:
    """One task's card; returns the numbers that are drawn."""
    kind = CONTRASTS[NAME]
    with st.container(border=True, key=f"card-curves-{task}"):
        title = next(one["title"] for one in compared.spec["tasks"] if one["name"] == task)
        colour = task_colours(compared.spec, view.theme)[task]
        st.html(f'<div class="mtl-card-head mtl-task-head" style="--task:{colour}"><h3>{escape(title)}</h3></div>')
        tidy = kind.tidy(compared.table(kind.source, view.choice), compared.spec, view)
        ZOOM.chart(kind.vega(tidy, compared.spec, view), view.x, key=f"curves-{view.choice}")
    return tidy


def drawn_numbers(drawn: Mapping[str, pd.DataFrame]) -> bytes:
    """The numbers of all panels."""
    named = [tidy.assign(task=task) for task, tidy in drawn.items()]
    return as_csv(pd.concat(named, ignore_index=True) if named else pd.DataFrame()).encode()
