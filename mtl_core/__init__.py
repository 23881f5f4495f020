"""MTL Explorer's training package: what tasks do to each other inside one network, measured.

For a notebook: ``RunConfig``, ``run_here``, ``train``, ``figure``, ``numbers``, ``run_report``, ``export`` for one run; ``Sweep``,
``run_sweep``, ``compare_runs``, ``comparison_table``, ``comparison_figure``, ``comparison_report`` for many; ``pack``, ``unpack``,
``bring_in`` and ``take_in`` for files; ``Store`` for where runs are kept. Each name is looked up when it is asked for: importing the package,
or one part of it, loads no other part.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_core.config import RunConfig
    from mtl_core.exchange.archive import pack, unpack
    from mtl_core.exchange.arrivals import take_in
    from mtl_core.exchange.foreign import bring_in
    from mtl_core.exchange.notebook import (
        compare_runs,
        comparison_figure,
        comparison_report,
        comparison_table,
        export,
        figure,
        numbers,
        run_report,
    )
    from mtl_core.jobs.here import run_here
    from mtl_core.jobs.together import run_sweep
    from mtl_core.store import Store
    from mtl_core.sweeps import Sweep
    from mtl_core.trainer import train

__all__ = [
    "RunConfig",
    "Store",
    "Sweep",
    "bring_in",
    "compare_runs",
    "comparison_figure",
    "comparison_report",
    "comparison_table",
    "export",
    "figure",
    "numbers",
    "pack",
    "run_here",
    "run_report",
    "run_sweep",
    "take_in",
    "train",
    "unpack",
]

_HOMES = {
    "RunConfig": "config",
    "Store": "store",
    "Sweep": "sweeps",
    "bring_in": "exchange.foreign",
    "compare_runs": "exchange.notebook",
    "comparison_figure": "exchange.notebook",
    "comparison_report": "exchange.notebook",
    "comparison_table": "exchange.notebook",
    "export": "exchange.notebook",
    "figure": "exchange.notebook",
    "numbers": "exchange.notebook",
    "pack": "exchange.archive",
    "run_here": "jobs.here",
    "run_report": "exchange.notebook",
    "run_sweep": "jobs.together",
    "take_in": "exchange.arrivals",
    "train": "trainer",
    "unpack": "exchange.archive",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
