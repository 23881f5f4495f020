"""Compare in headless Chromium: the ticked rows are what is compared, a zoom is everybody's, a link is the view, a sweep is one."""

import re
import time
from urllib.parse import parse_qs, urlparse

import pytest
import test_browser
from playwright.sync_api import expect

from benchmarks._runs import make_runs
from mtl_core import run_here
from mtl_core.config import RunConfig
from mtl_core.store import EndedRun, Store
from mtl_core.store.run import new_id

pytestmark = test_browser.pytestmark
chromium, page, server = test_browser.chromium, test_browser.page, test_browser.server
TABLE = "[data-testid=stDataFrame] canvas"
ROW_PX = 35
CHART, PATIENCE_MS = test_browser.CHART, test_browser.PATIENCE_MS


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
    page.wait_for_url(re.compile("table.sort=Name"))
    _tick(page, 0)
    _expect_runs(page, [by_name["c run"], by_name["a run"]])
    _sort_by_name(page)  # once more: from Z to A
    page.wait_for_url(lambda url: "table.ascending" not in url)
    _tick(page, 0)
    _expect_runs(page, [by_name["c run"], by_name["a run"], by_name["f run"]])
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


def test_a_scheme_that_is_typed_is_the_only_one_added(page):
    page.goto("/train?dataset=teacher&mode=sweep")
    page.get_by_role("combobox", name="Schemes").click()
    page.keyboard.type("mgda")
    expect(page.get_by_role("option")).to_have_text(["MGDA"])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("vary.weighting=mgda(&|$)"))


def test_a_chosen_run_that_ends_is_seen_without_a_reload(page, store):
    run_id = store.enqueue(RunConfig(dataset={"name": "teacher"}))
    page.goto(f"/compare?section=Results&runs={run_id}")
    expect(page.get_by_text("1 not ended yet")).to_be_visible()
    store.change(run_id, "stopped")
    expect(page.get_by_text("1 stopped")).to_be_visible()
    store.delete(run_id)


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


def test_the_results_of_four_tasks_fit_a_laptop_and_fade_out_where_they_do_not(page, store):
    page.goto(f"/compare?section=Results&runs={','.join(make_runs(store, 10, 20).run_ids)}")
    table = page.locator(".st-key-card-results-table .mtl-results")
    expect(table.get_by_role("columnheader", name="Mean rank")).to_be_in_viewport()
    assert table.evaluate("one => [one.scrollWidth - one.clientWidth, getComputedStyle(one).maskImage]") == [0, "none"]
    page.set_viewport_size({"width": 700, "height": 1400})
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.mtl-results')).maskImage.startsWith('linear-gradient')"
    )
    table.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
    page.wait_for_function("() => getComputedStyle(document.querySelector('.mtl-results')).maskImage === 'none'")


def test_a_zoom_is_shared_kept_and_in_the_link(page, chromium, store):
    for seed in range(3):
        run_here(store, RunConfig.from_mapping({"dataset": {"name": "teacher"}, "training": {"steps": 60, "seed": seed}}))
    page.goto(f"/compare?runs={','.join(one.id for one in store.listing()[:3])}")
    page.get_by_role("button", name="Compare 3 runs").click()
    expect(page.get_by_text("Test results", exact=True)).to_be_visible()
    page.go_back()  # one step to where they were chosen
    expect(page.get_by_role("button", name="Compare 3 runs")).to_be_visible()
    page.go_forward()
    expect(page.get_by_text("Test results", exact=True)).to_be_visible()
    page.get_by_text("Curves", exact=True).click()
    expect(page.locator(CHART)).to_have_count(2)
    before = _drawn(page)
    box = page.locator(CHART).first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    zoomed = _expect_zoom(page)
    page.wait_for_function("before => !['', before].includes(window.picture(1))", arg=before)  # the other panel has followed
    page.get_by_text("Every run", exact=True).click()
    page.wait_for_url(re.compile("curves.lines=Every"))
    page.get_by_text("Knobs", exact=True).click()
    expect(page.get_by_text("What was set", exact=True)).to_be_visible()
    page.get_by_text("Curves", exact=True).click()
    expect(page.get_by_role("button", name="Show the whole run")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Show the whole run")).to_be_visible()
    assert _expect_zoom(page) == zoomed

    elsewhere = chromium.new_context()
    with elsewhere:
        other = elsewhere.new_page()
        other.goto(page.url)
        expect(other.get_by_role("button", name="Show the whole run")).to_be_visible(timeout=PATIENCE_MS)
        expect(other.get_by_role("radio", name="Every run")).to_be_checked()
    page.get_by_role("button", name="Show the whole run").click()
    page.wait_for_url(lambda url: "curves.zoom" not in url)


def test_a_sweep_from_train_is_paused_resumed_cancelled_and_deleted(page, store):
    page.goto(
        "/train?dataset=teacher&training.steps=200000&mode=sweep&sweep=two+by+two&vary.weighting=equal,mgda&vary.training.seed=0,1"
    )
    page.get_by_role("button", name="Start sweep").click()
    page.wait_for_url(re.compile("/compare.*runs="))
    expect(page.get_by_role("heading", name="two by two")).to_be_visible()
    (sweep,) = store.sweeps()
    for button, state in (("Pause", "paused"), ("Resume", "running"), ("Cancel", "cancelled"), ("Hand it in again", "running")):
        page.wait_for_timeout(1500)  # the row of buttons comes to rest: a click on one that moves hits its neighbour
        page.get_by_role("button", name=button).click()
        expect(page.locator(".mtl-status .mtl-chip").first).to_have_text(state)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Finished 0 of 6")).to_be_visible()
    ids = [member.run_id for member in store.members(sweep.id)]
    page.locator(f".st-key-sweep-buttons-{sweep.id}").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the sweep").click()
    expect(page.get_by_role("heading", name="two by two")).to_have_count(0)
    assert not store.sweeps()
    _expect_runs(page, ids)  # they stay, and stay compared


def _drawn(page) -> str:
    """What the second panel shows, once it has come to rest."""
    page.evaluate(f"window.picture = place => document.querySelectorAll('{CHART}')[place]?.toDataURL() || ''")
    seen, now = "", page.evaluate("window.picture(1)")
    while not now or seen != now:
        page.wait_for_timeout(700)
        seen, now = now, page.evaluate("window.picture(1)")
    return now


def _expect_zoom(page) -> str:
    page.wait_for_url(re.compile(r"curves\.zoom=step"))
    return parse_qs(urlparse(page.url).query)["curves.zoom"][0]


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
