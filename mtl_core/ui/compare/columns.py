"""The columns of the list of runs: their names, how their values are written, which are shown, and that this is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from mtl_core import jobs
from mtl_core.frames.run_table import RunTable
from mtl_core.palette import PAGE, Theme, state_colours
from mtl_core.store import STATES, Store
from mtl_core.ui import errors, frame, visitor

KEY = "table.columns"  # URL parameter and session key
FACT = "ui.columns"
RESULTS = "Test results"  # stands for one column per task
TITLES = {
    "name": "Name",
    "state": "State",
    "dataset": "Data set",
    "scheme": "Scheme",
    "depth": "Depth",
    "lr": "Learning rate",
    "batch_size": "Batch size",
    "seed": "Seed",
    "progress": "Progress",
    "steps": "Steps",
    "results": RESULTS,
    "seconds": "Duration",
    "age": "Age",
    "created": "Created",
    "device": "Device",
    "owner": "Owner",
    "tags": "Tags",
    "note": "Note",
    "sweep": "Sweep",
    "id": "Id",
    "watch": "Watch",
}
DEFAULT = ("name", "state", "dataset", "scheme", "depth", "seed", "results", "seconds", "age", "tags")
NAME_PX, RESULT_PX, USUAL_RESULTS = 160, 72, 4  # fewer results leave the width of one to the names
_TINT: dict[Theme, float] = {"light": 0.2, "dark": 0.4}
_BY_TITLE = {title: key for key, title in TITLES.items()}


def choose(store: Store) -> list[str]:
    """A button behind which the columns are chosen; the keys of those to show."""
    if KEY not in st.session_state and KEY not in st.query_params:
        kept = remembered(store)
        if kept:
            st.session_state[KEY] = kept
    with st.popover("Columns", icon=":material/view_column:", key="runs-columns"):
        shown = st.multiselect(
            "Columns, in their order",
            list(TITLES.values()),
            default=[TITLES[key] for key in DEFAULT],
            key=KEY,
            bind="query-params",
            on_change=_remember,
            args=(store,),
            width=420,
        )
        st.button("Default columns", type="tertiary", icon=":material/restart_alt:", on_click=_reset, args=(store,))
    return [_BY_TITLE[title] for title in shown] or [*DEFAULT]


def remembered(store: Store) -> list[str]:
    """The columns of this person's last visit, by title; [] if there was none."""
    kept = store.get(_fact(), [])
    return [title for title in kept if title in _BY_TITLE] if isinstance(kept, list) else []


def _remember(store: Store) -> None:
    if not store.read_only and jobs.mode() != "demo":
        with errors.say_errors():
            store.put(_fact(), st.session_state[KEY])


def _reset(store: Store) -> None:
    st.session_state[KEY] = [TITLES[key] for key in DEFAULT]
    _remember(store)


def _fact() -> str:
    return f"{FACT}:{visitor.owner()}" if jobs.mode() == "class" else FACT


def order(shown: Iterable[str], table: RunTable) -> list[str]:
    """The table's columns to show, a column per result where results are wanted."""
    results = [result.key for result in table.results]
    return [column for key in shown for column in (results if key == "results" else [key])]


def config(table: RunTable, timezone: str | None) -> dict[str, Any]:
    """How each column is headed and its values are written."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    plain = {
        "name": text(TITLES["name"], width=NAME_PX + RESULT_PX * (len(table.results) < USUAL_RESULTS)),
        "state": st.column_config.MultiselectColumn(TITLES["state"], width=104, options=STATES, color=_state_colours()),
        "dataset": text(TITLES["dataset"], width=88),
        "scheme": text(TITLES["scheme"], width=108, help="The scheme that weighs the tasks, with its knobs."),
        "depth": number(TITLES["depth"], width=58, format="%d", help="How many stages the tasks share."),
        "lr": number(TITLES["lr"], width=105, format="%g"),
        "batch_size": number(TITLES["batch_size"], width=85, format="%d"),
        "seed": number(TITLES["seed"], width=52, format="%d"),
        "progress": st.column_config.ProgressColumn(TITLES["progress"], width=110, format="percent", min_value=0, max_value=1),
        "steps": number(TITLES["steps"], width=80, format="localized"),
        "seconds": number(TITLES["seconds"], width=92, format="localized", help="Time spent training."),
        "age": st.column_config.DatetimeColumn(TITLES["age"], width=124, format="distance", timezone=timezone),
        "created": st.column_config.DatetimeColumn(TITLES["created"], width=150, format="YYYY-MM-DD HH:mm", timezone=timezone),
        "device": text(TITLES["device"], width=80),
        "owner": text(TITLES["owner"], width=100),
        "tags": st.column_config.ListColumn(TITLES["tags"], width=110),
        "note": text(TITLES["note"], width=260),
        "sweep": text(TITLES["sweep"], width=140),
        "id": text(TITLES["id"], width=150),
        "watch": st.column_config.LinkColumn(
            TITLES["watch"], width=60, display_text=":material/monitoring:", help="Opens in a new tab."
        ),
    }
    return plain | results(table)


def results(table: RunTable) -> dict[str, Any]:
    """A column per result: headed by its task, and by the metric where two share a title; percent for shares of one."""
    titles = [result.task_title for result in table.results]
    columns: dict[str, Any] = {}
    for result in table.results:
        unit = f" ({result.unit})" if result.unit else ""
        head = f"{result.task_title}: {result.title}" if titles.count(result.task_title) > 1 else result.task_title
        better = "higher is better" if result.higher_is_better else "lower is better"
        columns[result.key] = st.column_config.NumberColumn(
            f"{head}{unit} {'↑' if result.higher_is_better else '↓'}",
            width=RESULT_PX,
            format="percent" if result.is_share else "%.3f",
            help=f"{result.title} of the final test, {better}.",
        )
    return columns


def _state_colours() -> list[str]:
    """A quiet ground for each state's word: its colour, mixed into the card's."""
    theme = frame.theme()
    card, share = PAGE[theme][1], _TINT[theme]
    return [_mixed(state_colours(theme)[state], card, share) for state in STATES]


def _mixed(colour: str, ground: str, share: float) -> str:
    """That share of a colour on a ground, both hex.

    >>> _mixed("#ff0000", "#ffffff", 0.2)
    '#ffcccc'
    """
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(ground[1:]), strict=True)
    return "#" + bytes(round(share * top + (1 - share) * under) for top, under in pairs).hex()


def sortable(table: RunTable) -> dict[str, str]:
    """The columns by which one can sort: title -> column of the table."""
    fixed = {title: key for key, title in TITLES.items() if key not in ("results", "age", "watch")}
    titles = [result.task_title for result in table.results]
    for result in table.results:
        is_alone = titles.count(result.task_title) == 1 and result.task_title not in fixed
        fixed[result.task_title if is_alone else f"{result.task_title}: {result.title}"] = result.key
    return fixed


def of_groups(table: RunTable, timezone: str | None, *, over_seeds: bool) -> dict[str, Any]:
    """How the columns of groups are headed and written, in their order."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    spread = (
        ("± 95 %", "Half of the 95 % interval of the mean over seeds (Student's t); empty for a single seed.")
        if over_seeds
        else ("± SD", "Standard deviation over the group's runs: they differ in more than their seed.")
    )
    found: dict[str, Any] = {
        "name": text("Group", width=270),
        "runs": number("Runs", width=60, format="%d"),
        "seeds": number("Seeds", width=65, format="%d"),
        "states": text("States", width=180),
    }
    for result, column in zip(table.results, results(table).values(), strict=True):
        found[result.key] = column
        found[f"± {result.key}"] = number(spread[0], width=75, format="percent" if result.is_share else "%.3f", help=spread[1])
    found["created"] = st.column_config.DatetimeColumn("Newest", width=124, format="distance", timezone=timezone)
    return found
