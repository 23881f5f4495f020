"""Curves side by side: means and bands by hand, common places, what is drawn against what is exported, and nasty runs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.comparing import compare
from mtl_core.config import RunConfig
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS, draw_legend
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared._averages import over_seeds
from mtl_core.frames.compared._kept import Kept
from mtl_core.frames.compared.curves import export_compared
from mtl_core.frames.compared.lines import MOST_RUNS, shown
from mtl_core.records import Column, Scalars
from mtl_core.store import Store
from mtl_core.ui.compare import curves as compare_curves
from mtl_core.ui.zoom import read_window

ROOT = Path(__file__).parent.parent
KIND = CONTRASTS["group_curves"]
TASKS = ("digit", "box")
LOSS = "train|loss|digit"
T2, T1 = 4.302653, 12.706205  # Student's 97.5 % points for 2 and 1 degrees of freedom


def spec_of(*tasks):
    metric = {"name": "accuracy", "title": "Accuracy", "unit": "", "higher_is_better": True}
    return {
        "tasks": [{"name": name, "title": name.title(), "kind": "classification", "metrics": [metric]} for name in tasks],
        "all_tasks": list(tasks),
        "stages": ["conv 1"],
        "shared_stages": ["conv 1"],
    }


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def add(store, *, seed=0, scheme="equal", tasks=TASKS, steps=None, state="finished", split="train", seconds=0.1, **series):
    """A run with series by task__name; the epoch is a tenth of the step."""
    config = RunConfig(tasks=list(TASKS), weighting={"name": scheme}, training={"seed": seed})
    run = store.enqueue(config, spec=spec_of(*tasks))
    if series:
        steps = np.arange(1, len(next(iter(series.values()))) + 1) if steps is None else np.asarray(steps)
        columns = tuple(Column(*key.split("__")) for key in series)
        values = np.stack([np.asarray(value, dtype=np.float32) for value in series.values()], axis=1)
        with store.writer(run) as writer:
            writer.append(Scalars(split, columns, steps, steps / 10, steps * seconds, values))
    store.change(run, "running")
    if state != "running":
        result = {"test": {"digit": {"accuracy": 0.5}}} if state == "finished" else None
        store.change(run, state, result=result)
    return run


def compared(store, **how):
    return Compared(store, compare(list(reversed(store.runs(limit=400)))), **how)


def curve(store, choice=LOSS, **how):
    return compared(store, **how).table("group_curves", choice)


def test_three_seeds_by_hand(store):
    for seed, values in enumerate(([1, 4], [2, 4], [3, 4])):
        add(store, seed=seed, digit__loss=values)
    frame = curve(store)
    assert list(frame.columns) == ["step", "group", "line", "seeds", "part", "value", "low", "high", "n"]
    assert frame["step"].tolist() == [1, 2]
    assert frame["value"].tolist() == [2, 4]
    margin = T2 / np.sqrt(3)  # the deviation of 1, 2, 3 is 1
    np.testing.assert_allclose(frame["low"], [2 - margin, 4], rtol=1e-6)
    np.testing.assert_allclose(frame["high"], [2 + margin, 4], rtol=1e-6)
    assert frame["n"].tolist() == [3, 3]
    assert set(frame["seeds"]) == {"seeds 0, 1, 2"}


@pytest.mark.parametrize(("n_runs", "has_bands"), [(2, True), (9, False)])
def test_where_many_runs_stand_apart_only_the_first_costs_a_band(store, n_runs, has_bands):
    for seed in range(n_runs):
        add(store, seed=seed, digit__loss=np.linspace(1, 0, 40) + seed)
    sent = KIND.rows(curve(store, apart=True, points=8), {}, View(choice=LOSS))
    assert bool((sent["low"] < sent["high"]).any()) is has_bands
    kept = sent[(sent["shade"] != 0) | (sent["path"] == 0)]  # as the layer of bands filters them
    assert kept["path"].nunique() == (n_runs if has_bands else 1)


def test_one_seed_has_a_line_and_no_band(store):
    add(store, digit__loss=[1, 2, 3])
    frame = curve(store)
    assert frame["value"].tolist() == [1, 2, 3]
    assert frame[["low", "high"]].isna().all(axis=None)


def test_seeds_with_other_steps_meet_between_their_own(store):
    add(store, seed=0, steps=[0, 10, 20, 30, 40], digit__loss=[0, 10, 20, 30, 40])
    add(store, seed=1, steps=[0, 20, 40], digit__loss=[10, 30, 50])
    frame = curve(store)
    assert frame["step"].tolist() == [0, 10, 20, 30, 40]
    assert frame["value"].tolist() == [5, 15, 25, 35, 45]
    assert set(frame["n"]) == {2}
    margin = T1 * np.sqrt(50 / 2)  # two values ten apart
    np.testing.assert_allclose(frame["high"] - frame["value"], margin, rtol=1e-6)


def test_where_a_seed_ends_the_line_breaks_and_goes_on(store):
    add(store, seed=0, digit__loss=np.ones(100))
    add(store, seed=1, digit__loss=[*np.full(50, 3.0), np.nan], state="diverged")
    frame = curve(store, points=1000)
    assert frame["step"].tolist() == list(range(1, 101)), "nothing is made up after the end of a seed"
    assert frame["value"].tolist() == [2.0] * 50 + [1.0] * 50
    assert frame["n"].tolist() == [2] * 50 + [1] * 50
    assert frame.groupby("part")["n"].nunique().max() == 1
    assert frame["part"].nunique() == 2
    assert frame["low"].notna().sum() == 50


def test_ragged_ends_in_time_leave_no_stumps(store):
    for seed, seconds in enumerate((0.100, 0.101, 0.102)):
        add(store, seed=seed, seconds=seconds, digit__loss=np.full(200, float(seed)))
    frame = curve(store, x="time", points=2000)
    assert set(frame["n"]) == {3}
    assert frame["part"].nunique() == 1
    np.testing.assert_allclose(frame["value"], 1.0)
    assert frame["time"].min() == pytest.approx(0.102), "from where all have begun"
    assert frame["time"].max() == pytest.approx(20.0), "to where the first ends"


def test_equal_time_is_read_between_the_steps():
    fast = (np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    slow = (np.array([0.0, 2.0]), np.array([10.0, 20.0]))
    found = over_seeds([fast, slow], 100)
    assert found.places.tolist() == [0, 1, 2]
    assert found.value.tolist() == [5, 8, 11]


def test_the_grid_stays_within_its_limit():
    rng = np.random.default_rng(0)
    seeds = [(np.sort(rng.random(300)), rng.random(300)) for _ in range(4)]
    found = over_seeds(seeds, 100)
    assert len(found.places) <= 100
    assert (np.diff(found.places) > 0).all()
    assert over_seeds([], 10).places.size == 0
    assert over_seeds([(np.array([1.0]), np.array([np.nan]))], 10).places.size == 0


def test_infinite_and_missing_numbers_are_no_numbers(store):
    add(store, seed=0, digit__loss=[1, np.inf, 3, np.nan, 5])
    add(store, seed=1, digit__loss=[1, 2, 3, 4, 5])
    frame = curve(store)
    assert frame["step"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(frame["value"], [1, 2, 3, 4, 5])
    alone = curve(store, apart=True)
    assert sorted(alone["step"]) == [1, 1, 2, 3, 3, 4, 5, 5]


def test_smoothing_is_that_of_each_run_and_leaves_validation_alone(store):
    add(store, digit__loss=[0, 10, 0, 10, 0, 10])
    smooth = curve(store, smooth=50.0)
    assert smooth["value"].iloc[-1] == pytest.approx(5, abs=1)
    add(store, split="validation", scheme="mgda", digit__loss=[0, 10, 0])
    assert curve(store, "validation|loss|digit", smooth=50.0)["value"].tolist() == [0, 10, 0]


@pytest.mark.parametrize("x", ["step", "epoch", "time"])
def test_a_window_is_read_in_full_detail_on_every_axis(store, x):
    for seed in range(2):
        add(store, seed=seed, seconds=0.1 + 0.05 * seed, digit__loss=np.arange(5000.0))
    coarse = curve(store, x=x, points=100)
    first, last = {"step": (1000, 1020), "epoch": (100, 102), "time": (150, 153)}[x]
    fine = curve(store, x=x, points=100, first=first, last=last)
    assert fine[x].between(first, last).all()
    assert len(fine) > 15 > coarse[x].between(first, last).sum()
    expected = {"step": 1, "epoch": 10}.get(x)
    if expected:
        np.testing.assert_allclose(fine["value"], fine[x] * expected - 1, rtol=1e-4)
    else:  # at time t the seeds are at steps t / 0.1 and t / 0.15
        np.testing.assert_allclose(fine["value"], (fine["time"] / 0.1 + fine["time"] / 0.15) / 2 - 1, rtol=1e-4)


def test_what_is_drawn_is_what_is_exported(store):
    """Each bucket holds the lowest, highest and mean of the exported rows in it; each exported row is in a bucket."""
    rng = np.random.default_rng(1)
    for seed in range(3):
        add(store, seed=seed, digit__loss=rng.normal(size=1000), box__loss=rng.normal(size=1000))
    found = compared(store, points=100, apart=True)
    export = pd.concat(export_compared(store, found.comparison.groups))
    assert list(export.columns)[:5] == ["run", "run_name", "group", "seed", "state"]
    assert len(export) == 3 * 2 * 1000
    drawn = found.table("group_curves", LOSS)
    assert drawn["line"].nunique() == 3
    for run, mine in drawn.groupby("line", observed=True):
        rows = export[(export["run"] == run) & (export["task"] == "digit")]
        buckets = rows["value"].groupby(np.searchsorted(mine["step"].to_numpy(), rows["step"].to_numpy()))
        np.testing.assert_array_equal(mine["low"].astype("float32"), buckets.min())
        np.testing.assert_array_equal(mine["high"].astype("float32"), buckets.max())
        np.testing.assert_allclose(mine["value"], buckets.mean(), rtol=1e-4, atol=1e-6)
    whole = compared(store, points=4000).table("group_curves", LOSS)  # every step is its own bucket
    by_step = export[export["task"] == "digit"].groupby("step")["value"]
    np.testing.assert_allclose(whole["value"], by_step.apply(lambda values: values.astype("float64").mean()), rtol=1e-12)


def test_the_browser_gets_the_same_lines(store):
    for seed in range(3):
        add(store, seed=seed, digit__loss=[1.0 + seed, 2.0, -1.0])
    found, view = compared(store), View(choice=LOSS)
    tidy = KIND.tidy(found.table("group_curves", LOSS), found.spec, view)
    sent = KIND.vega(tidy, found.spec, view)["datasets"]["rows"]
    np.testing.assert_array_equal(sent["value"], tidy["value"].astype("float32"))
    np.testing.assert_allclose(sent["margin"], tidy["high"] - tidy["value"], rtol=1e-6)
    lines = tidy["value"].max() - tidy["value"].min()
    assert sent["high"].max() <= tidy["value"].max() + 0.61 * lines, "a wide band does not squeeze the lines"
    log = KIND.vega(tidy, found.spec, replace(view, log_y=True))["datasets"]["rows"]
    assert log["value"].isna().tolist() == [False, False, True]
    assert (log["low"].dropna() > 0).all()


def test_a_run_from_elsewhere_without_times_is_left_out_on_that_axis(store):
    add(store, seconds=0.0, digit__loss=[1, 2, 3])
    assert len(curve(store)) == 3
    assert curve(store, x="time").empty


def test_nasty_runs(store):
    add(store, seed=0)  # nothing recorded
    add(store, scheme="mgda", digit__loss=[1.0])  # one step
    add(store, scheme="pcgrad", tasks=("digit",), digit__loss=[1.0, 2.0])  # another choice of tasks
    gone = add(store, scheme="dwa", digit__loss=[1.0, 2.0])
    found = compared(store)
    store.delete(gone)  # meanwhile
    for choice in [*KIND.choices(found.spec), "", "wat", "train|loss|", "train|nothing|digit", "test|loss|digit"]:
        frame = found.table("group_curves", choice)
        KIND.draw(KIND.tidy(frame, found.spec, View(choice=choice)), found.spec, View(choice=choice)).to_dict()
    groups = found.table("group_curves", LOSS).groupby("group", observed=True)["n"].count().to_dict()
    assert sorted(groups.values()) == [1, 2]
    assert found.table("group_curves", "train|loss|box").empty


def test_a_repeated_seed_counts_once_unless_runs_stand_apart(store):
    add(store, digit__loss=[1.0, 1.0])
    add(store, digit__loss=[5.0, 5.0])
    assert curve(store)["value"].tolist() == [5, 5], "the newer one counts"
    assert curve(store, apart=True)["line"].nunique() == 2


def test_no_more_than_fifty_runs(store):
    for n in range(MOST_RUNS + 5):
        add(store, seed=n % 3, scheme="cagrad" if n % 2 else "equal", digit__loss=[float(n)])
    found = compared(store, apart=True)
    drawn = shown(found)
    assert len(drawn) == 1, "the second group does not fit beside the first"
    other = found.comparison.groups[1].id
    assert [group.id for group, _ in shown(replace(found, only=(other,)))] == [other]
    assert len(shown(replace(found, only=("wat",)))) == 1, "an unknown choice is none"
    assert sum(len(runs) for _, runs in shown(replace(found, apart=False))) == 6


def test_what_is_kept_of_ended_runs_is_bounded_and_never_of_live_ones(store):
    class Thing:
        def __init__(self):
            self.array = np.zeros(1000)

    shelf, calls = Kept(20_000), []
    ended, live = store.run(add(store, digit__loss=[1.0])), store.run(add(store, state="running", digit__loss=[1.0]))

    def read():
        calls.append(1)
        return Thing()

    assert shelf.reading(store, ended, "a", read) is shelf.reading(store, ended, "a", read)
    assert shelf.reading(store, live, "a", read) is not shelf.reading(store, live, "a", read)
    assert len(calls) == 3
    for n in range(10):
        shelf.reading(store, ended, n, read)
    assert shelf.n_bytes <= 20_000
    shelf.reading(store, ended, 9, read)
    assert len(calls) == 13


def test_a_live_run_grows(store):
    run = add(store, state="running", digit__loss=[1.0, 2.0])
    assert len(curve(store)) == 2
    with store.writer(run) as writer:
        writer.append(
            Scalars("train", (Column("digit", "loss"),), np.array([3]), np.zeros(1), np.ones(1), np.ones((1, 1), np.float32))
        )
    assert len(curve(store)) == 3


def test_panels_and_quantities():
    spec = spec_of(*TASKS)
    names = compare_curves.quantities(spec)
    assert list(names) == ["validation|loss", "train|loss", "headline", "validation|accuracy", "train|weight"]
    assert len(set(names.values())) == len(names), "the link holds the words"
    assert compare_curves.panels_of(spec, "headline") == {task: f"validation|accuracy|{task}" for task in TASKS}
    spec["tasks"][1]["metrics"] = []
    assert compare_curves.panels_of(spec, "headline") == {"digit": "validation|accuracy|digit"}


def test_the_legend_escapes_names(store):
    add(store, digit__loss=[1.0])
    spec = compared(store).spec
    spec["groups"][0]["name"] = '<b onclick="x">"&'
    html = draw_legend(spec, View(), {'<b onclick="x">"&': "1 seed, no band"})
    assert "<b onclick" not in html
    assert "1 seed, no band" in html


LINKS = [
    {},
    {"curves.lines": "Every run", "curves.x": "Time", "curves.log": "true", "curves.smooth": "200"},
    {"curves.quantity": "Headline metric (validation)", "curves.zoom": "step:1:2"},
    {"curves.quantity": "Training loss", "curves.zoom": "step:800:900"},  # beyond the end
    {"curves.quantity": "wat", "curves.x": "wat", "curves.lines": "7", "curves.smooth": "-1", "curves.groups": "<b>"},
    {"curves.zoom": "time:nan:inf"},
    {"section": "Conflict"},
    {"section": "Conflict", "conflict.x": "Epoch", "conflict.pairs": "wat", "conflict.smooth": "nan", "conflict.groups": "wat"},
]


@pytest.mark.parametrize("link", LINKS, ids=str)
def test_the_page_takes_any_link(link, store, tmp_path, monkeypatch):
    """Runs of every state, one of them with infinite losses: no raw exception, and the words under the panels."""
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    ids = [add(store, seed=seed, digit__loss=[1.0, 2.0, 3.0], box__loss=[1.0, np.inf, np.nan]) for seed in range(2)]
    ids += [add(store, scheme="mgda", state="diverged", digit__loss=[1e30]), add(store, scheme="dwa", state="running")]
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/compare.py")
    for key, value in ({"section": "Curves", "runs": ",".join(ids)} | link).items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, [error.stack_trace for error in app.exception]
    html = " ".join(part.proto.body for part in app.get("html"))
    assert "How to read it." in html


def test_back_takes_the_zoom_along(store, tmp_path, monkeypatch):
    """The address bar says what is shown, also when it changes by the Back button in a session that has a zoom already."""
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/compare.py")
    app.query_params["section"], app.query_params["runs"] = "Curves", add(store, digit__loss=[1.0, 2.0, 3.0])
    for zoom, is_offered in (("step:1:2", True), ("", False), ("step:2:3", True)):
        app.query_params["curves.zoom"] = zoom
        app.run()
        assert not app.exception
        assert ("Show the whole run" in [button.label for button in app.button]) == is_offered
        assert app.session_state["curves.zoom"] == read_window(zoom)
    next(button for button in app.button if button.label == "Show the whole run").click().run()
    assert "curves.zoom" not in app.query_params
    assert app.session_state["curves.zoom"] is None


def test_the_legend_says_why_a_group_has_no_curve(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    ids = [add(store, digit__loss=[1.0, 2.0])]
    for scheme in ("mgda", "dwa"):
        ids.append(store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}, "weighting": {"name": scheme}})))
    store.claim("somebody", "cpu", ids[1])
    store.change(ids[1], "failed", reason="no memory")
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/compare.py")
    app.query_params["section"], app.query_params["runs"] = "Curves", ",".join(ids)
    app.run()
    assert not app.exception
    html = " ".join(part.proto.body for part in app.get("html"))
    assert re.search("Left out: mgda[^:]*: ended before the first step", html)
    assert re.search("Left out: dwa[^:]*: not begun yet", html)
