"""Nash-MTL, FairGrad, IMTL-G, IMTL, Aligned-MTL, GradVac and ConFIG: against their equations, torchjd and brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from schemes import HAND, NASTY, ask, make, step_of
from torchjd.aggregation import AlignedMTLWeighting, ConFIG, FairGradWeighting, GradVacWeighting, IMTLGWeighting

from mtl_core.weightings import WEIGHTINGS
from mtl_core.weightings._fair import fair_weights
from mtl_core.weightings._impartial import _affine as impartial_on_host
from mtl_core.weightings.aligned_mtl import _aligned as aligned_on_host
from mtl_core.weightings.config import _conflict_free as config_on_host

EPS = 2.2e-16
NAMES = ["nash_mtl", "fairgrad", "imtl_g", "imtl", "aligned_mtl", "gradvac", "config"]
BLIND_TO_LENGTH = ["nash_mtl", "imtl_g", "imtl", "config"]  # the direction does not depend on the lengths of gradients


def weights_of(name: str, rows: np.ndarray, **knobs: object) -> np.ndarray:
    return make(name, len(rows), **knobs).weights(torch.tensor(rows @ rows.T), torch.ones(len(rows))).detach().numpy()


def draw(chance: np.random.Generator, n_tasks: int, *, decades: float = 0.0, n_dims: int = 60) -> np.ndarray:
    """Gradients in random directions whose lengths span so many decades."""
    lengths = 10.0 ** chance.uniform(-decades / 2, decades / 2, size=(n_tasks, 1))
    lengths[0], lengths[-1] = 10.0 ** (-decades / 2), 10.0 ** (decades / 2)
    return chance.normal(size=(n_tasks, n_dims)) * lengths


def residual(rows: np.ndarray, weights: np.ndarray, alpha: float) -> float:
    """How far, relatively, Gw = w^(−1/α) is from true."""
    return float(np.abs((rows @ rows.T @ weights) * weights ** (1 / alpha) - 1).max())


# -- values by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "knobs", "step"),
    [
        ("nash_mtl", {}, [0.7435, 1.2030]),
        ("nash_mtl", {"max_norm": 1.0}, [0.7435 / math.sqrt(2), 1.2030 / math.sqrt(2)]),
        ("nash_mtl", {"max_norm": 1.5}, [0.7435, 1.2030]),
        ("fairgrad", {"alpha": 1.0}, [0.7435, 1.2030]),
        ("imtl_g", {}, [0.2918, 0.4721]),
        ("imtl", {}, [0.2918, 0.4721]),
        ("aligned_mtl", {}, [0.5681, 0.9468]),
        ("aligned_mtl", {"mode": "median"}, [0.5681, 0.9468]),
        ("gradvac", {}, [0.8, 1.4]),
        ("config", {}, [0.5854, 0.9472]),
    ],
)
def test_the_hand_case(name: str, knobs: dict[str, object], step: list[float]) -> None:
    assert step_of(name, HAND.numpy(), **knobs) == pytest.approx(step, abs=5e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gradvac"])
def test_a_task_that_does_not_pull_takes_weight_0_and_the_others_stand_as_if_alone(name: str) -> None:
    chance = np.random.default_rng(0)
    for n_others in (1, 2, 3):
        others = draw(chance, n_others, n_dims=8)
        rows = np.insert(others, 1, 0.0, axis=0)
        weights = weights_of(name, rows)
        alone = weights_of(name, others)
        np.testing.assert_allclose(np.delete(weights, 1), alone, rtol=1e-9)
        assert weights[1] == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_no_gradients_no_step(name: str) -> None:
    for n_tasks in (1, 2, 3):
        assert step_of(name, np.zeros((n_tasks, 4))).tolist() == [0.0] * 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_tasks", [2, 3, 40])
def test_equal_gradients_count_alike(name: str, n_tasks: int) -> None:
    rows = np.tile([3.0, 4.0], (n_tasks, 1))
    expected = {"nash_mtl": 1 / (5 * math.sqrt(n_tasks)), "imtl_g": 1 / n_tasks, "imtl": 1 / n_tasks}
    expected["fairgrad"] = (25 * n_tasks) ** (-2 / 3)  # n w 25 = w^(−1/2)
    np.testing.assert_allclose(weights_of(name, rows), expected.get(name, 1.0), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opposite_gradients_leave_no_step(name: str, dtype: torch.dtype) -> None:
    rows = torch.tensor([[3.0, 4.0], [-0.3, -0.4]], dtype=dtype)
    if name == "aligned_mtl":  # of the one axis that is left, each takes its shadow
        rows = torch.tensor([[3.0, 4.0], [-3.0, -4.0]], dtype=dtype)
    assert float(ask(make(name, 2), rows)[1].norm()) < 1e-5


@pytest.mark.parametrize("name", BLIND_TO_LENGTH)
def test_lengths_of_gradients_do_not_turn_the_step(name: str) -> None:
    rows = draw(np.random.default_rng(1), 4, n_dims=9)
    one, other = step_of(name, rows), step_of(name, rows * [[1e-3], [1.0], [1e2], [30.0]])
    assert abs(one @ other) == pytest.approx(np.linalg.norm(one) * np.linalg.norm(other), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(
    rows=hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 6), st.integers(1, 6)),
        elements=st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1e-10, -1e10, 1e10]), st.floats(-10, 10, width=32)),
    ),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_relabelling_and_halving_all_gradients(name: str, rows: np.ndarray, data: st.DataObject) -> None:
    weights = weights_of(name, rows)
    assert np.isfinite(weights).all()
    if name != "gradvac":  # its order is drawn for the tasks in their order
        order = data.draw(st.permutations(range(len(rows))))
        steps = weights @ rows, weights_of(name, rows[order]) @ rows[order]
        assume(not weights.any() or np.abs(weights).max() > 1e-12)  # a step of rounding alone has no direction
        scale = max(float(np.abs(weights) @ np.linalg.norm(rows, axis=1)), 1e-300)
        hull = rows[np.linalg.norm(rows, axis=1) > 0]
        # Gradients that depend on one another to within rounding may fall on either side of a choice.
        assume(len(hull) == 0 or np.linalg.svd(hull / np.linalg.norm(hull, axis=1, keepdims=True))[1].min() > 1e-4)
        np.testing.assert_allclose(steps[0] / scale, steps[1] / scale, atol=1e-5)  # gradients 1e10 apart leave 1e-6
    power = {"nash_mtl": 1.0, "fairgrad": 4 / 3}.get(name, 0.0)  # halving is exact: the same choices are made
    np.testing.assert_allclose(weights_of(name, rows / 2), weights * 2**power, rtol=1e-9)


@pytest.mark.parametrize("name", ["nash_mtl", "fairgrad", "config"])
def test_no_ascent_among_independent_gradients(name: str) -> None:
    chance = np.random.default_rng(2)
    for n_tasks, decades, _ in itertools.product((2, 3, 8), (0, 3), range(20)):
        rows = draw(chance, n_tasks, decades=decades, n_dims=n_tasks + 1)
        assert (rows @ step_of(name, rows) > 0).all()


def test_ascent_where_none_was_promised() -> None:
    long_one_opposes = np.array([[1.0, 0.0], [-9.0, 4.36]])
    assert (long_one_opposes @ step_of("aligned_mtl", long_one_opposes))[0] < -0.1
    assert (long_one_opposes @ step_of("gradvac", long_one_opposes) >= 0).all()  # PCGrad at the first step, with two tasks


def test_two_tasks_without_leaving_the_device_agree_with_the_general_answer() -> None:
    chance = np.random.default_rng(3)
    for decades in (0, 3, 8):
        for _ in range(10):
            rows = draw(chance, 2, decades=decades, n_dims=3)
            gram = rows @ rows.T
            np.testing.assert_allclose(weights_of("nash_mtl", rows), fair_weights(gram, EPS, 1.0), rtol=1e-9)
            np.testing.assert_allclose(weights_of("imtl_g", rows), impartial_on_host(gram, EPS), rtol=1e-9)
            np.testing.assert_allclose(weights_of("config", rows), config_on_host(gram, EPS), rtol=1e-9)
            for mode in ("min", "median", "rmse"):
                ours, theirs = weights_of("aligned_mtl", rows, mode=mode), aligned_on_host(gram, EPS, mode)
                lengths = np.linalg.norm(rows, axis=1)
                np.testing.assert_allclose(ours * lengths, theirs * lengths, atol=1e-9 * np.abs(theirs * lengths).max())


# -- Nash-MTL and FairGrad ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tasks", [2, 3, 8, 40])
@pytest.mark.parametrize("decades", [0, 3, 8, 16])
def test_nash_solves_its_equation(n_tasks: int, decades: int) -> None:
    chance = np.random.default_rng(n_tasks)
    for shift in (0.0, 0.4):
        rows = draw(chance, n_tasks, decades=decades)
        rows += shift * np.linalg.norm(rows, axis=1, keepdims=True)
        weights = weights_of("nash_mtl", rows)
        assert (weights > 0).all()
        assert residual(rows, weights, 1.0) < 1e-10
        assert np.linalg.norm(weights @ rows) == pytest.approx(math.sqrt(n_tasks))


@pytest.mark.parametrize("n_tasks", [2, 3, 8, 40])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0, 10.0])
def test_fairgrad_solves_its_equation(n_tasks: int, alpha: float) -> None:
    chance = np.random.default_rng(n_tasks)
    for decades in (0, 3, 6):
        rows = draw(chance, n_tasks, decades=decades)
        assert residual(rows, weights_of("fairgrad", rows, alpha=alpha), alpha) < 1e-9


@pytest.mark.parametrize("cosine", [-0.999999, -0.99, -0.5, 0.0, 0.5, 0.999999, 1.0])
@pytest.mark.parametrize("ratio", [1.0, 1e-3, 1e8])
def test_nash_of_two_has_a_closed_form(cosine: float, ratio: float) -> None:
    rows = np.array([[1.0, 0.0], [ratio * cosine, ratio * math.sqrt(1 - cosine**2)]])
    expected = np.array([1.0, 1 / ratio]) / math.sqrt(1 + cosine)
    np.testing.assert_allclose(weights_of("nash_mtl", rows), expected, rtol=1e-9)
    np.testing.assert_allclose(weights_of("fairgrad", rows, alpha=1.0), expected, rtol=1e-9)


def test_nash_maximises_the_product_of_gains() -> None:
    chance = np.random.default_rng(5)
    rows = draw(chance, 3, n_dims=3)
    step = step_of("nash_mtl", rows)
    best = np.log(rows @ step).sum()
    others = chance.normal(size=(20000, 3))
    others *= np.linalg.norm(step) / np.linalg.norm(others, axis=1, keepdims=True)
    gains = others @ rows.T
    assert np.log(gains[(gains > 0).all(axis=1)]).sum(axis=1).max() <= best


def test_fairgrad_ends_at_serving_the_worst_off_and_begins_at_equal_weights() -> None:
    rows = draw(np.random.default_rng(6), 4)
    step, worst_off = step_of("fairgrad", rows, alpha=100.0), step_of("mgda", rows)
    assert step @ worst_off >= 0.999 * np.linalg.norm(step) * np.linalg.norm(worst_off)
    weights = weights_of("fairgrad", rows / 8, alpha=0.1)
    assert weights.max() / weights.min() < 1.1


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_fairgrad_agrees_with_torchjd(alpha: float) -> None:
    chance = np.random.default_rng(7)
    for n_tasks in (2, 3, 5):
        rows = draw(chance, n_tasks, n_dims=8) / 3
        theirs = FairGradWeighting(alpha=alpha)(torch.tensor(rows @ rows.T)).numpy()
        np.testing.assert_allclose(weights_of("fairgrad", rows, alpha=alpha), theirs, rtol=1e-4)


@pytest.mark.parametrize("name", ["nash_mtl", "fairgrad"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_no_step_helps_all_tasks_there_is_none(name: str, dtype: torch.dtype) -> None:
    cases = [
        NASTY["round a circle"],
        NASTY["opposite"],
        [[1.0, 0.0, 0.0], [-1e-6, 0.0, 0.0], [0.0, 0.0, 1e3]],  # one pair is enough
        [[1.0, 1.0], [-1.0, 1.0], [0.1, -1.0]],  # inside the hull, not on its edge
        [[2.0], [-3.0], [4.0]],
    ]
    for case in cases:
        weights, _ = ask(make(name, len(case)), torch.tensor(case, dtype=dtype))
        assert weights is not None
        assert weights.tolist() == [0.0] * len(case)


@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-5])
def test_nash_is_as_exact_as_the_gramian_beside_the_hull(gap: float) -> None:
    """Rounding errors of the inner products grow by 1/gap²."""
    rows = np.array([[1.0, 0.0, gap], [-10.0, 0.0, 10 * gap], [0.0, 1e3, 1e3 * gap]])
    weights = weights_of("nash_mtl", rows)
    assert residual(rows, weights, 1.0) < 1e-14 / gap**2
    assert (rows @ (weights @ rows) > 0).all()


@given(
    rows=hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(-3, 3).map(float)),
    exponents=st.lists(st.integers(-10, 10), min_size=7, max_size=7),
    alpha=st.sampled_from([1.0, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_fair_weights_solve_their_equation_or_there_is_nothing_to_solve(
    rows: np.ndarray, exponents: list[int], alpha: float
) -> None:
    rows = rows[np.abs(rows).max(axis=1) > 0]
    assume(len(rows) > 0)
    lengths = 10.0 ** np.array(exponents[: len(rows)], float)
    gram = rows @ rows.T * lengths[:, None] * lengths[None, :]  # exact up to one rounding: no cancellation
    weights = fair_weights(gram, EPS, alpha)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance = np.linalg.norm(step_of("mgda", unit))
    if distance > 1e-6:
        gains = weights ** (-1 / alpha)
        assert (np.abs(gram @ weights - gains) <= 1e-10 * gains + 1e-12 * np.abs(gram) @ weights).all()  # sums may cancel
    else:
        assert not weights.any()


def test_nash_reuses_its_weights_between_two_bargains() -> None:
    scheme = make("nash_mtl", 3, update_weights_every=3)
    chance = torch.Generator().manual_seed(0)
    asked, used = [], []
    for _ in range(7):
        rows = torch.randn(3, 5, generator=chance)
        asked.append(scheme.question)
        weights, _ = ask(scheme, rows)
        assert weights is not None
        used.append(weights.tolist())
        scheme.after_step(torch.ones(3))
    assert asked == ["gramian", "losses", "losses"] * 2 + ["gramian"]
    assert used[0] == used[1] == used[2] != used[3] == used[4] == used[5] != used[6]
    assert WEIGHTINGS["nash_mtl"].trunk_passes(scheme.knobs, 4) == pytest.approx((4 + 1 + 1) / 3)


def test_nash_resumes_between_two_bargains() -> None:
    first, second = (make("nash_mtl", 2, update_weights_every=4) for _ in range(2))
    rows = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    weights, _ = ask(first, rows)
    first.after_step(torch.ones(2))
    second.load_state_dict(first.state_dict())
    assert second.question == "losses"
    again, _ = ask(second, 5 * rows)
    assert again is not None
    assert weights is not None
    assert again.tolist() == weights.tolist()


def test_nash_bargains_at_the_first_step_that_has_labels() -> None:
    scheme = make("nash_mtl", 2, update_weights_every=3)
    scheme.after_step(torch.ones(0))  # a batch without any label
    assert scheme.question == "gramian"
    scheme.active = torch.tensor([1])
    ask(scheme, torch.tensor([[0.0, 2.0]]))
    scheme.after_step(torch.ones(1))
    scheme.active = torch.arange(2)
    weights, _ = ask(scheme, torch.eye(2))
    assert weights is not None
    assert weights.tolist() == [0.0, 0.5]  # who was not at the bargain waits for the next


# -- IMTL-G, IMTL and ConFIG --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tasks", [2, 3, 8, 40])
@pytest.mark.parametrize("decades", [0, 3, 8])
def test_imtl_g_projects_equally_on_all_tasks(n_tasks: int, decades: int) -> None:
    rows = draw(np.random.default_rng(n_tasks), n_tasks, decades=decades)
    weights = weights_of("imtl_g", rows)
    assert weights.sum() == pytest.approx(1.0)
    projections = rows @ (weights @ rows) / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(projections, projections[0], rtol=1e-9)


def test_imtl_g_agrees_with_torchjd_and_with_the_paper_s_inverse() -> None:
    chance = np.random.default_rng(8)
    for n_tasks in (2, 3, 6):
        rows = draw(chance, n_tasks, decades=1)
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        differences, turns = rows[0] - rows[1:], units[0] - units[1:]
        later = rows[0] @ turns.T @ np.linalg.inv(differences @ turns.T)
        ours = weights_of("imtl_g", rows)
        np.testing.assert_allclose(ours, [1 - later.sum(), *later], rtol=1e-8)
        np.testing.assert_allclose(ours, IMTLGWeighting()(torch.tensor(rows @ rows.T)).numpy(), rtol=1e-8)


@pytest.mark.parametrize("n_tasks", [3, 4, 8])
def test_imtl_g_with_a_dimension_too_few_is_the_paper_s_inverse_too(n_tasks: int) -> None:
    chance = np.random.default_rng(n_tasks)
    for _ in range(20):
        rows = draw(chance, n_tasks, decades=1, n_dims=n_tasks - 1)
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        differences, turns = rows[0] - rows[1:], units[0] - units[1:]
        later = rows[0] @ turns.T @ np.linalg.inv(differences @ turns.T)
        ours = weights_of("imtl_g", rows)
        np.testing.assert_allclose(ours, [1 - later.sum(), *later], rtol=1e-6, atol=1e-9 * np.abs(ours).max())
        np.testing.assert_allclose(ours @ rows, 0.0, atol=1e-10 * (np.abs(ours) @ np.linalg.norm(rows, axis=1)))


@pytest.mark.parametrize(
    ("rows", "weights", "step"),
    [
        ([[2.0, 0.0], [-1.0, 0.0]], [1 / 3, 2 / 3], [0.0, 0.0]),  # opposite: a pseudo-inverse gives (2, −1), ascent on task 2
        ([[2.0, 0.0], [1.0, 0.0]], [1 / 3, 2 / 3], [4 / 3, 0.0]),  # one direction: short ones count more, as in the limit
        ([[0.0, 3.0], [0.0, 3.0], [1.0, 0.0]], [1 / 8, 1 / 8, 3 / 4], [3 / 4, 3 / 4]),  # twins share
        ([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [1 / 3] * 3, [0.0, 0.0]),  # three tasks in a plane: only 0 is impartial
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [1.0, 1.0, -1.0], [0.0, 0.0]),
        ([[1.0, 0.0], [-1.0, 0.0], [0.0, 1e-30]], [0.5, 0.5, 0.0], [0.0, 0.0]),
        ([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.0] * 3, [0.0, 0.0]),  # … and no affine mix reaches it
        ([[2.0], [-1.0], [3.0]], [0.0] * 3, [0.0]),
    ],
)
def test_imtl_g_where_public_code_fails(rows: list[list[float]], weights: list[float], step: list[float]) -> None:
    gradients = np.array(rows)
    assert weights_of("imtl_g", gradients) == pytest.approx(weights, abs=1e-12)
    assert step_of("imtl_g", gradients) == pytest.approx(step, abs=1e-12)


def test_imtl_g_may_go_against_every_task_as_its_formula_says() -> None:
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.35, 0.35, 0.07]])
    gains = rows @ step_of("imtl_g", rows)
    assert (gains < 0).all()
    assert (rows @ step_of("config", rows) > 0).all()


def test_imtl_is_imtl_g_on_scaled_losses() -> None:
    rows = draw(np.random.default_rng(9), 3, n_dims=5)
    scheme = make("imtl", 3)
    scale = torch.tensor([0.5, -1.0, 2.0])
    scheme.log_scale_T.data.copy_(scale)
    weights, step = ask(scheme, torch.tensor(rows), torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64))
    factors = scale.double().exp().numpy()
    scaled = rows * factors[:, None]
    np.testing.assert_allclose(step, step_of("imtl_g", scaled), rtol=1e-6)
    np.testing.assert_allclose(weights, weights_of("imtl_g", scaled) * factors, rtol=1e-6)
    np.testing.assert_allclose(scheme.log_scale_T.grad, factors * [0.2, 1.0, 3.0] - 1, rtol=1e-5)
    assert scheme.has_weighted_heads
    np.testing.assert_allclose(scheme.head_weights(torch.ones(3), None), factors, rtol=1e-6)


def test_imtl_brings_each_loss_to_1_and_leaves_absent_tasks_alone() -> None:
    scheme = make("imtl", 4, lr=0.3)
    (group,) = scheme.parameter_groups()
    assert group["weight_decay"] == 0.0
    optimizer = torch.optim.SGD([group])
    scheme.active = torch.tensor([0, 1, 3])
    losses = torch.tensor([0.5, 2.0, 0.0])
    for _ in range(300):
        optimizer.zero_grad()
        scheme.weights(torch.eye(3), losses)
        optimizer.step()
        scheme.after_step(losses)
    s = scheme.log_scale_T.tolist()
    assert s[:3] == pytest.approx([math.log(2), -math.log(2), 0.0], abs=1e-5)
    assert s[3] == 23.0  # a loss of 0 would raise it for ever


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 8])
def test_config_agrees_with_torchjd(n_tasks: int) -> None:
    chance = np.random.default_rng(n_tasks)
    for decades in (0, 3):
        rows = draw(chance, n_tasks, decades=decades)
        np.testing.assert_allclose(step_of("config", rows), ConFIG()(torch.tensor(rows)).numpy(), rtol=1e-6, atol=1e-9)
    flat = draw(chance, n_tasks + 2, n_dims=max(n_tasks - 1, 1))  # more tasks than dimensions
    np.testing.assert_allclose(step_of("config", flat), ConFIG()(torch.tensor(flat)).numpy(), rtol=1e-6, atol=1e-9)


def test_config_is_as_long_as_the_shadows_together() -> None:
    rows = draw(np.random.default_rng(10), 5, decades=3)
    step = step_of("config", rows)
    shadows = rows @ step / np.linalg.norm(step)
    assert np.linalg.norm(step) == pytest.approx(shadows.sum())
    np.testing.assert_allclose(shadows / np.linalg.norm(rows, axis=1), (shadows / np.linalg.norm(rows, axis=1))[0])


# -- Aligned-MTL --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
@pytest.mark.parametrize("n_tasks", [1, 2, 3, 4, 8, 40])
def test_aligned_mtl_agrees_with_torchjd(mode: str, n_tasks: int) -> None:
    rows = draw(np.random.default_rng(n_tasks), n_tasks, decades=2)
    theirs = AlignedMTLWeighting(scale_mode=mode)(torch.tensor(rows @ rows.T)).numpy() * n_tasks  # a mean there, a sum here
    np.testing.assert_allclose(weights_of("aligned_mtl", rows, mode=mode), theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n_tasks", [2, 3, 8])
def test_aligned_gradients_are_orthogonal_and_equally_long(n_tasks: int) -> None:
    rows = draw(np.random.default_rng(n_tasks), n_tasks, decades=2)
    left, lengths, right = np.linalg.svd(rows, full_matrices=False)
    assert step_of("aligned_mtl", rows) == pytest.approx((lengths[-1] * left @ right).sum(axis=0))


@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
def test_aligned_mtl_without_full_rank(mode: str) -> None:
    twins = np.array([[3.0, 4.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 10.0]])  # axes: 5√2 and 10
    length = {"min": math.sqrt(50), "median": math.sqrt(50), "rmse": math.sqrt(75)}[mode]
    expected = [length / 10, length / 10, length / 10]  # per axis: w = length/λ½ · v (vᵀ1), v = (1, 1, 0)/√2
    expected[0] = expected[1] = length / math.sqrt(50)
    np.testing.assert_allclose(weights_of("aligned_mtl", twins, mode=mode), expected, rtol=1e-9)
    pair = np.array([[6.0, 8.0], [-3.0, -4.0]])  # v = (2, −1)/√5
    np.testing.assert_allclose(weights_of("aligned_mtl", pair, mode=mode), [2 / 5, -1 / 5], rtol=1e-9)
    np.testing.assert_allclose(aligned_on_host(pair @ pair.T, EPS, mode), [2 / 5, -1 / 5], rtol=1e-9)


@pytest.mark.parametrize("n_tasks", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_aligned_mtl_keeps_a_short_gradient(n_tasks: int, dtype: torch.dtype) -> None:
    """At right angles w = shortest/length; in G the short one lies below rounding."""
    lengths = torch.tensor([1e-4, 1.0, 10.0][:n_tasks] if dtype == torch.float32 else [1e-9, 1.0, 10.0][:n_tasks], dtype=dtype)
    weights = make("aligned_mtl", n_tasks).weights(torch.diag(lengths**2), torch.ones(n_tasks))
    torch.testing.assert_close(weights, lengths.min() / lengths)


# -- GradVac ------------------------------------------------------------------------------------------------------------


def vaccinate(rows: np.ndarray, targets: np.ndarray, orders: list[list[int]], beta: float) -> np.ndarray:
    """Algorithm 1 of Wang 2021 on the vectors themselves; changes targets in place and returns the step."""
    bent = rows.copy()
    for i, order in enumerate(orders):
        for j in order:
            lengths = np.linalg.norm(bent[i]), np.linalg.norm(rows[j])
            phi, target = bent[i] @ rows[j] / lengths[0] / lengths[1], targets[i, j]
            if phi < target:
                up = lengths[0] * (target * math.sqrt(1 - phi**2) - phi * math.sqrt(1 - target**2))
                bent[i] = bent[i] + up / (lengths[1] * math.sqrt(1 - target**2)) * rows[j]
                assert bent[i] @ rows[j] / np.linalg.norm(bent[i]) / lengths[1] == pytest.approx(target, abs=1e-9)
            targets[i, j] = (1 - beta) * target + beta * phi
    step: np.ndarray = bent.sum(axis=0)
    return step


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.5])
@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_gradvac_does_on_inner_products_what_the_algorithm_does_on_vectors(beta: float, n_tasks: int) -> None:
    chance = np.random.default_rng(n_tasks)
    scheme = make("gradvac", n_tasks, seed=4, beta=beta)
    dice = torch.Generator().manual_seed(4)
    targets = np.zeros((n_tasks, n_tasks))
    has_risen = False
    for _ in range(12):
        before = targets.copy()
        rows = draw(chance, n_tasks, n_dims=6, decades=1) + 0.3
        places = torch.rand(n_tasks, n_tasks - 1, generator=dice, dtype=torch.float64).argsort(dim=1).tolist()
        orders = [[[j for j in range(n_tasks) if j != i][p] for p in places[i]] for i in range(n_tasks)]
        _, step = ask(scheme, torch.tensor(rows))
        np.testing.assert_allclose(step, vaccinate(rows, targets, orders, beta), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(scheme.target_TT, targets, atol=1e-10)
        has_risen |= bool((targets > before).any())
    assert has_risen == (beta > 0)  # targets rise as well as fall


def test_gradvac_of_two_agrees_with_torchjd_along_a_run() -> None:
    """Of two tasks each meets one other, so that chance has no say."""
    chance = np.random.default_rng(11)
    ours, theirs = make("gradvac", 2), GradVacWeighting(beta=0.5, eps=0.0)
    for _ in range(20):
        gram = torch.tensor((rows := chance.normal(size=(2, 4)) + 0.3) @ rows.T)
        torch.testing.assert_close(ours.weights(gram, torch.ones(2)), theirs(gram))


def test_gradvac_draws_a_new_order_each_time() -> None:
    rows = torch.tensor([[-1.0, 3.0], [0.0, -3.0], [2.0, 2.0]])
    scheme = make("gradvac", 3, beta=0.0)
    assert len({tuple(ask(scheme, rows)[1].tolist()) for _ in range(30)}) > 1


def test_gradvac_remembers_by_pair_of_tasks() -> None:
    scheme = make("gradvac", 4)
    scheme.active = torch.tensor([1, 3])
    ask(scheme, torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[1, 3] = expected[3, 1] = 0.3  # half the cosine
    torch.testing.assert_close(scheme.target_TT, expected)
    ask(scheme, torch.tensor([[0.0, 0.0], [3.0, 4.0]]))  # a gradient of zero agrees with nobody
    torch.testing.assert_close(scheme.target_TT, expected)


def test_gradvac_stays_bounded_after_perfect_agreement() -> None:
    scheme = make("gradvac", 2)
    for _ in range(100):
        ask(scheme, torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
    weights, _ = ask(scheme, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert weights is not None
    assert float(weights.abs().max()) < 1e3


# -- all of them --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_shows_in_the_weights_or_the_step(name: str, bad: float) -> None:
    for n_tasks in (1, 2, 3):
        rows = torch.eye(n_tasks)
        rows[-1, -1] = bad
        weights, step = ask(make(name, n_tasks), rows)
        assert weights is not None
        assert not step.isfinite().all()
