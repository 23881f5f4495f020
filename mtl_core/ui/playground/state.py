"""The Playground's memory: one choice per session, kept in step with the address bar, so that any link restores the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from mtl_core.ui.address import Address
from mtl_core.ui.playground.choice import Choice, from_params, to_params

KEY = "playground"


@dataclass
class Memory:
    """The choice as the widgets show it. ``generation`` is part of every widget's key: a new one fills the form anew."""

    choice: Choice = field(default_factory=Choice)
    slips: list[str] = field(default_factory=list)
    generation: int = 0
    address: Address = field(default_factory=Address)

    def follow(self, url: Mapping[str, str]) -> None:
        """Fill the form from a link."""
        self.choice, self.slips = from_params(url)
        self.address.take(url)
        self.generation += 1

    def keep(self, choice: Choice) -> None:
        """Remember what the widgets say now, and say it in the address bar."""
        if choice != self.choice:
            self.slips = []
        self.choice = choice
        self.address.say(to_params(choice))


def current() -> Memory:
    """This session's memory: from the link if a new one has come, else as it was left."""
    url = dict(st.query_params)
    memory = st.session_state.get(KEY)
    if memory is None:
        memory = st.session_state[KEY] = Memory()
        memory.follow(url)
    elif memory.address.is_new(url):
        memory.follow(url)
    return memory
