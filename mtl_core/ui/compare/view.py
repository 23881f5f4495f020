"""The Compare page: its sections, what is compared, and the rules that the comparison breaks."""

from __future__ import annotations

from html import escape

import streamlit as st

from mtl_core.comparing import Comparison
from mtl_core.frames.compared import Compared
from mtl_core.store import UNENDED, Store
from mtl_core.ui import errors, live
from mtl_core.ui.compare import conflict, curves, export, knobs, results, runs, state, tradeoffs
from mtl_core.ui.sweeps import card as sweep_card

DRAWN = {
    "Results": results.show,
    "Curves": curves.show,
    "Trade-offs": tradeoffs.show,
    "Knobs": knobs.show,
    "Conflict": conflict.show,
}
SECTIONS = ("Runs", *DRAWN)
AUTOMATIC = "each group's single-task runs"


def show(store: Store) -> None:
    """The chosen section."""
    choice = state.load(store)
    for sweep in choice.sweeps:
        sweep_card.show(store, sweep)
    _follow(store, choice)
    slips = st.container()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="compare-head"):
        section = _choose_section()
        found = None if section == "Runs" else state.comparison(choice)
        if found is not None:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                _choose_baseline(found)
                with st.popover("Take away", icon=":material/download:"):
                    export.show(store, found)
    for slip in choice.slips:
        slips.warning(errors.plain(errors.sentence(ValueError(slip))), icon=":material/link_off:")
    if section == "Runs":
        runs.show(store, choice)
    elif found is None:
        live.empty("Nothing chosen yet", "Choose runs, or a sweep, under Runs; what they have to say appears here.")
    else:
        warnings(found)
        DRAWN[section](store, Compared(store, found))


def _follow(store: Store, choice: state.Choice) -> None:
    """Draw the page anew when a chosen run begins or ends; a sweep's card sees to the runs of the sweep."""
    going = [run for run in choice.runs if run.state in UNENDED]
    theirs = {member.run_id for sweep in choice.sweeps if going for member in store.members(sweep.id)}
    seen = {run.id: run.state for run in going if run.id not in theirs}

    def body() -> None:
        if {run.id: run.state for run in store.runs_named(seen)} != seen:
            st.rerun()

    if seen:
        st.fragment(body, run_every=sweep_card.TICK_S)()


def _choose_section() -> str:
    section = st.segmented_control(
        "Section",
        SECTIONS,
        default=SECTIONS[0],
        required=True,
        key="section",
        bind="query-params",
        label_visibility="collapsed",
    )
    return section if section in SECTIONS else SECTIONS[0]


def warnings(found: Comparison) -> None:
    """What is compared, and every broken rule as a sentence."""
    n_runs, n_groups = sum(len(group.runs) for group in found.groups), len(found.groups)
    st.html(
        f'<p class="mtl-note"><b>{n_runs}</b> run{"" if n_runs == 1 else "s"} in <b>{n_groups}</b> '
        f"group{'' if n_groups == 1 else 's'} of runs that differ in nothing but their seed.</p>"
    )
    if found.warnings:
        items = "".join(f"<li>{escape(warned.sentence)}</li>" for warned in found.warnings)
        st.html(f'<div class="mtl-warn"><h3>Before you conclude anything</h3><ul>{items}</ul></div>')


def _choose_baseline(found: Comparison) -> None:
    """Whose numbers Δm is measured against."""
    by_run = {group.runs[0].id: group for group in found.tested}
    now = next((run_id for run_id, group in by_run.items() if group.id == found.chosen), "")

    def change() -> None:
        wanted = st.session_state[key]
        if wanted:
            st.query_params[state.BASELINE] = wanted
        else:
            st.query_params.pop(state.BASELINE, None)

    options = ["", *by_run]
    key = f"compare.baseline.{now}"
    st.selectbox(
        "Baseline of Δm",
        options,
        index=options.index(now),
        format_func=lambda run_id: f"Baseline: {by_run[run_id].name if run_id else AUTOMATIC}",
        key=key,
        on_change=change,
        width=340,
        label_visibility="collapsed",
    )
