"""The Conflict section of Watch: what pulls against what, question by question, so that no page gets endless."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import pandas as pd
import streamlit as st

from mtl_core.branching import Advice, suggest_depth
from mtl_core.config import RunConfig
from mtl_core.figures import FIGURES, View
from mtl_core.store import Run
from mtl_core.ui import live
from mtl_core.ui.links import to_params
from mtl_core.ui.tail import Reading

ViewOf = Callable[..., View]  # a view of a height and of a figure's choice
Halves = tuple[tuple[str, ...], tuple[str, ...]]

GROUPS: dict[str, tuple[str, Halves]] = {  # what it asks; figures on the left and on the right
    "Direction": (
        "Do tasks pull the same way?",
        (("cosine_matrix", "conflict_fraction"), ("cosine_curves", "cosine_histograms")),
    ),
    "Size": (
        "Do tasks pull equally hard?",
        (("gradient_norms", "curvature"), ("magnitude_similarity", "condition_number")),
    ),
    "Depth": ("Where in the network do tasks fight?", ((), ())),
    "Trade-off": ("Who pays, and must anybody?", (("who_pays",), ("tragic_triad",))),
    "Affinity": ("Would a step for one task alone help the others?", (("affinity_matrix",), ("affinity_curves",))),
}


def show(run: Run, reading: Reading, view: ViewOf, *, whole: Reading) -> None:
    """The chosen group of figures.

    Args:
        view: makes a view as the visitor wants it.
        whole: the run without the visitor's window.
    """
    if not FIGURES["cosine_curves"].applies(reading.spec):
        live.empty(
            "No conflict to show",
            "Conflict needs at least two tasks and one shared stage. Raise the depth or add a task on Train.",
        )
        return
    group = choose()
    left, right = GROUPS[group][1]
    if group == "Depth":
        _figure("conflict_by_stage", reading, view(height=max(200, 56 * len(reading.spec["shared_stages"]) + 90)))
        _advice(run, whole)
        return
    columns = live.halves(f"conflict-{group}")
    for cell, names in zip(columns, (left, right), strict=True):
        with cell:
            for name in names:
                if name == "cosine_histograms":
                    _histograms(reading, view)
                else:
                    _figure(name, reading, view())
    if group == "Trade-off":
        kind = FIGURES["stationarity"]
        live.panels("stationarity", reading, view(), list(kind.choices(reading.spec)), key="stationarity")


def choose() -> str:
    """Which question; it is in the URL."""
    group = st.segmented_control(
        "Question",
        list(GROUPS),
        default="Direction",
        required=True,
        key="conflict",
        bind="query-params",
        label_visibility="collapsed",
    )
    group = group if group in GROUPS else "Direction"
    st.html(f'<p class="mtl-note">{escape(GROUPS[group][0])}</p>')
    return group


def _figure(name: str, reading: Reading, view: View) -> None:
    if FIGURES[name].applies(reading.spec):
        live.figure(name, reading, view, key=name)


def _histograms(reading: Reading, view: ViewOf) -> None:
    """One pair at a time, or all together."""
    choices = FIGURES["cosine_histograms"].choices(reading.spec)
    with st.container(border=True, key="card-cosine_histograms"):
        st.html(f'<div class="mtl-card-head"><h3>{escape(FIGURES["cosine_histograms"].title)}</h3></div>')
        pair = ""
        if len(choices) > 2:
            pair = st.selectbox(
                "Pair",
                list(choices),
                format_func=choices.__getitem__,
                key="pair",
                bind="query-params",
                label_visibility="collapsed",
            )
        live.picture("cosine_histograms", reading, view(choice=pair), key=f"cosine_histograms-{pair}")
        live.legend("cosine_histograms")


def _advice(run: Run, reading: Reading) -> None:
    """Where the run says to branch, what that rests on, and a way to try it."""
    measured = reading.frames.measured
    advice = suggest_depth(measured.gramian, measured.counts, reading.frames.stages)
    with st.container(border=True, key="card-advice"):
        st.html('<div class="mtl-card-head"><h3>Branch here?</h3></div>')
        st.html(f'<p class="mtl-note">{escape(advice.sentence)}</p>')
        config = at_depth(run, advice)
        if config is not None:
            label = f"Set up a run at depth {advice.depth}"
            st.page_link("pages/train.py", label=label, icon=":material/fork_right:", query_params=to_params(config))
        if advice.evidence:
            with st.expander("What it rests on"):
                _evidence(advice)


def at_depth(run: Run, advice: Advice) -> RunConfig | None:
    """The run's config at the advised depth; None where nothing is to change, or where depth does not count shared stages."""
    spec = run.spec or {}
    shared = list(spec.get("shared_stages", ()))
    if advice.depth is None or advice.depth >= len(shared) or list(spec["stages"])[: len(shared)] != shared:
        return None
    config = RunConfig.from_mapping(run.config)
    architecture = {**config.architecture, "depth": advice.depth}
    return config.model_copy(update={"architecture": architecture, "name": ""})


def _evidence(advice: Advice) -> None:
    rows = pd.DataFrame(
        {
            "Stage": [one.stage for one in advice.evidence],
            "Mean cosine": [f"{one.cross:+.3f} ± {one.margin:.3f}" for one in advice.evidence],
            "Pairs in conflict": [f"{one.below:.0%}" for one in advice.evidence],
            "A task with itself": [f"{one.floor_below:.0%}" for one in advice.evidence],
            "Verdict": [one.verdict for one in advice.evidence],
        }
    )
    st.dataframe(rows, hide_index=True, width="stretch")
    st.html(
        '<p class="mtl-note">Over the whole run, across the halves of each measured batch, with 95 % intervals. A stage fights if '
        "its mean cosine is below zero and conflict is more frequent than a task's with itself, both beyond chance.</p>"
    )
