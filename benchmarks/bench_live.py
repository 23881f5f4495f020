"""What a person waits for: from the click on Start to the first point, and from a logged number to its pixels.

A real server with a store of its own, and headless Chromium on this same machine. All moments are of one clock.

1. **Click to first point.** The classic preset on Train, with a worker that stands by. From the click event until the losses chart,
   in sight, has pixels of a task's colour below its legend (the first validation, before any step); then the run is stopped. Each
   click is in a new tab with nothing cached that came by way of Home, as people do. For information: the first click on a new
   server, straight from a link to Train, with the Watch page and the drawing library yet to load; and a click with no supervisor
   or worker alive. A worker that stands by is replaced when a file of the program changes: do not edit meanwhile.
2. **Logged to pixels.** A run that this program records itself, as a worker would: numbers and a gradient measurement for one step
   at a time, at irregular moments, written with the worker's beat every 0.25 s. From the moment at which the row is handed to the
   writer until the drawing of the losses has changed. No training runs beside it. The next row waits until the last was seen.
3. **Rebuilds.** Over those rows: chart elements that were replaced, and frames without curves.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from benchmarks._browser import CHROMIUM, PATIENCE_S, chromium, end_processes, end_well_when_told, server, visitor
from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.identity import identify
from mtl_core.records import Scalars
from mtl_core.store import ENDED, Run, Store

PRESET = "Digit + box, the classic"
BEAT_S = 0.25  # mtl_core/jobs/work.py, which would load torch
ROWS_BEFORE = 200  # that the run of part 2 starts with


@dataclass(frozen=True)
class Start:
    """One click: seconds after it."""

    queued: float
    claimed: float
    recorded: float
    seen: float


def until(is_true: Callable[[], object], what: str) -> None:
    """Wait for it; RuntimeError after two minutes."""
    end = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {PATIENCE_S:.0f} s in vain for {what}")
        time.sleep(0.05)


def open_train(page: Page, *, by_home: bool) -> None:
    """The Train page with the preset chosen, and at rest; by way of Home, or by a link."""
    if by_home:
        page.goto("/")
        page.locator("[data-testid=stVegaLiteChart] canvas").first.wait_for()
        page.get_by_role("link", name="Train", exact=True).first.click()
        page.wait_for_url("**/train*")
    else:
        page.goto("/train")
    page.get_by_role("button", name="Start training").wait_for()
    _rest(page)
    preset = page.get_by_role("radio", name=PRESET)
    if preset.get_attribute("aria-checked") != "true":
        preset.click()
        _rest(page)
    if preset.get_attribute("aria-checked") != "true":
        raise RuntimeError(f"the form on Train did not take the preset {PRESET!r}")


def _rest(page: Page) -> None:
    page.wait_for_timeout(300)
    page.locator("[data-test-script-state=notRunning]").first.wait_for()


def click(page: Page, store: Store) -> Start:
    """Press Start on the opened Train page, wait for the first point, and stop the run."""
    known = {run.id for run in store.runs()}
    page.get_by_role("button", name="Start training").click()
    recorded = 0.0
    end = time.monotonic() + PATIENCE_S
    while not (seen := page.evaluate("window.eye.seen")):
        new = [run for run in store.runs(limit=1) if run.id not in known]
        if not recorded and new and (store.columns(new[0].id, "validation") or store.columns(new[0].id, "train")):
            recorded = time.time()
        if time.monotonic() > end:
            raise RuntimeError(f"no first point after {PATIENCE_S:.0f} s; the run is {new[0].state if new else 'not there'}")
        time.sleep(0.02)
    (run,) = (run for run in store.runs() if run.id not in known)
    clicked = page.evaluate("window.eye.clicked") / 1000
    until(lambda: store.columns(run.id, "train"), "the first step")  # part 2 takes after such a run
    jobs.stop(store, run.id)
    until(lambda: store.run(run.id).state in ENDED, "the run to stop")
    moments = {change.state: change.time for change in reversed(store.history(run.id))}
    return Start(
        *(moment - clicked for moment in (moments["queued"], moments["running"], recorded or seen / 1000, seen / 1000))
    )


def first_start(browser: Browser, address: str, store: Store) -> tuple[Start, bool]:
    """The first click on a new server, by a link to Train; and whether the page had called for a worker to stand by."""
    with visitor(browser, address) as page:
        open_train(page, by_home=False)
        page.wait_for_timeout(1000)
        is_called = jobs.has_supervisor(store)
        return click_when_warm(page, store), is_called


def warm_start(browser: Browser, address: str, store: Store) -> Start:
    """A click with a worker that stands by."""
    with visitor(browser, address) as page:
        open_train(page, by_home=True)
        return click_when_warm(page, store)


def cold_start(browser: Browser, address: str, store: Store) -> Start:
    """A click with neither supervisor nor worker alive."""
    with visitor(browser, address) as page:
        open_train(page, by_home=True)
        end_processes(store, only="mtl_core.jobs")
        assert not jobs.has_supervisor(store)
        return click(page, store)


def click_when_warm(page: Page, store: Store) -> Start:
    jobs.ensure_supervisor(store)
    until(lambda: jobs.is_warm(store), "a worker that stands by")
    page.wait_for_timeout(500)
    return click(page, store)


class OwnRun:
    """A run of this very process, made of another run's columns and measurement."""

    def __init__(self, store: Store, like: Run) -> None:
        self.store, self.me, self.step = store, identify() or "", 0
        config = RunConfig.from_mapping({**like.config, "name": "written by the benchmark"})
        with Desk.of(store).turn("claim"):  # a supervisor could take it between the two lines
            self.id = store.enqueue(config, spec=like.spec)
            store.claim(self.me, "cpu", self.id)
        self.columns = store.columns(like.id, "train")
        self.measurement = store.measurement(like.id)
        self.writer = store.writer(self.id)
        self.noise = np.random.default_rng(0)
        self.log(ROWS_BEFORE)
        self.commit()

    def log(self, n_rows: int) -> float:
        """Hand the next rows over; the moment."""
        steps = np.arange(self.step + 1, self.step + n_rows + 1)
        values = 1 / (1 + steps[:, None] / 50) + self.noise.normal(0.3, 0.02, (n_rows, len(self.columns)))
        self.step += n_rows
        moment = time.time()
        self.writer.append(Scalars("train", self.columns, steps, steps / 100, steps / 10, values.astype(np.float32)))
        if self.measurement is not None:
            self.writer.append(replace(self.measurement, step=self.step, epoch=self.step / 100, time=self.step / 10))
        return moment

    def commit(self) -> float:
        """Write, and say how far we are, as a worker does on its beat; the moment at which the row could be read."""
        self.writer.flush()
        moment = time.time()
        self.store.heartbeat(self.id, self.me, step=self.step, epoch=self.step / 100, seconds=self.step / 10)
        return moment


@dataclass(frozen=True)
class Following:
    """What came of watching: seconds per row, and what the eye counted."""

    since_logged: list[float]
    since_committed: list[float]
    eye: dict[str, Any]


def follow(browser: Browser, address: str, store: Store, like: Run, n_rows: int) -> Following:
    """Watch a run to which one row at a time is added."""
    chance = random.Random(0)
    own = OwnRun(store, like)
    since_logged, since_committed = [], []
    with visitor(browser, address) as page:
        page.goto(f"/watch?run={own.id}")
        page.wait_for_function("document.querySelector('.st-key-card-losses canvas') && window.eye.has_curves()")
        page.wait_for_timeout(4000)  # fonts, scroll bars, the first ticks
        page.evaluate("window.eye.follow()")
        for _ in range(n_rows):
            page.wait_for_timeout(1000 * chance.uniform(0.8, 1.8))  # a whole tick wide: any phase is as likely
            logged = own.log(1)
            page.wait_for_timeout(1000 * chance.uniform(0, BEAT_S))
            before = time.time()
            committed = own.commit()
            page.wait_for_function("since => window.eye.changes.some(at => at >= since)", arg=int(1000 * before))
            seen = page.evaluate("since => window.eye.changes.find(at => at >= since)", int(1000 * before)) / 1000
            since_logged.append(seen - logged)
            since_committed.append(seen - committed)
        page.wait_for_timeout(1500)
        eye = page.evaluate("window.eye")
    store.change(own.id, "stopped", "the benchmark is over")
    return Following(since_logged, since_committed, eye)


def show(what: str, seconds: Sequence[float], goal: str = "") -> None:
    """A row of the table."""
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    p95 = f"{np.percentile(seconds, 95):7.2f} s" if len(seconds) >= 20 else f"{'':9}"
    print(f"{what:48}{middle:7.2f} s  [{low:.2f}, {high:.2f}]{p95}{max(seconds):7.2f} s  {goal}")


def show_starts(found: Sequence[Start]) -> None:
    """The whole way, and its stations."""
    show(f"click to first point, {len(found)} clicks", [start.seen for start in found], "goal <= 2")
    for station, what in (("queued", "in the queue"), ("claimed", "taken by the worker"), ("recorded", "first number stored")):
        show(f"  of that until {what}", [getattr(start, station) for start in found])


def measure(store: Store, *, clicks: int, rows: int) -> None:
    """All of it, printed as it comes."""
    with server(store) as address, chromium() as browser:
        print(f"Streamlit {version('streamlit')}, Chromium {browser.version}, SQLite {sqlite3.sqlite_version}")
        print(f"{'':48}{'median':>9}  {'middle half':12}{'p95':>9}{'worst':>9}")
        first, is_called = first_start(browser, address, store)
        show_starts([warm_start(browser, address, store) for _ in range(clicks)])
        show("  first click on a new server, by a link", [first.seen])
        show("  no supervisor, no worker alive", [cold_start(browser, address, store).seen])
        print(f"  (Train, looked at, {'calls' if is_called else 'does NOT call'} for a worker to stand by)")
        like = store.runs(limit=1)[0]
        end_processes(store, only="mtl_core.jobs")  # the next standby would load meanwhile
        seen = follow(browser, address, store, like, rows)
        show(f"logged to pixels, {rows} rows", seen.since_logged, "goal <= 1.5")
        show("  of that after the row was committed", seen.since_committed)
        eye = seen.eye
        print(
            f"over {len(eye['changes'])} redraws of the losses: {eye['rebuilt']} of {eye['charts']} charts rebuilt, "
            f"{eye['blank']} frames without curves, {len(eye['changes']) - rows} redraws without a new row"
        )


def main() -> None:
    """Measure, and leave nothing running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=5, help="with a worker that stands by")
    parser.add_argument("--rows", type=int, default=20)
    asked = parser.parse_args()
    if CHROMIUM is None:
        print("not measured: there is no chromium here (apt-get install chromium)")
        return
    end_well_when_told()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Store.open(folder) as store:
        measure(store, clicks=asked.clicks, rows=asked.rows)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
