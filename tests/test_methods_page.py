"""The Methods page: every scheme on the shelf opens, any link gives sentences, and what is drawn is what the schemes answer."""

import itertools
import math
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from mtl_core.figures import Answer, draw_arrows, draw_gains, gains_in_words
from mtl_core.figures._dial import safe_cone
from mtl_core.figures._gains import gains
from mtl_core.ui.methods import answers as methods_answers
from mtl_core.ui.methods import list as methods_list
from mtl_core.ui.methods.scene import PRESETS, USUAL, Pull, Scene, command, read_scene, scene_params, usual_scene
from mtl_core.weigh import weigh
from mtl_core.weightings import WEIGHTINGS

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    {"weighting": "pcgard"},
    {"weighting": "<script>alert(1)</script>"},
    {"weighting": "cagrad", "weighting.c": "nan"},
    {"weighting": "cagrad", "weighting.c": "[1,2"},
    {"weighting": "cagrad", "weighting.nonsense": "1"},
    {"gradients": "1:0"},
    {"gradients": "1:0,1:0,1:0,1:0"},
    {"gradients": "1:0,nan:5"},
    {"gradients": "1:0,inf:5"},
    {"gradients": "1:0:7,1:0"},
    {"gradients": "1,2"},
    {"gradients": "-1:0,1:0"},
    {"gradients": "1:0,1:1e9"},
    {"gradients": "1:0,2:9", "losses": "1"},
    {"gradients": "1:0,2:9", "losses": "1,-1"},
    {"gradients": "1:0,2:9", "losses": "a,b"},
    {"gradients": "1:0,"},
    {"gradients": "9" * 5000},
    {"seed": "-1"},
    {"seed": "²"},
    {"seed": "1e3"},
    {"training.steps": "7"},
    {f"k{n}": "1" for n in range(200)},
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh store for the pages of this test."""
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def visit(**params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/methods.py")
    for key, value in params.items():
        app.query_params[key] = value
    return sound(app.run())


def sound(app: AppTest) -> AppTest:
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def link_of(app: AppTest) -> dict[str, str]:
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


def words(app: AppTest) -> str:
    return " ".join(box.value for box in [*app.error, *app.warning]).replace("\\", "")


def html(app: AppTest) -> str:
    """All HTML on the page, drawings included."""
    return " ".join([*(part.proto.body for part in app.get("html")), *(part.value for part in app.markdown)])


def detail(app: AppTest) -> str:
    """The name of the scheme in the detail card."""
    return next(part.proto.body for part in app.get("html") if "mtl-lead" in part.proto.body)


def lists(app: AppTest) -> dict[str, str | None]:
    return {radio.key.rpartition(".")[2]: radio.value for radio in app.radio}


# -- the page -----------------------------------------------------------------------------------------------------------


def test_it_opens_with_every_scheme_under_its_question(home):
    app = visit()
    assert not words(app)
    shown = {radio.key.rpartition(".")[2]: radio.options for radio in app.radio}
    for scheme in WEIGHTINGS:
        labels = " ".join(shown[scheme.asks]).replace("\\", "")
        assert f"**{scheme.title}**" in labels
    assert sum(map(len, shown.values())) == len(WEIGHTINGS.names())
    assert link_of(app) == {"weighting": usual_scene().scheme}


def test_each_scheme_opens_with_all_that_it_says_of_itself(home):
    app = visit()
    for scheme in WEIGHTINGS:
        said = scheme.describe()
        app.radio(key=f"methods.list.{scheme.asks}").set_value(said["name"]).run()
        sound(app)
        assert not words(app), said["name"]
        assert link_of(app) == {"weighting": said["name"]}
        assert lists(app) == dict.fromkeys(methods_answers.QUESTIONS) | {scheme.asks: said["name"]}
        assert f"<code>{said['name']}</code>" in detail(app)
        assert [part.value.strip("$\n ") for part in app.get("latex")] == [said["formula"].strip()]
        page = html(app)
        assert said["paper"]["link"].replace("&", "&amp;") in page
        assert all(f"<td><code>{knob['name']}</code></td>" in page for knob in said["knobs"])
        codes = [code.value.replace(" \\\n  ", " ") for code in app.code]  # a shell's line goes on after a backslash
        assert any(f"weigh {said['name']} --gradients" in code for code in codes)
        assert (ROOT / f"mtl_core/weightings/{said['name']}.py").read_text().strip() in codes


@pytest.mark.parametrize("link", HOSTILE, ids=lambda link: str(link)[:50])
def test_an_odd_link_gives_a_sentence_and_a_page_that_works(link, home):
    app = visit(**link)
    assert words(app)
    assert "<script>" not in html(app)
    sound(app.button(key="methods.preset.Opposite").click().run())
    assert app.slider(key="methods.angle.1").value == 180


def test_a_link_restores_the_whole_picture(home):
    scene = Scene(
        {"name": "cagrad", "c": 0.25}, (Pull(0.5, -90, 2), Pull(3, 12.5, 0.1), Pull(1, 0, 1)), 3, 7, same_length=False
    )
    link = scene_params(scene)
    app = visit(**link)
    assert not words(app)
    assert link_of(app) == link
    assert app.session_state["methods.memory"].scene == scene
    assert [app.slider(key=f"methods.length.{n}").value for n in range(3)] == [0.5, 3, 1]
    assert app.number_input[0].value == 0.25


def test_sliders_presets_and_dice_change_the_picture_and_the_link(home):
    app = visit(weighting="rlw")
    app.slider(key="methods.angle.0").set_value(-45.0).run()
    assert link_of(app)["gradients"] == "1:-45,1.6:155"
    app.button(key="methods.preset.Magnitude gap").click().run()
    assert app.slider(key="methods.length.1").value == 4
    app.button_group(key="methods.n_tasks").set_value(3).run()
    assert app.slider(key="methods.length.2").value == 1.5
    before = html(sound(app))
    app.button(key="methods.roll").click().run()
    assert link_of(app)["seed"] == "1"
    assert html(sound(app)) != before
    app.toggle(key="methods.same_length").set_value(False).run()
    assert link_of(sound(app))["lengths"] == "true"


def test_turned_knobs_count_and_come_back_with_their_scheme(home):
    app = visit(weighting="cagrad")
    knob = next(box for box in app.number_input if box.key.endswith("cagrad.c"))
    knob.set_value(0.0).run()
    assert link_of(sound(app)) == {"weighting": "cagrad", "weighting.c": "0"}
    app.radio(key="methods.list.losses").set_value("equal").run()
    app.radio(key="methods.list.gramian").set_value("cagrad").run()
    assert link_of(sound(app)) == {"weighting": "cagrad", "weighting.c": "0"}


def test_a_knob_that_does_not_pass_is_a_sentence(home):
    app = visit(weighting="fixed")
    box = next(box for box in app.text_input if box.key.endswith("fixed.weights"))
    box.set_value("1, 2, 3").run()
    assert "no answer" in html(sound(app))
    assert "3" in html(app)
    box.set_value("1, x").run()
    assert words(sound(app))


def test_the_search_box_and_the_cost_narrow_the_list(home):
    app = visit()
    app.text_input(key="methods.find").set_value("nash").run()
    found = " ".join(option for radio in app.radio for option in radio.options)
    assert "Nash" in found
    assert "PCGrad" not in found
    app.text_input(key="methods.find").set_value("no such thing <b>").run()
    assert not app.radio
    assert "No scheme fits" in html(sound(app))
    app.text_input(key="methods.find").set_value("").run()
    app.button_group(key="methods.cost").set_value("1 pass").run()
    assert all("1 pass" in option for radio in sound(app).radio for option in radio.options)


def test_every_preset_draws_for_two_tasks_and_for_three(home):
    app = visit()
    for n in (2, 3):
        app.button_group(key="methods.n_tasks").set_value(n).run()
        for name in PRESETS:
            app.button(key=f"methods.preset.{name}").click().run()
            assert not words(sound(app))


# -- the scene ----------------------------------------------------------------------------------------------------------


def test_the_command_on_the_page_gives_the_answer_of_the_page():
    scene = Scene({"name": "cagrad", "c": 0.25}, USUAL, 3, 2)
    shell = command(scene).replace("python", sys.executable, 1)
    done = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    answer = next(answer for answer in methods_answers.answers(scene) if answer.name == "cagrad")
    assert f"[{answer.step[0]}, {answer.step[1]}]" in done.stdout


numbers = st.floats(0, 8).map(lambda number: round(number, 2))
pulls = st.builds(Pull, numbers, st.integers(-180, 180).map(float), numbers)


@given(st.lists(pulls, min_size=2, max_size=3), st.integers(0, 9999), st.booleans())
def test_any_scene_survives_its_link(some, seed, same_length):
    scene = Scene({"name": "mgda"}, (*some, *USUAL[len(some) :]), len(some), seed, same_length=same_length)
    again, slips = read_scene(scene_params(scene))
    assert slips == []
    assert again == scene


def test_all_schemes_answer_one_slider_move_at_once():
    scene = Scene({"name": "equal"}, USUAL, 3)
    methods_answers.answers(scene)
    times = []
    for seed in range(1, 6):
        start = time.perf_counter()
        methods_answers.answers(Scene({"name": "equal"}, USUAL, 3, seed))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.15


def test_the_answers_are_those_of_weigh():
    scene = usual_scene()
    found = methods_answers.answers(scene)
    assert {answer.name for answer in found} == set(WEIGHTINGS.names())
    for answer in found:
        said = weigh(answer.name, scene.gradients, scene.losses)
        assert answer.step == tuple(said["direction"])
        assert answer.weights == (said["weights"] and tuple(said["weights"]))
    questions = [methods_answers.QUESTIONS.index(answer.asks) for answer in found]
    assert questions == sorted(questions)


def test_a_scheme_without_an_answer_says_why():
    step, problem, weights = methods_answers.ask("fixed", [(1.0, 0.0), (0.0, 1.0)], [1.0, 1.0], 0, {"weights": [1, 2, 3]})
    assert step is weights is None
    assert problem.endswith(".")
    broken = Answer("fixed", "Fixed", "losses", None, problem)
    assert gains_in_words([(1, 0), (0, 1)], broken) == problem


def test_short_titles_tell_all_schemes_apart():
    short = [Answer(scheme.variant_name(), scheme.title, scheme.asks, None).short for scheme in WEIGHTINGS]
    assert len(set(short)) == len(short)
    assert max(map(len, short)) <= 14, "a longer one is squeezed into the picture in smaller letters"


def test_badges_are_short():
    for scheme in WEIGHTINGS:
        assert len(methods_list.cost_in_words(scheme)) <= 20, scheme


# -- the drawings -------------------------------------------------------------------------------------------------------

vectors = st.tuples(*[st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1e-10, 1e10]), st.floats(-9, 9))] * 2)
steps = st.one_of(st.none(), vectors)
answers = st.lists(
    st.builds(Answer, st.sampled_from("abcdefgh"), st.text(max_size=30), st.sampled_from(methods_answers.QUESTIONS), steps),
    max_size=60,
    unique_by=lambda answer: answer.title,
)


@given(st.lists(vectors, min_size=1, max_size=3), answers, st.booleans())
@settings(max_examples=60)
def test_any_gradients_and_any_answers_can_be_drawn_inside_the_frame(gradients, some, same_length):
    for draw in (draw_arrows, draw_gains):
        root = ElementTree.fromstring(draw(gradients, some, chosen="a", same_length=same_length))
        _, _, width, height = map(float, root.get("viewBox").split())
        for text in root.iter(f"{SVG}text"):
            assert 0 <= float(text.get("x")) <= width
            assert 0 <= float(text.get("y")) <= height
        for line in root.iter(f"{SVG}line"):
            assert -1 <= float(line.get("x2")) <= width + 1
            assert -1 <= float(line.get("y2")) <= height + 1


@given(st.lists(vectors, min_size=1, max_size=3), st.integers(0, 71))
def test_the_cone_holds_exactly_the_directions_that_harm_nobody(gradients, nth):
    cone = safe_cone(gradients)
    angle = math.radians(5 * nth + 0.123)
    cosines = [math.cos(angle - math.atan2(y, x)) for x, y in gradients if math.hypot(x, y) > 0]
    if not cosines or any(abs(cosine) < 1e-3 for cosine in cosines):
        return
    is_inside = cone is not None and (angle - cone[0]) % math.tau <= cone[1]
    assert is_inside == all(cosine > 0 for cosine in cosines)


def test_gains_by_hand():
    gradients = [(1.0, 0.0), (-0.5, 1.0)]  # the sum is (½, 1)
    both = Answer("sum", "Sum", "losses", (0.5, 1.0))
    assert gains(gradients, both, same_length=False) == [0.5, 0.75]
    assert gains(gradients, both) == pytest.approx([0.5 / math.sqrt(1.25), 0.75 / 1.25])
    first = Answer("first", "First", "losses", (1.0, 0.0))
    assert gains_in_words(gradients, first).startswith("Task 1 gains 100 %, task 2 pays 45 %")
    still = Answer("still", "Still", "losses", (0.0, 0.0))
    assert gains_in_words(gradients, still) == "It stays where it is: the step has no length."


def test_names_do_not_lie_on_one_another():
    """Many schemes, all in a narrow fan: each name has a line of its own on its side."""
    some = [Answer(f"s{n}", f"Scheme {n}", "gramian", (math.cos(1.5 + n / 25), math.sin(1.5 + n / 25))) for n in range(24)]
    root = ElementTree.fromstring(draw_arrows([(1.0, 0.2), (-1.0, 0.4)], some))
    named = [text for text in root.iter(f"{SVG}text") if text.text.startswith("Scheme")]
    assert len(named) == len(some)
    for anchor in ("start", "end"):
        places = sorted(float(text.get("y")) for text in named if text.get("text-anchor") == anchor)
        assert all(after - before >= 12 for before, after in itertools.pairwise(places))
