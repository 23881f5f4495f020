"""Schemes on dual cones (UPGrad, DualProj), with weights moved by descent (GradNorm, MoDo, SDMGrad), and the projections behind."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from schemes import HAND, ask, grid, make, step_of
from scipy.optimize import nnls
from torchjd.aggregation import MoDoWeighting, SDMGradWeighting

from mtl_core.registry import parse_knobs
from mtl_core.weightings import WEIGHTINGS, Weighting
from mtl_core.weightings._cone import unconflicted
from mtl_core.weightings._project import onto_simplex, onto_simplex_on_host

ONE = torch.ones(3, dtype=torch.float64)
CONES = ("upgrad", "dualproj")


def spread(chance: np.random.Generator, n_tasks: int, n_dims: int, decades: float) -> np.ndarray:
    """Random gradients whose lengths span that many decades."""
    rows = chance.normal(size=(n_tasks, n_dims))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    lengths = 10.0 ** chance.uniform(-decades / 2, decades / 2, size=n_tasks)
    lengths[:2] = 10.0 ** np.array([-decades / 2, decades / 2])
    return rows * lengths[:, None]


def mixes_of(name: str, n_tasks: int) -> np.ndarray:
    """What the scheme projects: each gradient's share, or the mean gradient."""
    return np.eye(n_tasks) / n_tasks if name == "upgrad" else np.full((1, n_tasks), 1.0 / n_tasks)


# -- projection on the simplex ------------------------------------------------------------------------------------------


def nearest_of_all_faces(x: np.ndarray) -> np.ndarray:
    """The projection by trying every face: on the right one it is a shift, and no other feasible shift is nearer."""
    best, shortest = x, np.inf
    for size in range(1, len(x) + 1):
        for face in itertools.combinations(range(len(x)), size):
            w = np.zeros(len(x))
            w[list(face)] = x[list(face)] - (x[list(face)].sum() - 1) / size
            if (w >= 0).all() and np.linalg.norm(w - x) < shortest:
                best, shortest = w, float(np.linalg.norm(w - x))
    return best


@given(x=hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(-3, 3, width=16)))
@settings(max_examples=200, deadline=None)
def test_projection_is_the_nearest_point_of_all_faces(x: np.ndarray) -> None:
    expected = nearest_of_all_faces(x)
    assert onto_simplex(torch.tensor(x)).numpy() == pytest.approx(expected, abs=1e-12)
    assert onto_simplex_on_host(x) == pytest.approx(expected, abs=1e-12)


@given(x=hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e20, 1e20)))
@settings(max_examples=200, deadline=None)
def test_projection_lands_on_the_simplex_from_anywhere(x: np.ndarray) -> None:
    for found in (onto_simplex(torch.tensor(x)).numpy(), onto_simplex_on_host(x)):
        assert (found >= 0).all()
        assert found.sum() == pytest.approx(1.0, abs=1e-12)
        assert found[x.argmax()] == found.max()


def test_projection_keeps_the_dtype_and_shows_divergence() -> None:
    assert onto_simplex(torch.tensor([3.0, 1.0])).tolist() == [1.0, 0.0]
    assert onto_simplex(torch.tensor([3.0, 1.0])).dtype == torch.float32
    for bad in (math.nan, math.inf, -math.inf):
        assert onto_simplex(torch.tensor([0.5, bad, 0.5])).isnan().all()


# -- projection on the dual cone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "step"),
    [
        ("upgrad", HAND.tolist(), [0.4, 0.7]),
        ("dualproj", HAND.tolist(), [0.25, 0.5]),
        ("upgrad", [*HAND.tolist(), [0.0, 0.0]], [0.8 / 3, 1.4 / 3]),  # a task that does not pull only lowers the mean
        ("dualproj", [*HAND.tolist(), [0.0, 0.0]], [0.5 / 3, 1.0 / 3]),
        ("dualproj", [[1.0, 0.0], [-2.0, 1.0]], [0.0, 0.5]),  # the mean, (−½, ½), hurts the first
        ("upgrad", [[1.0, 0.0], [-2.0, 1.0]], [0.1, 0.7]),  # mean of (1, 0) + 0.4 (−2, 1) and (0, 1)
        ("upgrad", [[1.0, 2.0], [-1.0, -2.0]], [0.0, 0.0]),
        ("dualproj", [[1.0, 2.0], [-3.0, -6.0]], [0.0, 0.0]),
        ("upgrad", [[1.0, 2.0], [3.0, 1.0]], [2.0, 1.5]),  # no conflict: the mean
    ],
)
def test_cone_schemes_by_hand(name: str, rows: list[list[float]], step: list[float]) -> None:
    assert step_of(name, np.array(rows)) == pytest.approx(step, abs=1e-12)


@pytest.mark.parametrize("name", CONES)
@pytest.mark.parametrize("n_tasks", [2, 3, 4, 5])
def test_cone_schemes_take_the_nearest_step_of_all_faces(name: str, n_tasks: int) -> None:
    chance = np.random.default_rng(n_tasks)
    for decades in (0.0, 2.0, 2.0, 4.0):
        rows = spread(chance, n_tasks, 4, decades)
        expected = np.zeros(4)
        for mix in mixes_of(name, n_tasks):
            goal = mix @ rows
            candidates = [goal]
            for size in range(1, n_tasks + 1):
                for face in itertools.combinations(range(n_tasks), size):
                    units = rows[list(face)] / np.linalg.norm(rows[list(face)], axis=1, keepdims=True)
                    raised = np.linalg.lstsq(units.T, -goal, rcond=None)[0]
                    if (raised >= 0).all():
                        candidates.append(goal + raised @ units)
            expected += min(candidates, key=np.linalg.norm)  # the dual problem: the shortest goal + Σ zᵢgᵢ with z ≥ 0
        assert step_of(name, rows) == pytest.approx(expected, abs=1e-9 * np.linalg.norm(rows))


@pytest.mark.parametrize("name", CONES)
@pytest.mark.parametrize("n_tasks", [2, 3, 8, 40])
def test_cone_schemes_agree_with_scipy_on_the_gradients_themselves(name: str, n_tasks: int) -> None:
    chance = np.random.default_rng(n_tasks)
    for n_dims in (n_tasks // 2 + 1, n_tasks + 1, 100):
        rows = spread(chance, n_tasks, n_dims, 1.0)
        expected = sum(goal + nnls(rows.T, -goal)[0] @ rows for goal in mixes_of(name, n_tasks) @ rows)
        assert step_of(name, rows) == pytest.approx(expected, abs=1e-8 * np.linalg.norm(rows))


@given(n_tasks=st.integers(2, 8), n_dims=st.integers(1, 9), decades=st.floats(3, 6), seed=st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_cone_schemes_harm_no_task_however_lengths_differ(n_tasks: int, n_dims: int, decades: float, seed: int) -> None:
    """The promise d · gᵢ ≥ 0, to the rounding of the inner products, and the conditions of optimality (KKT) of each projection."""
    rows = spread(np.random.default_rng(seed), n_tasks, n_dims, decades)
    gram, lengths = rows @ rows.T, np.linalg.norm(rows, axis=1)
    for name in CONES:
        weights = make(name, n_tasks).weights(torch.tensor(gram), torch.ones(n_tasks)).numpy()
        assert (rows @ (weights @ rows) >= -1e-12 * lengths * (weights @ lengths)).all()
        for mix in mixes_of(name, n_tasks):
            found = unconflicted(gram, mix[None], 2.2e-16)
            raised, slack = (found - mix) * lengths, gram @ found / lengths
            scale = found @ lengths
            assert (raised >= -1e-12 * scale).all()
            assert (slack >= -1e-12 * scale).all()
            assert (np.abs(raised * slack) <= 1e-12 * scale**2).all()


@pytest.mark.parametrize("name", CONES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forty_tasks_of_very_different_lengths_are_not_harmed(name: str, dtype: torch.dtype) -> None:
    for seed in range(3):
        rows = torch.tensor(spread(np.random.default_rng(seed), 40, 60, 3.0), dtype=dtype)
        weights, step = ask(make(name, 40), rows)
        assert weights is not None
        lengths = rows.norm(dim=1)
        assert (rows @ step >= -20 * torch.finfo(dtype).eps * lengths * (weights @ lengths)).all()


@pytest.mark.parametrize("name", CONES)
def test_two_tasks_in_closed_form_are_as_exact_as_the_search(name: str) -> None:
    chance = np.random.default_rng(7)
    for decades in (0.0, 1.0, 3.0, 6.0, 12.0):
        for _ in range(20):
            rows = spread(chance, 2, 3, decades)
            gram = rows @ rows.T
            closed = make(name, 2).weights(torch.tensor(gram), torch.ones(2)).numpy()
            searched = unconflicted(gram, mixes_of(name, 2), 2.2e-16)
            assert closed == pytest.approx(searched, rel=1e-6)


@pytest.mark.parametrize("name", CONES)
def test_equal_gradients_get_equal_weights(name: str) -> None:
    weights, _ = ask(make(name, 4), torch.tensor([[1.0, 0.0], [-2.0, 1.0], [1.0, 0.0], [-2.0, 1.0]]))
    assert weights is not None
    assert weights[:2].tolist() == weights[2:].tolist()


def test_upgrad_is_linear_in_the_length_of_each_gradient() -> None:
    """As the paper proves: scaling all gradients by c > 0, each by its own, gives Σ of the scaled projections."""
    rows = spread(np.random.default_rng(3), 4, 5, 1.0)
    one, two = np.array([1.0, 2.0, 0.5, 3.0]), np.array([0.1, 4.0, 1.0, 2.0])
    steps = [step_of("upgrad", scale[:, None] * rows) for scale in (one, two, one + two)]
    assert steps[0] + steps[1] == pytest.approx(steps[2], rel=1e-9)


# -- GradNorm -----------------------------------------------------------------------------------------------------------


def test_gradnorm_along_a_run_by_hand() -> None:
    """Gradients (1, 0) and (0, 3), α = 1, plain descent with rate 0.1."""
    scheme = make("gradnorm", 2, alpha=1, lr=0.1)
    (group,) = scheme.parameter_groups()
    assert group["weight_decay"] == 0.0
    optimizer = torch.optim.SGD([group])
    gram = torch.tensor([[1.0, 0.0], [0.0, 9.0]])
    by_hand = [  # losses, slope by w, w after the step (before the sum is restored)
        ([2.0, 5.0], [-1.0, 3.0], [1.1, 0.7]),  # r = (1, 1), n = (1, 3), both to become 2
        ([1.0, 2.5], [-1.0, 3.0], [1.1 / 0.9 + 0.1, 0.7 / 0.9 - 0.3]),  # both halved: r = (1, 1) still; n = (1.222, 2.333)
        ([0.2, 4.5], [1.0, -3.0], [1.469136 - 0.1, 0.530864 + 0.3]),  # ratios (0.1, 0.9): r = (0.2, 1.8); n = (1.469, 1.593)
    ]
    w = np.ones(2)
    for losses, slope, moved in by_hand:
        weights = scheme.weights(gram, torch.tensor(losses))
        assert weights.tolist() == pytest.approx(w.tolist(), rel=1e-6), "the step is taken with the weights before their update"
        assert scheme.w_T.grad.tolist() == slope
        optimizer.step()
        assert scheme.w_T.tolist() == pytest.approx(moved, rel=1e-6)
        scheme.after_step(torch.tensor(losses))
        w = scheme.w_T.detach().numpy().copy()
        assert w.sum() == pytest.approx(2.0)


@given(seed=st.integers(0, 1000), alpha=st.sampled_from([0.0, 0.12, 1.5, 3.0]))
@settings(max_examples=30, deadline=None)
def test_gradnorm_slopes_are_those_of_its_objective(seed: int, alpha: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scheme = make("gradnorm", 3, alpha=alpha)
    with torch.no_grad():
        scheme.w_T.copy_(torch.rand(3, generator=generator) + 0.1)
    firsts, losses = torch.rand(2, 3, generator=generator, dtype=torch.float64) + 0.1
    rows = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    scheme.weights(rows @ rows.T, firsts)
    scheme.weights(rows @ rows.T, losses)
    w = scheme.w_T.detach().double().requires_grad_()
    n = (w[:, None] * rows).norm(dim=1)
    r = (losses / firsts) / (losses / firsts).mean()
    (slope,) = torch.autograd.grad((n - (n.mean() * r**alpha).detach()).abs().sum(), w)
    torch.testing.assert_close(scheme.w_T.grad.double(), slope, rtol=1e-5, atol=1e-5)


def run_gradnorm(scheme: Weighting, gram: torch.Tensor, losses: list[torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
    for one in losses:
        optimizer.zero_grad()
        scheme.weights(gram, one)
        optimizer.step()
        scheme.after_step(one)


def test_gradnorm_levels_lengths_and_favours_the_slow() -> None:
    gram = torch.diag(torch.tensor([1.0, 16.0]))
    level = make("gradnorm", 2, alpha=0)
    run_gradnorm(level, gram, [torch.ones(2)] * 400, torch.optim.Adam(level.parameters(), lr=0.003))
    assert level.w_T.tolist() == pytest.approx([1.6, 0.4], abs=0.01)
    slow = make("gradnorm", 2, alpha=1)
    losses = [torch.ones(2)] + [torch.tensor([0.25, 0.75])] * 400  # r = (½, 3/2): the second is to pull three times as hard
    run_gradnorm(slow, gram, losses, torch.optim.Adam(slow.parameters(), lr=0.003))
    assert slow.w_T.tolist() == pytest.approx([2 / 1.75, 1.5 / 1.75], abs=0.01)


def test_gradnorm_stays_put_where_all_is_level() -> None:
    scheme = make("gradnorm", 3)
    weights, _ = ask(scheme, torch.tensor([[0.3, 0.4], [-0.5, 0.0], [0.4, -0.3]]))
    assert weights is not None
    assert weights.tolist() == [1.0, 1.0, 1.0]
    assert scheme.w_T.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
def test_gradnorm_weights_stay_positive_and_keep_their_sum(scale: float) -> None:
    scheme = make("gradnorm", 3)
    optimizer = torch.optim.SGD(scheme.parameters(), lr=1.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        rows = torch.randn(3, 4, generator=generator, dtype=torch.float64) * scale * torch.tensor([[1.0], [100.0], [1.0]])
        run_gradnorm(scheme, rows @ rows.T, [torch.rand(3, generator=generator)], optimizer)
        assert (scheme.w_T > 0).all()
        assert scheme.w_T.tolist() == pytest.approx((3 * scheme.w_T / scheme.w_T.sum()).tolist(), rel=1e-5)


def test_gradnorm_compares_each_task_with_its_own_first_loss() -> None:
    scheme = make("gradnorm", 3)
    scheme.active = torch.tensor([0, 2])
    scheme.weights(torch.eye(2), torch.tensor([4.0, math.inf]))  # diverged: not a first loss
    scheme.active = torch.arange(3)
    scheme.weights(torch.eye(3), torch.tensor([2.0, 5.0, 0.0]))
    assert scheme.first_T.tolist() == [4.0, 5.0, 0.0]
    assert scheme._slowness(torch.tensor([2.0, 5.0, 1.0])).tolist() == pytest.approx([0.6, 1.2, 1.2])  # nothing to compare: 1
    assert scheme._slowness(torch.zeros(3)).tolist() == pytest.approx([0.0, 0.0, 3.0])
    assert make("gradnorm", 2)._slowness(torch.zeros(2)).tolist() == [1.0, 1.0]


def test_gradnorm_leaves_absent_tasks_alone_though_adam_moves_them() -> None:
    scheme = make("gradnorm", 4)
    optimizer = torch.optim.Adam(scheme.parameters(), lr=0.1)
    run_gradnorm(scheme, torch.diag(torch.tensor([1.0, 4.0, 9.0, 16.0])), [torch.ones(4)] * 3, optimizer)
    before = scheme.w_T.detach().clone()
    scheme.active = torch.tensor([1, 3])
    run_gradnorm(scheme, torch.diag(torch.tensor([4.0, 16.0])), [torch.ones(2)] * 3, optimizer)
    after = scheme.w_T.detach()
    assert after[[0, 2]].tolist() == before[[0, 2]].tolist()
    assert after[1] > before[1]
    assert float(after.sum()) == pytest.approx(4.0)


# -- MoDo and SDMGrad ---------------------------------------------------------------------------------------------------


def independent_parts(seed: int, n_tasks: int, n_steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Gradients of two parts of a batch: a common pull and noise of the same size."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(n_tasks, 6, generator=generator, dtype=torch.float64)
    noise = torch.randn(n_steps, 2, n_tasks, 6, generator=generator, dtype=torch.float64)
    return [(common + one, common + other) for one, other in noise]


def test_modo_follows_its_formula_on_matrices_that_are_not_symmetric() -> None:
    scheme = make("modo", 3, gamma=0.05, rho=0.3)
    mix = np.full(3, 1 / 3)
    for first, second in independent_parts(0, 3, 20):
        found = scheme.weights(first @ second.T, ONE)
        mix = nearest_of_all_faces(mix - 0.05 * (first.numpy() @ (second.numpy().T @ mix) + 0.3 * mix))
        assert found.tolist() == pytest.approx(mix.tolist(), abs=1e-12)
    first, second = independent_parts(1, 3, 1)[0]
    answers = [make("modo", 3).weights(product, ONE).tolist() for product in (first @ second.T, second @ first.T)]
    assert answers[0] != pytest.approx(answers[1], abs=1e-3)


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 8])
def test_modo_and_sdmgrad_agree_with_torchjd_along_a_run(n_tasks: int) -> None:
    ours, theirs = make("modo", n_tasks), MoDoWeighting()
    for first, second in independent_parts(n_tasks, n_tasks, 30):
        torch.testing.assert_close(ours.weights(first @ second.T, ONE), theirs(first @ second.T))
    for knobs in ({}, {"lr": 0.1}, {"lam": 0.0, "lr": 0.5, "n_iter": 5}, {"lam": 3.0}):
        renamed = {"lambda_" if knob == "lam" else knob: value for knob, value in knobs.items()}
        ours, theirs = make("sdmgrad", n_tasks, **knobs), SDMGradWeighting(**renamed)
        for first, second in independent_parts(n_tasks, n_tasks, 30):
            torch.testing.assert_close(ours.weights(first @ second.T, ONE), theirs(first @ second.T), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_tasks", [2, 3, 8])
def test_sdmgrad_follows_its_formula_though_the_published_search_overshoots(n_tasks: int) -> None:
    """Twenty overshooting steps blow up whatever is added to the divisor: 1e-8 of it moves a step by 1e-4."""
    for seed in range(10):
        rows = np.random.default_rng(seed).normal(size=(n_tasks, 12))
        slopes = rows @ rows.T / np.linalg.norm(rows, axis=1).mean() ** 2
        even = np.full(n_tasks, 1 / n_tasks)
        mix, velocity = even, np.zeros(n_tasks)
        for _ in range(20):
            velocity = 0.5 * velocity + slopes @ (mix + 0.3 * even)
            mix = nearest_of_all_faces(mix - 10 * velocity)
        assert step_of("sdmgrad", rows) == pytest.approx((mix + 0.3 * even) / 1.3 @ rows, abs=1e-8)


@pytest.mark.parametrize("lam", [0.0, 0.3, 3.0])
def test_sdmgrad_finds_the_shortest_leaning_mix_when_its_search_may_settle(lam: float) -> None:
    mixes = grid(3, 60)
    for seed in range(5):
        rows = spread(np.random.default_rng(seed), 3, 4, 0.5)
        scheme = make("sdmgrad", 3, lam=lam, lr=0.1, n_iter=1000)
        weights, step = ask(scheme, torch.tensor(rows))
        best = np.linalg.norm(mixes @ rows + lam * rows.mean(axis=0), axis=1).min() / (1 + lam)
        assert weights is not None
        assert float(weights.sum()) == pytest.approx(1.0)
        assert float(step.norm()) <= best * (1 + 1e-6)


def test_sdmgrad_without_lambda_is_mgda_and_with_much_of_it_the_mean() -> None:
    rows = spread(np.random.default_rng(0), 4, 6, 0.5)
    assert step_of("sdmgrad", rows, lam=0, lr=0.1, n_iter=1000) == pytest.approx(step_of("mgda", rows), rel=1e-4)
    assert step_of("sdmgrad", rows, lam=1e6) == pytest.approx(rows.mean(axis=0), rel=1e-4)


def test_sdmgrad_does_not_feel_the_unit_of_the_losses_but_modo_does() -> None:
    first, second = independent_parts(0, 3, 1)[0]
    product = first @ second.T
    for scale in (1e-10, 1e10):
        torch.testing.assert_close(
            make("sdmgrad", 3).weights(scale**2 * product, ONE), make("sdmgrad", 3).weights(product, ONE)
        )
    assert make("modo", 3).weights(1e-20 * product, ONE).tolist() == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert make("modo", 3).weights(1e20 * product, ONE).max() == 1.0


def test_sdmgrad_answers_parts_that_contradict_each_other() -> None:
    """Products below zero on the whole diagonal have no length to divide by."""
    weights = make("sdmgrad", 2, lam=1).weights(torch.tensor([[-1.0, 0.0], [0.0, -4.0]]), torch.ones(2))
    assert weights.tolist() == [0.25, 0.75]
    stays = make("sdmgrad", 2).weights(torch.zeros(2, 2), torch.ones(2))
    assert stays.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("name", "buffer"), [("modo", "lambda_T"), ("sdmgrad", "w_T")])
def test_weights_are_remembered_and_absent_tasks_keep_theirs(name: str, buffer: str) -> None:
    scheme = make(name, 4)
    for first, second in independent_parts(2, 4, 3):
        scheme.weights(0.1 * first @ second.T, torch.ones(4))
    with torch.no_grad():
        scheme.state_dict()[buffer].copy_(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    scheme.active = torch.tensor([1, 3])
    found = scheme.weights(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.ones(2))
    remembered = scheme.state_dict()[buffer]
    assert remembered[[0, 2]].tolist() == [0.1, 0.3]
    assert float(remembered.sum()) == pytest.approx(1.0)
    assert float(found.sum()) == pytest.approx(1.0)
    assert float(remembered[1]) != pytest.approx(0.2), "the others divide their share anew"
    with torch.no_grad():
        remembered.copy_(torch.tensor([0.5, 0.0, 0.5, 0.0]))
    assert scheme.weights(torch.eye(2), torch.ones(2)).tolist() == pytest.approx([0.5, 0.5])
    assert scheme.state_dict()[buffer].tolist() == [0.5, 0.0, 0.5, 0.0]


def test_whose_gradients_and_how_many_parts() -> None:
    assert make("gradnorm", 2).on == "last_stage"
    assert make("gradnorm", 2, on="parameters").on == "parameters"
    for name in ("modo", "sdmgrad"):
        assert make(name, 2).n_parts == 3
        assert make(name, 2, on="last_stage").n_parts == 3
        assert make(name, 2, on="representation").n_parts == 1
    for name in (*CONES, "gradnorm"):
        assert make(name, 2).n_parts == 1


@pytest.mark.parametrize(
    ("name", "knobs", "part"),
    [
        ("gradnorm", {"alpha": -0.5}, "greater than or equal to 0"),
        ("gradnorm", {"on": "trunk"}, "'last_stage'"),
        ("gradnorm", {"lr": 0}, "greater than 0"),
        ("modo", {"gamma": 0}, "greater than 0"),
        ("modo", {"rho": -1}, "greater than or equal to 0"),
        ("sdmgrad", {"lambda": 0.3}, "lam"),
        ("sdmgrad", {"n_iter": 0}, "greater than or equal to 1"),
        ("sdmgrad", {"lam": math.inf}, "finite number"),
        ("upgrad", {"norm_eps": 1e-4}, "norm_eps"),
    ],
)
def test_slips_are_answered_in_a_sentence(name: str, knobs: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)):
        parse_knobs(WEIGHTINGS[name].Knobs, knobs, name)
