"""The papers' toy problem: its maths against numbers and autograd, its Adam against torch's, and who reaches the front."""

import itertools
import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.cli.app import main
from mtl_core.toy.problem import PAPER_STARTS, distance_to_front, evaluate, front, front_height, is_on_front, surface
from mtl_core.toy.walk import Walk, outcome
from mtl_core.weightings import WEIGHTINGS, Setting, Weighting, WeightingKnobs

places = st.floats(-20, 20, allow_nan=False, allow_subnormal=False)  # half of the smallest subnormal is zero, which is a kink
QUICK = {"steps": 10_000, "lr": 0.005}  # the papers' 50,000 steps of 0.001, five at a time: walks come as far


def losses_in_torch(x):
    """The objectives written down once more, as the formulas read, for autograd."""
    floor, zero = torch.tensor(5e-6, dtype=x.dtype), torch.zeros((), dtype=x.dtype)
    f1 = torch.log(torch.maximum((0.5 * (-x[0] - 7) - torch.tanh(-x[1])).abs(), floor)) + 6
    f2 = torch.log(torch.maximum((0.5 * (-x[0] + 3) + torch.tanh(-x[1]) + 2).abs(), floor)) + 6
    q1 = ((x[0] - 7) ** 2 + 0.1 * (x[1] + 8) ** 2) / 10 - 20
    q2 = ((x[0] + 7) ** 2 + 0.1 * (x[1] + 8) ** 2) / 10 - 20
    c1, c2 = torch.maximum(torch.tanh(0.5 * x[1]), zero), torch.maximum(torch.tanh(-0.5 * x[1]), zero)
    return torch.stack([c1 * f1 + c2 * q1, c1 * f2 + c2 * q2])


def point(x1, x2):
    return torch.tensor([x1, x2], dtype=torch.float64, requires_grad=True)


def test_the_published_check_values():
    found = evaluate(-8.5, 7.5)
    assert found == pytest.approx([6.552363, 7.900798, -0.285399, 0.007249, -0.073992, 0.008739], abs=5e-7)


@given(places, places)
def test_gradients_are_those_of_autograd(x1, x2):
    x = point(x1, x2)
    losses = losses_in_torch(x)
    rows = [torch.autograd.grad(loss, x, retain_graph=True)[0].tolist() for loss in losses]
    expected = [*losses.tolist(), *rows[0], *rows[1]]
    assert evaluate(x1, x2) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("x1", [0.0, 9.0, -7.0, 3.0])
def test_on_the_kink_the_slope_is_that_of_autograd(x1):
    x = point(x1, 0.0)
    (slopes,) = torch.autograd.grad(losses_in_torch(x).sum(), x)
    _, _, g11, g12, g21, g22 = evaluate(x1, 0.0)
    assert (g11 + g21, g12 + g22) == pytest.approx(slopes.tolist(), abs=1e-12)


def test_in_the_bottom_of_a_valley_the_logarithm_is_cut_off():
    bottom = 2 * np.tanh(3.0) - 7
    l1, _, g11, *_ = evaluate(bottom, 3.0)
    assert l1 == pytest.approx(np.tanh(1.5) * (np.log(5e-6) + 6))
    assert g11 == 0


def test_no_mix_of_gradients_is_shorter_than_zero_on_the_front():
    plane, losses = front()
    assert (plane[0, 0], plane[-1, 0]) == (-7, 7)
    for (x1, x2), (l1, l2) in zip(plane, losses, strict=True):
        found = evaluate(x1, x2)
        assert found[:2] == pytest.approx((l1, l2))
        share = (1 + x1 / 7) / 2
        mixed = share * np.array(found[2:4]) + (1 - share) * np.array(found[4:6])
        assert np.abs(mixed).max() < 1e-12
    assert np.abs(plane[:, 1] + 8.39).max() < 0.05


def test_nothing_in_the_plane_beats_the_front():
    _, losses = front()
    _, l1, l2 = surface(n=201, reach=20.0)
    for first, second in losses:
        assert not ((l1 < first - 1e-3) & (l2 < second - 1e-3)).any()


def test_the_equal_weights_optimum_of_the_papers():
    (x1, x2) = (-5.7273, -8.4094)
    assert front_height(x1) == pytest.approx(x2, abs=1e-4)
    _, _, g11, g12, g21, g22 = evaluate(x1, front_height(x1))
    assert (0.1 * g11 + g21, 0.1 * g12 + g22) == pytest.approx((0, 0), abs=1e-5)


@pytest.mark.parametrize(
    ("place", "is_there"),
    [((0, -8.36), True), ((7.05, -8.43), True), ((7.2, -8.43), False), ((0, -8.2), False), ((-7, -8.4), True), ((5, 4), False)],
)
def test_what_counts_as_on_the_front(place, is_there):
    assert is_on_front(place) is is_there


@given(places, places)
def test_the_distance_to_the_front_is_no_less_than_to_its_nearest_point(x1, x2):
    plane, _ = front()
    nearest = np.hypot(*(plane - [x1, x2]).T).min()
    assert distance_to_front(x1, x2) >= nearest - 0.06  # the places of the front lie 0.1 apart
    assert distance_to_front(x1, x2) <= nearest + 0.06


def adam(objective, start, steps, lr, own=()):
    """The same walk with torch's Adam and autograd."""
    x = point(*start)
    optimizer = torch.optim.Adam([{"params": [x], "lr": lr}, *own])
    for step in range(steps):
        optimizer.zero_grad()
        losses = losses_in_torch(x) * torch.tensor([0.1, 1.0], dtype=x.dtype)
        objective(losses, step).backward()
        optimizer.step()
    return x.tolist()


@pytest.mark.parametrize("start", [(-7.5, -0.5), (0.0, 0.0), (9.0, -1.0)])  # in a valley rounding errors would grow
def test_adam_is_torchs(start):
    walk = Walk("equal", start, steps=400, lr=0.01)
    walk.advance(400)
    assert walk.point == pytest.approx(adam(lambda losses, _: losses.sum(), start, 400, 0.01), abs=1e-9)


def test_what_a_scheme_learns_moves_with_adam_too():
    s = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    expected = adam(
        lambda losses, _: (0.5 * torch.exp(-s) * losses + 0.5 * s).sum(), (9, -1), 300, 0.002, [{"params": [s], "lr": 0.025}]
    )
    walk = Walk("uncertainty", (9, -1), steps=300, lr=0.002)
    walk.advance(300)
    assert walk.point == pytest.approx(expected, abs=1e-9)


def test_famo_looks_again_as_in_its_public_code():
    xi = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    lowest, mover = torch.tensor([-2.1, -21.0], dtype=torch.float64), torch.optim.Adam([xi], lr=0.025, weight_decay=1e-3)
    before = []

    def objective(losses, step):
        now = losses.detach() - lowest
        if step:
            (slope,) = torch.autograd.grad(torch.softmax(xi, 0), xi, before.pop().log() - now.log())
            xi.grad = slope
            mover.step()
        before.append(now)
        share = torch.softmax(xi.detach(), 0) / now
        return (share / share.sum() * losses).sum()

    expected = adam(objective, (-7.5, -0.5), 300, 0.01)
    walk = Walk("famo", (-7.5, -0.5), steps=300, lr=0.01, knobs={"gamma": 1e-3})
    walk.advance(300)
    assert walk.point == pytest.approx(expected, abs=1e-7)


class Listener(Weighting):
    """Hears the outlook, and gives fixed answers."""

    title, asks, published_scale, published_heads, looks_ahead = "Listener", "losses", "sum", "unit", True

    def __init__(self, weights, validation=(1.0, 1.0)):
        super().__init__(WeightingKnobs(), Setting(("l1", "l2"), (1, 1)))
        self.given = torch.tensor(weights, dtype=torch.float64)
        self.validation = torch.tensor(validation, dtype=torch.float64)
        self.slopes = []

    def objective(self, losses_T):
        return (self.given * losses_T).sum()

    def outlook_tasks(self):
        return self.validation

    def after_outlook(self, slopes_T):
        self.slopes.append(slopes_T.tolist())


def test_the_outlook_is_the_slope_of_the_loss_after_the_step():
    lr, weights, validation = 0.01, np.array([0.7, 1.3]), np.array([1.0, 0.5])
    walk = Walk("equal", (4.0, -3.0), steps=1, lr=lr)
    walk.scheme = Listener(weights, validation)
    walk.advance(1)
    found = evaluate(4.0, -3.0)
    rows = np.array([[0.1 * found[2], 0.1 * found[3]], [found[4], found[5]]])

    def after(mix):
        l1, l2 = evaluate(*(np.array([4.0, -3.0]) - lr * mix @ rows))[:2]
        return validation @ [0.1 * l1, l2]

    for task, bump in enumerate(np.eye(2) * 1e-4):
        slope = (after(weights + bump) - after(weights - bump)) / 2e-4
        assert walk.scheme.slopes[0][task] == pytest.approx(slope, rel=1e-4)


def test_a_scheme_without_an_answer_ends_the_walk_where_it_stands():
    walk = Walk("equal", (1.0, 2.0), steps=10)
    walk.advance(3)
    stood = walk.point
    walk.scheme = Listener((float("nan"), 1.0))
    walk.advance(7)
    assert walk.is_done
    assert "step 3" in walk.stopped
    assert walk.point == stood
    assert walk.path[-1] == (3, *stood)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_scheme_walks_and_repeats_itself(name):
    for start in (PAPER_STARTS[1], PAPER_STARTS[2]):
        ends = []
        for advances in ([60], [1, 20, 39]):
            walk = Walk(name, start, steps=60, lr=0.01, seed=5)
            for n in advances:
                walk.advance(n)
            assert walk.is_done
            assert not walk.stopped, walk.stopped
            assert np.isfinite(walk.point).all()
            ends.append(walk.point)
        assert ends[0] == ends[1]


def test_the_path_is_kept_and_ends_at_the_end():
    walk = Walk("equal", (9, 9), steps=105, keep_every=10)
    walk.advance(50)
    walk.advance(1000)
    assert [step for step, _, _ in walk.path] == [*range(0, 101, 10), 105]
    assert walk.path[-1][1:] == walk.point


def test_chance_comes_from_the_seed():
    ends = set()
    for seed in (1, 1, 2):
        walk = Walk("rlw", (0, -3), steps=50, seed=seed)
        walk.advance(50)
        ends.add(walk.point)
    assert len(ends) == 2


@pytest.mark.parametrize(
    "start", [start for start in PAPER_STARTS if start != (-8.5, 7.5)], ids=str
)  # there it takes 50,000 steps
def test_famo_reaches_the_front(start):
    walk = Walk("famo", start, **QUICK)
    walk.advance(QUICK["steps"])
    assert outcome(walk, "famo")["on_front"] is True


@pytest.mark.parametrize("scheme", ["mgda", "nash_mtl"])
@pytest.mark.parametrize("start", PAPER_STARTS, ids=str)
def test_mgda_and_nash_mtl_reach_the_front_from_everywhere(scheme, start):
    walk = Walk(scheme, start, **QUICK)
    walk.advance(QUICK["steps"])
    assert outcome(walk, scheme)["on_front"] is True


@pytest.mark.parametrize("scheme", ["equal", "pcgrad", "cagrad"])
def test_equal_weights_pcgrad_and_cagrad_miss_it_from_the_upper_right(scheme):
    walk = Walk(scheme, (9, 9), **QUICK)
    walk.advance(QUICK["steps"])
    assert distance_to_front(*walk.point) > 5
    assert outcome(walk, scheme)["on_front"] is False


@pytest.mark.parametrize("scheme", ["equal", "cagrad"])
def test_where_the_sum_is_what_counts_walks_end_in_its_optimum(scheme):
    walk = Walk(scheme, (-7.5, -0.5), **QUICK)
    walk.advance(QUICK["steps"])
    assert walk.point == pytest.approx((-5.7273, -8.4094), abs=1e-3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scheme": "mgad"}, "Did you mean 'mgda'"),
        ({"start": (float("nan"), 0)}, "within -20 and 20"),
        ({"start": (0, float("inf"))}, "within -20 and 20"),
        ({"start": (21, 0)}, "within -20 and 20"),
        ({"start": (1,)}, "two numbers"),
        ({"steps": 0}, "1..1,000,000"),
        ({"steps": 10**9}, "1..1,000,000"),
        ({"lr": 0}, "above 0"),
        ({"lr": float("nan")}, "above 0"),
        ({"lr": 2}, "at most at 1"),
        ({"scale": -0.1}, "above 0"),
        ({"scale": float("inf")}, "at most at 1000"),
        ({"seed": -1}, "from 0 up"),
        ({"knobs": {"c": 1}}, "no knob of weighting equal"),
        ({"knobs": {"name": "mgda"}}, "no knob of weighting equal"),
        ({"scheme": "cagrad", "knobs": {"c": -1}}, "greater than or equal to 0"),
        ({"scheme": "fixed", "knobs": {"weights": [1, 2, 3]}}, "one weight per task"),
    ],
    ids=str,
)
def test_a_slip_is_a_sentence(change, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        Walk(**{"scheme": "equal", "start": (0, 0), **change})


# -- the command line -----------------------------------------------------------------------------------------------------


def test_one_line_of_json_per_start(capsys):
    given = ["toy", "cagrad", "c=0.2", "--start=9,-1", "--start", "-8.5,7.5", "--steps", "40", "--lr", "1e-2", "--scale", "0.5"]
    assert main([*given, "--seed", "3", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["start"] for line in lines] == [[9, -1], [-8.5, 7.5]]
    for line in lines:
        assert list(line) == ["scheme", "start", "end", "losses", "on_front"]
        assert line["scheme"] == "cagrad"
        assert line["losses"] == pytest.approx(evaluate(*line["end"])[:2])
        assert line["on_front"] is False
    walk = Walk("cagrad", (9, -1), steps=40, lr=0.01, scale=0.5, seed=3, knobs={"c": 0.2})
    walk.advance(40)
    assert lines[0]["end"] == list(walk.point)


def test_without_a_start_the_papers_five_are_walked(capsys):
    assert main(["toy", "equal", "--steps", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [tuple(line["start"]) for line in lines] == list(PAPER_STARTS)


def test_for_people_it_is_a_table(capsys):
    assert main(["toy", "mgda", "--start=0,-8.3", "--steps", "300", "--lr", "0.01"]) == 0
    out = capsys.readouterr().out
    assert "on the front" in out
    assert "yes" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    list(
        itertools.chain(
            [([], "SCHEME"), (["mgad"], "'mgda'"), (["equal", "c=1"], "no knob"), (["cagrad", "c"], "name=value")],
            [(["equal", f"--start={bad}"], "x1,x2") for bad in ("9", "a,b", "", "1,2,3", ",")],
            [(["equal", f"--start={bad}"], "within -20 and 20") for bad in ("nan,0", "0,inf", "0,1e9")],
            [(["equal", "--steps", "0"], "steps"), (["equal", "--steps", "x"], "steps"), (["equal", "--lr", "nan"], "lr")],
            [(["equal", "--lr", "-1"], "lr"), (["equal", "--scale", "0"], "scale"), (["equal", "--seed", "-1"], "seed")],
        )
    ),
    ids=str,
)
def test_a_slip_on_the_command_line(arguments, says, capsys):
    assert main(["toy", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err
