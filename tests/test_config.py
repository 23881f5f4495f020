"""Configs survive YAML, JSON and overrides, and whatever text arrives, only a ValueError in a sentence leaves."""

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.config import MAX_YAML_BYTES, RunConfig, load_yaml

FULL = """
name: my first run
dataset: {name: digit_scenes, size: 32}
tasks: [digit, box]
architecture: {name: hard_sharing, trunk: conv, depth: 3}
weighting: {name: cagrad, c: 0.4}
training: {steps: 600, batch_size: 64, optimizer: adam, lr: 0.002, weight_decay: 0.0, seed: 0, device: auto}
measure: {every: 10}
"""


def test_reads_the_documented_config():
    config = RunConfig.from_yaml(FULL)
    assert config.training.steps == 600
    assert config.measure.every == 10
    assert config.architecture == {"name": "hard_sharing", "trunk": "conv", "depth": 3}


def test_round_trips_through_yaml_and_json():
    config = RunConfig.from_yaml(FULL)
    assert RunConfig.from_yaml(config.to_yaml()) == config
    assert RunConfig.from_yaml(json.dumps(config.to_mapping())) == config
    assert RunConfig.from_mapping(config.to_mapping()) == config


@given(
    name=st.text(max_size=40),
    lr=st.floats(min_value=1e-9, max_value=100),
    seed=st.integers(0, 2**31 - 1),
    tasks=st.none() | st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=4, unique=True),
    knob=st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.text(max_size=10),
)
def test_any_valid_config_survives_yaml(name, lr, seed, tasks, knob):
    mapping = {"name": name, "weighting": {"name": "x", "knob": knob}, "training": {"lr": lr, "seed": seed}, "tasks": tasks}
    config = RunConfig.from_mapping(mapping)
    assert RunConfig.from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize(
    "name", ["on", "1e3", "0x10", "null", "~", "2001-01-01", "a: b", "- x", "1:30", "née", "", " lead", "#c"]
)
def test_names_that_look_like_something_else_stay_text(name):
    assert RunConfig.from_yaml(RunConfig(name=name).to_yaml()).name == name


def test_exponents_without_a_point_are_numbers():
    assert RunConfig.from_yaml("training: {lr: 1e-3}").training.lr == 0.001


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["training.lr=0.1"], {"training": {"lr": 0.1}}),
        (["tasks=[digit]"], {"tasks": ["digit"]}),
        (["weighting.c=0.2"], {"weighting": {"name": "cagrad", "c": 0.2}}),
        (["measure.every=auto", "measure.every=5"], {"measure": {"every": 5}}),
        (["name=a = b"], {"name": "a = b"}),
    ],
)
def test_overrides_change_what_they_name(pairs, expected):
    changed = RunConfig.from_yaml(FULL).with_overrides(pairs).to_mapping()
    for key, value in expected.items():
        assert changed[key] == value if not isinstance(value, dict) else value.items() <= changed[key].items()


def test_another_variant_loses_the_old_knobs():
    config = RunConfig.from_yaml(FULL).with_overrides(["weighting.name=mgda", "weighting.scale=sum"])
    assert config.weighting == {"name": "mgda", "scale": "sum"}


@pytest.mark.parametrize(
    "pair", ["", "=", "lr", ".lr=1", "training.=1", "training..lr=1", "training.lr.x=1", "training=3", "name.x=1"]
)
def test_broken_overrides_are_refused(pair):
    with pytest.raises(ValueError, match=r"\w+"):
        RunConfig().with_overrides([pair])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("traning: {steps: 5}", "'training'"),
        ("training: {step: 5}", "'steps'"),
        ("measure: {evry: 5}", "'every'"),
        ("1: 2", "'1'"),
        ("training: {steps: 0}", "training.steps"),
        ("training: {steps: 1.5}", "training.steps"),
        ("training: {steps: .inf}", "training.steps"),
        ("training: {lr: .nan}", "finite"),
        ("training: {lr: .inf}", "training.lr"),
        ("training: {lr: -1}", "greater than 0"),
        ("training: {lr: fast}", "training.lr"),
        ("training: {optimizer: adm}", "'adam'"),
        ("training: {device: 'tpu; rm -rf'}", "device"),
        ("training: {steps: 10, warmup: 11}", "longer than the run"),
        ("training: {validate_every: 0}", "at least 1"),
        ("training: 7", "training"),
        ("measure: {every: -1}", "measure"),
        ("measure: {every: sometimes}", "measure"),
        ("tasks: []", "at least one"),
        ("tasks: [a, a]", "twice"),
        ("tasks: digit", "tasks"),
        ("tasks: {digit: 1}", "tasks"),
        ("dataset: 7", "needs a name"),
        ("dataset: {size: 32}", "needs a name"),
        ("dataset: {name: 3}", "needs a name"),
        ("dataset: null", "needs a name"),
        (f"name: {'x' * 81}", "80"),
        ("name: {a: 1}", "name"),
        ("", "empty"),
        ("name: a\nname: b", "'name' stands there twice"),
        ("weighting: {name: cagrad, c: 0.1, c: 0.2}", "'c' stands there twice"),
        ("training: {device: tpu}", "choose auto, cpu, cuda"),
        ("measure: {every: fast}", "measure.every: "),
        ("- a\n- b", "mapping"),
        ("hello", "mapping"),
        ("42", "mapping"),
        ("a: [1, 2", "line"),
        ("a: b: c", "line 1"),
        ("name: x\n\tname: y", "line 2"),
        ("a: !!python/object/apply:os.system ['true']", "line 1"),
        ("!!python/name:os.system ''", "line 1"),
        ("a: !custom 1", "line 1"),
        ("? [1, 2]\n: 3", "line 1"),
        ("a: 1\n---\nb: 2", "line"),
        ("x: &a [1]\ny: *a", "alias"),
        ("x: &a {b: 1}\ny: {<<: *a}", "alias"),
        ("x: &a [*a]", "alias"),
        ("a: 2001-99-99", "config"),
        ("a: 2001-01-01 00:00:00 +99:99", "config"),
        ("a: !!bool maybe", "tag"),
        ("a: !!timestamp never", "tag"),
        ("a: !!int ''", "tag"),
        ("a: !!binary Zm9v", "tag"),
        ("a: " + "9" * 5000, "config"),
        ("a: !!int abc", "config"),
        (b"\xff\xfe\x00\x01\x02", "config"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "config"),
        (b"name: \xc3\x28", "config"),
        ("name: \x00", "config"),
        ("name: \ud800", "config"),
    ],
)
def test_bad_text_ends_in_one_sentence(text, says):
    with pytest.raises(ValueError, match=r"\w+ \w+") as caught:
        RunConfig.from_yaml(text)
    assert type(caught.value) is ValueError
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "x" * MAX_YAML_BYTES,
        "[" * 30_000,
        "{a: " * 15_000,
        "- " * 30_000,
        "[" * 9 + "]" * 9,
        "\n".join(" " * n + "a:" for n in range(300)),
        "a: &x0 [1]\n" + "\n".join(f"b{n}: &x{n + 1} [*x{n},*x{n},*x{n},*x{n}]" for n in range(30)),
    ],
    ids=["long", "lists", "mappings", "dashes", "nine", "indents", "bomb"],
)
def test_a_bomb_fizzles_soon(text):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"config|YAML"):
        RunConfig.from_yaml(text)
    assert time.perf_counter() - start < 5


@given(st.binary(max_size=200) | st.text(max_size=200) | st.text("[]{}:,&*!|>?-# \n'\"ab1.e~<%@`", max_size=60))
def test_no_text_raises_anything_but_a_value_error(text):
    try:
        config = RunConfig.from_yaml(text)
    except ValueError:
        return
    assert RunConfig.from_yaml(config.to_yaml()) == config


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(RunConfig.model_fields)), JSON, max_size=4))
def test_no_mapping_raises_anything_but_a_value_error(mapping):
    try:
        config = RunConfig.from_mapping(mapping)
    except ValueError:
        return
    assert RunConfig.from_mapping(config.to_mapping()) == config


def test_a_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().name = "other"


def test_yaml_values_are_plain():
    values = load_yaml("a: 1\nb: [x, 2.5, true, null]")
    assert values == {"a": 1, "b": ["x", 2.5, True, None]}
    assert yaml.safe_load(RunConfig().to_yaml())["dataset"] == {"name": "digit_scenes"}


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["dataset.name=digits_scene"], "'digit_scenes'"),
        (["dataset.size=33"], "size"),
        (["dataset.syze=32"], "'size'"),
        (["tasks=[digit, bocks]"], "'box'"),
        (["tasks=[left]"], "no task of digit_scenes"),
        (["architecture.name=soft_sharing"], "'hard_sharing'"),
        (["architecture.depth=99"], "depth"),
        (["architecture.depth=-1"], "depth"),
        (["architecture.depth=2.5"], "depth"),
        (["architecture.trunk=resnet"], "'resnet18'"),
        (["weighting.name=cagrad", "weighting.c=-1"], "greater than or equal to 0"),
        (["weighting.name=cagrad", "weighting.c=.nan"], "finite"),
        (["weighting.name=cagrad", "weighting.d=1"], "no knob of weighting cagrad"),
        (["weighting.name=fixed", "weighting.weights=[1, 2, 3]"], "one weight per task"),
        (["weighting.name=fixed", "weighting.weights=[-1, 2]"], "the weight of"),
        (["weighting.name=fixed", "weighting.weights=[0, 0]"], "every weight is 0"),
        (["weighting.name=fixed", "weighting.weights=[.inf, 1]"], "weights"),
        (["training.order=alternating", "weighting.name=mgda"], "choose order joint"),
        (["dataset.name=teacher", "architecture.trunk=conv"], "conv"),
        (["dataset.name=teacher", "architecture.trunk=resnet18"], "resnet18"),
        (["dataset.name=teacher", "dataset.target_scale=[1, 2, 3]"], "target_scale"),
        (["dataset.name=teacher", "dataset.labels=[99999]"], "labels"),
    ],
)
def test_choices_that_do_not_fit_are_told_before_anything_is_loaded(pairs, says):
    from mtl_core.plan import check

    config = RunConfig().with_overrides(pairs)
    with pytest.raises(ValueError, match=r"\w+ \w+") as caught:
        check(config)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_depth_reaches_from_nothing_shared_to_everything():
    from mtl_core.plan import check

    n_stages = len(check(RunConfig()).report().stages)
    shared = []
    for depth in range(n_stages + 1):
        report = check(RunConfig().with_overrides([f"architecture.depth={depth}"])).report()
        shared.append(report.n_shared)
        assert sum(stage.is_shared for stage in report.stages) == depth
    assert shared[0] == 0
    assert shared == sorted(shared)
    with pytest.raises(ValueError, match=rf"depth must lie in 0\.\.{n_stages}, got {n_stages + 1}"):
        check(RunConfig().with_overrides([f"architecture.depth={n_stages + 1}"]))
