"""The Methods page's memory: the scene that it shows, kept in step with the address bar, so that any link restores it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from mtl_core.ui.methods_scene import MOST_TASKS, Scene, read_scene, scene_params, usual_scene

KEY = "methods.memory"
STALE_S = 3.0  # a click may arrive with the address of a moment ago; later an old address means the Back button


@dataclass
class Memory:
    """The scene on the page. ``generation`` is part of the keys of knobs: a new one fills them anew."""

    scene: Scene = field(default_factory=usual_scene)
    slips: list[str] = field(default_factory=list)
    generation: int = 0
    url: dict[str, str] = field(default_factory=dict)
    left_at: dict[str, float] = field(default_factory=dict)
    knobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def show(self, scene: Scene) -> None:
        """Put a scene on the page from elsewhere than its widgets: they follow."""
        self.keep(scene)
        st.session_state["methods.n_tasks"] = scene.n_tasks
        st.session_state["methods.same_length"] = scene.same_length
        for n in range(MOST_TASKS):
            for part, value in _values(scene, n).items():
                st.session_state[f"methods.{part}.{n}"] = value

    def keep(self, scene: Scene) -> None:
        """Remember what the widgets say now, and say it in the address bar."""
        self.scene = scene
        self.knobs[scene.scheme] = scene.knobs
        params = scene_params(scene)
        if params != self.url:
            self.left_at = {address: left for address, left in self.left_at.items() if time.monotonic() - left < STALE_S}
            self.left_at[str(self.url)] = time.monotonic()
            self.url = params
        if params != dict(st.query_params):
            st.query_params.from_dict(params)

    def choose(self, scheme: str) -> None:
        """Show another scheme; its knobs are as they were left."""
        self.slips = []
        self.keep(replace(self.scene, weighting={"name": scheme, **self.knobs.get(scheme, {})}))

    def is_stale(self, url: Mapping[str, str]) -> bool:
        """Whether that address is one that we ourselves left a moment ago."""
        return time.monotonic() - self.left_at.get(str(dict(url)), float("-inf")) < STALE_S


def current() -> Memory:
    """This session's memory: from the link if a new one has come, else as it was left."""
    url = dict(st.query_params)
    memory = st.session_state.get(KEY)
    if memory is None:
        memory = st.session_state[KEY] = Memory()
        _follow(memory, url)
    elif url and url != memory.url and not memory.is_stale(url):
        _follow(memory, url)
    elif url != memory.url:
        memory.keep(memory.scene)
    return memory


def slider_value(scene: Scene, part: str, n: int) -> float:
    """What the slider of a task starts from."""
    return _values(scene, n)[part]


def _follow(memory: Memory, url: dict[str, str]) -> None:
    scene, slips = read_scene(url)
    memory.generation += 1
    memory.slips = slips
    memory.show(scene)


def _values(scene: Scene, n: int) -> dict[str, float]:
    pull = scene.pulls[n]
    return {"length": float(pull.length), "angle": float(pull.angle), "loss": float(pull.loss)}
