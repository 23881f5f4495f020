"""The Playground: links there and back, walks that are shared and resumed, the picture's numbers, and the page under AppTest."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from mtl_core.palette import THEMES
from mtl_core.toy.problem import PAPER_STARTS, evaluate
from mtl_core.ui.playground import figure as playground_figure
from mtl_core.ui.playground import words as playground_words
from mtl_core.ui.playground.choice import MAX_SCHEMES, MAX_STARTS, USUAL, Choice, from_params, to_params
from mtl_core.ui.playground.trails import Trails
from mtl_core.ui.playground.words import summary, table, valley, verdict
from mtl_core.weightings import WEIGHTINGS

ROOT = Path(__file__).parent.parent
SHORT = {"steps": "60"}
QUIET = Choice(schemes=("equal", "mgda"), starts=((0.0, -3.0), (9.0, -1.0)), steps=150, lr=0.01)
HOSTILE = [
    {"schemes": "pcgard"},
    {"schemes": "<script>alert(1)</script>"},
    {"schemes": ",".join(WEIGHTINGS.names())},
    {"starts": "nan,nan"},
    {"starts": "1e999,0"},
    {"starts": "9"},
    {"starts": "1,2,3"},
    {"starts": "a,b"},
    {"starts": "25,0"},
    {"steps": "0"},
    {"steps": "1e99"},
    {"steps": "2.5"},
    {"steps": "200000"},
    {"lr": "nan"},
    {"lr": "-1"},
    {"lr": "1e-9"},
    {"scale": "1e-9"},
    {"seed": "1e12"},
    {"seed": "99999999999999999999999999"},
    {"scale": "0"},
    {"seed": "-1"},
    {"seed": "x"},
    {"surface": "third"},
    {"cagrad.c": "nan"},
    {"cagrad.c": "-1"},
    {"cagrad.d": "1"},
    {"cagrad.c": "[1,2"},
    {"fixed.weights": "[1,2,3]"},
    {"equal.name": "mgda"},
    {"wat": "1"},
    {"wat.c": "1"},
    {"starts": "x" * 5000},
    {f"k{n}": "1" for n in range(100)},
]


def walked(choice):
    return Trails().all_of(choice, lambda *_: None)


def titles():
    return {name: name for name in WEIGHTINGS.names()}


choices = st.builds(
    Choice,
    schemes=st.lists(st.sampled_from(WEIGHTINGS.names()), min_size=1, max_size=MAX_SCHEMES, unique=True).map(tuple),
    starts=st.lists(
        st.tuples(*[st.floats(-20, 20).map(lambda x: round(x, 3) + 0.0)] * 2), min_size=1, max_size=MAX_STARTS, unique=True
    ).map(tuple),
    steps=st.integers(1, 100_000),
    lr=st.sampled_from([1e-3, 0.005, 0.3]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 10**9),
    surface=st.sampled_from(["sum", "first", "second"]),
)


@given(choices)
def test_a_link_says_all_that_was_chosen(choice):
    assert from_params(to_params(choice)) == (choice, [])


def test_knobs_are_in_the_link():
    choice = Choice(schemes=("cagrad", "fixed"), knobs={"cagrad": {"c": 0.25}, "fixed": {"weights": [1.0, 2.0]}})
    assert to_params(choice) == {"schemes": "cagrad,fixed", "cagrad.c": "0.25", "fixed.weights": "[1.0,2.0]"}
    assert from_params(to_params(choice)) == (choice, [])
    assert to_params(USUAL) == {}


@pytest.mark.parametrize("link", HOSTILE, ids=lambda link: str(link)[:50])
def test_a_hostile_link_gives_sentences_and_a_choice_that_works(link):
    choice, slips = from_params(link)
    assert slips
    assert all(len(slip) < 2000 for slip in slips)
    choice.check()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schemes": ()}, "no scheme"),
        ({"starts": ()}, "no start"),
        ({"schemes": tuple(WEIGHTINGS.names()[: MAX_SCHEMES + 1])}, "at most 8 schemes"),
        ({"starts": tuple((float(n), 0.0) for n in range(MAX_STARTS + 1))}, "at most 6 starts"),
        ({"steps": 100_001}, "on this page"),
        ({"steps": 100_000, "starts": PAPER_STARTS, "schemes": tuple(WEIGHTINGS.names()[:8])}, "all walks together"),
        ({"knobs": {"cagrad": {"c": -1}}}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_what_cannot_be_walked_is_a_sentence(change, says):
    with pytest.raises(ValueError, match=says):
        Choice(**change).check()


# -- walks ----------------------------------------------------------------------------------------------------------------


def test_every_scheme_is_walked_from_every_start():
    found = walked(QUIET)
    assert [(trail.start, trail.scheme) for trail in found] == [(s, n) for s in QUIET.starts for n in QUIET.schemes]
    for trail in found:
        assert trail.plane[0].tolist() == list(trail.start)
        assert trail.steps[-1] == QUIET.steps
        assert trail.losses[-1].tolist() == list(evaluate(*trail.plane[-1])[:2])


def test_a_walk_that_was_left_goes_on_where_it_was():
    choice = Choice(schemes=("pcgrad",), starts=((9.0, 9.0),), steps=20_000)
    trails, heard = Trails(), []

    class LeftError(Exception):
        pass

    def leave(scheme, start, step):
        heard.append(step)
        raise LeftError

    for _ in range(2):
        with pytest.raises(LeftError):
            trails.all_of(choice, leave)
    assert 0 < heard[0] < heard[1] <= choice.steps
    assert trails.all_of(choice, lambda *_: None)[0].steps[-1] == choice.steps


def test_many_visitors_share_one_walk():
    trails, found = Trails(), []
    visitors = [threading.Thread(target=lambda: found.append(trails.all_of(QUIET, lambda *_: None))) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(found) == 4
    assert all(mine is theirs for each in found for mine, theirs in zip(each, found[0], strict=True))


def test_when_the_front_was_reached():
    choice = Choice(schemes=("equal",), starts=((-5.7, -8.0),), steps=3000, lr=0.01)
    (trail,) = walked(choice)
    assert trail.steps[0] < trail.reached < 3000
    (short,) = walked(Choice(schemes=("equal",), starts=((0.0, 3.0),), steps=50))
    assert short.reached is None


# -- the picture ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("surface", ["sum", "first", "second"])
def test_the_picture_plays_all_walks_in_both_spaces(theme, surface):
    choice = Choice(schemes=QUIET.schemes, starts=QUIET.starts, steps=QUIET.steps, lr=QUIET.lr, surface=surface)
    trails = walked(choice)
    rows = playground_figure.tidy(trails)
    assert len(rows) == sum(len(trail.steps) for trail in trails)
    styles = playground_figure.looks(choice.schemes, titles(), theme)
    picture = playground_figure.draw(rows, choice, styles, theme)
    assert len(picture.frames) <= 150
    heads = picture.frames[0].traces
    assert len(heads) == 2 * len(choice.schemes)
    for frame in picture.frames:
        assert frame.traces == heads
        for head in frame.data:
            assert sum(size > 0 for size in head.marker.size) == len(choice.starts)
    for n, trail in enumerate(trails[:2]):  # the first start: schemes in their order, plane and losses
        start, end = picture.frames[0].data[2 * n], picture.frames[-1].data[2 * n]
        assert (start.x[0], start.y[0]) == pytest.approx(trail.plane[0], abs=1e-3)
        last = next(i for i, size in enumerate(end.marker.size) if size)
        assert (end.x[last], end.y[last]) == pytest.approx(trail.plane[-1], abs=1e-3)
        assert picture.data[heads[2 * n]].line.color == styles[trail.scheme].colour
    assert [step.label for step in picture.layout.sliders[0].steps][-1] == "150"


def test_looks_differ_by_more_than_colour():
    for theme in THEMES:
        styles = playground_figure.looks(WEIGHTINGS.names()[:MAX_SCHEMES], titles(), theme).values()
        for channel in ("colour", "dash", "symbol"):
            assert len({getattr(style, channel) for style in styles}) == MAX_SCHEMES


def test_one_step_from_one_start_can_be_drawn():
    choice = Choice(schemes=("equal",), starts=((20.0, -20.0),), steps=1, lr=1.0)
    picture = playground_figure.draw(
        playground_figure.tidy(walked(choice)), choice, playground_figure.looks(choice.schemes, titles(), "light"), "light"
    )
    assert picture.layout.xaxis.range[1] >= 20


def test_verdicts():
    stuck = Choice(schemes=("equal",), starts=((9.0, 9.0),), steps=8000)
    (trail,) = walked(stuck)
    assert valley(*trail.plane[-1]) == 2
    assert verdict(trail, stuck).startswith("Caught in the second loss's valley")
    arrived = Choice(schemes=("mgda",), starts=((-5.0, -8.3),), steps=2000)
    (there,) = walked(arrived)
    assert verdict(there, arrived) == "Arrived."
    hurried = Choice(schemes=("equal",), starts=((0.0, -3.0),), steps=50)
    (under_way,) = walked(hurried)
    assert verdict(under_way, hurried).startswith("Still on its way")
    zero = Choice(schemes=("si",), starts=((0.0, 0.0),), steps=500)
    (nowhere,) = walked(zero)
    assert "needs losses above 0" in verdict(nowhere, zero)
    assert "MGDA gets there" in summary([trail, there], {"equal": "Equal", "mgda": "MGDA"})
    assert "add Nash-MTL" in summary([trail], {"equal": "Equal"})
    assert "add Nash-MTL" not in summary([trail], {"nash_mtl": "Nash-MTL"}), "it is there already"


def test_the_table_has_a_row_per_walk_and_no_markup_from_outside():
    html = table(walked(QUIET), QUIET, dict.fromkeys(QUIET.schemes, "<b>"), dict.fromkeys(QUIET.schemes, "#000000"))
    assert html.count("<tr>") == 1 + len(QUIET.schemes) * len(QUIET.starts)
    assert "&lt;b&gt;" in html


# -- the page -------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)


def visit(**params):
    """Open the page through the frame, as a browser does; it must show no raw exception."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/playground.py")
    for key, value in params.items():
        app.query_params[key] = value
    return checked(app.run())


def checked(app):
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def words(app):
    return " ".join(box.value for box in [*app.error, *app.warning]).replace("\\", "")


def html(app):
    return " ".join(part.proto.body for part in app.get("html"))


def link(app):
    return {key: value[0] if isinstance(value, list) else value for key, value in app.query_params.items()}


def widget(app, kind, ending):
    found = [each for each in app.get(kind) if str(each.key or "").endswith(ending)]
    assert found, f"no {kind} with a key ending in {ending}"
    return found[0]


def choice_of(app):
    return app.session_state["playground"].choice


def test_the_page_opens_with_four_schemes_from_the_hard_start():
    app = visit(**SHORT)
    assert not words(app)
    assert choice_of(app).schemes == USUAL.schemes
    assert link(app) == SHORT
    assert "How to read it." in html(app)
    assert html(app).count('scope="row"') == 4
    assert len(app.get("plotly_chart")) == 1


def test_a_link_restores_the_page():
    params = to_params(
        Choice(
            schemes=("cagrad", "rlw"),
            knobs={"cagrad": {"c": 0.25}, "rlw": {"distribution": "dirichlet"}},
            starts=((0.0, 0.0), (3.5, -2.25)),
            steps=70,
            lr=0.02,
            scale=0.5,
            seed=4,
            surface="second",
        )
    )
    app = visit(**params)
    assert not words(app)
    assert link(app) == params
    assert to_params(choice_of(app)) == params
    checked(app.run())
    assert link(app) == params


@pytest.mark.parametrize(
    "hostile",
    [
        {"schemes": "pcgard"},
        {"starts": "nan,nan"},
        {"lr": "nan"},
        {"cagrad.c": "nan"},
        {"wat": "1"},
        {"seed": "1e12"},
        {"scale": "1e-9"},
    ],
    ids=str,
)
def test_a_hostile_link_on_the_page(hostile):
    app = visit(**SHORT, **hostile)
    assert words(app)
    assert html(app).count('scope="row"') >= 1
    app.run()
    assert not words(app) or not app.error


def test_each_choice_is_in_the_link_at_once():
    app = visit(**SHORT)
    widget(app, "multiselect", ".schemes").set_value(["mgda", "cagrad"]).run()
    assert link(checked(app)) == {**SHORT, "schemes": "mgda,cagrad"}
    widget(app, "number_input", ".cagrad.c").set_value(0.2).run()
    assert link(checked(app)) == {**SHORT, "schemes": "mgda,cagrad", "cagrad.c": "0.2"}
    widget(app, "number_input", ".lr").set_value(0.02).run()
    widget(app, "button_group", ".surface").set_value("first").run()
    assert link(checked(app)) == {**SHORT, "schemes": "mgda,cagrad", "cagrad.c": "0.2", "lr": "0.02", "surface": "first"}
    assert html(app).count('scope="row"') == 2


def test_a_start_of_ones_own_joins_the_others():
    app = visit(schemes="equal", **SHORT)
    widget(app, "number_input", ".x1").set_value(-3.0).run()
    widget(app, "number_input", ".x2").set_value(2.5).run()
    widget(app, "button", ".add").click().run()
    assert link(checked(app)) == {"schemes": "equal", "starts": "9,9;-3,2.5", **SHORT}
    assert "(−3, 2.5)" in html(app)


@pytest.mark.parametrize("starts", ["-0,0;0,-0.0", "9,9;9.00000001,9;9,9.00001", "-0.00001,0;20,-20"])
def test_starts_that_look_alike_are_one(starts):
    app = visit(schemes="equal", starts=starts, **SHORT)
    assert len(choice_of(app).starts) == len({playground_words.place(start) for start in choice_of(app).starts})
    assert not words(app)


def test_nothing_chosen_is_a_sentence():
    app = visit(**SHORT)
    widget(app, "multiselect", ".schemes").set_value([]).run()
    assert "choose at least one" in words(checked(app))
    app = visit(**SHORT)
    widget(app, "button_group", ".starts").set_value([]).run()
    assert "choose at least one" in words(checked(app))


def test_the_papers_settings_are_one_click_away(monkeypatch):
    app = visit(schemes="equal", starts="0,-8", **SHORT)
    widget(app, "button_group", ".pace").set_value("As in the papers").run()
    assert link(checked(app)) == {"schemes": "equal", "starts": "0,-8", "steps": "50000", "lr": "0.001"}
    assert np.isclose(choice_of(app).scale, 0.1)
