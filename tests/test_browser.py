"""What only a browser shows, in headless Chromium: a cold link, moving curves, a kept zoom, Start and Stop, both themes."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from mtl_core import jobs
from mtl_core.store import Store

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PATIENCE_MS = 120_000  # a worker imports torch, perhaps on a busy machine
TICKS = 6
LINK = "/train?name=journey&dataset=teacher&training.steps=200000&training.batch_size=16"
CHART = "[data-testid=stVegaLiteChart] canvas"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # playwright's pipes
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(str(tmp_path_factory.mktemp("browser"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(store):
    """A server of our own with a store of its own; it and all that it started end with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=ROOT,
        env={**os.environ, "MTL_EXPLORER_STORE": store.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/_stcore/health")
        yield address
    finally:
        process.kill()
        process.wait()
        _end_all(store)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, server):
    """A tab; at its end: no exception on the page, no error in its scripts, and nothing asked of the internet."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1400}, base_url=server)
    tab = context.new_page()
    errors, abroad = [], []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda asked: abroad.append(asked.url) if not _is_ours(asked.url, server) else None)
    tab.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield tab
    assert tab.locator("[data-testid=stException]").count() == 0
    context.close()
    assert errors == []
    assert abroad == []


def test_a_cold_deep_link_opens_its_page(page):
    page.goto("/watch?view=Conflict")
    expect(page.get_by_text("Start a run on Train; its curves appear here.")).to_be_visible()
    expect(page.get_by_role("link", name="Train", exact=True).first).to_be_visible()


def test_a_worker_warms_up_for_the_first_visitor(page, store):
    page.goto("/")
    until = time.monotonic() + PATIENCE_MS / 1000
    while not jobs.is_warm(store):
        assert time.monotonic() < until, "nobody was woken by the visit"
        page.wait_for_timeout(200)
    assert store.runs() == []


def test_home_plays_by_itself(page):
    page.goto("/")
    expect(page.locator(CHART).first).to_be_visible()
    before = _recorded_step(page)
    page.wait_for_function(
        "before => document.querySelector('.st-key-card-replay .mtl-card-head span').textContent !== before", arg=before
    )


def test_start_watch_zoom_stop_and_reload(page, store):
    page.goto(LINK)
    page.get_by_role("button", name="Start training").dblclick()
    page.wait_for_url("**/watch?*run=*")
    expect(page.locator(CHART).first).to_be_visible()
    assert len(store.runs()) == 1, "a double click makes one run"

    _curves_move_in_the_same_node(page)
    _zoom_stays(page)
    page.get_by_test_id("stSegmentedControl").get_by_text("Conflict").or_(
        page.get_by_role("radio", name="Conflict")
    ).first.click()
    page.wait_for_url("**view=Conflict**")
    expect(page.get_by_role("heading", name="Gradient conflict over time")).to_be_visible()
    page.get_by_role("radio", name="Size").click()
    page.wait_for_url("**conflict=Size**")
    expect(page.get_by_role("heading", name="Gradient norms")).to_be_visible()

    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".mtl-status .mtl-chip")).to_have_text("stopped")
    assert store.runs()[0].state == "stopped"

    _take_the_numbers(page, store)
    page.get_by_role("radio", name="Conflict").click()
    page.get_by_role("radio", name="Size").click()
    page.wait_for_url("**conflict=Size**")
    link = page.url
    page.reload()
    expect(page.get_by_role("heading", name="Gradient norms")).to_be_visible()
    expect(page.locator(".mtl-status h2")).to_have_text("journey")
    assert page.url == link
    assert "zoom=step%3A" in link
    expect(page.get_by_role("button", name="Show the whole run")).to_be_visible()
    page.get_by_role("button", name="Show the whole run").click()
    expect(page.get_by_role("button", name="Show the whole run")).to_have_count(0)


def test_the_link_of_a_run_works_for_somebody_else_in_the_dark(chromium, server, store):
    colours = {}
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme, viewport={"width": 800, "height": 1000})
        tab = context.new_page()
        tab.goto(f"{server}/watch?run={store.runs()[0].id}", timeout=PATIENCE_MS)
        expect(tab.locator(CHART).first).to_be_visible(timeout=PATIENCE_MS)
        colours[scheme] = tab.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        assert tab.locator("[data-testid=stException]").count() == 0
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth"), "nothing is cut off"
        context.close()
    assert colours == {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 18, 23)"}


def test_what_if_answers_at_any_step_of_the_ended_run(page, store):
    page.goto(f"/watch?run={store.runs()[0].id}&view=What+if")
    note = page.locator(".mtl-note", has_text="handed to every scheme")
    newest = note.inner_text()
    slider = page.get_by_role("slider", name="Measured step")
    slider.focus()
    slider.press("ArrowLeft")
    expect(note).not_to_have_text(newest)
    page.wait_for_url("**&at=*")
    chosen, link = note.inner_text(), page.url
    expect(page.locator(CHART)).to_have_count(3)
    page.reload()
    expect(note).to_have_text(chosen)
    assert page.url == link


def test_methods_answers_to_presets_and_sliders_and_leads_to_train(page):
    page.goto("/methods")
    arrows = page.locator(".mtl-arrows svg")
    drawn = arrows.inner_html()
    page.get_by_role("button", name="Opposite", exact=True).click()
    drawn = _drawn_anew(page, arrows, drawn)
    angle = page.get_by_role("slider", name="angle of task 1")
    angle.focus()
    angle.press("ArrowRight")
    _drawn_anew(page, arrows, drawn)
    page.wait_for_url("**gradients=1%3A1%2C*")
    page.get_by_text("CAGrad", exact=True).first.click()
    expect(page.locator(".mtl-said")).to_contain_text("CAGrad.")

    page.get_by_test_id("stMain").evaluate("page => page.scrollTo(0, 600)")
    expect(page.get_by_placeholder("Find")).to_be_in_viewport()  # the catalogue stays beside what it explains

    page.get_by_role("link", name="Try it on Train").click()
    page.wait_for_url("**/train?weighting=cagrad")
    expect(page.get_by_role("combobox", name="Scheme")).to_have_value("CAGrad")


def test_the_playground_plays(page):
    page.goto("/playground?steps=500&schemes=equal,mgda")
    label = page.locator(".js-plotly-plot .slider-label").first
    expect(label).to_have_text("Step 500")
    expect(page.locator(".pg-table tbody tr")).to_have_count(2)
    page.locator(".js-plotly-plot .updatemenu-button", has_text="Play").click()
    expect(label).not_to_have_text("Step 500")
    expect(label).to_have_text("Step 500")  # to the end


def _drawn_anew(page, drawing, before: str) -> str:
    """Wait until a drawing differs from what it was."""
    expect(drawing).to_be_visible()
    while drawing.inner_html() == before:
        page.wait_for_timeout(50)
    return drawing.inner_html()


def _curves_move_in_the_same_node(page) -> None:
    """Over some ticks the drawing changes, is never blank, and stays the same element."""
    _wait_for_step(page, 500)  # before the first numbers another chart stands there, with a sentence
    page.wait_for_timeout(2000)
    page.evaluate(
        """selector => {
            window.node = document.querySelector(selector); window.changes = 0; window.blank = 0;
            let before = window.node.toDataURL();
            window.watcher = setInterval(() => {
                const now = document.querySelector(selector);
                if (!now || now.width === 0) { window.blank++; return; }
                const drawn = now.toDataURL();
                if (drawn !== before) { window.changes++; before = drawn; }
            }, 50);
        }""",
        CHART,
    )
    page.wait_for_function(f"window.changes >= {TICKS}")
    assert page.evaluate("() => { clearInterval(window.watcher); return window.blank; }") == 0
    assert page.evaluate("selector => document.querySelector(selector) === window.node", CHART)


def _zoom_stays(page) -> None:
    """A zoom becomes the window of all figures and outlives the next ticks in the same element."""
    page.locator(CHART).first.scroll_into_view_if_needed()
    box = page.locator(CHART).first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.keyboard.down("Control")
    for _ in range(5):
        page.mouse.wheel(0, -120)
        page.wait_for_timeout(60)
    page.keyboard.up("Control")
    expect(page.get_by_role("button", name="Show the whole run")).to_be_visible()
    page.evaluate("window.since = performance.now()")
    page.wait_for_function(  # each figure takes the window over, then none is made anew
        """selector => {
            const now = document.querySelector(selector);
            if (now !== window.node) { window.node = now; window.since = performance.now(); }
            return performance.now() - window.since > 3000;
        }""",
        arg=CHART,
    )
    step = _step(page)
    _wait_for_step(page, step + 400)
    assert page.evaluate("selector => document.querySelector(selector) === window.node", CHART)
    expect(page.get_by_role("button", name="Show the whole run")).to_be_visible()


def _take_the_numbers(page, store) -> None:
    """The CSV has a line for each number of each step; a chart saves as a picture."""
    page.locator("[data-testid=stVegaLiteChart]").first.hover()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as PNG").first.click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.get_by_role("radio", name="Details").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="All numbers (CSV)").click()
    lines = Path(download.value.path()).read_text().splitlines()
    run = store.runs()[0]
    assert lines[0] == "step,epoch,time,split,task,name,value"
    assert sum(",train,a,loss," in line for line in lines) == store.last_step(run.id, "train")


def _wait_for_step(page, step: int) -> None:
    page.wait_for_function(
        "step => Number(document.querySelector('.mtl-facts b').textContent.split(' of')[0].replaceAll(',', '')) > step",
        arg=step,
    )


def _step(page) -> int:
    return int(re.sub(r"[^0-9]", "", page.locator(".mtl-facts b").first.inner_text().split(" of")[0]))


def _recorded_step(page) -> str:
    return page.locator(".st-key-card-replay .mtl-card-head span").inner_text()


def _is_ours(url: str, server: str) -> bool:
    return url.startswith((server, server.replace("http", "ws"), "data:", "blob:"))


def _wait_for(url: str) -> None:
    until = time.monotonic() + PATIENCE_MS / 1000
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        assert time.monotonic() < until, "the server did not come up"
        time.sleep(0.1)


def _end_all(store: Store) -> None:
    """End what the server has started: supervisor and workers carry the store's address in their environment."""
    while left := [process for process in psutil.process_iter() if _belongs_to(process, store)]:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)


def _belongs_to(process: psutil.Process, store: Store) -> bool:
    with contextlib.suppress(psutil.Error):
        is_ours = process.environ().get("MTL_EXPLORER_STORE") == store.url and process.pid != os.getpid()
        return is_ours and process.status() != psutil.STATUS_ZOMBIE
    return False
