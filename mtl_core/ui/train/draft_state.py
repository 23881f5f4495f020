"""The Train page's memory: one draft per session, kept in step with the address bar, so that any link restores the form."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from mtl_core.config import RunConfig
from mtl_core.sweeps import SEED, Sweep
from mtl_core.ui.address import Address
from mtl_core.ui.links import from_params, to_params
from mtl_core.ui.sweeps import links as sweep_links
from mtl_core.ui.train.drafts import mend

KEY = "train.draft"
FIRST_SWEEP = Sweep(vary={SEED: [0, 1, 2]})  # one seed tells nothing about chance


@dataclass
class Draft:
    """The config as the widgets show it, and what a sweep varies around it. ``generation`` is part of every widget's key: a new
    one fills the form anew. ``rows``: settings that were added to the sweep, with values or still without."""

    config: RunConfig
    slips: list[str] = field(default_factory=list)
    generation: int = 0
    address: Address = field(default_factory=Address)
    memory: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    is_sweep: bool = False
    sweep: Sweep = FIRST_SWEEP
    rows: list[str] = field(default_factory=list)

    def fill(self, values: Mapping[str, Any], slips: list[str] | None = None) -> None:
        """Put another config into the form; what is impossible in it becomes a sentence and a default."""
        self.config, found = mend(values)
        self.slips = [*(slips or []), *found]
        self.memory = {}
        self.generation += 1

    def fill_sweep(self, sweep: Sweep) -> None:
        """Vary this from now on, around the config that is in the form."""
        self.is_sweep, self.sweep, self.rows = True, sweep, []
        self.generation += 1

    def keep(self, config: RunConfig) -> None:
        """Remember what the widgets say now."""
        if config != self.config:
            self.slips = []
        self.config = config
        for part, choice in (
            ("dataset", config.dataset),
            ("architecture", config.architecture),
            ("weighting", config.weighting),
        ):
            self.memory[part, choice["name"]] = choice

    def tell(self) -> bool:
        """Say in the address bar what the form says; False if the sweep is too long for a link, which then holds its base only."""
        params = to_params(self.config)
        if self.is_sweep:
            varied = sweep_links.to_params(self.sweep)
            fits = not sweep_links.is_too_long(params | varied)
            params |= varied if fits else {sweep_links.MODE: sweep_links.SWEEP}
        self.address.say(params)
        return not self.is_sweep or fits

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
    sweep, found, rest = sweep_links.from_params(url)
    values, slips = from_params(rest)
    draft.fill(values, [*found, *slips])
    draft.is_sweep = sweep is not None
    if sweep is not None:
        draft.fill_sweep(sweep if sweep != Sweep() else FIRST_SWEEP)
    draft.address.take(url)
