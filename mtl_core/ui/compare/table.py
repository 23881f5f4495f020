"""The list of runs as a table whose selected rows are the runs compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mtl_core.frames.run_table import RunTable
from mtl_core.store import Store
from mtl_core.ui.compare import columns as compare_columns
from mtl_core.ui.compare import state as compare_state

ROW_PX, ROWS = 35, 14  # height of a row, and rows in view


def runs(table: RunTable, chosen: Sequence[str], columns: Sequence[str], *, on_change: Callable[[], None]) -> None:
    """A row per run, the chosen ones ticked."""
    shown = compare_columns.order(columns, table)
    frame = table.frame.assign(
        state=table.frame["state"].astype(str).str.split("|"),
        age=table.frame["created"],
        seconds=pd.to_timedelta(_rounded(table.frame["seconds"]), unit="s"),
        watch="watch?run=" + table.frame["id"],
    )
    config = compare_columns.config(table, st.context.timezone)
    _draw(frame[shown], [[one] for one in table.ids], chosen, config, on_change, name="runs")


def groups(
    frame: pd.DataFrame,
    members: Sequence[list[str]],
    table: RunTable,
    chosen: Sequence[str],
    *,
    over_seeds: bool,
    on_change: Callable[[], None],
) -> None:
    """A row per group; it is ticked if all its runs are chosen."""
    config = compare_columns.of_groups(table, st.context.timezone, over_seeds=over_seeds)
    shown = [column for column in config if column in frame]
    _draw(frame[shown], members, chosen, config, on_change, name="groups")


def chosen_rows() -> tuple[list[str], list[str]]:
    """The runs of all rows of the table, and those of the rows that are ticked; for its callback."""
    key, members = st.session_state[compare_state.LISTED]
    ticked = st.session_state[key]["selection"]["rows"]
    rows = [members[row] for row in ticked if row < len(members)]
    return _each(members), _each(rows)


def clicked_heading() -> str:
    """The column whose heading was clicked, "" if none was; for the table's callback."""
    key, _ = st.session_state[compare_state.LISTED]
    return next(iter(st.session_state[key]["selection"]["columns"]), "")


def rechoose(store: Store, listed: Sequence[str], ticked: Sequence[str]) -> None:
    """Of the runs in a list, compare the ticked ones and no others; what is not in the list stays as it is."""
    before = compare_state.chosen()
    known = {sweep.id for sweep in store.sweeps()}
    sweeps = {one: [member.run_id for member in store.members(one)] for one in before if one in known}
    compare_state.choose(choose_again(before, sweeps, listed, ticked))


def choose_again(
    before: Sequence[str], sweeps: Mapping[str, Sequence[str]], listed: Sequence[str], ticked: Sequence[str]
) -> list[str]:
    """What is compared after a change of the ticked rows: ids of runs and of whole sweeps.

    What is not in the list stays chosen. A sweep stays a whole as long as none of its listed runs is left out.

    Args:
        before: what was compared.
        sweeps: the runs of each sweep among them.

    >>> choose_again(["s", "x"], {"s": ["a", "b", "c"]}, listed=["a", "b", "n"], ticked=["a", "b", "n"])
    ['s', 'x', 'n']
    >>> choose_again(["s", "x"], {"s": ["a", "b", "c"]}, listed=["a", "b", "n"], ticked=["a"])
    ['a', 'c', 'x']
    """
    gone = set(listed) - set(ticked)
    after: dict[str, None] = {}
    covered: set[str] = set()
    for one in before:
        members = sweeps.get(one)
        if members is None:
            after |= {} if one in gone else {one: None}
        elif gone.isdisjoint(members):
            after[one] = None
            covered.update(members)
        else:
            after |= dict.fromkeys(member for member in members if member not in gone)
    return [*after, *(one for one in ticked if one not in after and one not in covered)]


def _draw(
    frame: pd.DataFrame,
    members: Sequence[list[str]],
    chosen: Sequence[str],
    config: Mapping[str, Any],
    on_change: Callable[[], None],
    *,
    name: str,
) -> None:
    """The table. Its key names its rows, because a selection is places of rows: other rows, another widget."""
    digest = hashlib.blake2b("|".join(",".join(ids) for ids in members).encode(), digest_size=8).hexdigest()
    key, picked = f"table-{name}-{digest}", set(chosen)
    rows = [place for place, ids in enumerate(members) if ids and picked.issuperset(ids)]
    st.session_state[compare_state.LISTED] = (key, members)
    state = st.session_state.get(key)
    is_stale = state is not None and sorted(state["selection"]["rows"]) != rows  # Back, Clear, or a link has changed the choice
    if is_stale or (state is not None and state["selection"]["columns"]):  # a heading that was clicked has done its work
        st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    st.dataframe(
        frame,
        height=ROW_PX * (1 + min(ROWS, max(3, len(frame)))) + 3,
        hide_index=True,
        column_config=config,
        key=key,
        on_select=on_change,
        selection_mode=["multi-row", "single-column"] if name == "runs" else "multi-row",  # groups have columns of no run
        selection_default={"selection": {"rows": rows, "columns": [], "cells": []}},
        row_height=ROW_PX,
        placeholder="",
        alt="Runs: tick those to compare",
    )


def _rounded(seconds: pd.Series) -> pd.Series:
    """As fine as anybody wants to read it: tenths of a second below ten, whole minutes from an hour on."""
    tenths, minutes = seconds.round(1), (seconds / 60).round() * 60
    return seconds.round().mask(seconds < 10, tenths).mask(seconds >= 3600, minutes)


def _each(rows: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(one for ids in rows for one in ids))
