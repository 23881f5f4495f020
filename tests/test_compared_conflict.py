"""Conflict side by side: cosines, floors and shares by hand, seeds taken together, and groups that have nothing to show."""

import numpy as np
import pytest

from mtl_core.comparing import compare
from mtl_core.config import RunConfig
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.conflict import FLOOR, PAIR, left_out
from mtl_core.records import Measurement
from mtl_core.store import Store

FIGURES = ("group_cosines", "group_conflict", "cosine_summary")
PAIR_KEY = "digit|box"
T2 = 4.302653  # Student's 97.5 % point for 2 degrees of freedom


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def spec_of(tasks, n_shared, **more):
    described = [{"name": name, "title": name.title(), "kind": "classification", "metrics": []} for name in tasks]
    stages = [f"conv {n + 1}" for n in range(3)]
    return {"tasks": described, "all_tasks": list(tasks), "stages": stages, "shared_stages": stages[:n_shared], **more}


def measurement(step, vectors_HTP, counts=((4, 4), (4, 4)), n_stages=1):
    """One of these gradients [halves, tasks, parameters], the same in each stage."""
    rows = np.asarray(vectors_HTP, dtype=np.float64).reshape(4, -1)
    gramian = np.repeat((rows @ rows.T)[None], n_stages, axis=0).astype(np.float32)
    ones = np.ones(2, np.float32)
    return Measurement(step, step / 10, step / 100, gramian, np.array(counts, np.float32), ones, ones, ones)


def at(degrees, noise=0.0):
    """Two tasks at an angle, the same on both halves but for a turn of the second half."""
    turns = np.deg2rad([[0, degrees], [noise, degrees + noise]])
    return np.stack([np.cos(turns), np.sin(turns)], axis=-1)


def add(store, measurements=(), *, seed=0, scheme="equal", depth=1, tasks=("digit", "box"), **more):
    config = RunConfig(
        tasks=["digit", "box"],
        architecture={"name": "hard_sharing", "depth": depth},
        weighting={"name": scheme},
        training={"seed": seed},
    )
    run = store.enqueue(config, spec=spec_of(tasks, depth, **more))
    with store.writer(run) as writer:
        for one in measurements:
            writer.append(one)
    store.change(run, "running")
    store.change(run, "finished", result={"test": {"digit": {"loss": 1.0}}})
    return run


def compared(store, **how):
    return Compared(store, compare(list(reversed(store.runs()))), **how)


def test_the_pair_and_its_floor_by_hand(store):
    """60° apart, and the second half turned by 90°: across the halves 150° and 30°, and 90° from themselves."""
    add(store, [measurement(1, at(60)), measurement(2, at(60, noise=90))])
    frame = compared(store).table("group_cosines", PAIR_KEY)
    pair, floor = (frame[frame["side"] == side] for side in (PAIR, FLOOR))
    assert pair["step"].tolist() == [1, 2]
    np.testing.assert_allclose(pair["value"], [0.5, (np.cos(np.deg2rad(150)) + np.cos(np.deg2rad(30))) / 2], atol=1e-6)
    np.testing.assert_allclose(floor["value"], [1.0, 0.0], atol=1e-6)
    assert frame["low"].isna().all(), "one seed has no band"


def test_three_seeds_by_hand(store):
    angles = (60.0, 90.0, 120.0)  # cosines 1/2, 0, -1/2
    for seed, angle in enumerate(angles):
        add(store, [measurement(step, at(angle)) for step in range(1, 7)], seed=seed)
    found = compared(store)
    frame = found.table("group_cosines", PAIR_KEY)
    pair = frame[frame["side"] == PAIR]
    np.testing.assert_allclose(pair["value"], 0, atol=1e-6)
    np.testing.assert_allclose(pair["high"], T2 * 0.5 / np.sqrt(3), rtol=1e-5)
    row = found.table("cosine_summary", PAIR_KEY).iloc[0]
    assert row["cosine"] == pytest.approx(0, abs=1e-6)
    assert row["low"] == pytest.approx(-T2 * 0.5 / np.sqrt(3), rel=1e-5)
    assert row["floor"] == pytest.approx(1)
    assert (row["n"], row["measurements"], row["seeds"]) == (3, 6, "seeds 0, 1, 2")


def test_the_summary_is_of_the_last_third(store):
    add(store, [measurement(step, at(180 if step > 6 else 0)) for step in range(1, 10)])
    row = compared(store).table("cosine_summary", PAIR_KEY).iloc[0]
    assert row["cosine"] == pytest.approx(-1)
    assert row["measurements"] == 3
    assert np.isnan(row["low"])


def test_shares_by_hand(store):
    """Three of four steps in conflict for one seed, one of four for the other."""
    for seed, n in enumerate((3, 1)):
        add(store, [measurement(step, at(120 if step <= n else 60)) for step in range(1, 5)], seed=seed)
    frame = compared(store).table("group_conflict")
    assert frame["value"].tolist() == [0.5]
    assert frame["step"].tolist() == [2.5]
    assert frame["n"].tolist() == [2]


def test_a_pair_is_the_same_in_any_order_of_tasks(store):
    add(store, [measurement(1, at(60))])
    add(store, [measurement(1, at(120))], scheme="mgda", tasks=("box", "digit"))
    found = compared(store)
    values = found.table("cosine_summary", PAIR_KEY)["cosine"].tolist()
    np.testing.assert_allclose(values, [0.5, -0.5], atol=1e-6)
    assert set(CONTRASTS["group_cosines"].choices(found.spec)) == {PAIR_KEY}


def test_groups_without_conflict_say_why(store):
    add(store, depth=0)
    add(store, scheme="mgda")
    add(store, scheme="pcgrad", tasks=("digit",))
    add(store, scheme="dwa", origin={"kind": "csv"})
    add(store, [measurement(1, at(60))], scheme="cagrad")
    found = compared(store)
    by_scheme = {group.scheme: left_out(found).get(group.id) for group in found.comparison.groups}
    assert "depth 0" in by_scheme["equal"]
    assert "no gradients" in by_scheme["mgda"]
    assert "one task" in by_scheme["pcgrad"]
    assert "elsewhere" in by_scheme["dwa"]
    assert by_scheme["cagrad"] is None
    assert found.table("cosine_summary", PAIR_KEY)["group"].tolist() == [found.comparison.groups[-1].name]


def test_nothing_to_show_at_all(store):
    add(store, depth=0)
    found = compared(store)
    assert not any(CONTRASTS[name].applies(found.spec) for name in FIGURES)
    for name in FIGURES:
        frame = found.table(name, PAIR_KEY)
        assert frame.empty
        CONTRASTS[name].draw(frame, found.spec, View(choice=PAIR_KEY)).to_dict()


def test_nasty_measurements(store):
    """A task without labels, gradients of length zero, numbers that are none, and a run that is deleted meanwhile."""
    nan = np.full((2, 2, 2), np.nan)
    add(store, [measurement(1, at(60), counts=((4, 0), (4, 0))), measurement(2, np.zeros((2, 2, 2))), measurement(3, nan)])
    gone = add(store, [measurement(1, at(60))], scheme="pcgrad")
    add(store, [measurement(step, at(100, noise=20)) for step in (1, 2)], scheme="cagrad", depth=1)
    found = compared(store)
    store.delete(gone)
    for name in FIGURES:
        for choice in (PAIR_KEY, "", "wat", "digit|digit"):
            view = View(choice=choice)
            frame = found.table(name, choice)
            tidy = CONTRASTS[name].tidy(frame, found.spec, view)
            CONTRASTS[name].draw(tidy, found.spec, view).to_dict()
            CONTRASTS[name].vega(tidy, found.spec, view)
    assert found.table("cosine_summary", PAIR_KEY)["n"].tolist() == [1]


def test_many_measurements_are_thinned(store):
    add(store, [measurement(step, at(60)) for step in range(1, 1001)])
    frame = compared(store).table("group_cosines", PAIR_KEY)
    pair = frame[frame["side"] == PAIR]
    assert 100 <= len(pair) <= 240
    assert pair["step"].max() == 1000


def test_cosines_are_smoothed_before_seeds_meet(store):
    for seed in range(2):
        add(store, [measurement(step, at(0 if step % 2 else 180)) for step in range(1, 41)], seed=seed)
    rough, smooth = (compared(store, smooth=by).table("group_cosines", PAIR_KEY) for by in (0.0, 50.0))
    assert rough["value"].min() == pytest.approx(-1)
    assert smooth[smooth["side"] == PAIR]["value"].iloc[10:].abs().max() < 0.3


def test_one_half_is_on_the_axis_of_shares(store):
    add(store, [measurement(step, at(60)) for step in range(1, 9)])
    found, kind = compared(store), CONTRASTS["group_conflict"]
    sent = kind.vega(kind.tidy(found.table("group_conflict"), found.spec, View()), found.spec, View())
    assert all(0.5 in layer["encoding"]["y"]["axis"]["values"] for layer in sent["layer"])


def test_a_band_of_cosines_ends_where_cosines_do(store):
    for seed, angle in enumerate((0, 180)):
        add(store, [measurement(step, at(angle)) for step in (1, 2)], seed=seed)
    found, view, kind = compared(store), View(choice=PAIR_KEY), CONTRASTS["group_cosines"]
    tidy = kind.tidy(found.table("group_cosines", PAIR_KEY), found.spec, view)
    assert tidy["high"].max() > 12, "two seeds say next to nothing, and the numbers say so"
    sent = kind.rows(tidy, found.spec, view)
    assert sent["high"].max() <= 1
    assert sent["low"].min() >= -1
    assert sent["margin"].max() > 12
