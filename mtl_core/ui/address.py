"""What the address bar says of a page, and whether it has come from somewhere else than the page itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

STALE_S = 3.0  # a click may arrive with the address of a moment ago; later an old address means the Back button


@dataclass
class Address:
    """The address that a page has given itself last."""

    url: dict[str, str] = field(default_factory=dict)
    left_at: dict[str, float] = field(default_factory=dict)

    def say(self, params: Mapping[str, str]) -> None:
        """Put what the page shows into the address bar."""
        self.leave_for(params)  # before the page is told: a new click may end this run right there
        if params != dict(st.query_params):
            st.query_params.from_dict(params)

    def leave_for(self, params: Mapping[str, str]) -> None:
        """Remember what the page is about to say, and when it left what it said before."""
        if params != self.url:
            now = time.monotonic()
            self.left_at = {url: left for url, left in self.left_at.items() if now - left < STALE_S}
            self.left_at[str(self.url)] = now
            self.url = dict(params)

    def take(self, url: Mapping[str, str]) -> None:
        """Go by a link from now on."""
        self.url = dict(url)

    def is_new(self, url: Mapping[str, str]) -> bool:
        """Whether that address is a link that somebody followed, not one that we ourselves left a moment ago."""
        is_stale = time.monotonic() - self.left_at.get(str(dict(url)), float("-inf")) < STALE_S
        return bool(url) and dict(url) != self.url and not is_stale


def arrived(name: str) -> str | None:
    """What a link, or the Back button, says in one parameter; None while the page itself said it last."""
    address, here = _address_of(name), {name: st.query_params.get(name, "")}
    if not address.is_new(here):
        return None
    address.take(here)
    return here[name]


def say_one(name: str, value: str) -> None:
    """Put one parameter into the address bar; take it out where it is empty."""
    _address_of(name).leave_for({name: value})
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def _address_of(name: str) -> Address:
    address: Address = st.session_state.setdefault(f"{name}.address", Address())
    return address
