"""Comparisons that could mislead: foreign runs, numbers that are none, ties, broken rules that are easily overlooked."""

import json
import math
from dataclasses import replace
from itertools import product

import pytest
from scipy import stats

from mtl_core.cli.app import main
from mtl_core.comparing import compare, with_baseline
from mtl_core.comparing.chance import paired, student_outside, student_quantile, wilcoxon
from mtl_core.comparing.named import compare_named
from mtl_core.config import RunConfig
from mtl_core.exchange.foreign import bring_in
from mtl_core.store import Store
from mtl_core.sweeps import Sweep

METRICS = [
    {"name": "r2", "title": "R²", "higher_is_better": True, "unit": ""},
    {"name": "mae", "title": "Error", "higher_is_better": False, "unit": ""},
]


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "runs")) as opened:
        yield opened


def finish(store, run_id, test, device="cpu", *, trained=2.0, **fields):
    """Let a queued run end with these test numbers by task and metric."""
    config = store.claim("somebody", device, run_id).config
    tasks = [
        {"name": task, "title": task.upper(), "metrics": [one for one in METRICS if one["name"] in test[task]]} for task in test
    ]
    spec = {"tasks": tasks, "shared_stages": ["layer"] * config["architecture"].get("depth", 2)}
    steps = config["training"]["steps"]
    fields = {"step": steps, "steps": steps} | fields
    store.change(run_id, "finished", spec=spec, result={"test": test, "best_step": 1, "seconds": trained}, **fields)


def add(store, weighting, seed=0, depth=2, *, test=None, device="cpu", dataset=None, step=50, seconds=2.0, **training):
    """A finished run."""
    architecture = {"name": "hard_sharing", "depth": depth}
    settings = {"seed": seed, "steps": 50, **training}
    config = RunConfig(
        dataset=dataset or {"name": "teacher"}, architecture=architecture, weighting=weighting, training=settings
    )
    run_id = store.enqueue(config)
    finish(store, run_id, test or {"a": {"r2": 0.5}, "b": {"r2": 0.5}}, device, trained=seconds, step=step)
    return run_id


def three(store, weighting, depth=2, **more):
    """Three seeds."""
    for seed in range(3):
        add(store, weighting, seed, depth, **more)


def rules(store):
    return {warned.rule for warned in compare(store.runs()).warnings}


@pytest.mark.parametrize("freedom", [1, 2, 2.5, 3, 4, 9, 10, 30, 101])
def test_students_t_is_that_of_scipy(freedom):
    for t in (0, 0.3, 2, 7, 40):
        assert student_outside(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-9)
    for share in (0.6, 0.9, 0.975, 0.9999):
        assert student_quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=1e-7)


def test_ties_share_their_ranks_and_zeros_are_left_out():
    assert wilcoxon([1, 1, 1, 1, 1, -1]) == pytest.approx(14 / 64)  # ranks alike: a binomial, 2 · (1 + 6) / 64
    assert wilcoxon([0, 0, 1, 2, 3, 4, 5]) is None
    assert wilcoxon([0, 1, 2, 3, 4, 5, 6]) == 2 / 64


def test_pairs_without_scatter_have_a_clear_answer():
    assert paired({0: 2.0, 1: 2.0, 9: 7.0}, {0: 1.0, 1: 1.0, 8: 3.0}).t == 0.0
    assert paired({0: 2.0}, {0: 1.0}).t is None


def test_runs_trained_elsewhere_stand_alone_under_their_names(store, tmp_path):
    for name, last in (("theirs", 0.9), ("others", 0.8)):
        file = tmp_path / f"{name}.csv"
        file.write_text(f"step,split,task,name,value\n1,train,a,loss,1.0\n9,test,a,accuracy,{last}\n")
        bring_in(store, file)
    add(store, "mgda", test={"a": {"r2": 0.5}})
    found = compare(store.runs())
    assert {group.name for group in found.groups} == {"theirs", "others", "mgda, depth 2"}
    assert {group.name: group.depth for group in found.groups}["theirs"] is None
    assert sorted(group.intervals["a", "accuracy"].mean for group in found.groups if group.depth is None) == pytest.approx(
        [0.8, 0.9]
    )
    assert "repeats" not in rules(store)
    assert "elsewhere" in rules(store)
    assert not {"budget", "tuning", "device"} & rules(store)  # of theirs nobody knows


def test_a_run_from_elsewhere_takes_nobodys_rank_front_or_direction_away(store, tmp_path):
    """Named first, with a metric that nobody else has, and one whose direction its name does not tell."""
    file = tmp_path / "theirs.csv"
    file.write_text("step,split,task,name,value\n9,test,a,accuracy,0.9\n9,test,a,brier,0.2\n9,test,b,r2,0.5\n")
    first = bring_in(store, file)
    ours = {scheme: add(store, scheme, test={"a": {"r2": r2}, "b": {"r2": r2}}) for scheme, r2 in (("rlw", 0.5), ("mgda", 0.6))}
    brier = {"name": "brier", "title": "Brier score", "higher_is_better": False, "unit": ""}
    for run_id in ours.values():
        run = store.run(run_id)
        tasks = [task | {"metrics": [*task["metrics"], brier]} for task in run.spec["tasks"]]
        result = run.result | {"test": {task: numbers | {"brier": 0.3} for task, numbers in run.result["test"].items()}}
        store.change(run_id, "finished", spec=run.spec | {"tasks": tasks}, result=result)
    found = compare([store.run(run_id) for run_id in (first, *ours.values())])
    assert [metric.key for metric in found.front_metrics()] == [("a", "r2"), ("b", "r2")]
    assert sorted(found.mean_rank.values()) == [1.25, 1.75]
    assert len(found.front().members) == 1
    told = {metric.key: metric for metric in found.metrics}
    assert not told["a", "brier"].higher_is_better
    assert (told["a", "brier"].title, told["a", "accuracy"].title) == ("Brier score", "Accuracy")


def test_runs_from_elsewhere_alone_are_ranked_among_themselves(store, tmp_path):
    for name, last in (("theirs", 0.9), ("others", 0.8)):
        file = tmp_path / f"{name}.csv"
        file.write_text(f"step,split,task,name,value\n9,test,a,accuracy,{last}\n9,test,b,accuracy,0.5\n")
        bring_in(store, file)
    found = compare(store.runs())
    assert sorted(found.mean_rank.values()) == [1.25, 1.75]
    assert [metric.key for metric in found.front_metrics()] == [("a", "accuracy"), ("b", "accuracy")]


def test_a_front_is_of_two_tasks_even_where_one_lacks_its_headline(store):
    for n, scheme in enumerate(("rlw", "mgda")):
        add(store, scheme, test={"a": {"r2": 0.5 + n, "mae": 1.0}, "b": {"r2": math.nan, "mae": 1.0 + n}})
    assert [metric.key for metric in compare(store.runs()).front_metrics()] == [("a", "r2"), ("b", "mae")]


def test_what_differs_is_in_the_name(store):
    for weighting, lr in (
        ({"name": "fixed", "weights": [0.2, 0.8]}, 0.001),
        ("mgda", 0.1),
        ({"name": "cagrad", "c": 0.3}, 0.001),
    ):
        add(store, weighting, lr=lr)
    names = {group.name for group in compare(store.runs()).groups}
    assert names == {"fixed 0.2 : 0.8, depth 2, lr 0.001", "mgda, depth 2, lr 0.1", "cagrad, c 0.3, depth 2, lr 0.001"}


def test_a_number_that_is_not_finite_does_not_count(store):
    three(store, "equal", 0)
    add(store, "mgda", test={"a": {"r2": math.nan}, "b": {"r2": 0.4}})
    found = compare(store.runs())
    mgda = next(group for group in found.groups if group.scheme == "mgda")
    assert set(mgda.values) == {("b", "r2")}
    assert mgda.id not in found.mean_rank
    assert found.delta_p[mgda.id].mean == pytest.approx(-20)


def test_a_baseline_of_zero_gives_no_change(store):
    add(store, "equal", 0, 0, test={"a": {"r2": 0.0}})
    add(store, "mgda", test={"a": {"r2": 0.5}})
    assert compare(store.runs()).delta_m == {}


def test_each_learning_rate_has_its_own_baseline_unless_one_is_chosen(store):
    ids = [
        add(store, scheme, 0, depth, lr=lr) for scheme, depth, lr in (("equal", 0, 0.1), ("equal", 0, 0.01), ("mgda", 2, 0.1))
    ]
    runs = [store.run(run_id) for run_id in ids]
    found, chosen = compare(runs), compare(runs, baseline=ids[1])
    assert found.baseline_of(found.groups[2]) == found.groups[0]
    assert chosen.baseline_of(chosen.groups[2]) == chosen.groups[1]
    assert with_baseline(chosen, None).baseline_of(chosen.groups[2]) == chosen.groups[0]


def test_front_and_hypervolume_by_hand(store):
    points = {"mgda": (1.0, 0.5), "pcgrad": (0.5, 1.0), "rlw": (0.5, 0.5), "equal": (0.9, 0.4)}
    for scheme, (a, b) in points.items():
        add(store, scheme, test={"a": {"r2": a}, "b": {"r2": b}})
    front = (found := compare(store.runs())).front()
    assert {found.group(member).scheme for member in front.members} == {"mgda", "pcgrad"}
    assert front.reference == (pytest.approx(0.45), pytest.approx(0.34))  # a tenth of the range beyond the worst
    assert front.hypervolume == pytest.approx(0.05 * 0.66 + 0.5 * 0.16)  # columns: .45 … .5 and .5 … 1
    assert front.fixed_hypervolume == pytest.approx(0.45 * 0.06)
    assert compare([run for run in store.runs() if run.config["weighting"]["name"] == "rlw"]).front().members


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("seeds", lambda store: [add(store, "rlw", seed) for seed in range(2)]),
        ("budget", lambda store: three(store, "rlw", batch_size=8)),
        ("budget", lambda store: three(store, "rlw", step=20)),
        ("tuning", lambda store: three(store, {"name": "mgda", "normalize": "loss"})),
        ("data", lambda store: three(store, "rlw", dataset={"name": "teacher", "rho": 0.5})),
        ("data", lambda store: three(store, "rlw", test={"a": {"r2": 0.5}})),
        ("device", lambda store: three(store, "rlw", device="cuda:0")),
        ("time", lambda store: three(store, "rlw", seconds=3.1)),
        ("baseline", lambda store: [add(store, "equal", 0, 0, lr=0.5), add(store, "mgda", 0, 2, lr=0.5)]),
    ],
)
def test_a_broken_rule_is_named(store, rule, more):
    for weighting, depth in (("equal", 0), ("equal", 2), ("mgda", 2)):
        three(store, weighting, depth)
    assert rules(store) == set()
    more(store)
    assert rule in rules(store)


def test_several_fixed_weights_depths_and_early_stopping_break_no_rule(store):
    three(store, "equal", 0, patience=5)
    for first in (0.2, 0.8):
        three(store, {"name": "fixed", "weights": [first, 1 - first]}, patience=5, step=50)
    three(store, "mgda", 1, patience=5)
    three(store, "mgda", 2, patience=5)
    assert rules(store) == set()


def test_runs_that_have_not_begun_are_compared_without_a_fall(store):
    store.enqueue(RunConfig(dataset={"name": "teacher"}))
    found = compare(store.runs())
    assert (found.metrics, found.delta_m, found.mean_rank, found.front()) == ([], {}, {}, None)
    assert [one.rule for one in found.warnings] == ["left out"]


def test_the_command_takes_a_sweep_and_refuses_a_baseline_without_a_test(store, capsys):
    sweep = Sweep.from_yaml("base: {dataset: teacher}\nvary: {weighting: [equal, mgda], training.seed: [0, 1]}")
    sweep_id = store.add_sweep(sweep)
    for member in store.members(sweep_id):
        finish(store, member.run_id, {"a": {"r2": 0.5, "mae": 1.0}})
    assert main(["compare", sweep_id, "--json", "--store", store.url]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {tuple(group["seeds"]) for group in told["groups"]} == {(0, 1)}
    assert all(set(group["metrics"]["a"]) == {"r2", "mae"} for group in told["groups"])
    waiting = store.enqueue(RunConfig(dataset={"name": "teacher"}, training={"lr": 0.5}))
    assert main(["compare", sweep_id, "--baseline", waiting, "--json", "--store", store.url]) == 2
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert "no test result yet" in said.err
    for wrong in ([sweep_id[:-1]], [f"{sweep_id}0", waiting]):
        assert main(["compare", *wrong, "--json", "--store", store.url]) == 2
        said = capsys.readouterr()
        assert (said.out, f"Did you mean the sweep '{sweep_id}'?" in said.err) == ("", True)
    assert main(["compare", sweep_id, "--baseline", sweep_id, "--store", store.url]) == 2
    assert "is a sweep: name a run of it" in capsys.readouterr().err


def test_a_run_of_a_sweep_that_was_thrown_away_does_not_count(store):
    sweep = Sweep.from_yaml("base: {dataset: teacher}\nvary: {training.seed: [0, 1, 2]}\nbaselines: false")
    sweep_id = store.add_sweep(sweep)
    members = [member.run_id for member in store.members(sweep_id)]
    for run_id in members:
        finish(store, run_id, {"a": {"r2": 0.5}})
    store.label(members[1], deleted=True)
    assert compare_named(store, [sweep_id]).groups[0].seeds == [0, 2]
    assert compare_named(store, [sweep_id, members[1]]).groups[0].seeds == [0, 1, 2]  # asked for by name
    store.label(members[1], deleted=False)
    store.label(members[2], archived=True)
    assert compare_named(store, [sweep_id]).groups[0].seeds == [0, 1, 2]


def test_the_command_says_whether_fixed_weights_were_tuned(store, capsys):
    runs = [add(store, "mgda", test={"a": {"r2": 0.7}, "b": {"r2": 0.7}})]
    for n in range(1, 9):
        mix = {"name": "fixed", "weights": [n / 10, 1 - n / 10]}
        runs.append(add(store, mix, test={"a": {"r2": n / 10}, "b": {"r2": 0.9 - n / 10}}))
    assert main(["compare", *runs, "--store", store.url]) == 0
    said = capsys.readouterr().out
    assert "Only 8 mixes of fixed weights make the front." in said
    assert "Beyond it by the means, but perhaps by chance: mgda, depth 2." in said
    runs.append(add(store, {"name": "fixed", "weights": [0.9, 0.1]}))
    assert main(["compare", *runs, "--store", store.url]) == 0
    assert "9 mixes of fixed weights make the front." in capsys.readouterr().out


def test_times_are_not_judged_where_steps_or_devices_differ(store):
    three(store, "equal", 2, seconds=1.0)
    three(store, "mgda", 2, seconds=9.0, device="cuda:0")
    assert "time" not in rules(store)
    three(store, "mgda", 1, seconds=9.0, step=20)
    assert "time" not in rules(store)


def test_a_baseline_with_one_seed_is_said_to_have_no_scatter(store):
    add(store, "equal", 0, 0)
    three(store, "mgda")
    said = [one.sentence for one in compare(store.runs()).warnings if one.rule == "baseline"]
    assert len(said) == 1
    assert "too narrow" in said[0]
    for seed in (1, 2):
        add(store, "equal", seed, 0)
    assert "baseline" not in rules(store)


def test_a_baseline_that_nobody_is_measured_against_is_not_warned_about(store):
    add(store, "equal", 0, 0)
    assert "baseline" not in rules(store)


def test_four_hundred_runs_in_sixty_groups_are_compared_at_once(store):
    one = store.run(add(store, "equal", test={"a": {"r2": 0.5, "mae": 1.0}, "b": {"r2": 0.5, "mae": 1.0}}))
    runs = []
    for n, seed in product(range(60), range(7)):
        weighting, depth = ({"name": "equal"}, 0) if n % 2 else ({"name": "mgda"}, 2)
        training = {**one.config["training"], "seed": seed, "lr": 0.001 * (n // 2 + 1)}
        architecture = {**one.config["architecture"], "depth": depth}
        config = {**one.config, "weighting": weighting, "architecture": architecture, "training": training}
        runs.append(replace(one, id=f"{n} {seed}", config=config))
    found = compare(runs)
    assert len(found.groups) == len(found.delta_m) == len(found.delta_p) == len(found.mean_rank) == 60
    assert len(found.verdicts(found.groups[0])) == 59 * 4
    assert found.warnings
