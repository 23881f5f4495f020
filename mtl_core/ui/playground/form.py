"""The Playground's controls: which schemes, from where, how fast. They return the choice as it now stands."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

import streamlit as st

from mtl_core.toy.problem import PAPER_STARTS, REACH
from mtl_core.toy.walk import usual_knobs
from mtl_core.ui import forms, live
from mtl_core.ui.playground import words
from mtl_core.ui.playground.choice import BOUNDS, MAX_SCHEMES, MAX_STARTS, SURFACES, USUAL, Choice, Start, rounded
from mtl_core.ui.playground.state import Memory
from mtl_core.weightings import WEIGHTINGS

IDLE = {
    "scale",
    "heads",
    "on",
}  # knobs that change nothing here: there are no heads, and all gradients are of the two coordinates
OWN = "My own"
PACES: dict[str, dict[str, Any]] = {
    "Quick look": {"steps": USUAL.steps, "lr": USUAL.lr, "scale": USUAL.scale},
    "As in the papers": {"steps": 50_000, "lr": 0.001, "scale": 0.1},
}


def titles() -> dict[str, str]:
    """What to call each scheme."""
    return {variant.variant_name(): variant.title for variant in WEIGHTINGS}


def controls(memory: Memory) -> Choice:
    """The card of controls."""
    choice, key = memory.choice, f"pg.{memory.generation}"
    with st.container(border=True, key="card-controls"):
        names = titles()
        schemes = st.multiselect(
            "Schemes",
            list(names),
            default=list(choice.schemes),
            format_func=names.__getitem__,
            key=f"{key}.schemes",
            max_selections=MAX_SCHEMES,
            placeholder="Choose at least one",
        )
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="pg-starts"):
            starts = _starts(memory, key)
            values = _pace(choice, key)
        choice = replace(choice, schemes=tuple(schemes), starts=starts, **values)
        if not values:
            choice = _own(choice, key)
        return replace(choice, knobs=_knobs(choice, key))


def surface(choice: Choice, memory: Memory) -> Choice:
    """Which loss the landscape shows."""
    shown = st.segmented_control(
        "Landscape",
        list(SURFACES),
        default=choice.surface,
        required=True,
        format_func=SURFACES.__getitem__,
        key=f"pg.{memory.generation}.surface",
        label_visibility="collapsed",
    )
    return replace(choice, surface=shown or choice.surface)


def _starts(memory: Memory, key: str) -> tuple[Start, ...]:
    choice = memory.choice
    extra = st.session_state.setdefault(f"{key}.extra", [start for start in choice.starts if start not in PAPER_STARTS])
    offered = {words.place(start): start for start in [*PAPER_STARTS, *extra]}
    chosen = st.pills(
        "Starts",
        list(offered),
        selection_mode="multi",
        default=[words.place(start) for start in choice.starts],
        key=f"{key}.starts",
        help="The five of the papers, and your own. From (9, 9) many schemes get stuck.",
    )
    with st.popover("Another start", icon=":material/add_location_alt:"):
        x1 = st.number_input("x₁", -REACH, REACH, 4.0, 0.5, key="pg.x1", format="%g")
        x2 = st.number_input("x₂", -REACH, REACH, 6.0, 0.5, key="pg.x2", format="%g")
        st.button("Start there too", type="primary", on_click=_add, args=(memory, (x1, x2)), key="pg.add")
    return tuple(offered[text] for text in offered if text in chosen)


def _add(memory: Memory, start: Start) -> None:
    """A start of the visitor's own: one more among the starts, and taken."""
    wanted = (*memory.choice.starts, rounded(start))
    if len(wanted) <= MAX_STARTS and len(set(wanted)) == len(wanted):
        memory.choice = replace(memory.choice, starts=wanted)
        memory.generation += 1


def _pace(choice: Choice, key: str) -> dict[str, Any]:
    """Steps, learning rate and scale of a preset; empty where the visitor wants to set them."""
    now = {name: getattr(choice, name) for name in ("steps", "lr", "scale")}
    preset = next((name for name, values in PACES.items() if values == now and choice.seed == 0), OWN)
    chosen = st.segmented_control(
        "Pace",
        [*PACES, OWN],
        default=preset,
        required=True,
        key=f"{key}.pace",
        help="Papers: learning rate 0.001 and 50,000 steps. Quick look: 0.005 and 10,000, which come as far in a fifth of the time.",
    )
    return dict(PACES.get(chosen or preset, {}))


def _own(choice: Choice, key: str) -> Choice:
    cells = st.columns(4, gap="medium")
    steps = cells[0].number_input("Steps", *BOUNDS["steps"], choice.steps, 1000, key=f"{key}.steps")
    lr = cells[1].number_input("Learning rate of Adam", *BOUNDS["lr"], choice.lr, 0.001, key=f"{key}.lr", format="%g")
    scale = cells[2].number_input(
        "Scale of the first loss", *BOUNDS["scale"], choice.scale, 0.1, key=f"{key}.scale", format="%g",
        help="What the first loss is multiplied with before the scheme sees it. Papers: 0.1.",
    )  # fmt: skip
    seed = cells[3].number_input("Seed", 0, 2**31 - 1, choice.seed, 1, key=f"{key}.seed", help="For schemes that roll dice.")
    return replace(choice, steps=int(steps), lr=float(lr), scale=float(scale), seed=int(seed))


def _knobs(choice: Choice, key: str) -> dict[str, dict[str, Any]]:
    """The knobs of the chosen schemes; only those that were turned."""
    declared = {name: WEIGHTINGS[name].describe() for name in choice.schemes}
    own = {name: [knob for knob in facts["knobs"] if knob["name"] not in IDLE] for name, facts in declared.items()}
    turned = {name: dict(choice.knobs.get(name, {})) for name in choice.schemes}
    if any(own.values()):
        with st.expander("Knobs of the chosen schemes", key=f"{key}.knobs"):
            for pair in live.batched((name for name in choice.schemes if own[name]), 2):
                for cell, name in zip(st.columns(2, gap="large"), pair, strict=False):
                    with cell:
                        st.html(f'<p class="mtl-note"><b>{escape(declared[name]["title"])}</b></p>')
                        usual = {knob["name"]: knob["default"] for knob in own[name]} | usual_knobs(name, choice.scale)
                        found = forms.knobs(own[name], usual | turned[name], key=f"{key}.{name}")
                    idle = {knob: value for knob, value in turned[name].items() if knob in IDLE}
                    turned[name] = {knob: value for knob, value in found.items() if value != usual[knob]} | idle
    return {name: knobs for name, knobs in turned.items() if knobs}
