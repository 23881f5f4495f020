"""The catalogue: every scheme by the question it asks, in one line each, with what it costs. To be scanned and searched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from mtl_core.ui import errors, frame
from mtl_core.ui.methods.answers import QUESTIONS, in_order
from mtl_core.ui.methods.state import Memory
from mtl_core.weightings import GramianKnobs, Weighting

HEADS: Mapping[str, tuple[str, str]] = {
    "losses": ("They look at losses", "One number per task. Cheap: one backward pass."),
    "gramian": ("They look at how gradients lie", "Their lengths and angles (the Gramian)."),
    "gradients": ("They look at gradients themselves", "Every coordinate, not only angles."),
}
COSTS = ("any cost", "1 pass", "more")
FIND, COST = "methods.find", "methods.cost"


def catalogue(memory: Memory) -> None:
    """Search box, cost, and one list per question; a click shows the scheme."""
    with st.container(border=True, key="card-methods-list"):
        find = st.text_input("Find", key=FIND, placeholder="Find: name, word, author", label_visibility="collapsed")
        cost = st.segmented_control(
            "Cost",
            COSTS,
            default=COSTS[0],
            required=True,
            key=COST,
            label_visibility="collapsed",
        )
        schemes = in_order()
        found = {scheme.variant_name(): scheme for scheme in schemes if matches(scheme, find) and fits(scheme, cost)}
        frame.note(f"{len(found)} of {len(schemes)} schemes" if len(found) < len(schemes) else f"{len(schemes)} schemes")
        with st.container(key="methods-scroll"):
            for question in QUESTIONS:
                names = [name for name, scheme in found.items() if scheme.asks == question]
                if names:
                    _group(memory, question, names, found)
            if not found:
                frame.note("No scheme fits. Empty the search box, or choose any cost.")


def matches(scheme: type[Weighting], find: str) -> bool:
    """Whether every word is somewhere in what the scheme says of itself."""
    paper = scheme.paper
    said = scheme.describe()
    texts = (
        said["name"],
        scheme.title,
        said["summary"],
        scheme.helps,
        scheme.hurts,
        paper.authors,
        paper.title,
        str(paper.year),
    )
    text = " ".join(texts).lower()
    return all(word in text for word in find.lower().split())


def fits(scheme: type[Weighting], cost: str | None) -> bool:
    """Whether its backward passes are as asked."""
    is_one = passes(scheme) == "1"
    return cost not in COSTS[1:] or is_one == (cost == COSTS[1])


def passes(scheme: type[Weighting]) -> str:
    return str(scheme.describe()["backward_passes"])


def cost_in_words(scheme: type[Weighting]) -> str:
    """Its cost as a badge says it.

    >>> from mtl_core.weightings import WEIGHTINGS
    >>> cost_in_words(WEIGHTINGS["equal"]), cost_in_words(WEIGHTINGS["mgda"])
    ('1 pass', 'T passes')
    """
    said = passes(scheme)
    short = re.split(r"[,;(]| through | on ", said, maxsplit=1)[0].strip()
    words = "1 pass" if short == "1" else f"{short} passes" if re.fullmatch(r"[\dT+ ]+", short) else short
    return words if short == said else f"{words} …"


def own_first(knobs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A scheme's knobs, those that every scheme has at the end."""
    return sorted(knobs, key=lambda knob: knob["name"] in GramianKnobs.model_fields)


def extras(scheme: type[Weighting]) -> Iterable[str]:
    """What it asks for beside its question."""
    if scheme.looks_again:
        yield "looks again"
    if scheme.looks_ahead:
        yield "looks ahead"


def _group(memory: Memory, question: str, names: list[str], found: Mapping[str, type[Weighting]]) -> None:
    head, sentence = HEADS[question]
    st.html(f'<div class="mtl-group"><h4>{head}</h4><p>{sentence}</p></div>')
    key, chosen = f"methods.list.{question}", memory.scene.scheme
    st.session_state[key] = chosen if chosen in names else None
    st.radio(
        head,
        names,
        index=None,
        format_func=lambda name: _label(found[name]),
        captions=[errors.plain(found[name].describe()["summary"]) for name in names],
        key=key,
        on_change=lambda: memory.choose(st.session_state[key]),
        label_visibility="collapsed",
    )


def _label(scheme: type[Weighting]) -> str:
    badges = [f":gray-badge[{errors.plain(cost_in_words(scheme))}]", *(f":violet-badge[{extra}]" for extra in extras(scheme))]
    return " ".join([f"**{errors.plain(scheme.title)}**", *badges])
