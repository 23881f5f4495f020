"""Sweeps on the pages: the form with good and nasty lists, links and files, the start, and the card while it goes on."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.identity import identify
from mtl_core.jobs.revival import AGAIN
from mtl_core.plan import check as check_config
from mtl_core.store import Store
from mtl_core.sweeps import MOST_RUNS, Sweep
from mtl_core.ui.sweeps import card as sweep_card
from mtl_core.ui.sweeps import links as sweep_links
from mtl_core.ui.sweeps import schemes as sweep_schemes
from mtl_core.ui.sweeps import settings as sweep_settings
from mtl_core.ui.sweeps import values as sweep_values

ROOT = Path(__file__).resolve().parents[1]
TEACHER = {"dataset": "teacher", "training.steps": "60", "training.batch_size": "16"}
FORM = {**TEACHER, "mode": "sweep"}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The store of the pages, whose supervisor's place is taken by this test, so that nothing is started."""
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    with Store.open(str(tmp_path)) as opened:
        lock = Desk.of(opened).try_lock()
        Desk.of(opened).sign(lock, identity=identify())
        yield opened
        os.close(lock)


def visit(page: str, **params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page(f"pages/{page}.py")
    for key, value in params.items():
        app.query_params[key] = value
    return ran(app.run())


def ran(app: AppTest) -> AppTest:
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def widget(app: AppTest, kind: str, ending: str):
    found = [each for each in app.get(kind) if str(each.key or "").endswith(ending)]
    assert found, f"no {kind} with a key ending in {ending}"
    return found[0]


def click(app: AppTest, label: str) -> AppTest:
    (button,) = [each for each in app.button if each.label == label]
    return ran(button.click().run())


def html(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def said(app: AppTest) -> str:
    """All slips and boxes."""
    slips = re.findall(r'mtl-slip">(.*?)</p>', html(app))
    return " ".join([*slips, *(box.value for box in [*app.error, *app.warning])]).replace("\\", "").replace("&#x27;", "'")


def draft(app: AppTest):
    return app.session_state["train.draft"]


def params(app: AppTest) -> dict[str, str]:
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


# Lists as people type them

_leaf = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
_leaf |= st.text(max_size=12).filter(lambda text: not re.fullmatch(r"-?\d+\.\.-?\d+", text))
_value = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5
)


@given(st.lists(_value, max_size=6))
def test_any_list_of_values_survives_a_line_of_text(values):
    again = sweep_values.read(sweep_values.write(values))
    assert again == values
    assert [type(one) for one in again] == [type(one) for one in values]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("1,,2", "one comma between two"),
        (",", "one comma"),
        ("[1", "no list of values"),
        ("1]\n,[2", "no list of values"),
        ("{", "no list of values"),
        ("!x 1", "no list of values"),
        ("*a", "no list of values"),
        (", ".join(map(str, range(10_000))), "at most 10,000 are read"),
        (",".join("1" * 2_000), "more than 1,000 values"),
        ("0..999999999", "no range of at most 1,000"),
        ("0..1000000000", "no range of at most 1,000"),
        ("5..1", "write the smaller one first"),
        ("[" * 60, "no list of values"),
    ],
)
def test_a_list_that_is_none_is_a_sentence(text, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        sweep_values.read(text)


# Links

_names = st.sampled_from(
    ["training.lr", "training.seed", "architecture.depth", "weighting", "dataset.rho", "tasks", "a b.c=&d"]
)
_each_once = st.lists(_value, min_size=1, max_size=5, unique_by=sweep_values.one)
_sweeps = st.builds(
    Sweep,
    name=st.text(max_size=80),
    vary=st.dictionaries(_names, _each_once, max_size=4),
    per_scheme=st.dictionaries(
        st.sampled_from(["cagrad", "mgda"]), st.dictionaries(st.sampled_from(["c", "k.x"]), _each_once, min_size=1, max_size=2)
    ),
    search=st.sampled_from(["grid", "random"]),
    trials=st.integers(1, 1000),
    seed=st.integers(0, 2**31 - 1),
    baselines=st.booleans(),
)


@given(_sweeps)
def test_any_sweep_survives_its_link(sweep):
    link = sweep_links.to_params(sweep)
    again, slips, rest = sweep_links.from_params({**link, "weighting": "mgda"})
    assert slips == []
    assert rest == {"weighting": "mgda"}
    assert again == sweep


def test_any_sweep_survives_its_yaml():
    sweep = Sweep.from_mapping(
        {
            "name": "ünï: *x* #1",
            "base": {"dataset": {"name": "teacher"}},
            "vary": {"weighting": ["equal", {"name": "cagrad", "c": 1e-05}], "training.lr": [1e-05, 0.1], "training.seed": [3]},
            "search": "random",
            "trials": 1,
            "baselines": False,
        }
    )
    assert Sweep.from_yaml(sweep.to_yaml()) == sweep


@pytest.mark.parametrize(
    "link",
    [
        {"mode": "sweeep"},
        {"mode": "sweep", "search": "bayes"},
        {"mode": "sweep", "trials": "0"},
        {"mode": "sweep", "trials": "1e999"},
        {"mode": "sweep", "draw": "[1"},
        {"mode": "sweep", "baselines": "perhaps"},
        {"vary.training.lr": "1,,2"},
        {"vary.training.lr": ""},
        {"vary.training.lr": "abc"},
        {"vary.training.lr": "-0.1"},
        {"vary.training.lr": "0.1,nan"},
        {"vary.training.lrr": "0.1"},
        {"vary.training.lr.x": "0.1"},
        {"vary.training.seed": "0..99999999"},
        {"vary.training.seed": "x"},
        {"vary.": "1"},
        {"vary.weighting": "pcgard"},
        {"vary.weighting": "3, {c: 1}, [equal], null"},
        {"vary.weighting": "{name: [1]}"},
        {"vary.weighting": "{name: cagrad, c: -1}"},
        {"vary.architecture.depth": "9, -1, x"},
        {"vary.dataset.rho": "2"},
        {"vary.<script>": "<b>"},
        {"per.cagrad.c": "0.1"},
        {"per.cagrad": "0.1"},
        {"per..": "0.1"},
        {f"vary.k{n}": "1" for n in range(70)},
        {"vary.training.steps": "10, 20", "vary.training.warmup": "15"},
        {"dataset": "digit_scenes", "vary.weighting.weights": "[0.1, 0.9]"},
    ],
    ids=lambda link: str(link)[:60],
)
def test_a_hostile_link_gives_sentences_and_a_form_that_works(link, store):
    app = visit("train", **{**TEACHER, **link})
    assert said(app)
    assert app.button(key="start" if link == {"mode": "sweeep"} or len(link) > 60 else "start-sweep")
    ran(app.run())
    assert store.runs() == []


def test_a_link_restores_the_whole_form(store):
    link = {
        **FORM,
        "weighting": "cagrad",
        "weighting.c": "0.3",
        "sweep": "a <b>name</b>",
        "vary.weighting": "equal, {name: cagrad, c: 0.3}",
        "vary.architecture.depth": "1, 2",
        "vary.training.lr": "0.001, 0.01",
        "vary.training.seed": "0..2",
        "vary.training.optimizer": "adam, sgd",
        "vary.dataset.target_scale": "[1, 1], [1, 10]",
        "per.cagrad.on": "parameters, representation",
        "search": "random",
        "trials": "2",
        "baselines": "false",
    }
    app = visit("train", **link)
    assert not said(app)
    assert {key: text.replace("1.0", "1").replace("10.0", "10") for key, text in params(app).items()} == link
    before = draft(app).sweep
    ran(app.run())
    assert draft(app).sweep == before
    assert not app.button(key="start-sweep").disabled
    assert "<b>12</b>" in html(app), "2 schemes × 2 trials × 3 seeds"


# The form


def test_one_run_or_a_sweep_and_back_loses_nothing(store):
    app = visit("train", **TEACHER)
    assert app.button(key="start")
    way = widget(app, "button_group", ".way")
    ran(way.set_value("Sweep").run())
    assert params(app)["mode"] == "sweep"
    assert params(app)["vary.training.seed"] == "0..2", "one seed tells nothing about chance"
    ran(widget(app, "text_input", ".sweep.lr").set_value("0.1, 0.01").run())
    assert draft(app).sweep.vary["training.lr"] == [0.1, 0.01]
    ran(widget(app, "button_group", ".way").set_value("One run").run())
    assert params(app) == TEACHER
    ran(widget(app, "button_group", ".way").set_value("Sweep").run())
    assert params(app)["vary.training.lr"] == "0.1, 0.01"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("1,,2", "one comma between two"),
        ("abc", "Learning rate cannot be abc: input should be a valid number"),
        ("0.1, -0.1", "Learning rate cannot be -0.1: input should be greater than 0"),
        ("0.1, .inf", "Learning rate cannot be inf"),
        ("0.1, 101", "less than or equal to 100"),
        ("0.1 0.2", "Learning rate cannot be"),
        (", ".join(map(str, range(1, 10_001))), "at most 10,000 are read"),
        ("<script>alert(1)</script>", "Learning rate cannot be"),
        ("{a: 1}", "Learning rate cannot be"),
    ],
)
def test_a_nasty_list_is_a_sentence_and_the_start_is_shut(text, part, store):
    app = visit("train", **FORM, **{"vary.training.lr": "0.5"})
    ran(widget(app, "text_input", ".sweep.lr").set_value(text).run())
    assert part in said(app)
    assert "<script>" not in html(app)
    assert app.button(key="start-sweep").disabled
    assert draft(app).sweep.vary["training.lr"] == [0.5], "the last good list is kept"
    ran(widget(app, "text_input", ".sweep.lr").set_value("0.25").run())
    assert not said(app)
    assert not app.button(key="start-sweep").disabled
    assert params(app)["vary.training.lr"] == "0.25"


def test_what_is_typed_twice_counts_once(store):
    app = visit("train", **FORM)
    ran(widget(app, "text_input", ".sweep.lr").set_value("0.1, 0.10, 1e-1, 0.2").run())
    assert draft(app).sweep.vary["training.lr"] == [0.1, 0.2]
    assert "counts once" in html(app)
    assert not app.button(key="start-sweep").disabled


def test_seeds_by_number_and_by_name(store):
    app = visit("train", **FORM)
    ran(widget(app, "number_input", ".n_seeds").set_value(5).run())
    assert draft(app).sweep.vary["training.seed"] == [0, 1, 2, 3, 4]
    ran(widget(app, "toggle", ".named").set_value(True).run())
    seeds = widget(app, "text_input", ".seeds")
    assert seeds.value == "0..4"
    ran(seeds.set_value("7, 11..13").run())
    assert draft(app).sweep.vary["training.seed"] == [7, 11, 12, 13]
    ran(widget(app, "text_input", ".seeds").set_value("-1").run())
    assert "Seed cannot be -1" in said(app)
    ran(widget(app, "text_input", ".seeds").set_value("").run())
    assert "Name at least one seed" in said(app)
    assert app.button(key="start-sweep").disabled


def test_any_knob_can_be_added_and_taken_out(store):
    app = visit("train", **FORM)
    ran(widget(app, "selectbox", ".sweep.add.0").set_value("vary.dataset.rho").run())
    assert "Type at least one value" in html(app)
    assert app.button(key="start-sweep").disabled
    ran(widget(app, "text_input", ".vary.dataset.rho").set_value("0, 0.5, 3").run())
    assert "Relatedness ρ cannot be 3" in said(app)
    ran(widget(app, "text_input", ".vary.dataset.rho").set_value("0, 0.5").run())
    ran(widget(app, "selectbox", ".sweep.add.1").set_value("vary.training.optimizer").run())
    ran(widget(app, "button_group", ".vary.training.optimizer").set_value(["adam", "sgd"]).run())
    assert draft(app).sweep.vary == {
        "training.seed": [0, 1, 2],
        "dataset.rho": [0.0, 0.5],
        "training.optimizer": ["adam", "sgd"],
    }
    assert "<b>24</b>" in html(app), "2 × 2 × 3 runs, and as many baselines"
    ran(widget(app, "button", ".vary.dataset.rho.remove").click().run())
    assert "dataset.rho" not in draft(app).sweep.vary
    assert "vary.dataset.rho" not in params(app)


def test_a_knob_of_one_scheme_asks_for_equal_budgets(store):
    app = visit("train", **FORM, **{"vary.weighting": "equal, cagrad"})
    ran(widget(app, "selectbox", ".sweep.add.0").set_value("per.cagrad.c").run())
    ran(widget(app, "text_input", ".per.cagrad.c").set_value("0.2, 0.4").run())
    assert "unequal budgets (equal 1, cagrad 2 combinations)" in said(app)
    assert "random with 1 trial per scheme" in said(app)
    assert app.button(key="start-sweep").disabled
    ran(widget(app, "button_group", ".sweep.search").set_value("random").run())
    assert "lower trials to 1" in said(app)
    ran(widget(app, "number_input", ".sweep.trials").set_value(1).run())
    assert not said(app)
    assert "<b>3</b>" in html(app), "two runs and a baseline"


def test_a_front_of_fixed_weights_by_a_button(store):
    app = visit("train", **FORM)
    click(app, "Add a front of 9 mixes")
    chosen = draft(app).sweep.vary["weighting"]
    assert chosen[0] == "equal", "the scheme of the form stays beside it"
    assert [one["weights"] for one in chosen[1:]] == [[n / 10, round(1 - n / 10, 1)] for n in range(1, 10)]
    assert "<b>33</b>" in html(app), "10 × 3 runs and 3 baselines"
    click(app, "Add a front of 11 mixes")
    assert len(draft(app).sweep.vary["weighting"]) == 12, "in place of the smaller one"
    assert sweep_schemes.tokens(draft(app).sweep.vary["weighting"]) == ["equal", "front of 11"]
    assert not said(app)
    app = visit("train", **{**FORM, "dataset.n_tasks": "3"})
    assert not [button for button in app.button if "front" in button.label]


def test_too_many_runs_is_a_sentence(store):
    app = visit("train", **FORM, **{"vary.training.seed": "0..999", "vary.training.lr": ",".join(map(str, range(1, 12)))})
    assert f"more than {MOST_RUNS:,} runs" in said(app)
    assert app.button(key="start-sweep").disabled


def test_what_is_too_long_for_a_link_is_said(store):
    app = visit("train", **FORM)
    ran(widget(app, "toggle", ".named").set_value(True).run())
    seeds = list(range(0, 1998, 2))
    ran(widget(app, "text_input", ".seeds").set_value(", ".join(map(str, seeds))).run())
    assert draft(app).sweep.vary["training.seed"] == seeds
    assert "too long for a link" in html(app)
    assert params(app) == FORM
    ran(app.run())
    assert draft(app).sweep.vary["training.seed"] == seeds, "the form keeps it"


@pytest.mark.parametrize("dataset", ["digit_scenes", "multi_digits", "teacher"])
def test_every_setting_that_is_offered_takes_what_it_has(dataset):
    config = RunConfig.from_mapping({"dataset": {"name": dataset}, "weighting": {"name": "cagrad"}})
    sweep = Sweep(vary={"weighting": ["cagrad", "fixed", "famo"]})
    known = sweep_settings.offered(config, sweep)
    assert {"per.cagrad.c", "per.famo.gamma", "vary.weighting.scale", "vary.architecture.width", "vary.tasks"} <= known.keys()
    assert "per.cagrad.scale" not in known
    for row, setting in known.items():
        assert not sweep_settings.stranger(row, known)
        assert setting.label.count(" · ") == 1
        if setting.choices:
            assert sweep_settings.check(setting, setting.choices) == list(setting.choices)
        elif setting.model is not None:
            with pytest.raises(ValueError, match=re.escape(f"{setting.title} cannot be")):
                sweep_settings.check(setting, [{"a": object}])


# Files


def test_a_file_fills_the_form_and_a_bad_one_changes_nothing(store):
    app = visit("train", **FORM, **{"vary.training.lr": "0.5"})
    before = draft(app).sweep, draft(app).config
    for bad, part in (
        (b"vary: {training.lr: 0.1}", "needs a list of values"),
        (b"vary: {training.lr: []}", "needs a list"),
        (b"varry: {}", "No key of config is called"),
        (b"vary: {weighting: [mgdaa]}", "Did you mean 'mgda'"),
        (b"vary: {}\nbase: {weighting: nope}", "weighting is called"),
        (b"per_scheme: {cagrad: 3}", "needs schemes with knobs"),
        (b"vary: {a: [", "no YAML"),
        (b"vary: [1]", "needs settings with lists"),
        (b"vary: {training.seed: [%s]}" % b",".join(b"%d" % n for n in range(6000)), "more than 5,000 runs"),
    ):
        app.file_uploader[0].upload("bad.yaml", bad, "application/yaml").run()
        assert part in said(ran(app)), bad[:40]
        assert "the form is as it was" in said(app)
        assert (draft(app).sweep, draft(app).config) == before
    sweep = Sweep.from_mapping(
        {
            "name": "from a file",
            "base": {"dataset": {"name": "teacher", "rho": 0.5}, "training": {"steps": 77}},
            "vary": {"weighting": ["mgda", "equal"], "training.l1": [0, 0.1], "training.seed": [4, 9]},
        }
    )
    app.file_uploader[0].upload("good.yaml", sweep.to_yaml().encode(), "application/yaml").run()
    ran(app)
    assert not said(app)
    assert draft(app).config.dataset == {"name": "teacher", "rho": 0.5}
    assert draft(app).config.training.steps == 77
    kept = draft(app).sweep
    assert (kept.name, {**kept.vary, "training.l1": [0, 0.1]}) == (sweep.name, sweep.vary)
    (text,) = [block.value for block in app.code if "vary:" in block.value]
    assert {member.key for member in Sweep.from_yaml(text).members()} == {member.key for member in sweep.members()}
    app.file_uploader[0].upload("run.yaml", b"dataset: teacher", "application/yaml").run()
    assert app.button(key="start")


# The start


def test_however_often_it_is_pressed_it_is_one_sweep(store):
    link = {**FORM, "vary.weighting": "equal, mgda", "vary.training.seed": "0, 1", "sweep": "twice"}
    for _ in range(2):
        app = visit("train", **link)
        app.button(key="start-sweep").click().run()
        ran(app)
    (sweep,) = store.sweeps()
    assert sweep.name == "twice"
    assert [member.role for member in store.members(sweep.id)] == ["baseline"] * 2 + ["run"] * 4
    assert params(app)["runs"] == sweep.id
    assert len(store.runs()) == 6
    app = visit("train", **link)
    assert "all are here already" in html(app)
    app = visit("train", **{**link, "vary.training.seed": "0..2"})
    assert "3 new; 6 are here already" in html(app)


def test_depth_0_of_equal_weights_counts_although_it_is_the_baseline(store):
    app = visit(
        "train", **{**FORM, "vary.weighting": "equal, mgda", "vary.architecture.depth": "0, 1", "vary.training.seed": "0"}
    )
    shown = html(app)
    assert "<b>2 runs</b><small>Equal weights, MGDA</small>" in shown
    assert "1 run: separate networks" in shown


def test_a_demonstration_says_that_nothing_can_be_started(store, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    app = visit("train", **FORM)
    assert "demonstration" in said(app)
    assert app.button(key="start-sweep").disabled
    assert store.sweeps() == []


def test_a_class_hears_how_many_fit_before_the_start(store, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    app = visit("train", **FORM)
    assert (
        "these are 6 runs more, you have 0 waiting or running, and 3 are allowed here: ask for at most 3" in said(app).lower()
    )
    assert app.button(key="start-sweep").disabled
    app = visit("train", **{**FORM, "vary.training.seed": "0"})
    assert not said(app)
    assert not app.button(key="start-sweep").disabled


# The card


def hand_in(store: Store, *, name: str = "of schemes", owner: str = "", **vary: list) -> str:
    values = {
        "weighting": ["equal", "mgda"],
        "training.seed": [0, 1],
        **{key.replace("_", "."): each for key, each in vary.items()},
    }
    base = {"dataset": {"name": "teacher"}, "training": {"steps": 60, "device": "cpu"}}
    return jobs.submit_sweep(store, Sweep.from_mapping({"name": name, "base": base, "vary": values}), owner=owner)


def claim(store: Store) -> str:
    return store.claim(identify(), "cpu").id


def test_the_card_tells_states_in_words_and_failures_with_their_reason(store):
    sweep_id = hand_in(store, name="a *b* <i>c</i>")
    for state in ("finished", "diverged"):
        store.change(claim(store), state, f"it {state}", seconds=2.0, step=60)
    failed = claim(store)
    store.change(failed, "failed", "no memory")
    store.requeue(failed, AGAIN + "no memory")
    store.claim(identify(), "cpu", failed)
    store.change(failed, "failed", "no <memory> left")
    running = claim(store)
    app = visit("compare", runs=sweep_id)
    shown = html(app)
    assert "a *b* &lt;i&gt;c&lt;/i&gt;" in shown
    assert 'aria-label="1 finished, 1 running, 2 queued, 1 diverged, 1 failed"' in shown
    assert "failed twice" in shown
    assert "No &lt;memory&gt; left." in shown
    assert "<b>3 of 6</b>" in shown
    links = {link.proto.query_string for link in app.get("page_link") if "run=" in link.proto.query_string}
    assert {f"run={failed}", f"run={running}"} <= links


def test_its_buttons_act_on_all_runs_at_once(store):
    sweep_id = hand_in(store)
    run_id = claim(store)
    app = visit("compare", runs=sweep_id)
    click(app, "Pause")
    assert store.sweep(sweep_id).state == "paused"
    assert store.run(run_id).command == "pause"
    click(app, "Resume")
    assert store.sweep(sweep_id).state == "running"
    click(app, "Cancel")
    assert store.sweep(sweep_id).state == "cancelled"
    store.change(run_id, "stopped", "stopped")
    click(app, "Hand it in again")
    assert store.sweep(sweep_id).state == "running"
    assert {member.state for member in store.members(sweep_id)} == {"queued"}
    while (run := store.claim(identify(), "cpu")) is not None:
        store.change(run.id, "finished", seconds=2.0, step=60)
    app = visit("compare", runs=sweep_id)
    assert not [button for button in app.button if button.label in ("Pause", "Resume", "Cancel", "Hand it in again")]
    click(app, "Delete the sweep")
    assert store.sweeps() == []
    assert len(store.runs()) == 6, "its runs stay"


def test_a_sweep_that_is_done_leaves_the_page_to_its_results(store):
    sweep_id = hand_in(store)
    assert "mtl-share" in html(visit("compare", runs=sweep_id))
    while (run := store.claim(identify(), "cpu")) is not None:
        store.change(run.id, "finished", seconds=2.0, step=60)
    app = visit("compare", runs=sweep_id)
    assert "mtl-share" not in html(app), "a full bar says nothing"
    assert "Done <b>6 of 6</b>" in html(app)
    assert "Delete the sweep" in {button.label for button in app.button}
    assert "Open on Train" in {link.proto.label for link in app.get("page_link")}


def test_a_refused_button_is_a_sentence(store):
    sweep_id = hand_in(store)
    app = visit("compare", runs=sweep_id)
    jobs.cancel_sweep(store, sweep_id)  # by somebody else, a moment ago
    click(app, "Pause")
    assert "was cancelled: hand it in again" in said(app)


def test_open_on_train_fills_the_form(store):
    sweep_id = hand_in(store, training_lr=[0.1, 0.01])
    app = visit("compare", runs=sweep_id)
    (link,) = [one for one in app.get("page_link") if one.proto.label == "Open on Train"]
    app = visit("train", **{key: text for key, (text,) in parse_qs(link.proto.query_string).items()})
    assert draft(app).is_sweep
    assert draft(app).sweep == store.sweep(sweep_id).sweep().model_copy(update={"base": {}})
    assert "all are here already" in html(app)


def test_in_class_only_its_owner_has_buttons(store, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    monkeypatch.setenv("MTL_EXPLORER_QUOTA", "20")
    sweep_id = hand_in(store, owner="ada")
    app = visit("compare", runs=sweep_id)
    assert "someone else's sweep" in html(app).replace("&#x27;", "'")
    assert not [button for button in app.button if button.label in ("Pause", "Cancel", "Delete the sweep")]
    assert "Open on Train" in [link.proto.label for link in app.get("page_link")], "one's own may start from it"


def test_a_run_is_told_by_what_sets_it_apart(store):
    sweep_id = hand_in(store, training_lr=[0.1, 0.01])
    sweep, members = store.sweep(sweep_id), store.members(sweep_id)
    told = [sweep_card.told(sweep, member, store.run(member.run_id)) for member in members]
    assert len(set(told)) == len(members) == 12
    assert told[0] == "baseline · seed 0 · lr 0.1"
    assert told[-1] == "mgda · seed 1 · lr 0.01"


def test_home_lists_sweeps_only_if_there_are_any(store):
    app = visit("home")
    assert "<h3>Sweeps</h3>" not in html(app)
    named, nameless = hand_in(store), hand_in(store, name="", training_lr=[0.2])
    app = visit("home")
    assert "<h3>Sweeps</h3>" in html(app)
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link") if "runs=" in link.proto.query_string}
    assert links == {"of schemes": f"runs={named}", "Sweep of schemes, seeds, learning rate": f"runs={nameless}"}


def test_every_run_of_a_front_can_be_trained():
    for name in sweep_schemes.FRONTS:
        for mix in sweep_schemes.front(name):
            check_config(RunConfig.from_mapping({"dataset": {"name": "teacher"}, "weighting": mix}))
