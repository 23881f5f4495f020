"""Trade-offs: what fixed weights reach and who goes beyond, and which scheme at which depth."""

from __future__ import annotations

from html import escape

import streamlit as st

from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.front import front_said
from mtl_core.frames.compared.heat import heat_settings
from mtl_core.frames.compared.settings import DEPTH, SCHEME
from mtl_core.store import Store
from mtl_core.ui import frame, live
from mtl_core.ui.compare import cards, pick

FRONT, HEAT = "front", "heat_map"
FRONT_PX, LEGEND_ROW_PX, LEGEND_COLUMNS, LEGEND_ROWS = 460, 21, 3, 8
CELL_PX, HEAT_HEAD_PX = 44, 80


def show(store: Store, compared: Compared) -> None:
    """The front and the heat map."""
    if not compared.comparison.tested:
        live.empty(
            "No test results yet", "Trade-offs are drawn over final tests; they come when runs end. See Curves until then."
        )
        return
    if CONTRASTS[FRONT].applies(compared.spec):
        _front(compared)
    else:
        live.empty("One metric only", "A trade-off needs two test metrics: compare runs of several tasks.")
    _heat(compared)


def _front(compared: Compared) -> None:
    with st.container(border=True, key="card-front"):
        cards.head(FRONT)
        pair = pick.one("Metrics", CONTRASTS[FRONT].choices(compared.spec), key="tradeoffs.pair", width=520)
        rows = min(LEGEND_ROWS, -(-len(compared.spec["groups"]) // LEGEND_COLUMNS))
        view = View(theme=frame.theme(), height=FRONT_PX + LEGEND_ROW_PX * rows, choice=pair)
        cards.picture(FRONT, compared, view, key="front")
        said, n_groups = front_said(compared, pair), len(compared.spec["groups"])
        if said is not None:
            st.html(f'<ul class="mtl-said">{"".join(f"<li>{escape(one)}</li>" for one in said.sentences)}</ul>')
        if n_groups > LEGEND_ROWS * LEGEND_COLUMNS:
            frame.note(
                f"The legend names the first {LEGEND_ROWS * LEGEND_COLUMNS} of {n_groups} groups; point at a marker to read any. "
                "Choose fewer under Runs for a quieter picture."
            )
        cards.legend(FRONT)


def _heat(compared: Compared) -> None:
    sides = heat_settings(compared.comparison)
    with st.container(border=True, key="card-heat"):
        head = st.container()
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            measure = pick.one("Measure", CONTRASTS[HEAT].choices(compared.spec), key="tradeoffs.measure", width=340)
            rows = pick.one("Rows", sides, key="tradeoffs.rows", width=220, default=SCHEME)
            columns = pick.one("Columns", sides, key="tradeoffs.columns", width=220, default=DEPTH)
        choice = f"{measure}\n{rows}\n{columns}"
        cells = compared.table("heat", choice)
        title = f"{sides[rows]} down, {sides[columns].lower()} across"
        head.html(f'<div class="mtl-card-head"><h3>{escape(title)}</h3></div>')
        view = View(theme=frame.theme(), height=HEAT_HEAD_PX + CELL_PX * max(3, cells["row"].nunique()), choice=choice)
        cards.picture(HEAT, compared, view, key="heat")
        n_mixed = int((cells["settings"].astype(int) > 1).sum())
        if n_mixed:
            these = "1 cell holds" if n_mixed == 1 else f"{n_mixed} cells hold"
            frame.note(
                f"{these} several groups, which differ in other settings: the number there is the mean over them, from their "
                "least to their largest on hovering. Choose other rows or columns to see what else differs."
            )
        cards.legend(HEAT)
