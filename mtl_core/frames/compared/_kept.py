"""What has been read of ended runs, kept for the whole process: to look at it in another way costs no reading."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np

from mtl_core.store import ENDED, Run, Store

MOST_BYTES = 24_000_000
T = TypeVar("T")


class Kept(Generic[T]):
    """Readings of runs, dataclasses of arrays; those asked for longest ago are forgotten. Safe for many sessions at once."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.n_bytes = 0
        self._most_bytes = most_bytes
        self._readings: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def reading(self, store: Store, run: Run, what: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` reads of a run: once if the run has ended, each time while it may still grow."""
        if run.state not in ENDED:
            return read()
        key = (store.url, run.id, run.state, run.step, run.ended, what)  # a run that went on has ended anew
        with self._lock:
            known = self._readings.get(key)
            if known is not None:
                self._readings.move_to_end(key)
                return known
        found = read()
        self._keep(key, found)
        return found

    def _keep(self, key: Hashable, found: T) -> None:
        with self._lock:
            if key not in self._readings:
                self._readings[key] = found
                self.n_bytes += _size(found)
            while self.n_bytes > self._most_bytes and len(self._readings) > 1:
                self.n_bytes -= _size(self._readings.popitem(last=False)[1])


def _size(found: object) -> int:
    return sum(value.nbytes for value in vars(found).values() if isinstance(value, np.ndarray))
