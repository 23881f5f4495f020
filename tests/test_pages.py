"""Every page under Streamlit's own test runner: empty, full, with good links and with hostile ones."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.palette import TASK_COLOURS
from mtl_core.records import Measurement
from mtl_core.store import Store
from mtl_core.ui.links import to_params

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "pages").glob("*.py"))
SHORT = {"playground": {"steps": "50"}}  # walks that take no time
STORELESS = {"methods", "playground"}  # they open although the store of runs is damaged
HOSTILE = [
    {"weighting": "pcgard"},
    {"weighting": "cagrad", "weighting.c": "nan"},
    {"weighting": "cagrad", "weighting.c": "1e999"},
    {"weighting.c": "[1,2"},
    {"dataset": "../../etc/passwd"},
    {"dataset": "<script>alert(1)</script>"},
    {"tasks": "digit,nonsense"},
    {"tasks": ","},
    {"architecture.depth": "-3"},
    {"architecture.depth": "63"},
    {"architecture.trunk": "[]"},
    {"training.steps": "0"},
    {"training.steps": "99999999999999999999"},
    {"training.warmup": "5000"},
    {"training.lr": "{a: 1}"},
    {"training.seed": "&a [*a]"},
    {"training": "7"},
    {"measure.every": "sometimes"},
    {"name": "x" * 5000},
    {"wat": "1"},
    {f"training.k{n}": "1" for n in range(200)},
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of a fresh store, which the pages of this test use."""
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def visit(page: str, **params: str) -> AppTest:
    """Open a page through the frame, as a browser does; it must show no raw exception."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page(f"pages/{page}.py")
    for key, value in params.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def widget(app: AppTest, kind: str, ending: str):
    """The widget of that kind whose key ends so: keys begin with the draft's generation."""
    found = [each for each in app.get(kind) if str(each.key or "").endswith(ending)]
    assert found, f"no {kind} with a key ending in {ending}"
    return found[0]


def words(app: AppTest) -> str:
    """All that the page says in boxes."""
    return " ".join(box.value for box in [*app.error, *app.warning]).replace("\\", "")


def html(app: AppTest) -> str:
    """All HTML on the page."""
    return " ".join(part.proto.body for part in app.get("html"))


@pytest.mark.parametrize("page", [page.stem for page in PAGES])
def test_a_page_opens_on_an_empty_store(page, home):
    app = visit(page, **SHORT.get(page, {}))
    assert not words(app)


def test_home_and_watch_never_load_torch(home):
    visits = """
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=120).run()
app.switch_page("pages/watch.py").run()
assert not app.exception, app.exception
import sys
assert "torch" not in sys.modules, "torch came in"
"""
    done = subprocess.run([sys.executable, "-c", visits], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_link_restores_the_whole_form(home):
    config = RunConfig.from_mapping(
        {
            "name": "shared with a friend",
            "dataset": {"name": "teacher", "n_tasks": 3, "rho": 0.25, "target_scale": [1.0, 10.0, 2.0]},
            "tasks": ["c", "a"],
            "architecture": {"name": "hard_sharing", "width": 6, "depth": 1},
            "weighting": {"name": "fixed", "weights": [0.25, 0.75], "scale": "mean"},
            "training": {"steps": 321, "optimizer": "sgd", "lr": 0.0003, "validate_every": 7, "seed": 5},
            "measure": {"every": 10},
        }
    )
    link = to_params(config)
    app = visit("train", **link)
    assert not words(app)
    assert dict_of(app) == link
    assert app.session_state["train.draft"].config == config
    app.run()
    assert app.session_state["train.draft"].config == config


def dict_of(app: AppTest) -> dict[str, str]:
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


@pytest.mark.parametrize("link", HOSTILE, ids=lambda link: str(link)[:50])
def test_a_hostile_link_gives_sentences_and_a_form_that_works(link, home):
    app = visit("train", **link)
    assert words(app) or link == {"tasks": ","} or "name" in link
    app.run()
    assert not app.exception
    assert app.session_state["train.draft"].config.training.steps >= 1


def test_turning_a_knob_is_in_the_link_at_once_and_survives_another_scheme(home):
    app = visit("train")
    widget(app, "selectbox", ".weighting").set_value("cagrad").run()
    widget(app, "number_input", ".weighting.cagrad.c").set_value(0.25).run()
    assert dict_of(app) == {"weighting": "cagrad", "weighting.c": "0.25"}
    widget(app, "selectbox", ".weighting").set_value("mgda").run()
    assert dict_of(app) == {"weighting": "mgda"}
    widget(app, "selectbox", ".weighting").set_value("cagrad").run()
    assert dict_of(app) == {"weighting": "cagrad", "weighting.c": "0.25"}
    assert not app.exception


def test_what_does_not_fit_together_is_a_sentence_and_start_is_shut(home):
    app = visit("train", **{"weighting": "fixed", "weighting.weights": "[1,2,3]"})
    assert "3" in words(app)
    assert app.button(key="start").disabled
    app = visit("train", tasks="digit,box", **{"training.order": "alternating", "weighting": "mgda"})
    assert "alternating training" in words(app).lower()
    assert app.button(key="start").disabled


def test_no_task_chosen_is_a_sentence(home):
    app = visit("train")
    tasks = next(group for group in app.get("button_group") if ".tasks." in str(group.key))
    tasks.set_value([]).run()
    assert not app.exception
    assert "choose at least one" in words(app)
    assert app.button(key="start").disabled


def test_every_preset_fits(home):
    from mtl_core.plan import check
    from mtl_core.ui.presets import PRESETS
    from mtl_core.ui.train.drafts import mend

    for preset in PRESETS.values():
        check(preset.config)
        assert mend(preset.config.to_mapping()) == (preset.config, [])


def test_an_unknown_run_is_a_sentence(home):
    with Store.open(str(home)) as store:
        store.enqueue(RunConfig(dataset={"name": "teacher"}))
    for wrong in ("nothing", "../../x", "<b>", ""):
        app = visit("watch", run=wrong)
        assert not wrong or "not here" in words(app)


def test_a_damaged_store_is_a_sentence_on_every_page_that_needs_it(home):
    (home / "mtl.sqlite").write_bytes(b"this is no database" * 100)
    for page in PAGES:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
        app.switch_page(str(page))
        for key, value in SHORT.get(page.stem, {}).items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        assert ("cannot be opened" in words(app)) == (page.stem not in STORELESS)


def test_the_theme_has_the_tasks_colours():
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    for name in ("light", "dark"):
        assert tuple(theme[name]["chartCategoricalColors"]) == TASK_COLOURS[name]
        assert len(TASK_COLOURS[name]) == 10


def test_nothing_is_told_to_anybody():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "type"
    assert config["server"]["maxUploadSize"] == 200
    assert config["server"]["enableXsrfProtection"] is True
    assert "http" not in str(config["theme"]), "fonts must be local"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with one short run, really trained."""
    folder = tmp_path_factory.mktemp("trained")
    config = RunConfig.from_mapping(
        {
            "name": "a *short* <b>run</b>",
            "dataset": {"name": "digit_scenes", "scenes": 64, "held_out": 64},
            "tasks": ["digit", "box", "angle"],
            "architecture": {"name": "hard_sharing", "width": 4, "depth": 2},
            "weighting": {"name": "pcgrad"},
            "training": {"steps": 12, "batch_size": 8, "validate_every": 4, "device": "cpu"},
            "measure": {"every": 3, "affinity_every": 4},
        }
    )
    with Store.open(str(folder)) as store:
        assert jobs.run_here(store, config).state == "finished"
    return folder, config


@pytest.fixture
def copy(trained, home):
    """The trained run in the store of this test, to do with as it likes."""
    shutil.copytree(trained[0], home, dirs_exist_ok=True)
    with Store.open(str(home)) as store:
        yield store


@pytest.mark.parametrize("view", ["Overview", "Learning", "Weights", "Conflict", "What if", "Predictions", "Details"])
def test_every_section_of_a_real_run(view, copy):
    app = visit("watch", view=view)
    assert not words(app)
    assert "finished" in html(app)
    assert "a *short* &lt;b&gt;run&lt;/b&gt;" in html(app), "a name is text, never markup"
    assert ("How to read it." in html(app)) == (view != "Details")


@pytest.mark.parametrize(
    "link",
    [
        {"view": "zzz"},
        {"view": ""},
        {"x": "wat"},
        {"smooth": "-1"},
        {"smooth": "nan"},
        {"log": "7"},
        {"zoom": "step:nan:inf"},
        {"zoom": "step:2:8"},
        {"zoom": "x" * 9999},
        {"x": "time", "log": "true", "smooth": "200"},
    ],
    ids=str,
)
def test_watch_takes_any_view_in_a_link(link, copy):
    app = visit("watch", **link)
    assert "How to read it." in html(app)


@pytest.mark.parametrize("group", ["Direction", "Size", "Depth", "Trade-off", "Affinity", "Wat"])
def test_every_question_about_conflict(group, copy):
    app = visit("watch", view="Conflict", conflict=group)
    shown = html(app)
    heads = {
        "Direction": ("Gradient conflict now", "How often tasks conflict", "Cosines early and late"),
        "Size": ("Gradient norms", "Likeness of gradient lengths", "Curvature bounding measure", "Condition number"),
        "Depth": ("Conflict by stage", "No advice on the depth yet: it needs 20 measurements"),
        "Trade-off": ("Who pays", "Tragic triad", "Room to help every task"),
        "Affinity": ("Affinity now", "Affinity over time"),
    }
    for words_shown in heads.get(group, heads["Direction"]):
        assert words_shown in shown


def test_what_if_at_a_step_that_is_in_the_link(copy):
    app = visit("watch", view="What if")
    (slider,) = [each for each in app.select_slider if "what-if" in str(each.key)]
    steps = copy.measured_steps(copy.runs()[0].id)
    assert [int(option.replace(",", "")) for option in slider.options] == steps
    assert f"Step {steps[-1]}:" in html(app)
    slider.set_value(steps[0]).run()
    assert not app.exception
    assert f"Step {steps[0]}:" in html(app)
    assert dict_of(app)["at"] == str(steps[0])
    again = visit("watch", view="What if", at=str(steps[1]))
    assert f"Step {steps[1]}:" in html(again)
    assert "What if: who gains, who pays" in html(again)
    assert "It draws at random; this is one draw." in html(again)


@pytest.mark.parametrize("at", ["-1", "nan", "9" * 40, "٣", "<b>", "0"])
def test_what_if_takes_any_step_in_a_link(at, copy):
    app = visit("watch", view="What if", at=at)
    assert "What if: weights" in html(app)


def test_what_if_before_the_first_measurement_is_a_sentence(copy, trained):
    silent = copy.enqueue(trained[1].with_overrides(["measure.every=0"]), spec=copy.runs()[0].spec)
    assert "was told to measure none" in html(visit("watch", run=silent, view="What if"))
    alone = copy.enqueue(trained[1], spec={**copy.runs()[0].spec, "shared_stages": []})
    assert "at least two tasks and one shared stage" in html(visit("watch", run=alone, view="What if"))


def test_watch_loads_torch_for_what_if_alone(copy, home):
    visits = """
import os, sys
from streamlit.testing.v1 import AppTest
for view in ("Conflict", "What if"):
    app = AppTest.from_file("app.py", default_timeout=120).run()
    app.switch_page("pages/watch.py")
    app.query_params["view"] = view
    app.run()
    assert not app.exception, app.exception
    assert ("torch" in sys.modules) == (view == "What if"), view
os._exit(0)  # torch's threads, begun in a page's thread, may end the interpreter's own farewell with a signal
"""
    done = subprocess.run([sys.executable, "-c", visits], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    said = [line for line in done.stderr.splitlines() if "ScriptRunContext" not in line]
    assert done.returncode == 0, "\n".join(said)[-2000:]


def fights(copy, trained, n=40):
    """A second run of the same choices whose tasks agree in the first stage and fight in the second."""
    run = copy.runs()[0]
    again = copy.enqueue(trained[1].with_overrides(["name=a fight", "weighting.name=equal"]), spec=run.spec)
    copy.claim("somebody", "cpu", again)
    true = np.zeros((2, 3, 30))
    true[:, :, 0], true[1] = 1, 0
    true[1, np.arange(3), np.arange(3)] = 1
    true[1] -= true[1].mean(axis=0)  # three tasks that sum to nothing
    rng = np.random.default_rng(0)
    with copy.writer(again) as writer:
        for step in range(n):
            rows = (true[:, None] + 0.1 * rng.normal(size=(2, 2, 3, 30))).reshape(2, 6, 30)
            gramian = (rows @ rows.transpose(0, 2, 1)).astype(np.float32)
            vectors = [np.ones(shape, np.float32) for shape in ((2, 3), 3, 3, 3)]
            writer.append(Measurement(step, step / 10, step / 100, gramian, *vectors))
    copy.change(again, "finished")
    return again


def test_a_run_that_knows_where_to_branch_says_so_on_watch_and_on_train(copy, trained):
    run_id = fights(copy, trained)
    first, second = copy.run(run_id).spec["shared_stages"]
    app = visit("watch", run=run_id, view="Conflict", conflict="Depth")
    assert f"Tasks get along up to {first} and fight above it" in html(app)
    (link,) = [each for each in app.get("page_link") if "depth 1" in each.proto.label]
    assert "architecture.depth=1" in link.proto.query_string
    assert "name=" not in link.proto.query_string.replace("weighting.name", "")
    app = visit("train", **to_params(trained[1]))
    assert f"In run “a fight” tasks began to fight above {first}: try depth 1." in html(app)
    other = trained[1].with_overrides(["tasks=[digit, box]"])
    assert "began to fight" not in html(visit("train", **to_params(other)))
    assert second


def test_predictions_of_an_earlier_step(copy):
    app = visit("watch", view="Predictions")
    (slider,) = [each for each in app.select_slider if "preview" in str(each.key)]
    steps = copy.previews(copy.runs()[0].id)
    assert [int(option) for option in slider.options] == steps
    slider.set_value(steps[0]).run()
    assert not app.exception
    assert f"Step {steps[0]}" in " ".join(part.value for part in app.markdown)


def test_a_failed_run_shows_its_traceback_and_goes_back_to_train(copy, home, trained):
    run_id = copy.enqueue(trained[1])
    copy.claim("somebody", "cpu", run_id)
    copy.change(run_id, "failed", "it ran out of memory", error="Traceback (most recent call last):\nMemoryError")
    app = visit("watch", run=run_id, view="Details")
    assert "It ran out of memory." in html(app)
    assert "<b>MemoryError</b>" in html(app), "what it died of is seen without scrolling"
    assert any("MemoryError" in code.value for code in app.code)
    app.button(key=f"again-{run_id}").click().run()
    assert not app.exception
    assert app.session_state["train.draft"].config == trained[1]


def test_a_diverged_run_says_where(copy, trained):
    run_id = copy.enqueue(trained[1])
    copy.claim("somebody", "cpu", run_id)
    copy.change(run_id, "diverged", "the loss of box is infinite at step 7", step=7)
    app = visit("watch", run=run_id)
    assert "The loss of box is infinite at step 7." in html(app)
    assert not words(app)
    assert app.toggle(key="log.diverged").value, "else its last steps are all that one sees"
    app = visit("watch", run=copy.runs(states=["finished"])[0].id)
    assert not app.toggle(key="log").value


def test_a_run_is_deleted_only_after_a_second_click(copy):
    run_id = copy.runs()[0].id
    app = visit("watch", run=run_id)
    app.button(key=f"delete-{run_id}").click().run()
    assert not app.exception
    assert copy.runs() == []
    assert "Start a run on Train" in html(app)


def test_a_demonstration_starts_and_changes_nothing(copy, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    run_id = copy.runs()[0].id
    for page, button in (("train", "start"), ("home", "start-live")):
        app = visit(page)
        app.button(key=button).click().run()
        assert not app.exception
        assert "demonstration" in words(app)
    app = visit("watch", run=run_id)
    app.button(key=f"delete-{run_id}").click().run()
    assert "demonstration" in words(app)
    assert [run.id for run in copy.runs()] == [run_id]


def test_a_demonstration_without_a_store_still_plays(home, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    assert "a recorded run, step" in html(visit("home"))


def test_a_wrong_mode_is_a_sentence(home, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "lap")
    assert "Did you mean 'lab'?" in words(visit("home"))


def test_a_good_file_fills_the_form_and_a_bad_one_changes_nothing(home, trained):
    app = visit("train", weighting="mgda")
    before = app.session_state["train.draft"].config
    for bad in (b"\xff\xfe\x00", b"a: [", b"weighting: pcgard", b"x: &a 1\ny: *a", b"a" * 70_000, b""):
        app.file_uploader[0].upload("bad.yaml", bad, "application/yaml").run()
        assert not app.exception
        assert "the form is as it was" in words(app)
        assert app.session_state["train.draft"].config == before
    app.file_uploader[0].upload("good.yaml", trained[1].to_yaml().encode(), "application/yaml").run()
    assert not app.exception
    assert app.session_state["train.draft"].config == trained[1]


def test_dials_of_a_data_set_are_there_again_after_a_look_at_another(home):
    app = visit("train", dataset="teacher", **{"dataset.rho": "0.7"})
    widget(app, "selectbox", ".dataset").set_value("multi_digits").run()
    assert "dataset.rho" not in app.query_params
    widget(app, "selectbox", ".dataset").set_value("teacher").run()
    assert app.query_params["dataset.rho"] in ("0.7", ["0.7"])


def test_the_recorded_run_plays(home):
    app = visit("home")
    assert "a recorded run, step" in html(app)
    assert "predicted" in " ".join(part.value for part in app.markdown)


def test_the_time_of_a_run_is_judged_by_past_ones(home):
    from mtl_core.estimate import estimate, learn
    from mtl_core.plan import check

    config = RunConfig(dataset={"name": "teacher"}, training={"steps": 1000, "device": "cpu"})
    spec = check(config).describe()
    with Store.open(str(home)) as store:
        guess = estimate(store, spec, config.to_mapping(), "cpu")
        assert "a first guess" in guess.how
        assert 1 < guess.seconds < 20
        run_id = store.enqueue(config)
        store.claim("somebody", "cpu", run_id)
        store.change(run_id, "finished", spec=spec, step=1000, seconds=20.0)
        learn(store)
        learn(store)
        assert estimate(store, spec, config.to_mapping(), "cpu").seconds == pytest.approx(20)
        twice = config.with_overrides(["training.steps=2000"]).to_mapping()
        assert estimate(store, spec, twice, "cpu").seconds == pytest.approx(40)
        assert "a first guess" in estimate(store, spec, twice, "cuda:0").how
        pictures = RunConfig(training={"steps": 1000, "device": "cpu"})  # 1500 times the arithmetic, not 1500 times the seconds
        assert 40 < estimate(store, check(pictures).describe(), pictures.to_mapping(), "cpu").seconds < 300
    app = visit("train", dataset="teacher", **{"training.steps": "1000", "training.device": "cpu"})
    assert "about 20 s" in html(app)
    assert "one past run like it" in html(app)


def test_a_recording_keeps_what_the_run_recorded(copy, tmp_path_factory):
    from mtl_core.ui.home.record import record

    run = copy.runs()[0]
    path = record(copy, run.id, tmp_path_factory.mktemp("recording") / "recorded.sqlite")
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Store.open(str(path), read_only=True) as recorded:
        (again,) = recorded.runs()
        assert (again.state, again.config, again.spec, again.result) == ("finished", run.config, run.spec, run.result)
        rows, rows_again = copy.read(run.id, "train"), recorded.read(again.id, "train")
        assert rows.values.tobytes() == rows_again.values.tobytes()
        assert recorded.n_measurements(again.id) == copy.n_measurements(run.id)
        assert recorded.previews(again.id)
    with pytest.raises(ValueError, match="only a finished run"):
        record(copy, copy.enqueue(RunConfig(dataset={"name": "teacher"})), path)
