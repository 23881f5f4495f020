"""A comparison as files: a report that opens offline, pictures, tables at full resolution, and nothing but what was recorded."""

from __future__ import annotations

import io
import json
import re
import struct
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contrasts import CASES, HOSTILE, compared
from streamlit.testing.v1 import AppTest
from test_report import FLAGS, Page

from mtl_core import frames
from mtl_core.cli.app import main
from mtl_core.exchange import compare_report as module
from mtl_core.exchange.compare_report import compare_report
from mtl_core.exchange.compare_tables import results, write_curves
from mtl_core.exchange.pictures import write_comparison_picture
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.curves import export_compared
from mtl_core.store import Store
from mtl_core.ui.compare import export as compare_export

QUICK = ("one run", "hostile", "waiting", "hollow")


@pytest.fixture(scope="module", autouse=True)
def fewer_panels() -> Any:
    """A chart's specification takes a tenth of a second and more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_PANELS", 2)
        yield


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Any:
    opened: dict[str, Store] = {}

    def of(case: str) -> Compared:
        if case not in opened:
            opened[case] = Store.open(str(tmp_path_factory.mktemp("store")))
            CASES[case](opened[case])
        return compared(opened[case])

    yield of
    for store in opened.values():
        store.close()


@pytest.fixture(scope="module")
def reports(stores: Any) -> Any:
    made: dict[str, str] = {}

    def of(case: str) -> str:
        if case not in made:
            found = stores(case)
            made[case] = compare_report(found.store, found.comparison)
        return made[case]

    return of


def body_of(html: str) -> str:
    """The page without its programs."""
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)


def text_of(html: str) -> str:
    """What a reader sees of it."""
    return re.sub(r"<[^>]+>", " ", body_of(html))


@pytest.mark.parametrize("case", QUICK)
def test_a_report_asks_for_nothing_whatever_is_compared(reports: Any, case: str) -> None:
    page = Page(reports(case))
    assert page.asks == []
    assert len(page.scripts) == 3
    assert not {"img", "iframe", "link", "object"} & set(page.tags)
    assert "default-src 'none'" in reports(case)
    assert "NaN" not in re.search(r'id="figures">(.*?)</script>', reports(case), re.DOTALL)[1]


def test_a_report_says_what_is_compared_and_what_is_broken(reports: Any, stores: Any) -> None:
    words, found = text_of(reports("fair")), stores("fair")
    assert "21 runs in 7 groups" in words
    assert "single task (baseline)" in words
    for group in found.comparison.groups:
        assert group.name in words
    for one in CONTRASTS:
        assert (one.may_say.replace("'", "&#x27;") in reports("fair")) == one.applies(found.spec)
    assert "weighting.name" in words
    assert re.search(r"\d+ more like these are on the page Compare", words)
    assert len(re.findall("<details>", reports("fair"))) == 7
    assert words.index("Results") < words.index("What differs") < words.index("Runs")


def test_broken_rules_stand_on_top(reports: Any, stores: Any) -> None:
    words = text_of(reports("one seed"))
    for warned in stores("one seed").comparison.warnings:
        assert warned.sentence.replace("'", "&#x27;") in words
    assert words.index("Before you conclude anything") < words.index("Results")


def test_results_are_those_of_the_table(reports: Any, stores: Any) -> None:
    found = stores("fair")
    table = results(found.store, found.comparison)
    assert list(table["group"]) == [group.name for group in found.comparison.tested]
    (mine,) = re.findall(r"<h2>Results</h2><table>(.*?)</table>", reports("fair"), re.DOTALL)
    assert len(re.findall("<tr>", mine)) == 1 + len(table)
    assert len(re.findall('class="best"', mine)) >= 6, "a best in each column but the seconds"
    assert re.findall(r'class="same">≈ ', mine)


def test_runs_without_a_test_have_no_results(reports: Any) -> None:
    assert "None of these runs has a final test yet" in text_of(reports("waiting"))


def test_titles_that_are_markup_stay_words(reports: Any) -> None:
    assert "<img" not in body_of(reports("hostile"))
    assert "onerror=alert(1)&gt;" in reports("hostile")
    assert HOSTILE[:20] not in re.search(r'id="figures">(.*?)</script>', reports("hostile"), re.DOTALL)[1]


# What is exported


def test_the_curves_are_every_number_of_every_run(stores: Any, tmp_path: Path) -> None:
    found = stores("fair")
    store, comparison = found.store, found.comparison
    whole = pd.concat(export_compared(store, comparison.groups), ignore_index=True)
    written = {
        "csv": pd.read_csv(write_curves(store, comparison, tmp_path / "c.zip", "csv"), compression="zip"),
        "parquet": pd.read_parquet(write_curves(store, comparison, tmp_path / "c.parquet", "parquet")),
    }
    for table in written.values():
        assert list(table.columns) == list(whole.columns)
        assert len(table) == len(whole)
    for group in comparison.groups:
        for run in group.runs:
            mine = frames.export(store, run.id)
            for table in written.values():
                theirs = table[table["run"] == run.id].reset_index(drop=True)
                assert (theirs["group"] == group.name).all()
                assert (theirs["seed"] == run.config["training"]["seed"]).all()
                assert list(theirs["name"]) == list(mine["name"])
                assert np.array_equal(theirs["value"].to_numpy(np.float32), mine["value"].to_numpy(np.float32), equal_nan=True)


@pytest.mark.parametrize("case", ["waiting", "silent"])
def test_runs_that_recorded_nothing_have_empty_tables(stores: Any, tmp_path: Path, case: str) -> None:
    found = stores(case)
    table = pd.read_parquet(write_curves(found.store, found.comparison, tmp_path / "c.parquet", "parquet"))
    assert len(table) == 0
    assert "value" in table.columns
    with zipfile.ZipFile(write_curves(found.store, found.comparison, tmp_path / "c.zip", "csv")) as box:
        assert box.read("curves.csv").startswith(b"run,run_name,group,seed,state,step,")


def test_what_the_page_hands_out(stores: Any) -> None:
    found = stores("one seed")
    table = compare_export.curves(found.store, found.comparison, "parquet")
    assert pd.read_parquet(io.BytesIO(table))["run"].nunique() == 2
    with zipfile.ZipFile(io.BytesIO(compare_export.archives(found.store, found.comparison))) as box:
        ids = {run.id for group in found.comparison.groups for run in group.runs}
        assert {name.removesuffix(".mtlrun") for name in box.namelist()} == ids


def test_the_row_of_files_makes_none_before_it_is_asked(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def page() -> None:
        import os

        from mtl_core.comparing import compare
        from mtl_core.store import Store
        from mtl_core.ui.compare import export as compare_export

        store = Store.open(os.environ["MTL_EXPLORER_STORE"])
        compare_export.show(store, compare(store.runs()))

    for case, n_buttons in (("hostile", 5), ("waiting", 4)):
        monkeypatch.setenv("MTL_EXPLORER_STORE", stores(case).store.url)
        app = AppTest.from_function(page, default_timeout=60).run()
        assert not app.exception
        assert len(app.get("download_button")) == n_buttons, "archives only of what has ended"


# Pictures


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", [one.variant_name() for one in CONTRASTS if one.medium == "altair"])
def test_figures_become_files(stores: Any, tmp_path: Path, name: str, theme: Any) -> None:
    found = stores("hostile")
    if not CONTRASTS[name].applies(found.spec):
        with pytest.raises(ValueError, match="nothing to show"):
            write_comparison_picture(found.store, found.comparison, name, tmp_path / "x.svg", form="svg")
        return
    svg = write_comparison_picture(found.store, found.comparison, name, tmp_path / "x.svg", form="svg", theme=theme).read_text()
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.findall(r"(?:href|src)=[\"'](?!data:|#)", svg), "asks for nothing"
    png = write_comparison_picture(found.store, found.comparison, name, tmp_path / "x.png", form="png", theme=theme)
    assert min(struct.unpack(">2L", png.read_bytes()[16:24])) >= 30


def test_the_command_line_writes_files_beside_its_answer(stores: Any, tmp_path: Path, capsys: Any) -> None:
    found = stores("one seed")
    ids = [run.id for group in found.comparison.groups for run in group.runs]
    url = ["--store", found.store.url.removeprefix("sqlite:///")]
    table, report, picture = tmp_path / "r.csv", tmp_path / "r.html", tmp_path / "r.PNG"
    wanted = ["--csv", str(table), "--html", str(report), "--figure", "task_results", "--out", str(picture)]
    assert main(["compare", *ids, "--json", *wanted, *url]) == 0
    assert len(json.loads(capsys.readouterr().out)["groups"]) == 2
    pd.testing.assert_frame_equal(pd.read_csv(table), results(found.store, found.comparison), check_dtype=False)
    assert report.read_text().startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")
    for slip in (["--figure", "front"], ["--out", "x.svg"], ["--figure", "front", "--out", "x.gif"], ["--panel", "a"]):
        assert main(["compare", *ids, *slip, *url]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_slips(stores: Any, tmp_path: Path) -> None:
    found, path = stores("fair"), tmp_path / "x.svg"
    cases = {"fronts": ("", "Did you mean 'front'"), "task_results": ("beauty", "panel of task_results")}
    cases |= {one.variant_name(): ("", "browser alone") for one in CONTRASTS if one.medium == "plotly"}
    for name, (choice, sentence) in cases.items():
        with pytest.raises(ValueError, match=sentence):
            write_comparison_picture(found.store, found.comparison, name, path, form="svg", choice=choice)
    assert not path.exists()


# In a browser


@pytest.fixture(scope="module")
def browser() -> Any:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
    if chromium is None:
        pytest.skip("no chromium here")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.browser
@pytest.mark.parametrize(("case", "theme"), [("hostile", "light"), ("fair", "dark")])
def test_it_opens_offline_and_draws_everything(browser: Any, reports: Any, tmp_path: Path, case: str, theme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(reports(case), encoding="utf-8")
    context = browser.new_context(offline=True, color_scheme=theme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("body[data-drawn]", timeout=120_000)
    n_charts = page.evaluate("Object.keys(figures).length")
    assert int(page.get_attribute("body", "data-drawn")) == n_charts >= 5
    assert page.locator(".chart canvas, .chart svg").count() >= n_charts
    plotted = page.evaluate("Object.entries(figures).filter(([_, one]) => one.medium === 'plotly').length")
    assert page.locator(".js-plotly-plot").count() == plotted
    page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    page.wait_for_timeout(1500)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth"), "only tables scroll"
    context.close()
