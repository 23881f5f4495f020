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
        if params != self.url:
            now = time.monotonic()
            self.left_at = {url: left for url, left in self.left_at.items() if now - left < STALE_S}
            self.left_at[str(self.url)] = now
            self.url = dict(params)  # before the page is told: a new click may end this run right there
        if params != dict(st.query_params):
            st.query_params.from_dict(params)

    def take(self, url: Mapping[str, str]) -> None:
        """Go by a link from now on."""
        self.url = dict(url)

    def is_new(self, url: Mapping[str, str]) -> bool:
        """Whether that address is a link that somebody followed, not one that we ourselves left a moment ago."""
        is_stale = time.monotonic() - self.left_at.get(str(dict(url)), float("-inf")) < STALE_S
        return bool(url) and dict(url) != self.url and not is_stale
