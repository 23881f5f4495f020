"""The Conflict section of Compare: who pulls against whom in each group, against each group's own noise."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Literal

import streamlit as st

from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.conflict import left_out
from mtl_core.frames.compared.lines import shown
from mtl_core.store import Store
from mtl_core.ui import frame, live
from mtl_core.ui.compare import cards, legend

AXES: dict[Literal["step", "epoch", "time"], str] = {"step": "Step", "epoch": "Epoch", "time": "Time"}
SMOOTHING = (0, 5, 20, 50, 200, 1000)  # steps
AT_FIRST = 2  # pairs shown unless somebody chooses
ROW, AROUND = 24, 80  # pixels of a group in the summary, and of its axis


def show(store: Store, compared: Compared) -> None:
    """Pairs of tasks group by group, how often they conflict, and where they end."""
    del store
    if not CONTRASTS["group_cosines"].applies(compared.spec):
        live.empty(
            "No conflict to show",
            "Conflict needs a run that has begun, with at least two tasks and one shared stage. Choose such runs under Runs.",
        )
        return
    looked_at, pairs = choose(compared)
    without = left_out(looked_at)
    legend.show(looked_at, without)
    view = View(theme=frame.theme(), x=looked_at.x, height=280)
    n_groups = sum(1 for group, runs in shown(looked_at) if runs and group.id not in without)
    _panels("cosine_summary", looked_at, replace(view, height=AROUND + ROW * n_groups), pairs)
    _panels("group_cosines", looked_at, view, pairs)
    cards.figure("group_conflict", looked_at, view, key="group_conflict")


def choose(compared: Compared) -> tuple[Compared, list[str]]:
    """Pairs, axis, smoothing and groups; all of it in the URL."""
    names = CONTRASTS["group_cosines"].choices(compared.spec)
    pairs = list(names)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="conflict-bar"):
        if len(pairs) > AT_FIRST:
            pairs = st.multiselect(
                "Pairs of tasks", list(names), default=pairs[:AT_FIRST], format_func=names.__getitem__,
                key="conflict.pairs", bind="query-params", width=420,
            ) or pairs[:AT_FIRST]  # fmt: skip
        x = st.segmented_control(
            "Horizontal axis", list(AXES), default="step", required=True, format_func=AXES.__getitem__,
            key="conflict.x", bind="query-params",
        )  # fmt: skip
        with st.popover("Smoothing and groups", icon=":material/tune:", type="tertiary"):
            smooth = st.select_slider(
                "Smoothing, in steps", SMOOTHING, value=usual_smoothing(compared), key="conflict.smooth", bind="query-params",
                help="A moving average of each run's cosines over so many steps, before seeds are averaged.",
            )  # fmt: skip
            only = legend.choose_groups(compared, key="conflict.groups")
    return replace(compared, x=x or "step", smooth=float(smooth or 0), only=only), pairs


def usual_smoothing(compared: Compared) -> int:
    """About a twentieth of the longest run."""
    longest = max((run.step for group in compared.comparison.groups for run in group.runs), default=0)
    return max(steps for steps in SMOOTHING if steps <= longest / 20)


def _panels(name: str, compared: Compared, view: View, pairs: list[str]) -> None:
    """A figure in one card, a panel per pair; how to read it is said once."""
    titles = CONTRASTS[name].choices(compared.spec)
    with st.container(border=True, key=f"card-{name}"):
        cards.head(name)
        for both in live.batched(pairs, 2):
            cells = live.halves(f"{name}-{both[0]}") if len(pairs) > 1 else (st.container(),)
            for cell, pair in zip(cells, both, strict=False):
                with cell:
                    st.html(f'<p class="mtl-note"><b>{escape(titles[pair])}</b></p>')
                    cards.picture(name, compared, replace(view, choice=pair), key=f"{name}-{pair}")
        cards.legend(name)
