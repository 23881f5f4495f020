"""Knobs: lines through all settings to the score, what differs between the groups, and two configs side by side."""

from __future__ import annotations

import streamlit as st

from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.knobs import MOST_AXES, score_titles, settings_table, usual_values
from mtl_core.frames.compared.settings import setting_title, varied_settings
from mtl_core.frames.compared.side_by_side import as_yaml, side_by_side
from mtl_core.store import Run, Store
from mtl_core.ui import frame, live
from mtl_core.ui.compare import cards, pick, settings

LINES = "parallel_coordinates"
LINES_PX = 520
MOST_COLUMNS = 6  # groups up to which each has a column; beyond, each has a row


def show(store: Store, compared: Compared) -> None:
    """Lines, table, and two configs."""
    _lines(compared)
    _table(compared)
    _two(compared)


def _lines(compared: Compared) -> None:
    varied = varied_settings(compared.comparison)
    scores = score_titles(compared.comparison)
    if not varied:
        live.empty("One group", "Nothing differs but the seed, so there is no setting to follow: compare a sweep.")
        return
    if not scores:
        live.empty("No test results yet", "Lines end in a test score; they come when runs end.")
        return
    with st.container(border=True, key="card-lines"):
        cards.head(LINES)
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            kinds = CONTRASTS[LINES].choices(compared.spec)
            kind = pick.one("Lines", kinds, key="knobs.lines", width=190)
            score = pick.one("Score", scores, key="knobs.score", width=360)
        axes, chosen = {key: setting_title(key) for key in varied}, varied
        if len(varied) > 1:
            chosen = pick.several("Axes", axes, key="knobs.axes", default=varied[:MOST_AXES])
        view = View(theme=frame.theme(), height=LINES_PX, choice="\n".join([kind, score, *chosen]))
        cards.picture(LINES, compared, view, key="lines")
        without = len(compared.comparison.groups) - len(compared.table("knobs", f"groups\n{score}"))
        left_out = (
            f"{without} group{'' if without == 1 else 's'} without this score {'is' if without == 1 else 'are'} left out. "
        )
        frame.note(
            f"{left_out if without else ''}The drawing needs WebGL, which every current browser has unless it is switched off; "
            "the CSV holds the same numbers."
        )
        cards.legend(LINES)


def _table(compared: Compared) -> None:
    found = compared.comparison
    with st.container(border=True, key="card-settings"):
        st.html('<div class="mtl-card-head"><h3>What was set</h3></div>')
        everything = st.toggle("Show all settings", key="knobs.all", bind="query-params")
        table = settings_table(found, everything=everything)
        if table.empty:
            frame.note("All groups have the same settings; switch on all settings to read them.")
        else:
            names = {group.id: group.name for group in found.groups}
            across = len(names) <= MOST_COLUMNS
            st.html(settings.table(table, names, usual_values(table), groups_across=across))
            st.download_button(
                "CSV",
                data=lambda: as_csv(table.rename(columns=names)).encode(),
                file_name="settings.csv",
                mime="text/csv",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
                key="csv-settings",
                help="The settings of all groups.",
            )
        st.html(
            '<div class="mtl-read"><p><b>How to read it.</b> A coloured value is not that of most groups; '
            "– means that a group has no such setting.</p><p><b>What it says.</b> Where two groups differ in more than one setting, "
            "no number of theirs can be put down to one of them.</p></div>"
        )


def _two(compared: Compared) -> None:
    groups = compared.comparison.groups
    named = [(run, f"{group.name}, seed {_seed(run)}") for group in groups for run in group.runs]
    if len(named) < 2:
        return
    runs, names = {run.id: run for run, _ in named}, {run.id: name for run, name in named}
    first, second = groups[0].runs[0].id, (groups[1].runs[0] if len(groups) > 1 else groups[0].runs[1]).id
    with st.container(border=True, key="card-two"):
        st.html('<div class="mtl-card-head"><h3>Two configs side by side</h3></div>')
        with st.container(horizontal=True, gap="medium"):
            left = pick.one("Left", names, key="knobs.left", width=420, default=first)
            right = pick.one("Right", names, key="knobs.right", width=420, default=second)
        lines = side_by_side(as_yaml(runs[left].config), as_yaml(runs[right].config))
        st.html(settings.two(lines, names[left], names[right]))
        n_changed = sum(line.change != "same" for line in lines)
        differ = "1 line differs." if n_changed == 1 else f"{n_changed} lines differ."
        frame.note(differ if n_changed else "The two configs are the same.")


def _seed(run: Run) -> object:
    return (run.config.get("training") or {}).get("seed", "–")
