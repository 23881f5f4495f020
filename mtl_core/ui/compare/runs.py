"""Runs on Compare: the list of all runs, filtered, sorted and grouped, from which one chooses what is compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from mtl_core.frames import run_table
from mtl_core.frames.run_table import RunTable
from mtl_core.jobs.modes import is_for_looking
from mtl_core.store import Store
from mtl_core.ui import errors, frame, live
from mtl_core.ui.compare import actions, filters, imports, state
from mtl_core.ui.compare import table as compare_table
from mtl_core.ui.compare.actions import n_runs
from mtl_core.ui.compare.state import MOST_RUNS, Choice

MOST_LISTED = 20_000
CHOSEN_ONLY = "table.chosen"  # URL parameter and session key


def show(store: Store, choice: Choice) -> None:
    """The list, what one can do with it, and how many runs are chosen."""
    sweeps = store.sweeps()
    titles = filters.sweep_titles(sweeps)
    shelf = filters.shelf()
    listed = store.listing(archived=shelf == "Archived", deleted=shelf == "Deleted", limit=MOST_LISTED)
    if (
        not listed
        and shelf == "Current"
        and not store.listing(archived=True, limit=1)
        and not store.listing(deleted=True, limit=1)
    ):
        _nothing(store)
        return
    table = run_table.tabulate(listed, sweeps=titles)
    with st.container(border=True, key="card-runs"):
        view = filters.choose(store, table, sweeps)
        chosen = [run.id for run in choice.runs]
        kept = view.of(table, only=chosen if _is_chosen_only() else None)
        listed_ids = set(kept.ids)
        here = [one for one in chosen if one in listed_ids]
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs-actions"):
            actions.buttons(store, kept, here, filters.tags_of(table), shelf=shelf)
            imports.offer(store)
            actions.watch(here)
            if is_for_looking(store):
                frame.note("The runs here can be compared, not changed.")
        actions.outcome(store)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs-choice"):
            _choosing(store, kept, chosen, sweep=view.sweep, sweep_name=titles.get(view.sweep, ""))
            _count(len(kept), len(table), chosen, len(here), shelf)
            if chosen or _is_chosen_only():
                st.toggle("Chosen only", key=CHOSEN_ONLY, bind="query-params", help="Lists only the runs that are compared.")
        if not len(kept):
            _no_match(shelf, is_narrow=view.is_narrow)
            return
        ticked = partial(_ticked, store, table)
        if view.by:
            found = run_table.gather(kept, view.by, sweeps=titles)
            rows = run_table.arrange_groups(*found, view.sort, is_descending=not view.is_ascending)
            compare_table.groups(*rows, kept, chosen, over_seeds=view.by == "settings", on_change=ticked)
        else:
            compare_table.runs(kept, chosen, view.columns, on_change=ticked)


def _is_chosen_only() -> bool:
    """Whether the list shows nothing but what is compared. The widget comes later on the page."""
    if CHOSEN_ONLY in st.session_state:
        return bool(st.session_state[CHOSEN_ONLY])
    return str(st.query_params.get(CHOSEN_ONLY, "")).casefold() == "true"


def _choosing(store: Store, kept: RunTable, chosen: Sequence[str], *, sweep: str, sweep_name: str) -> None:
    """What is compared: see it, choose all, a whole sweep, or nothing."""
    n = len(chosen)
    st.button(
        f"Compare {n_runs(n)}" if n else "Compare",
        type="primary",
        icon=":material/compare_arrows:",
        disabled=not n,
        key="runs-compare",
        on_click=_see,
        help=None if n else "Tick runs in the list first.",
    )
    if sweep and sweep not in state.chosen():
        st.button(
            "Compare the whole sweep",
            icon=":material/stacks:",
            key="runs-sweep",
            on_click=_add_sweep,
            args=(sweep,),
            help=f"All runs of {errors.plain(sweep_name)}; those that finish later join by themselves.",
        )
    if len(kept) and not set(kept.ids) <= set(chosen):
        words = "Choose all listed" if len(kept) <= MOST_RUNS else f"Choose the first {MOST_RUNS}"
        st.button(words, icon=":material/done_all:", key="runs-all", on_click=_choose_all, args=(store, kept.ids[:MOST_RUNS]))
    if state.chosen():
        st.button(
            "Clear choice",
            icon=":material/remove_done:",
            type="tertiary",
            key="runs-none",
            on_click=state.choose,
            args=((),),
        )


def _see() -> None:
    st.session_state["section"] = "Results"


def _add_sweep(sweep: str) -> None:
    state.choose((*state.chosen(), sweep))


def _choose_all(store: Store, ids: Sequence[str]) -> None:
    compare_table.rechoose(store, ids, ids)


def _ticked(store: Store, table: RunTable) -> None:
    """Rows were ticked or unticked, or a heading was clicked: then the order is that of its column, for the link to say."""
    heading = compare_table.clicked_heading()
    if heading:
        filters.sort_by(table, heading)
        return
    listed, ticked = compare_table.chosen_rows()
    compare_table.rechoose(store, listed, ticked[:MOST_RUNS])
    if len(ticked) > MOST_RUNS:
        actions.say(f"At most {MOST_RUNS} runs are compared at once: the first of them are chosen.")


def _count(n_kept: int, n_all: int, chosen: Sequence[str], n_here: int, shelf: str) -> None:
    """How many runs are listed and how many chosen."""
    which = "" if shelf == "Current" else f"{shelf.lower()} "
    all_runs = f"<b>{n_all:,} {which}run{'' if n_all == 1 else 's'}</b>"
    if n_all >= MOST_LISTED:
        all_runs = f"the newest {all_runs}"
    listed = all_runs if n_kept == n_all else f"<b>{n_kept:,}</b> of {all_runs}"
    words = f"{listed[:1].upper()}{listed[1:]} listed." if n_all else f"No {which}runs."
    if chosen:
        away = len(chosen) - n_here
        words += f" <b>{len(chosen):,}</b> chosen" + (f", {away:,} of them not in this list." if away else ".")
    elif n_kept:
        words += " Tick those that you want to compare."
    st.html(f'<p class="mtl-note">{words}</p>', width="content")


def _no_match(shelf: str, *, is_narrow: bool) -> None:
    if _is_chosen_only():
        sentence = "None of the chosen runs is listed here: switch off Chosen only, clear a filter, or look on another shelf."
    elif is_narrow:
        sentence = "Clear a filter, or look on another shelf."
    elif shelf == "Current":
        sentence = "All runs are archived or deleted: look on the other shelves, or start a run on Train."
    else:
        what = "Archive" if shelf == "Archived" else "Delete"
        sentence = f"Tick runs under Current and press {what}; they appear here."
    st.html(f'<div class="mtl-empty"><h3>No runs here</h3><p>{escape(sentence)}</p></div>')


def _nothing(store: Store) -> None:
    """The section before the first run."""
    live.empty("No runs yet", "Start a run or a sweep on Train, with several seeds; all of them appear here.")
    with st.container(horizontal=True, gap="small"):
        st.page_link("pages/train.py", label="Go to Train", icon=":material/arrow_forward:")
        imports.offer(store)
