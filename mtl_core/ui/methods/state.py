"""The Methods page's memory: the scene that it shows, kept in step with the address bar, so that any link restores it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from mtl_core.ui.address import Address
from mtl_core.ui.methods.scene import MOST_TASKS, Scene, read_scene, scene_params, usual_scene

KEY = "methods.memory"


@dataclass
class Memory:
    """The scene on the page. ``generation`` is part of the keys of knobs: a new one fills them anew."""

    scene: Scene = field(default_factory=usual_scene)
    slips: list[str] = field(default_factory=list)
    generation: int = 0
    address: Address = field(default_factory=Address)
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
        self.address.say(scene_params(scene))

    def choose(self, scheme: str) -> None:
        """Show another scheme; its knobs are as they were left."""
        self.slips = []
        self.keep(replace(self.scene, weighting={"name": scheme, **self.knobs.get(scheme, {})}))


def current() -> Memory:
    """This session's memory: from the link if a new one has come, else as it was left."""
    url = dict(st.query_params)
    memory = st.session_state.get(KEY)
    if memory is None:
        memory = st.session_state[KEY] = Memory()
        _follow(memory, url)
    elif memory.address.is_new(url):
        _follow(memory, url)
    elif url != memory.address.url:
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
