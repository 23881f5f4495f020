"""Sweeps: which runs a file means, with equal budgets and baselines, and that it never means the same run twice."""

import json

import pytest

from mtl_core.sweeps import MOST_RUNS, Sweep

TEACHER = {"dataset": {"name": "teacher"}, "training": {"steps": 50}}


def sweep(**values: object) -> Sweep:
    return Sweep.from_mapping({"base": TEACHER, **values})


def test_a_grid_is_every_combination_and_baselines_come_first() -> None:
    found = sweep(
        vary={
            "weighting": ["equal", {"name": "cagrad", "c": 0.2}, "mgda", "pcgrad"],
            "architecture.depth": [1, 3],
            "training.seed": [0, 1, 2],
        }
    ).members()
    assert [member.role for member in found] == ["baseline"] * 3 + ["run"] * 24
    assert all(member.config.architecture["depth"] == 0 for member in found[:3])
    assert {member.config.training.seed for member in found[:3]} == {0, 1, 2}
    assert {member.config.weighting.get("c") for member in found} == {None, 0.2}
    assert all(member.config.training.steps == 50 for member in found)
    assert len({member.key for member in found}) == 27


def test_equal_configs_have_equal_keys_in_every_sweep() -> None:
    small = sweep(vary={"weighting": ["equal"], "training.seed": [0, 1]}, name="one")
    large = sweep(vary={"weighting": ["mgda", "equal"], "training.seed": [1, 0], "training.lr": [0.001, 0.01]}, name="two")
    assert {member.key for member in small.members()} <= {member.key for member in large.members()}


def test_a_depth_of_0_with_equal_weights_is_the_baseline_itself() -> None:
    found = sweep(vary={"weighting": ["equal"], "architecture.depth": [0, 1]}).members()
    assert [(member.role, member.config.architecture["depth"]) for member in found] == [("baseline", 0), ("run", 1)]


def test_a_learning_rate_concerns_the_baseline_too() -> None:
    found = sweep(vary={"training.lr": [0.1, 0.2], "training.seed": [0, 1]}).members()
    assert sum(member.role == "baseline" for member in found) == 4
    assert sum(member.role == "baseline" for member in sweep(vary={"training.lr": [0.1]}, baselines=False).members()) == 0


def test_a_random_search_gives_every_scheme_as_many_trials() -> None:
    values = {
        "vary": {"weighting": ["equal", "cagrad"], "training.lr": [0.1, 0.01, 0.001, 0.0001], "training.seed": [0, 1]},
        "per_scheme": {"cagrad": {"c": [0.1, 0.2, 0.4]}},
        "search": "random",
        "trials": 3,
        "baselines": False,
    }
    found = sweep(**values).members()
    for scheme in ("equal", "cagrad"):
        assert sum(member.config.weighting["name"] == scheme for member in found) == 3 * 2
    assert found == sweep(**values).members()
    assert found != sweep(**values, seed=1).members()


def test_unequal_budgets_are_refused() -> None:
    with pytest.raises(ValueError, match="unequal budgets"):
        sweep(vary={"weighting": ["equal", "cagrad"]}, per_scheme={"cagrad": {"c": [0.1, 0.2]}})


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"vary": {"training.lr": 0.1}}, "needs a list of values"),
        ({"vary": {"training.lr": []}}, "needs a list of values"),
        ({"vary": [1]}, "needs settings with lists"),
        ({"vary": {"training.lrr": [0.1]}}, "Did you mean 'lr'"),
        ({"vary": {"training.lr.x": [0.1]}}, "nowhere to go"),
        ({"vary": {"weighting": [3]}}, "must be a name"),
        ({"vary": {"weighting": ["equal"]}, "per_scheme": {"cagrad": {"c": [0.1]}}}, "scheme that per_scheme may name"),
        ({"vari": {}}, "Did you mean 'vary'"),
        ({"trials": 0}, "trials"),
        ({"search": "bayes"}, "'grid' or 'random'"),
        ({"vary": {"training.seed": list(range(100)), "training.lr": [i / 1000 for i in range(1, 100)]}}, f"{MOST_RUNS:,}"),
    ],
)
def test_slips(values: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        sweep(**values)


def test_it_survives_json() -> None:
    one = sweep(vary={"weighting": ["equal"], "training.seed": [0]}, name="a")
    assert Sweep.from_yaml(json.dumps(one.model_dump(mode="json"))).members() == one.members()
