"""The Train page's memory: one draft per session, kept in step with the address bar, so that any link restores the form."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from mtl_core.config import RunConfig
from mtl_core.ui.address import Address
from mtl_core.ui.drafts import mend
from mtl_core.ui.links import from_params, to_params

KEY = "train.draft"


@dataclass
class Draft:
    """The config as the widgets show it. ``generation`` is part of every widget's key: a new one fills the form anew."""

    config: RunConfig
    slips: list[str] = field(default_factory=list)
    generation: int = 0
    address: Address = field(default_factory=Address)
    memory: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    request: str = field(default_factory=lambda: uuid.uuid4().hex)

    def fill(self, values: Mapping[str, Any], slips: list[str] | None = None) -> None:
        """Put another config into the form; what is impossible in it becomes a sentence and a default."""
        self.config, found = mend(values)
        self.slips = [*(slips or []), *found]
        self.memory = {}
        self.generation += 1

    def keep(self, config: RunConfig) -> None:
        """Remember what the widgets say now, and say it in the address bar."""
        if config != self.config:
            self.slips = []
        self.config = config
        for part, choice in (
            ("dataset", config.dataset),
            ("architecture", config.architecture),
            ("weighting", config.weighting),
        ):
            self.memory[part, choice["name"]] = choice
        self.address.say(to_params(config))

    def recall(self, part: str, name: str) -> dict[str, Any]:
        """The knobs that a variant had when it was last chosen: to look at another one and come back loses nothing."""
        choice: dict[str, Any] = getattr(self.config, part)
        return choice if choice["name"] == name else self.memory.get((part, name), {})


def current() -> Draft:
    """This session's draft: from the link if a new one has come, else as it was left."""
    url = dict(st.query_params)
    draft = st.session_state.get(KEY)
    if draft is None:
        draft = st.session_state[KEY] = Draft(RunConfig())
        _follow(draft, url)
    elif draft.address.is_new(url):
        _follow(draft, url)
    return draft


def _follow(draft: Draft, url: dict[str, str]) -> None:
    values, slips = from_params(url)
    draft.fill(values, slips)
    draft.address.take(url)
