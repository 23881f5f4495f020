"""Runs whose configs say the same in other words belong together, in lists and in comparisons."""

import pytest

from mtl_core.comparing import compare
from mtl_core.config import RunConfig
from mtl_core.exchange.archive import pack, unpack
from mtl_core.jobs import run_here
from mtl_core.plan import check, lean
from mtl_core.store import Store

SHORT = {"training.steps": 4, "training.batch_size": 16}
IN_WORDS = [
    'dataset={"name": "teacher", "n_tasks": 2}',
    "tasks=[a,b]",
    'architecture={"name": "hard_sharing", "trunk": "mlp", "depth": 2}',
    'weighting={"name": "cagrad", "c": 0.4}',
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two seeds of cagrad and its baseline, each once in few words and once with defaults spelled out."""
    with Store.open(str(tmp_path_factory.mktemp("store"))) as opened:
        for seed, words in enumerate(([], IN_WORDS)):
            few = RunConfig(dataset="teacher", weighting="cagrad").with_overrides(
                [f"{key}={value}" for key, value in SHORT.items()]
            )
            config = few.with_overrides([*words, f"training.seed={seed}"])
            assert run_here(opened, config).state == "finished"
            alone = config.with_overrides(["weighting=equal", "architecture.depth=0"])
            assert run_here(opened, alone).state == "finished"
        yield opened


def test_seeds_are_taken_together_whatever_their_configs_spell_out(store):
    found = compare(store.runs()[::-1])
    assert sorted((group.scheme, group.depth, group.seeds) for group in found.groups) == [
        ("cagrad", 2, [0, 1]),
        ("equal", 0, [0, 1]),
    ]
    cagrad = next(group for group in found.groups if group.scheme == "cagrad")
    assert cagrad.id in found.delta_m
    assert "tasks" not in found.varied
    assert not [warned for warned in found.warnings if warned.rule in ("data", "tuning", "baseline", "settings")]


def test_the_list_has_the_same_groups(store):
    listed = {run.id: run.group for run in store.listing()}
    for group in compare(store.runs()).groups:
        assert {listed[run.id] for run in group.runs} == {group.id}


def test_a_run_that_waits_belongs_to_those_with_its_config(tmp_path):
    spelled_out = RunConfig(dataset="teacher").with_overrides([f"{key}={value}" for key, value in SHORT.items()])
    spelled_out = spelled_out.with_overrides(["architecture.depth=2"])  # all of them, as it would be anyway
    with Store.open(str(tmp_path)) as store:
        waiting = store.enqueue(spelled_out.with_overrides(["training.seed=0", "training.device=cpu"]))
        begun = run_here(store, spelled_out.with_overrides(["training.seed=1"]))
        also = store.enqueue(spelled_out.with_overrides(["training.seed=2"]))
        old = store.enqueue(spelled_out.with_overrides(["training.seed=3"]))  # from before few words were kept
        store.claim("w", "cpu", old)
        store.change(old, "running", spec={key: value for key, value in begun.spec.items() if key != "lean"})
        other = store.enqueue(spelled_out.with_overrides(["architecture.depth=1"]))
        for order in (1, -1):
            found = compare(store.runs()[::order])
            assert {frozenset(run.id for run in group.runs) for group in found.groups} == {
                frozenset([waiting, begun.id, also, old]),
                frozenset([other]),
            }
            assert [group.name for group in found.groups if len(group.runs) == 4] == ["equal, depth 2"]
        listed = {run.id: run.group for run in store.listing()}
        assert {run.id: group.id for group in found.groups for run in group.runs} == listed


def test_an_archive_keeps_them_together(store, tmp_path):
    group = compare(store.runs()).groups[0]
    with Store.open(str(tmp_path / "elsewhere")) as there:
        for run in group.runs:
            unpack(there, pack(store, run.id, tmp_path / f"{run.id}.mtlrun"))
        assert [one.id for one in compare(there.runs()).groups] == [group.id]


@pytest.mark.parametrize(
    "words", ["dataset.size=32", "architecture.trunk=conv", "architecture.layers=4", "architecture.depth=4"]
)
def test_a_default_that_is_spelled_out_is_left_out(words):
    short = RunConfig(dataset="digit_scenes")
    said = short.with_overrides([words])
    assert said != short
    assert lean(said) == lean(short)
    assert check(lean(said)).report() == check(said).report()


@pytest.mark.parametrize(
    "words", ["dataset.size=48", "architecture.trunk=resnet18", "architecture.layers=3", "architecture.depth=3"]
)
def test_a_choice_of_ones_own_stays(words):
    said = RunConfig(dataset="digit_scenes").with_overrides([words])
    part, knob = words.partition("=")[0].split(".")
    assert str(lean(said).to_mapping()[part][knob]) == words.partition("=")[2]
