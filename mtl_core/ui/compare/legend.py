"""Who is who: one legend above all panels of a section, and the choice of what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from mtl_core.comparing import Group
from mtl_core.figures import View
from mtl_core.figures.compared import draw_legend
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.lines import MOST_RUNS, shown, wanted
from mtl_core.store import ENDED
from mtl_core.ui import frame, live

_NAMED = 4  # groups named in a sentence


def choose_groups(compared: Compared, *, key: str) -> tuple[str, ...]:
    """Which groups to show; none chosen: all of them. In the URL."""
    names = {group.id: group.name for group in compared.comparison.groups}
    found = st.multiselect(
        "Groups", list(names), format_func=names.__getitem__, key=key, bind="query-params", placeholder="All groups",
        help=f"At most {MOST_RUNS} runs are drawn at a time.",
    )  # fmt: skip
    return tuple(found)


def show(compared: Compared, without: Mapping[str, str] | None = None) -> None:
    """The groups that are drawn, and a sentence on those that are not.

    Args:
        without: groups with nothing to show, by id, and why.
    """
    drawn, asked, reasons = shown(compared), wanted(compared), without or {}
    kept = [(group, runs) for group, runs in drawn if runs and group.id not in reasons]
    said = {group.name: _seeds(len(runs), is_apart=compared.apart) for group, runs in kept}
    live.inline_html(draw_legend(compared.spec, View(theme=frame.theme()), said))
    if len(drawn) < len(asked):
        n_runs = sum(len(runs) for _, runs in drawn)
        note(
            f"Shown are the first {len(drawn)} of {len(asked)} groups, {n_runs} runs: at most {MOST_RUNS} runs fit into a picture. "
            "Name the groups that you want to see under Smoothing and groups."
        )
    why = {group.id: _silence(group) for group, runs in drawn if not runs} | dict(reasons)
    for reason in dict.fromkeys(why.values()):
        note(f"Left out: {_names([group.name for group, _ in drawn if why.get(group.id) == reason])}: {reason}.")


def note(sentence: str) -> None:
    st.html(f'<p class="mtl-note">{escape(sentence)}</p>')


def _silence(group: Group) -> str:
    """Why a group has no curves at all."""
    return "ended before the first step" if all(run.state in ENDED for run in group.runs) else "not begun yet"


def _seeds(n: int, *, is_apart: bool) -> str:
    if is_apart:
        return f"{n} run{'' if n == 1 else 's'}"
    return "1 seed, no band" if n == 1 else f"{n} seeds"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'; '.join(names[:_NAMED])}{more}"
