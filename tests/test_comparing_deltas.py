"""How certain Δm and Δp are, what many tests at once may claim, and who stands out: by hand, by SciPy, and by simulation."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from contrasts import add
from scipy import stats

from mtl_core import scores
from mtl_core.cli.app import main
from mtl_core.comparing import Comparison, Interval, compare, standing
from mtl_core.comparing.chance import Scatter, around, holm, interval, scatter
from mtl_core.comparing.deltas import Pair
from mtl_core.comparing.groups import Metric
from mtl_core.store import Store

UP = [True, False, True]
METRICS = tuple(Metric(task, name, task, name, up) for task, name, up in zip("aab", ("r2", "mae", "r2"), UP, strict=True))
TRUE_METHOD, TRUE_BASELINE = np.array([0.55, 0.42, 0.30]), np.array([0.60, 0.40, 0.33])
DRAWS = 2500


@pytest.fixture
def store(tmp_path: Any) -> Any:
    with Store.open(str(tmp_path / "runs")) as opened:
        yield opened


def draw(chance: np.random.Generator, truth: Any, n_seeds: int, size: float) -> Any:
    """Numbers of runs [S, M] whose metrics depend on each other: a good seed is good in all of them."""
    common, own = chance.normal(size=(n_seeds, 1)), chance.normal(size=(n_seeds, len(truth)))
    return truth * (1 + size * (0.7 * common * np.where(UP, 1, -1) + 0.7 * own))


def coverage(
    shares: Any, truth: float, n: int, n_baseline: int, sizes: tuple[float, float], *, with_baseline: bool = True
) -> float:
    """How often the interval holds the true score."""
    chance, hits = np.random.default_rng(1), 0
    for _ in range(DRAWS):
        method, baseline = draw(chance, TRUE_METHOD, n, sizes[0]), draw(chance, TRUE_BASELINE, n_baseline, sizes[1])
        known = baseline if with_baseline else baseline.mean(axis=0, keepdims=True)  # as if it had no scatter
        found = Pair(METRICS, method, known).weighed(shares)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    return hits / DRAWS


OF_DELTA_M = np.full(3, -1 / 3)
OF_DELTA_P = np.array([1 / 4, 1 / 4, 1 / 2])


@pytest.mark.parametrize(("n", "n_baseline", "sizes"), [(3, 3, (0.03, 0.03)), (5, 5, (0.02, 0.05)), (10, 3, (0.05, 0.02))])
@pytest.mark.parametrize("score", ["delta_m", "delta_p"])
def test_ninety_five_of_a_hundred_intervals_hold_the_truth(score: str, n: int, n_baseline: int, sizes: Any) -> None:
    known = TRUE_BASELINE.tolist(), TRUE_METHOD.tolist(), UP
    truth, shares = {
        "delta_m": (scores.delta_m(*known), OF_DELTA_M),
        "delta_p": (scores.delta_p(*known, [[0, 1], [2]]), OF_DELTA_P),
    }[score]
    assert 0.935 < coverage(shares, truth, n, n_baseline, sizes) < 0.975  # Welch is a little wide for three seeds


def test_an_interval_without_the_baselines_scatter_is_wrong() -> None:
    truth = scores.delta_m(TRUE_BASELINE.tolist(), TRUE_METHOD.tolist(), UP)
    assert coverage(OF_DELTA_M, truth, 5, 5, (0.02, 0.05), with_baseline=False) < 0.8


def test_the_scores_are_the_published_formulas_of_the_means() -> None:
    chance = np.random.default_rng(0)
    for _ in range(20):
        both = Pair(METRICS, chance.normal(size=(4, 3)), chance.normal(size=(2, 3)))
        before, after = both.baseline_SM.mean(axis=0).tolist(), both.method_SM.mean(axis=0).tolist()
        assert both.weighed(OF_DELTA_M).mean == pytest.approx(scores.delta_m(before, after, UP))
        even = both.by_task({"a": 2.0, "b": 2.0})
        assert even == pytest.approx(OF_DELTA_P)
        assert both.weighed(even).mean == pytest.approx(scores.delta_p(before, after, UP, [[0, 1], [2]]))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_slopes_are_those_of_the_score(sign: float) -> None:
    """The variance that one side adds is that of the score when that side alone moves a little, also where metrics are negative."""
    chance = np.random.default_rng(3)
    for side, size in product((0, 1), (1e-6,)):
        tables = [sign * np.tile(truth, (3, 1)) for truth in (TRUE_METHOD, TRUE_BASELINE)]
        tables[side] = tables[side] + size * chance.normal(size=(3, 3))
        found = Pair(METRICS, *tables).weighed(OF_DELTA_P)
        seeds = [
            Pair(METRICS, *(t[[n]] if k == side else t[[0]] for k, t in enumerate(tables))).weighed(OF_DELTA_P)
            for n in range(3)
        ]
        assert found.margin == pytest.approx(interval([one.mean for one in seeds]).margin, rel=1e-3)


def test_welchs_degrees_of_freedom_are_those_of_scipy() -> None:
    chance = np.random.default_rng(0)
    for n, m in ((3, 3), (2, 9), (10, 4)):
        one, other = chance.normal(0, 1, n).tolist(), chance.normal(1, 5, m).tolist()
        parts = [part for part in (scatter(one), scatter(other)) if part is not None]
        found = around(float(np.mean(one) - np.mean(other)), parts, n)
        theirs = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert around(1.0, [Scatter(0.0, 2)], 3) == Interval(1.0, 1.0, 1.0, 3)


def test_holms_correction_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([0.9, 0.9]) == [1.0, 1.0]


def test_holm_keeps_its_promise_where_nothing_differs() -> None:
    """With ten true null hypotheses, a family makes any false claim in about 5 of 100 cases; without correction in 40."""
    chance = np.random.default_rng(0)
    p_values = chance.uniform(size=(4000, 10))
    false_claims = np.mean([min(holm(row.tolist())) < 0.05 for row in p_values])
    assert 0.035 < false_claims < 0.065
    assert (p_values.min(axis=1) < 0.05).mean() > 0.35


def fill(store: Store, n_seeds: int = 4, *, baseline_seeds: int = 4) -> Comparison:
    """mgda is clearly better than its baseline in R² of a, worse in R² of b, and alike in the errors."""
    chance = np.random.default_rng(0)
    for seed in range(max(n_seeds, baseline_seeds)):
        noise = 0.002 * chance.normal(size=8)
        base = {"a": {"r2": 0.5 + noise[0], "mae": 0.3 + noise[1]}, "b": {"r2": 0.8 + noise[2], "mae": 0.2 + noise[3]}}
        mine = {"a": {"r2": 0.6 + noise[4], "mae": 0.3 + noise[5]}, "b": {"r2": 0.7 + noise[6], "mae": 0.2 + noise[7]}}
        if seed < baseline_seeds:
            add(store, "equal", seed, 0, test=base, is_recorded=False)
        if seed < n_seeds:
            add(store, "mgda", seed, 2, test=mine, is_recorded=False)
    return compare(store.runs()[::-1])


def test_verdicts_are_words(store: Store) -> None:
    found = fill(store)
    base, mgda = found.groups
    said = {one.metric.key: one for one in found.verdicts(base)}
    assert {key: one.words for key, one in said.items()} == {
        ("a", "r2"): "better",
        ("b", "r2"): "worse",
        ("a", "mae"): "no difference shown",
        ("b", "mae"): "no difference shown",
    }
    assert said["a", "r2"].paired.difference == pytest.approx(0.1, abs=0.01)
    known = [said[metric.key].paired.t for metric in found.scored]
    assert [said[metric.key].corrected for metric in found.scored] == holm([p for p in known if p is not None])
    back = {one.metric.key: one.words for one in found.verdicts(mgda)}
    assert (back["a", "r2"], back["b", "r2"]) == ("worse", "better")


def test_two_seeds_are_too_few_to_say(store: Store) -> None:
    found = fill(store, 2, baseline_seeds=2)
    assert {one.words for one in found.verdicts(found.groups[0])} == {"too few seeds to say"}
    assert {one.corrected for one in found.verdicts(found.groups[0])} == {None}


def test_a_baseline_with_one_seed_leaves_the_method_its_own_scatter(store: Store) -> None:
    found = fill(store, 4, baseline_seeds=1)
    base, mgda = found.groups
    gains = [
        scores.delta_p([0.5, 0.3], [0.5, 0.3], [True, False]),  # a baseline is 0 against itself
    ]
    assert found.delta_p[base.id] == Interval(gains[0], None, None, 1)
    before = [base.values[metric.key][0] for metric in found.scored]
    up = [metric.higher_is_better for metric in found.scored]
    each = [scores.delta_m(before, [mgda.values[metric.key][seed] for metric in found.scored], up) for seed in range(4)]
    alone = interval(each)
    assert (found.delta_m[mgda.id].low, found.delta_m[mgda.id].high) == pytest.approx((alone.low, alone.high))


def test_a_method_with_one_seed_has_no_interval(store: Store) -> None:
    found = fill(store, 1, baseline_seeds=4)
    mgda = next(group for group in found.groups if group.scheme == "mgda")
    assert found.delta_p[mgda.id].low is None


def test_who_is_best_and_who_is_alike(store: Store) -> None:
    found = fill(store)
    base, mgda = found.groups
    by_key = {metric.key: found.standing(metric) for metric in found.scored}
    assert (by_key["a", "r2"].best, by_key["a", "r2"].alike) == (mgda.id, frozenset())
    assert by_key["a", "mae"].alike | {by_key["a", "mae"].best} == {base.id, mgda.id}
    column = {"one seed": Interval(9.0, None, None, 1), "b": Interval(1.0, 0.9, 1.1, 3)}
    assert standing(column, higher_is_better=True).alike == {"b"}
    assert standing({}, higher_is_better=True).best is None


def test_the_command_tells_the_intervals(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    found = fill(store)
    assert main(["compare", *(run.id for run in store.runs()), "--store", store.url, "--json"]) == 0
    told = {group["name"]: group for group in json.loads(capsys.readouterr().out)["groups"]}
    mine = found.delta_m[found.groups[1].id]
    assert told["mgda, depth 2"]["delta_m"] == pytest.approx(mine.mean)
    assert told["mgda, depth 2"]["delta_m_interval"] == pytest.approx([mine.low, mine.high])
    assert told["single task"]["delta_m"] == 0
    assert told["single task"]["delta_m_interval"] is None


@pytest.mark.parametrize("same", [0.9722222089767456, 0.1, 1 / 3])
def test_groups_whose_seeds_are_all_alike_are_not_told_apart_by_rounding(same: float) -> None:
    """A small test split gives the same accuracy again and again; the sum of n of them, divided by n, may miss it by a hair."""
    found = [interval([same] * n) for n in range(2, 31)]
    assert found == [Interval(same, same, same, n) for n in range(2, 31)]
    for n in range(2, 31):
        told = Pair(METRICS, np.full((n, 3), same), np.full((3, 3), same)).weighed(np.full(3, -1 / 3))
        assert (told.mean, str(told.mean)) == (0, "0.0")
        assert told.overlaps(Interval(0.0, 0.0, 0.0, 3))
