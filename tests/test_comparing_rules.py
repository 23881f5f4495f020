"""Rules of a fair comparison that are easily broken unseen, and numbers beyond all measure."""

import math
from itertools import product

import pytest

from mtl_core.comparing import compare
from mtl_core.comparing.groups import group_runs
from mtl_core.comparing.treatment import treatment_in_words
from mtl_core.config import RunConfig
from mtl_core.plan import check
from mtl_core.store import Store
from mtl_core.weightings import WEIGHTINGS, Setting
from tests.contrasts import add


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def numbers(seed, r2=0.5, mae=0.4):
    return {task: {"r2": r2 + seed / 100, "mae": mae + seed / 100, "loss": 0.3} for task in "ab"}


def side_by_side(store):
    return compare(store.runs(limit=1000)[::-1])


def rules(store):
    return {warned.rule: warned.sentence for warned in side_by_side(store).warnings}


def fill(store, scheme, *, seeds=3, depth=2, **training):
    for seed in range(seeds):
        add(store, scheme, seed, depth, test=numbers(seed), is_recorded=False, **training)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"lr": 0.1}, "lr 0.001 or 0.1"),
        ({"clip": 1.0, "weight_decay": 0.1}, "weight decay 0 or 0.1; clip 0 or 1"),
        ({"patience": 3}, "patience 0 or 3"),
        ({"validate_every": 7}, "validate every auto or 7"),
        ({"schedule": "constant"}, "schedule cosine or constant"),
    ],
)
def test_schemes_that_differ_in_another_setting_too(store, training, said):
    fill(store, "equal", depth=0)
    fill(store, "equal")
    fill(store, "mgda", **training)
    assert said in rules(store)["settings"]


def test_a_sweep_in_which_all_share_their_settings_breaks_no_rule(store):
    for scheme in ("equal", "mgda", "pcgrad", "si"):
        for depth in (0, 1, 2) if scheme == "equal" else (1, 2):
            fill(store, scheme, depth=depth, clip=1.0, weight_decay=0.1)
    assert rules(store) == {}


@pytest.mark.parametrize("knob", [{"clip": 1.0}, {"schedule": "constant"}, {"warmup": 5}, {"momentum": 0.5}, {"l1": 0.1}])
def test_whatever_was_tried_on_one_scheme_alone_counts_as_tuning(store, knob):
    fill(store, "equal")
    fill(store, "mgda")
    fill(store, "mgda", **knob)
    assert "Tuned against untuned" in rules(store)["tuning"]
    fill(store, "equal", **knob)
    assert "tuning" not in rules(store)


def test_a_baseline_for_every_setting_that_was_drawn_is_no_wider_search(store):
    for scheme, lrs in (("mgda", (0.01, 0.02)), ("pcgrad", (0.03, 0.04))):
        for lr in lrs:
            fill(store, scheme, lr=lr)
            fill(store, "equal", depth=0, lr=lr)
    assert "tuning" not in rules(store)
    fill(store, "pcgrad", lr=0.01)
    assert "pcgrad 3, mgda 2" in rules(store)["tuning"]


def test_a_baseline_that_was_searched_less_is_untuned(store):
    fill(store, "equal", depth=0)
    for lr in (0.001, 0.01):
        fill(store, "mgda", lr=lr)
    assert "Tuned against untuned" in rules(store)["tuning"]


def test_a_baseline_without_a_test_is_not_called_missing(store):
    fill(store, "mgda")
    fill(store, "equal", depth=0)
    for run in store.runs()[:3]:
        store.change(run.id, "finished", result={})
    assert "no test (3 finished)" in rules(store)["baseline"]
    fill(store, "pcgrad", lr=0.1)  # no baseline of its own, waiting or not
    said = [warned.sentence for warned in side_by_side(store).warnings if warned.rule == "baseline"]
    assert len(said) == 2
    assert sum("pcgrad" in sentence for sentence in said) == 1


def treat(store, scale, heads):
    """What the newest three runs wrote down of their step."""
    for run in store.runs()[:3]:
        store.change(run.id, "finished", spec={**run.spec, "scale": scale, "heads": heads})


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_sums_against_means_matter_with_sgd_alone(store, optimizer):
    for scheme, scale in (("equal", "sum"), ("mgda", "mean"), ("pcgrad", "sum")):
        fill(store, scheme, optimizer=optimizer)
        treat(store, scale, "unit")
    said = rules(store).get("treatment")
    assert said is None if optimizer == "adam" else "a sum over tasks for equal, pcgrad and a mean over tasks for mgda" in said
    for run in store.runs():
        store.change(run.id, "finished", spec={**run.spec, "scale": "sum"})
    assert "treatment" not in rules(store)


def test_heads_treated_unlike_by_choice(store):
    fill(store, "equal")
    treat(store, "sum", "weighted")
    fill(store, "mgda")
    treat(store, "mean", "unit")
    fill(store, "uncertainty")
    treat(store, "sum", "weighted")
    assert "treatment" not in rules(store)  # each as published
    fill(store, {"name": "rlw", "heads": "unit"})
    treat(store, "mean", "unit")
    assert "follow their task's weight for uncertainty and count fully for mgda, rlw" in rules(store)["treatment"]


def test_what_was_done_to_the_gradients_is_said_of_all(store):
    fill(store, "equal")
    assert treatment_in_words(side_by_side(store).tested) == ""  # runs of before it was written down
    treat(store, "sum", "weighted")
    fill(store, "mgda", clip=1.0)
    treat(store, "mean", "unit")
    assert treatment_in_words(side_by_side(store).tested) == (
        "the step is a sum over tasks (equal), a mean over tasks (mgda); heads follow their task's weight (equal), count fully "
        "(mgda); gradients are not clipped or clipped to length 1"
    )


@pytest.mark.parametrize("scheme", WEIGHTINGS.names())
def test_a_run_writes_down_its_scale_and_its_heads(scheme):
    for scale, heads in product(("published", "sum", "mean"), ("published", "weighted", "unit")):
        plan = check(RunConfig(dataset={"name": "teacher"}, weighting={"name": scheme, "scale": scale, "heads": heads}))
        said, made = plan.describe(), plan.weighting(plan.weighting_knobs, Setting(("a", "b"), (1, 1)))
        assert (said["heads"] == "weighted") == made.has_weighted_heads
        assert made.factor == {"sum": 1.0, "mean": 0.5}[said["scale"]] / {"sum": 1.0, "mean": 0.5}[made.published_scale]


def test_a_setting_that_was_searched_alike_for_each_scheme_is_no_difference(store):
    for scheme in ("equal", "mgda"):
        for lr in (0.01, 0.1):
            fill(store, scheme, lr=lr)
    assert "settings" not in rules(store)


def test_runs_that_patience_ended_at_different_steps_had_different_budgets(store):
    for n, scheme in enumerate(("equal", "mgda")):
        fill(store, scheme, patience=3)
        for run in store.runs()[:3]:
            store.change(run.id, "finished", step=60 - 40 * n)
    assert "mgda, depth 2 after 20 steps and equal, depth 2 after 60" in rules(store)["budget"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e200, -1.7e308])
def test_a_number_that_is_none_is_left_out_and_said(store, bad):
    fill(store, "equal", depth=0)
    fill(store, "mgda", seeds=2)
    add(store, "mgda", 2, test=numbers(2) | {"a": {"r2": bad, "mae": 0.4, "loss": 0.3}}, is_recorded=False)
    found = side_by_side(store)
    mgda = found.tested[1]
    assert list(mgda.values["a", "r2"]) == [0, 1]
    assert mgda.lacking == {("a", "r2"): [2]}
    assert found.delta_m[mgda.id].n == 2
    assert "mgda, depth 2 (a r2)" in rules(store)["numbers"]


@pytest.mark.parametrize("small", [0.0, 5e-324, -1e-300])
def test_no_percentage_of_nothing_and_a_sentence_why(store, small):
    for seed in range(3):
        add(store, "equal", seed, 0, test={"a": {"r2": small, "mae": 0.4}}, is_recorded=False)
        add(store, "mgda", seed, 2, test={"a": {"r2": 0.5, "mae": 0.4}}, is_recorded=False)
    assert side_by_side(store).delta_m == {}
    assert "is zero in one of the metrics" in rules(store)["baseline"]


def test_a_baseline_whose_seeds_cancel_is_zero_too(store):
    for seed, r2 in enumerate((9e59, -9e59, 1e-45)):
        add(store, "equal", seed, 0, test={"a": {"r2": r2, "mae": 0.4}}, is_recorded=False)
        add(store, "mgda", seed, 2, test={"a": {"r2": 9e59, "mae": 0.4}}, is_recorded=False)
    assert side_by_side(store).delta_m == {}
    assert "is zero in one of the metrics" in rules(store)["baseline"]


def test_hundreds_of_foreign_runs_of_one_name_are_told_apart(store):
    store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}, "name": "log"}), spec={"origin": "elsewhere"})
    (run,) = store.runs()
    many = [type(run)(**{**vars(run), "id": f"{run.id[:-3]}{n:03}"}) for n in range(600)]
    names = [group.name for group in group_runs(many)]
    assert len(set(names)) == 600
    assert all(name.startswith("log #") for name in names)
