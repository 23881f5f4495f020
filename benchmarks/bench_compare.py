"""What a person waits for on Compare: the list of a thousand runs, and the curves of fifty long ones.

A store of finished runs of four tasks, written through the store's own door: fifty of 10,000 steps (ten settings, five seeds
each), the others short. A real server on it and headless Chromium on this same machine.

1. **The list.** From the navigation until the table of runs has text in it; in a new tab with nothing cached, and in a browser that
   was here before. Then the same as the very first visit of a server that has just come up.
2. **Curves.** The fifty long runs chosen by the link, section Curves: from the navigation until the last of the four panels is painted.
   The goal is set for the training loss, which has 10,000 numbers per run; validation has 40.
3. **Behind the page.** The same work without server and browser, in this process: what the store and the comparison take.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote_plus, urlencode

import numpy as np
from playwright.sync_api import Browser

from benchmarks import _painted
from benchmarks._browser import CHROMIUM, chromium, end_well_when_told, server, visitor
from benchmarks._runs import TASKS, make_runs
from mtl_core.comparing import compare
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.store import Store

N_LONG, LONG, SHORT = 50, 10_000, 200
POINTS = 800  # as many as a panel asks for of each run
TRAINING = "Training loss"


@dataclass(frozen=True)
class Visit:
    """A page, and what must be painted on it."""

    what: str
    path: str
    selector: str = _painted.CHARTS
    least: int = len(TASKS)
    goal: str = ""


def visits(n_runs: int, long: Sequence[str]) -> list[Visit]:
    """The list of runs, and the curves of the long ones in three ways."""

    def curves(**choices: str) -> str:
        chosen = {f"curves.{name}": value for name, value in choices.items()}
        return "/compare?" + urlencode({"section": "Curves", "runs": ",".join(long), **chosen})

    return [
        Visit(f"list of {n_runs:,} runs", "/compare", _painted.TABLE, 1, "goal <= 2"),
        Visit("curves, training loss", curves(quantity=TRAINING), goal="goal <= 2.5"),
        Visit("curves as they open, validation loss", curves()),
        Visit("curves, training loss, every run", curves(quantity=TRAINING, lines="Every run")),
    ]


def measure(store: Store, long: Sequence[str], *, repeats: int) -> None:
    """What a person waits for, printed as it comes."""
    wanted = visits(len(store.listing()), long)
    with chromium() as browser:
        print(f"Streamlit {version('streamlit')}, Chromium {browser.version}, SQLite {sqlite3.sqlite_version}")
        print(f"{'':58}{'median':>9}  {'middle half':14}{'worst':>9}")
        with server(store) as address:
            for visit in wanted:
                open_page(browser, address, visit)  # the server loads what it needs
                found = [open_page(browser, address, visit, again=True) for _ in range(repeats)]
                show(f"{visit.what}, nothing cached", [first for first, _ in found], visit.goal)
                show(f"{visit.what}, here before", [second for _, second in found], visit.goal)
        for visit in wanted[:2]:
            show(f"{visit.what}, first visit of a new server", [cold(browser, store, visit) for _ in range(repeats)])


def open_page(browser: Browser, address: str, visit: Visit, *, again: bool = False) -> list[float]:
    """Seconds until it is painted in a new tab; with ``again`` also for a second visit with the files cached."""
    with visitor(browser, address) as page:
        _painted.watch_for(page, visit.selector, least=visit.least)
        found = []
        for _ in range(2 if again else 1):
            page.goto(visit.path)
            found.append(_painted.seconds(page))
            if TRAINING in unquote_plus(visit.path) and not page.locator(f"input[value='{TRAINING}']").count():
                raise RuntimeError(f"the link did not choose {TRAINING!r}")
            page.goto("about:blank")
    return found


def cold(browser: Browser, store: Store, visit: Visit) -> float:
    """The same as the first visit of a new server."""
    with server(store) as address:
        return open_page(browser, address, visit)[0]


def behind(store: Store, long: Sequence[str], *, repeats: int) -> None:
    """What the pages ask for, without them."""
    runs = store.runs_named(long)

    def judge() -> None:
        comparison = compare(runs)
        assert all((comparison.delta_m, comparison.mean_rank, comparison.metrics))
        assert comparison.warnings is not None

    def draw(**choices: Any) -> None:
        compared = replace(Compared(store, compare(runs)), points=POINTS, smooth=20.0, **choices)
        kind = CONTRASTS["group_curves"]
        for task in TASKS:
            view = View(theme="light", x="step", height=280, choice=f"train|loss|{task}")
            kind.vega(kind.tidy(compared.table(kind.source, view.choice), compared.spec, view), compared.spec, view)

    deeds: tuple[tuple[str, Callable[[], object]], ...] = (
        ("list all runs", store.listing),
        (f"read {len(long)} runs", lambda: store.runs_named(long)),
        (f"compare {len(long)} runs: Δm, ranks, warnings", judge),
        (f"{len(long)} training curves, {POINTS} points", lambda: [store.curve(one, "train", points=POINTS) for one in long]),
        (f"{len(long)} validation curves", lambda: [store.curve(one, "validation", points=POINTS) for one in long]),
        (f"the measurements of {len(long)} runs", lambda: [store.measurements(one, at_most=100) for one in long]),
        ("the four panels of training losses", draw),
        ("the same with every run apart", lambda: draw(apart=True)),
    )
    for what, deed in deeds:
        show(f"  {what}", [timed(deed) for _ in range(max(repeats, 5))])


def timed(deed: Callable[[], object]) -> float:
    began = time.perf_counter()
    deed()
    return time.perf_counter() - began


def show(what: str, seconds: Sequence[float], goal: str = "") -> None:
    """A row of the table."""
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    print(f"{what:58}{middle:7.3f} s  [{low:.3f}, {high:.3f}]{max(seconds):7.3f} s  {goal}", flush=True)


def main() -> None:
    """Measure, and leave nothing running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000, help="in the store")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    if not asked.runs >= N_LONG:
        parser.error(f"--runs must be at least {N_LONG}")
    end_well_when_told()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Store.open(folder) as store:
        long = make_runs(store, N_LONG, LONG)
        others = make_runs(store, asked.runs - N_LONG, SHORT)
        print(f"{asked.runs:,} runs made up in {long.seconds + others.seconds:.0f} s")
        behind(store, long.run_ids, repeats=asked.repeats)
        if CHROMIUM is None:
            print("pages not measured: there is no chromium here (apt-get install chromium)")
        else:
            measure(store, long.run_ids, repeats=asked.repeats)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
