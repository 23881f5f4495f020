"""Compare in headless Chromium: ticked rows are the compared runs, whatever the sort, the filter, a reload or Back."""

import time
from urllib.parse import parse_qs, urlparse

import pytest
import test_browser
from playwright.sync_api import expect

from mtl_core.config import RunConfig
from mtl_core.store import EndedRun, Store
from mtl_core.store.run import new_id

pytestmark = test_browser.pytestmark
chromium, page, server = test_browser.chromium, test_browser.page, test_browser.server
TABLE = "[data-testid=stDataFrame] canvas"
ROW_PX = 35


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Six ended runs; the newest is the last one."""
    with Store.open(str(tmp_path_factory.mktemp("compare"))) as opened:
        for n, scheme in enumerate(("mgda", "equal", "pcgrad", "equal", "mgda", "equal")):
            now = time.time() - 100 + n
            config = RunConfig.from_mapping(
                {
                    "name": f"{'fbdeac'[n]} run",
                    "dataset": {"name": "teacher"},
                    "weighting": {"name": scheme},
                    "training": {"seed": n},
                }
            )
            run = EndedRun(new_id(now), config, None, "finished", "", now, now, now, 9, 1.0, 2.5)
            opened.add_ended(run, [], origin="made for a test")
        yield opened


def test_choosing_runs_survives_sorting_filters_reload_and_back(page, store):
    by_name = {one.name: one.id for one in store.listing()}
    page.goto("/compare")
    _tick(page, 0)
    _expect_runs(page, [by_name["c run"]])
    _sort_by_name(page)
    _tick(page, 0)
    _expect_runs(page, [by_name["c run"], by_name["a run"]])

    page.get_by_role("textbox", name="Search").fill("mgda")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 chosen, 1 of them not in this list")).to_be_visible()
    page.reload()
    expect(page.get_by_text("2 chosen, 1 of them not in this list")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_text("2 chosen.")).to_be_visible()

    page.get_by_role("button", name="Clear choice").click()
    _expect_runs(page, [])
    page.go_back()
    _expect_runs(page, [by_name["c run"], by_name["a run"]])
    expect(page.get_by_role("button", name="Compare 2 runs")).to_be_enabled()


def test_delete_and_undo(page, store):
    gone = store.listing()[1]
    page.goto(f"/compare?runs={gone.id}")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("1 run deleted.")).to_be_visible()
    assert gone.id not in {one.id for one in store.listing()}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert gone in store.listing()
    _expect_runs(page, [gone.id])


def test_nothing_is_cut_off_on_a_small_laptop(page, store):
    page.set_viewport_size({"width": 1024, "height": 800})
    page.goto(f"/compare?runs={store.listing()[0].id}&table.group=By+scheme")
    expect(page.locator(TABLE).first).to_be_visible()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    for row in ("filters", "view", "actions"):
        tops = page.locator(f".st-key-runs-{row} > *:visible").evaluate_all(
            "parts => parts.map(part => Math.round((part.getBoundingClientRect().top + part.getBoundingClientRect().bottom) / 20))"
        )
        assert max(tops) - min(tops) <= 1, f"the {row} stand in one row"


def _tick(page, row: int) -> None:
    """Tick the row in that place of the table as it is shown."""
    table = page.locator(TABLE).first
    expect(table).to_be_visible()
    page.wait_for_timeout(1000)  # the grid draws itself on a canvas: there is nothing to wait for
    before = page.url
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + ROW_PX * (row + 1) + ROW_PX / 2)
    page.wait_for_url(lambda url: url != before)


def _sort_by_name(page) -> None:
    box = page.locator(TABLE).first.bounding_box()
    page.mouse.click(box["x"] + 100, box["y"] + ROW_PX / 2)
    page.wait_for_timeout(1000)


def _expect_runs(page, ids: list[str]) -> None:
    page.wait_for_function(
        "n => (new URLSearchParams(location.search).get('runs') || '').split(',').filter(Boolean).length === n", arg=len(ids)
    )
    assert parse_qs(urlparse(page.url).query).get("runs", [""])[0].split(",") == (ids or [""])
