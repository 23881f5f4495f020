"""MTL Explorer's training package: what tasks do to each other inside one network, measured.

For a notebook, ``from mtl_core import RunConfig, Store, bring_in, figure, numbers, pack, run_here, train, unpack``. Each name is
looked up when it is asked for: importing the package, or one part of it, loads no other part.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_core.config import RunConfig
    from mtl_core.exchange.archive import pack, unpack
    from mtl_core.exchange.foreign import bring_in
    from mtl_core.exchange.notebook import figure, numbers
    from mtl_core.jobs.here import run_here
    from mtl_core.store import Store
    from mtl_core.trainer import train

__all__ = ["RunConfig", "Store", "bring_in", "figure", "numbers", "pack", "run_here", "train", "unpack"]

_HOMES = {
    "RunConfig": "config",
    "Store": "store",
    "bring_in": "exchange.foreign",
    "figure": "exchange.notebook",
    "numbers": "exchange.notebook",
    "pack": "exchange.archive",
    "run_here": "jobs.here",
    "train": "trainer",
    "unpack": "exchange.archive",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
