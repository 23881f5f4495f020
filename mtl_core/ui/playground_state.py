"""The Playground's memory: one choice per session, kept in step with the address bar, so that any link restores the page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from mtl_core.ui.playground_choice import Choice, from_params, to_params

KEY = "playground"
STALE_S = 3.0  # a click may arrive with the address of a moment ago; later an old address means the Back button


@dataclass
class Memory:
    """The choice as the widgets show it. ``generation`` is part of every widget's key: a new one fills the form anew."""

    choice: Choice = field(default_factory=Choice)
    slips: list[str] = field(default_factory=list)
    generation: int = 0
    url: dict[str, str] = field(default_factory=dict)
    left_at: dict[str, float] = field(default_factory=dict)

    def follow(self, url: Mapping[str, str]) -> None:
        """Fill the form from a link."""
        self.choice, self.slips = from_params(url)
        self.url = dict(url)
        self.generation += 1

    def keep(self, choice: Choice) -> None:
        """Remember what the widgets say now, and say it in the address bar."""
        if choice != self.choice:
            self.slips = []
        self.choice = choice
        params = to_params(choice)
        if params != self.url:
            self.left_at[str(self.url)] = time.monotonic()
            self.url = params
        if params != dict(st.query_params):
            st.query_params.from_dict(params)

    def is_stale(self, url: Mapping[str, str]) -> bool:
        """Whether that address is one that we ourselves left a moment ago."""
        return time.monotonic() - self.left_at.get(str(dict(url)), float("-inf")) < STALE_S


def current() -> Memory:
    """This session's memory: from the link if a new one has come, else as it was left."""
    url = dict(st.query_params)
    memory = st.session_state.get(KEY)
    if memory is None:
        memory = st.session_state[KEY] = Memory()
        memory.follow(url)
    elif url and url != memory.url and not memory.is_stale(url):
        memory.follow(url)
    return memory
