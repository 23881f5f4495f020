"""Comparisons of runs: seeds grouped, intervals and paired tests by hand and beside scipy, and every broken rule named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mtl_core.cli.app import main
from mtl_core.comparing import Comparison, Interval, compare
from mtl_core.comparing.chance import interval, paired, wilcoxon
from mtl_core.config import RunConfig
from mtl_core.store import Store

TASKS = [
    {"name": task, "title": task.upper(), "metrics": [{"name": "r2", "title": "R²", "higher_is_better": True, "unit": ""}]}
    for task in "ab"
]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(str(tmp_path / "runs")) as opened:
        yield opened


def add(store: Store, scheme: str, seed: int, a: float, b: float, *, depth: int = 2, **training: Any) -> str:
    """A finished run with these test results."""
    config = RunConfig.from_mapping(
        {
            "dataset": {"name": "teacher"},
            "tasks": ["a", "b"],
            "architecture": {"name": "hard_sharing", "depth": depth},
            "weighting": {"name": scheme},
            "training": {"seed": seed, "steps": 50, **training},
        }
    )
    run_id = store.enqueue(config)
    store.claim("somebody", "cpu", run_id)
    spec = {"tasks": TASKS, "shared_stages": [f"layer {n}" for n in range(depth)]}
    result = {"test": {"a": {"r2": a, "loss": 1 - a}, "b": {"r2": b, "loss": 1 - b}}, "best_step": 50, "seconds": 2.0}
    store.change(run_id, "finished", spec=spec, result=result, step=50, steps=50)
    return run_id


def fair(store: Store) -> tuple[Comparison, list[str]]:
    """A baseline and two schemes, three seeds each."""
    ids = []
    for seed, noise in enumerate((-0.01, 0.0, 0.01)):
        ids.append(add(store, "equal", seed, 0.8 + noise, 0.5 + noise, depth=0))
        ids.append(add(store, "equal", seed, 0.7 + noise, 0.6 + noise))
        ids.append(add(store, "mgda", seed, 0.88 + noise, 0.55 + 2 * noise))
    return compare([store.run(run_id) for run_id in ids]), ids


def test_seeds_are_grouped_and_groups_named_by_what_tells_them_apart(store: Store) -> None:
    found, _ = fair(store)
    assert [(group.name, group.seeds) for group in found.groups] == [
        ("single task", [0, 1, 2]),
        ("equal, depth 2", [0, 1, 2]),
        ("mgda, depth 2", [0, 1, 2]),
    ]
    assert found.groups[2].intervals["a", "r2"].mean == pytest.approx(0.88)
    assert found.groups[2].intervals["a", "r2"].margin == pytest.approx(0.01 * 4.302653 / math.sqrt(3), rel=1e-5)
    assert set(found.varied) == {"architecture.depth", "weighting.name"}
    assert found.warnings == []


def test_delta_against_the_single_task_baseline_by_hand(store: Store) -> None:
    found, ids = fair(store)
    _, equal, mgda = found.groups
    assert found.delta_m[mgda.id].mean == pytest.approx(-(10 + 10) / 2)  # .8 → .88 and .5 → .55; lower is better
    assert found.delta_p[mgda.id].mean == pytest.approx(10)
    assert found.delta_p[equal.id].mean == pytest.approx((-12.5 + 20) / 2)
    assert found.gains(mgda) == {"a": pytest.approx(10), "b": pytest.approx(10)}
    assert found.weighed_delta({"a": 1.0, "b": 0.0})[equal.id].mean == pytest.approx(-12.5)
    assert found.weighed_delta({"a": 3.0, "b": 3.0})[equal.id] == found.delta_p[equal.id]
    assert found.weighed_delta_m({"a": 1.0, "b": 0.0})[equal.id].mean == pytest.approx(12.5)
    assert found.weighed_delta_m({"a": 3.0, "b": 1.0})[equal.id].mean == pytest.approx((3 * 12.5 - 20) / 4)
    assert found.weighed_delta_m({"a": 3.0, "b": 3.0})[equal.id] == found.delta_m[equal.id]
    assert found.mean_rank == {found.groups[0].id: 2.5, equal.id: 2.0, mgda.id: 1.5}
    chosen = compare([store.run(run_id) for run_id in ids], baseline=ids[1])
    assert chosen.delta_p[mgda.id].mean == pytest.approx(100 * ((0.88 / 0.7 - 1) + (0.55 / 0.6 - 1)) / 2)


def test_the_front_and_its_area(store: Store) -> None:
    found, _ = fair(store)
    front = found.front()
    assert front is not None
    assert front.members == {found.groups[1].id, found.groups[2].id}  # single task (.8, .5) is beaten by mgda (.88, .55)
    assert 0 < front.fixed_hypervolume < front.hypervolume


def test_overlapping_intervals_are_greyed(store: Store) -> None:
    found, _ = fair(store)
    single, equal, mgda = found.groups
    assert found.overlaps(equal, single) == {("a", "r2"): False, ("a", "loss"): False, ("b", "r2"): False, ("b", "loss"): False}
    assert found.overlaps(mgda, equal)["b", "r2"] is True
    assert Interval(1.0, None, None, 1).overlaps(Interval(9.0, 8.0, 10.0, 3))


def test_intervals_and_tests_are_those_of_scipy() -> None:
    chance = np.random.default_rng(0)
    for n in (2, 3, 5, 10, 31):
        values, others = chance.normal(size=n).tolist(), chance.normal(0.3, 1, size=n).tolist()
        low, high = stats.t.interval(0.95, n - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (interval(values).low, interval(values).high) == pytest.approx((low, high), rel=1e-9)
        found = paired(dict(enumerate(values)), dict(enumerate(others)))
        assert found.t == pytest.approx(stats.ttest_rel(values, others).pvalue, rel=1e-6)
        if n >= 6:
            assert found.wilcoxon == pytest.approx(stats.wilcoxon(values, others, method="exact").pvalue, rel=1e-9)
    assert wilcoxon([1, -1, 2, 3, -4]) is None
    assert paired({0: 1.0}, {1: 2.0}).n == 0
    assert paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).t == 1.0


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("seeds", lambda store: add(store, "pcgrad", 0, 0.9, 0.6)),
        ("budget", lambda store: [add(store, "pcgrad", seed, 0.9, 0.6, steps=100) for seed in range(3)]),
        ("tuning", lambda store: [add(store, "mgda", seed, 0.9, 0.6, lr=0.5) for seed in range(3)]),
        ("selection", lambda store: [add(store, "mgda", seed, 0.9, 0.6, lr=0.5) for seed in range(3)]),
        ("repeats", lambda store: add(store, "mgda", 0, 0.1, 0.1)),
        ("pairs", lambda store: [add(store, "pcgrad", seed, 0.9, 0.6) for seed in (3, 4, 5)]),
        ("baseline", lambda store: [add(store, "equal", seed, 0.9, 0.6, weight_decay=0.1) for seed in range(3)]),
    ],
)
def test_a_broken_rule_is_named(store: Store, rule: str, change: Any) -> None:
    fair(store)
    change(store)
    assert rule in {warned.rule for warned in compare(store.runs()).warnings}


def test_runs_without_a_test_are_left_out_by_name(store: Store) -> None:
    _, ids = fair(store)
    waiting = store.enqueue(RunConfig.from_mapping({**store.run(ids[2]).config, "name": "waits"}))
    lost = store.enqueue(RunConfig.from_mapping(store.run(ids[2]).config))
    store.claim("somebody", "cpu", lost)
    store.change(lost, "diverged", "the loss of task a became NaN")
    found = compare(store.runs())
    assert {"left out", "diverged"} <= {warned.rule for warned in found.warnings}
    assert {waiting, lost} <= {run.id for group in found.groups for run in group.runs}
    assert found.groups[0].seeds == [0, 1, 2]


def test_slips(store: Store) -> None:
    _, ids = fair(store)
    with pytest.raises(ValueError, match="nothing to compare"):
        compare([])
    with pytest.raises(ValueError, match="not among the runs"):
        compare([store.run(ids[0])], baseline=ids[1])
    with pytest.raises(ValueError, match="must not be negative"):
        compare(store.runs()).weighed_delta({"a": -1.0, "b": 2.0})


def test_the_command_line(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    found, ids = fair(store)
    assert main(["compare", *ids, "--store", store.url, "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert [group["name"] for group in told["groups"]] == [group.name for group in found.groups]
    assert told["groups"][2]["delta_m"] == pytest.approx(-10)
    assert told["groups"][2]["metrics"]["a"]["r2"]["n"] == 3
    assert told["front"] == ["equal, depth 2", "mgda, depth 2"]
    assert told["hypervolume"] > 0
    assert 0 < told["fixed_hypervolume"] <= told["hypervolume"]
    assert main(["compare", *ids, "--baseline", ids[1], "--store", store.url]) == 0
    assert "Δm % (lower is better)" in " ".join(capsys.readouterr().out.split())
    assert main(["compare", "nonsense", "--store", store.url]) == 2
    assert "no run is called 'nonsense'" in capsys.readouterr().err
