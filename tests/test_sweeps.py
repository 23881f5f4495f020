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
        ({"per_scheme": {"cagrad": {"c": [0.1]}}}, "per_scheme may name is called 'cagrad'. There are: equal"),
        ({"vary": {"weighting.name": ["mgda", "equal"]}}, "vary weighting itself"),
        ({"vary": {"name": ["a", "b"]}}, "named by their choices"),
        ({"base": None}, "as in a run's config"),
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


def test_what_is_named_twice_counts_once() -> None:
    one = sweep(vary={"training.seed": [1, 0, 1, 0], "training.lr": [0.1, 0.1]}, per_scheme={})
    assert one.vary == {"training.seed": [1, 0], "training.lr": [0.1]}
    assert one == sweep(vary={"training.seed": [1, 0], "training.lr": [0.1]})


def test_a_random_search_brings_the_baselines_of_what_it_drew_and_no_others() -> None:
    rates, decays = [n / 1000 for n in range(1, 31)], [n / 100 for n in range(10)]
    values = {"vary": {"weighting": ["equal", "mgda"], "training.lr": rates, "training.weight_decay": decays}, "trials": 4}
    found = sweep(**values, search="random").members()

    def settings(role: str) -> set[tuple[float, float]]:
        return {(one.config.training.lr, one.config.training.weight_decay) for one in found if one.role == role}

    assert settings("baseline") == settings("run")
    assert sum(member.role == "baseline" for member in found) <= 8


def test_what_does_not_concern_a_baseline_does_not_multiply_it() -> None:
    vary = {"measure.every": [1, 5], "training.device": ["cpu", "cuda"], "weighting.scale": ["sum", "mean"]}
    found = sweep(vary=vary).members()
    assert [member.role for member in found] == ["baseline"] + ["run"] * 8


@pytest.mark.parametrize(
    "values",
    [
        {"vary": {"training.seed": list(range(5000)), "training.lr": [0.1] * 5000, "training.l1": [0, 0.1, 0.2]}},
        {"vary": {"weighting": [f"s{n}" for n in range(9000)], "training.lr": [n / 10 for n in range(1, 900)]}},
        {"vary": {"weighting": [f"s{n}" for n in range(11_000)]}},
    ],
)
def test_a_monster_is_judged_at_once(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{MOST_RUNS:,}"):
        Sweep.from_mapping({"base": TEACHER, **values})


@pytest.mark.parametrize(
    ("search", "remedy"),
    [("grid", "random with 2 trials per scheme"), ("random", "lower trials to 2, or give the others more")],
)
def test_the_remedy_for_unequal_budgets_is_one(search: str, remedy: str) -> None:
    values: dict[str, object] = {
        "vary": {"weighting": ["equal", "cagrad"], "training.lr": [0.1, 0.2]},
        "per_scheme": {"cagrad": {"c": [0.1, 0.2]}},
    }
    with pytest.raises(ValueError, match=remedy):
        sweep(**values, search=search)
    found = sweep(**values, search="random", trials=2, baselines=False).members()
    assert sorted(member.config.weighting["name"] for member in found) == ["cagrad"] * 2 + ["equal"] * 2


def test_a_draw_does_not_depend_on_the_order_in_which_the_settings_are_written() -> None:
    vary = {"training.lr": [n / 1000 for n in range(1, 21)], "training.l1": [n / 100 for n in range(10)]}
    written = sweep(vary=vary, search="random", trials=5)
    turned = sweep(vary=dict(reversed(vary.items())), search="random", trials=5)
    assert {member.key for member in turned.members()} == {member.key for member in written.members()}


def test_values_in_other_words_are_no_other_values() -> None:
    one = sweep(vary={"weighting": ["equal", {"name": "equal"}, "mgda"], "training.lr": [1, 1.0, 2], "training.seed": [0, 0.0]})
    assert one.vary == {"weighting": ["equal", "mgda"], "training.lr": [1.0, 2], "training.seed": [0.0]}
    assert [member.role for member in one.members()] == ["baseline"] * 2 + ["run"] * 4


@pytest.mark.parametrize("turn", [list, lambda items: list(reversed(items))])
@pytest.mark.parametrize("whole", ["hard_sharing", {"name": "hard_sharing", "width": 8}])
def test_a_whole_part_and_a_knob_of_it_vary_together_in_either_order(turn, whole) -> None:
    vary = dict(turn([("architecture", [whole]), ("architecture.depth", [1, 2])]))
    asked = sweep(vary=vary, baselines=False)
    assert [member.config.architecture["depth"] for member in asked.members()] == [1, 2]
    assert asked == sweep(vary=vary, baselines=False), "expanding it changes nothing of it"
    assert asked.vary["architecture"] == [whole]


def test_a_baseline_is_the_same_run_whatever_is_measured() -> None:
    def baseline(**values: object) -> str:
        asked = Sweep.from_mapping({"base": {**TEACHER, **values}, "vary": {"architecture.depth": [0, 1]}})
        assert [member.role for member in asked.members()] == ["baseline", "run"]
        return asked.members()[0].key

    assert baseline() == baseline(measure={"every": 5}) == baseline(measure={"affinity_every": 7})
    assert baseline() != baseline(training={"steps": 51})
