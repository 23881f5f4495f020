"""What has been read of a run, shared by all who watch it: many viewers cost one reading per tick."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd
import streamlit as st

from mtl_core.figures import FIGURES
from mtl_core.frames import RunFrames
from mtl_core.store import LIVE, Run, Store

FRESH_S = 0.6  # a reading of a live run serves every viewer for so long
KEPT = 48  # readings kept in the process, whoever watches whatever


class Reading:
    """One run at one moment, seen through one window; tables are made on first use and kept."""

    def __init__(self, frames: RunFrames, spec: dict[str, Any], stamp: Hashable) -> None:
        self.frames = frames
        self.spec = spec
        self.stamp = stamp
        self.born = time.monotonic()
        self._tidied: dict[str, pd.DataFrame] = {}
        self._drawn: dict[Hashable, str] = {}
        self._lock = threading.Lock()

    def tidy(self, name: str) -> pd.DataFrame:
        """The table that figure ``name`` draws."""
        with self._lock:
            if name not in self._tidied:
                figure = FIGURES[name]
                self._tidied[name] = figure.tidy(self.frames.table(figure.source), self.spec)
            return self._tidied[name]

    def kept(self, key: Hashable, draw: Callable[[], str]) -> str:
        """A drawing that is the same for all who look at this moment: made once."""
        with self._lock:
            if key not in self._drawn:
                self._drawn[key] = draw()
            return self._drawn[key]


class Tail:
    """All readings of a process, the least used ones forgotten; safe for many sessions at once."""

    def __init__(self) -> None:
        self._readings: OrderedDict[Hashable, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def reading(self, store: Store, run: Run, **window: Any) -> Reading:
        """The run as it is now through that window (arguments of ``RunFrames``); shared while it is fresh."""
        key = (store.url, run.id, *sorted(window.items()))
        stamp = (run.state, run.step, run.result is None)
        with self._lock:
            known = self._readings.get(key)
            # before the first step the stamp stands still while the first validation arrives
            is_starting = run.step == 0 and run.state in LIVE
            fresh_s = FRESH_S / 3 if is_starting else FRESH_S
            is_current = known is not None and known.stamp == stamp and not is_starting
            if known is not None and (is_current or time.monotonic() - known.born < fresh_s):
                self._readings.move_to_end(key)
                return known
            spec = run.spec or {}
            fresh = self._readings[key] = Reading(RunFrames(store, run.id, spec, **window), spec, stamp)
            self._readings.move_to_end(key)
            while len(self._readings) > KEPT:
                self._readings.popitem(last=False)
        return fresh


@st.cache_resource(show_spinner=False)
def tail() -> Tail:
    """The one tail of this process."""
    return Tail()
