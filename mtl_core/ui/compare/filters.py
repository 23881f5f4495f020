"""Which runs the list on Compare shows and how: words, states, schemes, tags, a sweep, order and groups, all of it in the URL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st

from mtl_core.frames import run_table
from mtl_core.frames.run_table import RunTable
from mtl_core.store import STATES, Store, StoredSweep
from mtl_core.ui.compare import columns as compare_columns

SHELVES = ("Current", "Archived", "Deleted")
SINGLE, RECENT = "Single runs", "Created"
SHELF, SEARCH, SWEEP, TAGS = "table.shelf", "table.search", "table.sweep", "table.tags"
GROUP, SORT, ASCENDING = "table.group", "table.sort", "table.ascending"
AMONG = {"table.state": "state", "table.data": "dataset", "table.scheme": "family"}  # parameter -> column of the table
_WORDS = {"table.state": "State", "table.data": "Data set", "table.scheme": "Scheme"}
_PX = 158  # a filter's width: all of them in one row at 1280 px
LONGEST, MOST_NAMED = 100, 20  # characters of a filter's value in a link, and values read of each filter
_TAKEN_TOGETHER = {f"By {by}": by for by in run_table.BY}


@dataclass(frozen=True)
class View:
    """What the visitor wants to see: ``by`` is "" for single runs, ``sweep`` an id or ""."""

    words: str = ""
    tags: tuple[str, ...] = ()
    sweep: str = ""
    among: Mapping[str, Sequence[str]] = field(default_factory=dict)
    by: str = ""
    sort: str = "created"
    is_ascending: bool = False
    columns: tuple[str, ...] = compare_columns.DEFAULT

    @property
    def is_narrow(self) -> bool:
        """Whether a filter is set."""
        return bool(self.words.strip() or self.tags or self.sweep or any(self.among.values()))

    def of(self, table: RunTable, *, only: Sequence[str] | None = None) -> RunTable:
        """The runs that fit, in order; of those in ``only``, if it is given."""
        among = self.among if only is None else {**self.among, "id": only or [""]}
        kept = run_table.narrow(table, words=self.words, tags=self.tags, sweep=self.sweep, **among)
        column = self.sort if self.sort in kept.frame else "created"
        return run_table.arrange(kept, column, is_descending=not self.is_ascending)


def shelf() -> str:
    """Which runs are listed: the usual ones, those put aside, those thrown away. The widget comes later on the page."""
    wanted = str(st.session_state.get(SHELF) or st.query_params.get(SHELF, ""))
    return wanted if wanted in SHELVES else SHELVES[0]


def choose(store: Store, table: RunTable, sweeps: Sequence[StoredSweep]) -> View:
    """The rows of filters, and of shelf, groups, order and columns."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs-filters"):
        words = st.text_input(
            "Search",
            key=SEARCH,
            bind="query-params",
            placeholder="Name, tag, note …",
            icon=":material/search:",
            label_visibility="collapsed",
            max_chars=200,
        )
        among = {column: _several(key, _WORDS[key], _values(table, column)) for key, column in AMONG.items()}
        tags = _several(TAGS, "Tags", tags_of(table))
        sweep = _sweep(sweep_titles(sweeps))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs-view"):
        _shelf()
        _word("Show")
        by = _one(GROUP, "Taken together", [SINGLE, *_TAKEN_TOGETHER], width=160)
        sort, is_ascending = _order(table)
        columns = compare_columns.choose(store) if by == SINGLE else compare_columns.DEFAULT
        view = View(words or "", tuple(tags), sweep, among, _TAKEN_TOGETHER.get(by, ""), sort, is_ascending, tuple(columns))
        if view.is_narrow:
            st.button("Clear filters", icon=":material/filter_alt_off:", type="tertiary", on_click=clear, key="runs-clear")
    return view


def clear() -> None:
    """Forget every filter; shelf, groups and order stay."""
    st.session_state[SEARCH], st.session_state[SWEEP] = "", None
    for key in (*AMONG, TAGS):
        st.session_state[key] = []


def sort_by(table: RunTable, column: str) -> None:
    """Order by a column whose heading was clicked, from low to high; the other way round if it is that one already."""
    titles = {key: title for title, key in compare_columns.sortable(table).items()} | {"age": RECENT}
    if column not in titles:
        return
    is_same = st.session_state.get(SORT, RECENT) == titles[column]
    st.session_state[SORT] = titles[column]
    st.session_state[ASCENDING] = not (is_same and st.session_state.get(ASCENDING, False))


def sweep_titles(sweeps: Sequence[StoredSweep]) -> dict[str, str]:
    """Sweeps by id as they are called; those of one name are told apart by their ids."""
    counts = Counter(sweep.name for sweep in sweeps)
    return {
        sweep.id: sweep.name if sweep.name and counts[sweep.name] == 1 else f"{sweep.name or 'sweep'} #{sweep.id[:6]}"
        for sweep in sweeps
    }


def _shelf() -> None:
    st.segmented_control(
        "Shelf",
        SHELVES,
        default=SHELVES[0],
        required=True,
        key=SHELF,
        bind="query-params",
        label_visibility="collapsed",
    )


def _order(table: RunTable) -> tuple[str, bool]:
    """The column by which the list is sorted, and whether from low to high."""
    titles = compare_columns.sortable(table)
    _word("sorted by")
    title = _one(SORT, "Sorted by", list(titles), width=190, index=list(titles).index(RECENT))
    is_ascending = st.toggle(
        "Ascending", key=ASCENDING, bind="query-params", help="From low to high, from A to Z, oldest first."
    )
    return titles[title], is_ascending


def _word(word: str) -> None:
    """A word between widgets, which makes a sentence of them."""
    st.html(f'<p class="mtl-note">{word}</p>', width="content")


def _one(key: str, label: str, options: list[str], *, width: int, index: int = 0) -> str:
    if st.session_state.get(key, options[0]) not in options:  # a column of results that nobody has any more
        del st.session_state[key]
    return st.selectbox(label, options, index=index, key=key, bind="query-params", label_visibility="collapsed", width=width)


def _several(key: str, label: str, options: list[str]) -> list[str]:
    """A filter of several values. One that is set, or named by the link, stays on offer, also when no run has it any more."""
    named = st.session_state.get(key) or [value[:LONGEST] for value in st.query_params.get_all(key)[:MOST_NAMED]]
    kept = [value for value in dict.fromkeys(named) if value and value not in options]
    return st.multiselect(
        label,
        [*options, *kept],
        key=key,
        bind="query-params",
        placeholder=label,
        label_visibility="collapsed",
        width=_PX,
    )


def _sweep(titles: Mapping[str, str]) -> str:
    by_title = {title: sweep_id for sweep_id, title in titles.items()}
    if st.session_state.get(SWEEP) not in (None, *by_title):
        del st.session_state[SWEEP]
    title = st.selectbox(
        "Sweep",
        list(by_title),
        index=None,
        key=SWEEP,
        bind="query-params",
        placeholder="Sweep",
        label_visibility="collapsed",
        width=_PX,
    )
    return by_title[title] if title else ""


def _values(table: RunTable, column: str) -> list[str]:
    present = set(table.frame[column].astype(str))
    return [state for state in STATES if state in present] if column == "state" else sorted(present)


def tags_of(table: RunTable) -> list[str]:
    """Every tag that a run bears."""
    return sorted({tag for tags in table.frame["tags"] for tag in tags}, key=str.casefold)
