"""A dashboard of our own to measure on: a real server with its own store, headless Chromium, and an eye inside the page."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from mtl_core.palette import TASK_COLOURS
from mtl_core.store import Store

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PATIENCE_S = 120.0  # a server or a worker imports torch, perhaps on a busy machine
N_COLOURS = 4  # of the palette: those of the first tasks, none of them near to a grey of axes and words

# Looks at the page in animation frames, at most every 25 ms. A frame is looked at before it is painted: what it finds is on the
# screen one frame (16 ms) later.
EYE = (
    """(() => {
    const EVERY_MS = 25, LEGEND_PX = 44, ENOUGH = 10;
    const COLOURS = """
    + str([[int(colour[n : n + 2], 16) for n in (1, 3, 5)] for colour in TASK_COLOURS["light"][:N_COLOURS]])
    + """;
    const CHARTS = "[data-testid=stVegaLiteChart] canvas", LOSSES = ".st-key-card-losses " + CHARTS;
    const eye = window.eye = {clicked: 0, seen: 0, changes: [], rebuilt: 0, blank: 0, charts: 0};
    const pixels = (canvas, top) => canvas && canvas.width && canvas.height > top
        ? canvas.getContext("2d").getImageData(0, top, canvas.width, canvas.height - top).data : new Uint8ClampedArray();
    const has_curves = canvas => {  // pixels of a task's colour below the legend, which has them too
        const seen = pixels(canvas, Math.round(LEGEND_PX * devicePixelRatio));
        return COLOURS.some(([red, green, blue]) => {
            let n = 0;
            for (let at = 0; at < seen.length; at += 4)
                n += seen[at + 3] > 200 && Math.abs(seen[at] - red) + Math.abs(seen[at + 1] - green)
                    + Math.abs(seen[at + 2] - blue) < 24;
            return n >= ENOUGH;
        });
    };
    const hash = canvas => {
        let sum = 2166136261;
        for (const word of new Uint32Array(pixels(canvas, 0).buffer)) sum = Math.imul(sum ^ word, 16777619);
        return sum;
    };
    const is_in_sight = canvas => {
        const box = canvas.getBoundingClientRect();
        return box.height > 0 && box.top < innerHeight && box.bottom > 0;
    };
    const every = look => {
        let last = 0;
        const frame = now => {
            if (now - last >= EVERY_MS) { last = now; if (look()) return; }
            requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
    };
    document.addEventListener("click", event => {
        if (!event.target.closest(".st-key-start")) return;
        eye.clicked = Date.now();
        every(() => {
            const canvas = document.querySelector(LOSSES);
            if (canvas && is_in_sight(canvas) && has_curves(canvas)) eye.seen = Date.now();
            return eye.seen;
        });
    }, true);
    eye.has_curves = () => has_curves(document.querySelector(LOSSES));
    eye.follow = () => {
        let nodes = [...document.querySelectorAll(CHARTS)], before = hash(document.querySelector(LOSSES));
        eye.charts = nodes.length;
        every(() => {
            const now = [...document.querySelectorAll(CHARTS)];
            eye.rebuilt += now.filter(node => !nodes.includes(node)).length + Math.max(0, nodes.length - now.length);
            nodes = now;
            const drawn = hash(document.querySelector(LOSSES));
            if (drawn === before) return;
            before = drawn;
            if (eye.has_curves()) eye.changes.push(Date.now()); else eye.blank++;
        });
    };
})()"""
)


@contextlib.contextmanager
def server(store: Store) -> Iterator[str]:
    """The address of a server on that store; it and all that it started end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    log = store.folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options],
            cwd=ROOT,
            env={**os.environ, "MTL_EXPLORER_STORE": store.url},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/_stcore/health", log)
        yield address
    finally:
        process.kill()
        process.wait()
        end_processes(store)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS], handle_sigterm=False, handle_sigint=False, handle_sighup=False
        )
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visitor(browser: Browser, address: str) -> Iterator[Page]:
    """A tab of somebody who was never here (nothing cached), in the light theme, with the eye in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 1400}, base_url=address, color_scheme="light")
    context.add_init_script(EYE)
    context.set_default_timeout(1000 * PATIENCE_S)
    try:
        yield context.new_page()
    finally:
        context.close()


def end_processes(store: Store, *, only: str = "") -> None:
    """End every process that works for the store but this one: they carry its address in their environment.

    Args:
        only: a word of the command line, to end those alone.
    """
    while left := [process for process in psutil.process_iter() if _works_for(process, store) and _has(process, only)]:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


def end_well_when_told() -> None:
    """SIGTERM and SIGHUP unwind the program, so that what it started ends with it, as Ctrl-C does already."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _works_for(process: psutil.Process, store: Store) -> bool:
    with contextlib.suppress(psutil.Error):
        is_ours = process.environ().get("MTL_EXPLORER_STORE") == store.url and process.pid != os.getpid()
        return is_ours and process.status() != psutil.STATUS_ZOMBIE
    return False


def _has(process: psutil.Process, word: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(word in part for part in process.cmdline()) or not word
    return False


def _wait_for(url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        if time.monotonic() > until:
            raise RuntimeError(f"the server did not come up: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.1)
