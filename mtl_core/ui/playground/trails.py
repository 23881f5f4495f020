"""Walks of the Playground, kept for all visitors: each is walked once, bit by bit, so that a page can say how far it is."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from mtl_core.toy.problem import Floats, evaluate, is_on_front
from mtl_core.toy.walk import Walk
from mtl_core.ui.playground.choice import Choice, Start

PLACES = 600  # of a walk that are kept: its line on the screen
KEPT = 400  # walks that a process remembers
TURN_S = 0.2  # how long one visitor's walk goes on before the page hears of it and others get their turn
CHUNK = 50  # steps between looks at the clock

Report = Callable[[str, Start, int], None]


@dataclass(frozen=True)
class Trail:
    """A walk that has ended: steps [N], places [N, 2] and unscaled losses [N, 2] on the way, and why it ended early, if so."""

    scheme: str
    start: Start
    steps: NDArray[np.int64]
    plane: Floats
    losses: Floats
    stopped: str

    @property
    def reached(self) -> int | None:
        """The first step kept from which on it stays on the Pareto set; None if it does not end there."""
        first = None
        for step, point in zip(self.steps[::-1].tolist(), self.plane[::-1].tolist(), strict=True):
            if not is_on_front(point):
                break
            first = step
        return first


class _Slot:
    """One walk and, once it has ended, its trail; its lock lets one visitor at a time move it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.walk: Walk | None = None
        self.trail: Trail | None = None


class Trails:
    """All walks of a process, the least used ones forgotten. One walk moves at a time: other pages go on meanwhile."""

    def __init__(self) -> None:
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def all_of(self, choice: Choice, report: Report) -> list[Trail]:
        """Every scheme from every start; ``report(scheme, start, step)`` hears how far the one that moves has come."""
        return [self._walked(choice, scheme, start, report) for start in choice.starts for scheme in choice.schemes]

    def _walked(self, choice: Choice, scheme: str, start: Start, report: Report) -> Trail:
        slot = self._slot(choice, scheme, start)
        while slot.trail is None:
            with slot.lock, self._turn:
                step = self._move(slot, choice, scheme, start)
            report(scheme, start, step)  # outside the locks: Streamlit may end the script here
        return slot.trail

    def _slot(self, choice: Choice, scheme: str, start: Start) -> _Slot:
        knobs = repr(sorted(choice.knobs.get(scheme, {}).items()))
        key = (scheme, knobs, start, choice.steps, choice.lr, choice.scale, choice.seed)
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > KEPT:
                self._slots.popitem(last=False)
        return slot

    def _move(self, slot: _Slot, choice: Choice, scheme: str, start: Start) -> int:
        if slot.trail is not None:  # another visitor has finished it meanwhile
            return choice.steps
        if slot.walk is None:
            slot.walk = Walk(
                scheme,
                start,
                steps=choice.steps,
                lr=choice.lr,
                scale=choice.scale,
                seed=choice.seed,
                knobs=choice.knobs.get(scheme),
                keep_every=max(1, choice.steps // PLACES),
            )
        until = time.monotonic() + TURN_S
        while not slot.walk.is_done and time.monotonic() < until:
            slot.walk.advance(CHUNK)
        step = slot.walk.step
        if slot.walk.is_done:
            slot.trail, slot.walk = _trail(slot.walk, scheme), None
        return step


def _trail(walk: Walk, scheme: str) -> Trail:
    steps = np.array([step for step, _, _ in walk.path], dtype=np.int64)
    plane = np.array([(x1, x2) for _, x1, x2 in walk.path])
    losses = np.array([evaluate(x1, x2)[:2] for _, x1, x2 in walk.path])
    return Trail(scheme, walk.start, steps, plane, losses, walk.stopped)


@st.cache_resource(show_spinner=False)
def trails() -> Trails:
    """The one collection of this process."""
    return Trails()
