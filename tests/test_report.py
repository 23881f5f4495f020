"""Figures and reports as files: nothing that is drawn differs from what is exported, and nothing asks for a network."""

import io
import json
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from mtl_core import frames
from mtl_core.cli.app import main
from mtl_core.config import RunConfig
from mtl_core.exchange.pictures import POINTS, applying, drawn, specification, write_picture
from mtl_core.exchange.report import report
from mtl_core.figures import FIGURES, View
from mtl_core.frames import RunFrames
from mtl_core.palette import tones
from mtl_core.records import Column, Event, Scalars
from mtl_core.store import Store
from mtl_core.ui.home.record import RECORDED

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & “ü”"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The recorded run that is shipped: two tasks with everything that can be measured."""
    place = tmp_path_factory.mktemp("recorded") / "mtl.sqlite"
    place.write_bytes(RECORDED.read_bytes())
    with Store.open(str(place), read_only=True) as store:
        yield store, store.runs()[0]


def spec_of(title="A"):
    metrics = [{"name": "r2", "title": title, "higher_is_better": True, "unit": ""}]
    tasks = [{"name": name, "title": f"{name} {title}", "kind": "regression", "metrics": metrics} for name in ("a", "b")]
    return {"tasks": tasks, "all_tasks": ["a", "b"], "shared_stages": [], "stages": []}


def make(store, steps, *, words="A"):
    run_id = store.enqueue(RunConfig(name=words[:80], dataset={"name": "teacher"}), spec=spec_of(words))
    store.claim("w", "cpu", run_id)
    rng = np.random.default_rng(steps)
    columns = (Column("a", "loss"), Column("b", "loss"), Column("a", "r2"))
    with store.writer(run_id) as writer:
        for split, every in (("train", 1), ("validation", 10)):
            at = np.arange(every, steps + 1, every)
            values = (1 + rng.random((len(at), 3)) * 3).astype(np.float32)
            values[len(at) // 2, 1] = np.nan
            writer.append(Scalars(split, columns, at, at / 10, at / 7, values))
        writer.append(Event(1, 1.0, words))
    result = {"test": {"a": {"loss": 0.5, "r2": float("nan")}}, "best_step": 1}
    store.change(run_id, "finished", words, step=steps, result=result, error=words)
    return store.run(run_id)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "store")) as opened:
        yield opened


def exported(store, run, split, task, name="loss"):
    """step -> value, as the export has it."""
    table = frames.export(store, run.id)
    mine = table[(table["split"] == split) & (table["task"] == task) & (table["name"] == name)]
    return {int(step): value for step, value in zip(mine["step"], mine["value"], strict=True) if not np.isnan(value)}


def of_series(rows, split, title):
    return [row for row in rows if row["split"] == split and row["task"] == title]


def test_a_short_run_is_drawn_number_by_number(store):
    run = make(store, 200)
    chart = specification(FIGURES["losses"], RunFrames(store, run.id, run.spec, points=POINTS), View())
    rows = json.loads(json.dumps(chart["datasets"]["rows"], allow_nan=False))
    for split in ("train", "validation"):
        for task in ("a", "b"):
            found = {row["step"]: row for row in of_series(rows, split, f"{task} A")}
            values = exported(store, run, split, task)
            assert {step: np.float32(row["value"]) for step, row in found.items()} == values
            if split == "train":
                assert all(row["low"] == row["high"] == row["value"] for row in found.values())


def test_a_long_run_is_drawn_with_every_low_and_high(store):
    run = make(store, 5000)
    tables = RunFrames(store, run.id, run.spec, points=POINTS)
    rows = of_series(specification(FIGURES["losses"], tables, View())["datasets"]["rows"], "train", "a A")
    values = exported(store, run, "train", "a")
    ends = [row["step"] for row in rows]
    assert len(rows) <= POINTS // 2
    assert ends[-1] == 5000
    for before, row in zip([0, *ends], rows, strict=False):
        inside = [values[step] for step in range(before + 1, row["step"] + 1)]
        assert np.float32(row["low"]) == min(inside)
        assert np.float32(row["high"]) == max(inside)
        assert row["value"] == pytest.approx(np.mean(inside), rel=1e-5)


def lines(svg):
    """The points of each line in an SVG of Vega's, in pixels."""
    marks = [path for group in ET.fromstring(svg).iter() if "mark-line" in group.get("class", "") for path in group]
    paths = [[tuple(map(float, pair)) for pair in re.findall(r"[ML]([-\d.]+),([-\d.]+)", path.get("d", ""))] for path in marks]
    return [path for path in paths if len(path) > 1]


def test_where_the_lines_of_an_svg_run_is_where_the_numbers_are(store):
    run = make(store, 300)
    svg = drawn(FIGURES["losses"], RunFrames(store, run.id, run.spec, points=POINTS), View(height=360))
    pixels, numbers = [], []
    found = sorted((line for line in lines(svg) if len(line) in (300, 299)), key=len)
    assert [len(line) for line in found] == [299, 299, 300, 300], "line and edge of the band; task b has a gap of one step"
    for line, task in zip(found, ("b", "b", "a", "a"), strict=True):
        values = exported(store, run, "train", task)
        pixels += line
        numbers += list(values.items())
    for axis in (0, 1):
        where, what = np.array([point[axis] for point in pixels]), np.array([number[axis] for number in numbers], float)
        slope, start = np.polyfit(what, where, 1)
        assert np.abs(slope * what + start - where).max() < 2e-3, "one scale fits all points, to what an SVG rounds to"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["losses", "metrics", "cosine_matrix", "architecture", "predictions", "sparkline"])
def test_figures_become_files(recorded, tmp_path, name, theme):
    store, run = recorded
    svg = write_picture(store, run, name, tmp_path / "x.svg", form="svg", theme=theme).read_text()
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "NaN" not in svg
    assert not re.findall(r"(?:href|src)=[\"'](?!data:|#)", svg), "asks for nothing"
    png = write_picture(store, run, name, tmp_path / "x.png", form="png", theme=theme).read_bytes()
    assert png.startswith(b"\x89PNG")
    assert min(struct.unpack(">2L", png[16:24])) >= 30
    corners = Image.open(io.BytesIO(png)).convert("RGBA")
    at = [corners.getpixel((x, y)) for x in (0, corners.width - 1) for y in (0, corners.height - 1)]
    assert set(at) == {ImageColor.getcolor(tones(theme).card, "RGBA")}, "dark words need a dark page wherever they are shown"


def test_every_figure_that_applies_can_be_a_file(recorded, tmp_path):
    store, run = recorded
    names = [name for name in applying(run.spec) if FIGURES[name].source != "what_if"]
    assert len(names) >= 15
    for name in names:
        panel = list(FIGURES[name].choices(run.spec))[-1]
        ET.fromstring(write_picture(store, run, name, tmp_path / "x.svg", form="svg", panel=panel).read_text())


SLIPS = {
    "lossess": ("", "Did you mean 'losses'"),
    "metrics": ("accuraccy", "Did you mean"),
    "predicted_vs_true": ("", "nothing to show"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_figure_that_is_not_there(recorded, tmp_path, capsys, name):
    (store, run), (panel, sentence) = recorded, SLIPS[name]
    url = str(store.url).removeprefix("sqlite:///")
    arguments = ["export", run.id, str(tmp_path / "x.svg"), "--format", "svg", "--figure", name, "--store", url]
    assert main([*arguments, *(["--panel", panel] if panel else [])]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "x.svg").exists()


class Page(HTMLParser):
    """What a page would ask others for, and its script elements."""

    def __init__(self, text):
        super().__init__()
        self.asks, self.scripts, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.asks += [
            value for key, value in attrs if key in ("src", "href", "action") and not str(value).startswith(("data:", "#"))
        ]
        if tag == "script":
            self.scripts.append(dict(attrs))


@pytest.mark.parametrize("words", ["A", NASTY])
def test_a_report_holds_the_run_and_asks_for_nothing(store, words):
    run = make(store, 50, words=words)
    text = report(store, run)
    page = Page(text)
    assert page.asks == []
    assert len(page.scripts) == 3
    assert "img" not in page.tags
    assert "default-src 'none'" in text
    assert FIGURES["losses"].how_to_read.replace("'", "&#x27;") in text or FIGURES["losses"].how_to_read in text
    assert '<td class="number">0.5</td>' in text
    assert "name: teacher" in text
    assert (
        "torch"
        not in subprocess.run(
            [sys.executable, "-c", "import sys, mtl_core.exchange.report; print(*(m for m in sys.modules if m == 'torch'))"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        ).stdout
    )


def test_a_report_of_a_run_that_never_began(store):
    run_id = store.enqueue(RunConfig())
    text = report(store, store.run(run_id))
    assert "queued" in text
    assert "digit_scenes" in text


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
    if chromium is None:
        pytest.skip("no chromium here")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_report_opens_offline_and_draws_what_is_exported(browser, store, tmp_path, theme):
    run = make(store, 300, words=NASTY)
    path = tmp_path / "report.html"
    url = ["--store", str(tmp_path / "store")]
    assert main(["export", run.id, str(path), "--format", "html", *url]) == 0
    context = browser.new_context(offline=True, color_scheme=theme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
    page.route(
        "**/*",
        lambda route: (
            route.continue_() if route.request.url == path.as_uri() else (asked.append(route.request.url), route.abort())
        ),
    )
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=60_000)
    n_charts = page.evaluate("Object.keys(figures).length")
    assert int(page.get_attribute("body", "data-drawn")) == n_charts >= 2
    assert page.locator(".chart canvas").count() == n_charts
    key = page.evaluate("Object.keys(views).find(name => name.startsWith('losses'))")
    rows = page.evaluate(f"views['{key}'].data('rows').map(row => ({{...row}}))")
    title = run.spec["tasks"][0]["title"]
    found = {row["step"]: np.float32(row["value"]) for row in of_series(rows, "train", title)}
    assert found == exported(store, run, "train", "a")
    page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    page.wait_for_timeout(300)
    assert (said, asked) == ([], [])
    context.close()


@pytest.mark.browser
def test_a_report_with_every_figure_opens_offline(browser, recorded, tmp_path):
    store, run = recorded
    (tmp_path / "whole.html").write_text(report(store, run), encoding="utf-8")
    context = browser.new_context(offline=True)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "whole.html").as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=60_000)
    assert page.evaluate("Object.keys(figures).length") == int(page.get_attribute("body", "data-drawn")) >= 15
    assert page.locator("section").count() >= 18
    assert page.locator("svg:visible").count() >= 2, "architecture and predictions, in one theme"
    assert said == []
    context.close()
