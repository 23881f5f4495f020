"""Weightings: a contract that every scheme on the shelf keeps, values by hand, and independent answers to compare with."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from schemes import CHANCY, HAND, NASTY, ask, grid, live, make, step_of
from torchjd.aggregation import MGDAWeighting, PCGradWeighting
from torchjd.scalarization import DWA as TorchjdDWA
from torchjd.scalarization import UW as TorchjdUW

from mtl_core.registry import parse_knobs
from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Setting
from mtl_core.weightings._orders import others_in_random_order
from mtl_core.weightings._simplex import nearest, non_negative_least_squares, vectors

# -- the contract -------------------------------------------------------------------------------------------------------


every_scheme = pytest.mark.parametrize("name", WEIGHTINGS.names())


@every_scheme
def test_says_all_about_itself(name: str) -> None:
    said = WEIGHTINGS[name].describe()
    assert said["paper"]["link"].startswith("https://")
    assert said["paper"]["authors"]
    assert 1990 < said["paper"]["year"] < 2100
    for key in ("title", "summary", "formula", "helps", "hurts"):
        assert len(said[key]) > 3, key
    assert said["summary"].endswith((".", "?"))
    assert said["asks"] in ("losses", "gramian", "gradients")
    assert said["scale"] in ("sum", "mean")
    assert said["heads"] in ("weighted", "unit")
    assert ">>>" in said["doc"], "a doctest that one can check by hand"
    assert all(knob["title"] and knob["help"] for knob in said["knobs"])
    assert issubclass(WEIGHTINGS[name].Knobs, GramianKnobs) == (said["asks"] == "gramian")


@every_scheme
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", NASTY)
def test_answers_nasty_gradients_with_finite_numbers(name: str, case: str, dtype: torch.dtype) -> None:
    rows = torch.tensor(NASTY[case], dtype=dtype)
    for losses in (torch.ones(3, dtype=dtype), torch.zeros(3, dtype=dtype), torch.tensor([1e-10, 1.0, 1e10], dtype=dtype)):
        weights, step = ask(make(name, 3), rows, losses)
        assert step.dtype == dtype
        assert step.isfinite().all()
        assert weights is None or (weights.dtype == dtype and weights.shape == (3,) and weights.isfinite().all())


MATRICES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1e-10, -1e10]), st.floats(-10, 10, width=32)),
)


@every_scheme
@given(rows=MATRICES)
@settings(max_examples=40, deadline=None)
def test_answers_any_gradients_with_finite_numbers(name: str, rows: np.ndarray) -> None:
    for dtype in (torch.float32, torch.float64):
        weights, step = ask(make(name, len(rows)), torch.tensor(rows).to(dtype))
        assert step.isfinite().all()
        assert weights is None or weights.isfinite().all()


@every_scheme
def test_one_task_goes_along_its_gradient(name: str) -> None:
    for rows in (HAND[1:], 1e-6 * HAND[1:], 1e6 * HAND[1:]):
        scheme = make(name, 1)
        weights, step = ask(scheme, rows, torch.full((1,), 0.7, dtype=torch.float64))
        unit = rows[0] / rows[0].norm()
        assert float(step @ unit) > 0
        torch.testing.assert_close(step, (step @ unit) * unit)
        assert weights is None or weights.shape == (1,)


@pytest.mark.parametrize("name", [name for name in WEIGHTINGS.names() if name not in CHANCY])
def test_relabelled_tasks_get_relabelled_weights(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    losses = torch.rand(5, generator=generator, dtype=torch.float64)
    order = [3, 0, 4, 1, 2]
    knobs = {"sizes": [5.0, 4.0, 3.0, 2.0, 1.0]} if name == "data_size" else {}
    moved = {"sizes": [knobs["sizes"][i] for i in order]} if knobs else {}
    weights, step = ask(make(name, 5, **knobs), rows, losses)
    weights_moved, step_moved = ask(make(name, 5, **moved), rows[order], losses[order])
    torch.testing.assert_close(step_moved, step)
    if weights is not None:
        torch.testing.assert_close(weights_moved, weights[order])


@every_scheme
def test_a_restored_scheme_goes_on_as_if_nothing_had_happened(name: str) -> None:
    first = make(name, 3)
    live(first, 7, seed=1)
    saved = {key: value.clone() for key, value in first.state_dict().items()}
    dice = first.setting.generator.get_state()
    second = make(name, 3, seed=99)
    live(second, 3, seed=2)  # a past of its own, to be forgotten
    second.load_state_dict(saved)
    second.setting.generator.set_state(dice)
    assert live(second, 6, seed=5) == live(first, 6, seed=5)


@every_scheme
def test_serves_the_tasks_that_are_present(name: str) -> None:
    scheme = make(name, 4)
    scheme.active = torch.tensor([1, 3])
    weights, step = ask(scheme, HAND)
    assert step.isfinite().all()
    assert weights is None or weights.shape == (2,)
    scheme.after_step(torch.ones(2))
    scheme.after_epoch(torch.tensor([1.0, 2.0, torch.nan, 4.0]))
    scheme.active = torch.arange(4)
    assert ask(scheme, torch.eye(4))[1].isfinite().all()


@every_scheme
def test_shows_divergence_instead_of_failing(name: str) -> None:
    for bad in (torch.nan, torch.inf):
        rows = torch.eye(3)
        rows[1, 1] = bad
        _, step = ask(make(name, 3), rows, torch.tensor([1.0, bad, 1.0]))
        assert not step.isfinite().all()


@every_scheme
def test_the_scale_knob_moves_a_factor_of_the_number_of_tasks(name: str) -> None:
    published = WEIGHTINGS[name].published_scale
    assert make(name, 4).factor == 1.0
    assert make(name, 4, scale=published).factor == 1.0
    ratio = make(name, 4, scale="sum").factor / make(name, 4, scale="mean").factor
    assert ratio == pytest.approx(4.0)


# -- values by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "knobs", "step"),
    [
        ("equal", {}, [0.5, 1.0]),
        ("fixed", {"weights": [2.0, 4.0]}, [0.0, 4.0]),
        ("data_size", {}, [1 / 3 - 1 / 3, 2 / 3]),
        ("uncertainty", {}, [0.25, 0.5]),
        ("uncertainty", {"form": "classification"}, [0.5, 1.0]),
        ("dwa", {}, [0.5, 1.0]),
        ("mgda", {}, [4 / 13, 6 / 13]),
        ("pcgrad", {}, [0.8, 1.4]),
        ("cagrad", {"c": 0.5}, [0.4579, 0.6868]),
        ("cagrad", {"c": 0.0}, [0.25, 0.5]),
    ],
)
def test_the_hand_case(name: str, knobs: dict[str, object], step: list[float]) -> None:
    assert step_of(name, HAND.numpy(), **knobs) == pytest.approx(step, abs=5e-5)


def test_mgda_is_exact_where_one_task_takes_all() -> None:
    for rows in ([[1.0, 0.0], [3.0, 1.0]], [[1.0, 0.0], [3.0, 1.0], [2.0, -5.0]]):
        weights, _ = ask(make("mgda", len(rows)), torch.tensor(rows))
        assert weights is not None
        assert weights.tolist() == [1.0] + [0.0] * (len(rows) - 1)


def test_mgda_shares_equally_among_equal_gradients() -> None:
    weights, _ = ask(make("mgda", 3), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.25, 0.25, 0.5])


@pytest.mark.parametrize(("normalise", "ratio"), [("none", 1 / 100), ("l2", 1.0), ("loss", 16 / 100), ("loss+", 16.0)])
def test_mgda_normalisers_shape_the_weights(normalise: str, ratio: float) -> None:
    """Orthogonal gradients of lengths 1 and 10: w ∝ 1/|g/n|², with losses 1 and 4."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
    weights, _ = ask(make("mgda", 2, normalise=normalise), rows, torch.tensor([1.0, 4.0], dtype=torch.float64))
    assert weights is not None
    assert float(weights[1] / weights[0]) == pytest.approx(ratio)


def test_dwa_waits_two_epochs_then_follows_the_ratio_of_means() -> None:
    scheme, other = make("dwa", 2), TorchjdDWA()
    for means in ([4.0, 1.0], [2.0, 0.9], [1.9, 0.3], [1.0, 0.2]):
        losses = torch.tensor(means)
        expected, _ = ask(scheme, torch.eye(2), losses)
        leaf = losses.clone().requires_grad_()
        (theirs,) = torch.autograd.grad(other(leaf), leaf)
        torch.testing.assert_close(expected, theirs)
        scheme.after_epoch(losses)
        other.step()


def test_dwa_takes_an_epoch_without_labels_as_no_news() -> None:
    scheme = make("dwa", 2)
    for means in ([4.0, 1.0], [4.0, 0.0], [4.0, torch.nan], [4.0, 2.0]):
        scheme.after_epoch(torch.tensor(means))
    assert scheme.before_T.tolist() == [4.0, 2.0]
    assert scheme.weights_T.tolist() == pytest.approx([2 / (1 + math.exp(0.5)), 2 / (1 + math.exp(-0.5))])


def test_uncertainty_agrees_with_torchjd_along_a_run() -> None:
    scheme, other = make("uncertainty", 3, lr=0.1), TorchjdUW(3)
    (group,) = scheme.parameter_groups()
    assert group["weight_decay"] == 0.0
    assert group["lr"] == 0.1
    ours, theirs = torch.optim.Adam([group]), torch.optim.Adam(other.parameters(), lr=0.1)
    for step in range(50):
        losses = torch.tensor([0.01, 1.0, 50.0]) * (1 + step % 3)
        for optimizer, objective in ((ours, scheme.objective), (theirs, other)):
            optimizer.zero_grad()
            objective(losses).backward()
            optimizer.step()
        scheme.after_step(losses)
        torch.testing.assert_close(scheme.objective(losses), other(losses))


def test_uncertainty_settles_at_the_log_of_the_loss_and_stays_finite_at_zero() -> None:
    scheme = make("uncertainty", 3, lr=0.5)
    optimizer = torch.optim.SGD(scheme.parameter_groups())
    losses = torch.tensor([0.5, 8.0, 0.0])
    for _ in range(400):
        optimizer.zero_grad()
        scheme.objective(losses).backward()
        optimizer.step()
        scheme.after_step(losses)
    weights, _ = ask(scheme, torch.eye(3), losses)
    assert weights is not None
    assert weights[:2].tolist() == pytest.approx([1.0, 1 / 16], rel=1e-3)  # 1/(2ℓ)
    assert 1e9 < float(weights[2]) < 1e10


@pytest.mark.parametrize(("distribution", "variance"), [("normal", None), ("dirichlet", 2 / 36)])
def test_rlw_rolls_new_fair_dice_at_each_step(distribution: str, variance: float | None) -> None:
    scheme = make("rlw", 3, distribution=distribution)
    rolls = torch.stack([ask(scheme, torch.eye(3, dtype=torch.float64))[1] for _ in range(4000)])
    torch.testing.assert_close(rolls.sum(dim=1), torch.ones(4000, dtype=torch.float64))
    assert (rolls > 0).all()
    assert len(set(rolls[:, 0].tolist())) == 4000
    assert rolls.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    if variance is None:  # softmax of normals: log-ratios are normal with variance 2
        assert float((rolls[:, 0] / rolls[:, 1]).log().var()) == pytest.approx(2.0, rel=0.1)
    else:  # Dirichlet(1, 1, 1)
        assert rolls.var(dim=0).tolist() == pytest.approx([variance] * 3, rel=0.1)


def test_data_size_exponent() -> None:
    rows = np.eye(3)  # sizes 100, 200, 300
    assert step_of("data_size", rows, tau=0) == pytest.approx([1 / 3] * 3)
    assert step_of("data_size", rows, tau=2) == pytest.approx([1 / 14, 4 / 14, 9 / 14])
    assert step_of("data_size", rows, sizes=[1, 0, 3]) == pytest.approx([0.25, 0, 0.75])
    unlabelled = WEIGHTINGS["data_size"](WEIGHTINGS["data_size"].Knobs(), Setting(("a", "b"), (0, 0)))
    assert ask(unlabelled, torch.eye(2))[1].tolist() == [0.5, 0.5]


def test_fixed_weights_at_each_scale() -> None:
    for scale, expected in (("published", [1.0, 3.0]), ("mean", [0.25, 0.75]), ("sum", [0.5, 1.5])):
        scheme = make("fixed", 2, weights=[1, 3], scale=scale)
        assert (ask(scheme, torch.eye(2))[1] * scheme.factor).tolist() == pytest.approx(expected)
    assert ask(make("fixed", 4), torch.eye(4))[1].tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("name", "knobs", "part"),
    [
        ("fixed", {"weights": [1.0]}, "fixed needs one weight per task, got 1 for 2 tasks: give them in the order digit, box"),
        ("fixed", {"weights": [1.0, -0.5]}, "weight of box must lie in 0..1e12, got -0.5"),
        ("fixed", {"weights": [1.0, 1e300]}, "weight of box must lie in"),
        ("fixed", {"weights": [0, 0]}, "every weight is 0"),
        ("fixed", {"weights": []}, "got 0 for 2 tasks"),
        ("fixed", {"weights": [1.0, math.nan]}, "finite number"),
        ("fixed", {"weights": [1.0, "heavy"]}, "valid number"),
        ("data_size", {"sizes": [1.0, -1.0]}, "size of box must lie in 0..1e12"),
        ("data_size", {"tau": -1}, "tau"),
        ("dwa", {"T": 0}, "greater than 0"),
        ("cagrad", {"c": -0.1}, "greater than or equal to 0"),
        ("mgda", {"normalise": "l3"}, "'l2'"),
        ("cagrad", {"C": 0.1}, "Did you mean 'c'?"),
        ("rlw", {"distribution": "cauchy"}, "'normal' or 'dirichlet'"),
    ],
)
def test_slips_are_answered_in_a_sentence(name: str, knobs: dict[str, object], part: str) -> None:
    variant = WEIGHTINGS[name]
    with pytest.raises(ValueError, match=re.escape(part)):
        variant.check(parse_knobs(variant.Knobs, knobs, name), ["digit", "box"])


# -- independent answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tasks", [2, 3])
def test_mgda_beats_every_point_of_a_grid(n_tasks: int) -> None:
    chance = np.random.default_rng(0)
    mixes = grid(n_tasks, 200)
    for _ in range(20):
        rows = chance.normal(size=(n_tasks, 3)) * 10.0 ** chance.uniform(-1, 1, size=(n_tasks, 1))
        best = np.linalg.norm(mixes @ rows, axis=1).min()
        found = np.linalg.norm(step_of("mgda", rows))
        assert found <= best * (1 + 1e-12)
        assert found >= best - np.linalg.norm(rows, axis=1).max() * n_tasks / 200  # the grid is that coarse


@pytest.mark.parametrize("n_tasks", [3, 5, 10, 40])
def test_mgda_is_optimal_and_close_to_torchjd(n_tasks: int) -> None:
    """Optimal: no gradient looks further back along the step than the step is long."""
    chance = np.random.default_rng(n_tasks)
    for _ in range(10):
        rows = chance.normal(size=(n_tasks, 60)) * 10.0 ** chance.uniform(-2, 2, size=(n_tasks, 1))
        step = step_of("mgda", rows)
        assert (rows @ step).min() >= step @ step * (1 - 1e-9)
    for _ in range(3):
        rows = chance.normal(size=(n_tasks, 60))  # of like length: otherwise its Frank–Wolfe is far off after 5,000 steps
        step = step_of("mgda", rows)
        theirs = MGDAWeighting(epsilon=1e-9, max_iters=5_000)(torch.tensor(rows @ rows.T)).numpy() @ rows
        assert step @ step <= theirs @ theirs * (1 + 1e-12)
        assert np.linalg.norm(step - theirs) <= 0.05 * np.linalg.norm(step)


@given(exponents=st.lists(st.integers(-10, 10), min_size=2, max_size=6), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_mgda_is_exact_when_lengths_differ_by_many_orders(exponents: list[int], seed: int) -> None:
    """Orthogonal gradients have the closed form w ∝ 1/|g|²."""
    n = len(exponents)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    lengths = 10.0 ** np.array(exponents)
    # The inner products are written down exactly: rounding those of the long gradients would swamp the short ones.
    weights = make("mgda", n).weights(torch.tensor(np.diag(lengths**2)), torch.ones(n))
    expected = lengths.min() ** 2 / lengths**2
    assert weights.numpy() == pytest.approx(expected / expected.sum(), rel=1e-9)
    rows = turn * lengths[:, None]
    assert np.linalg.norm(step_of("mgda", rows)) <= lengths.min() * (1 + 1e-6)


@pytest.mark.parametrize("n_tasks", [2, 3])
@pytest.mark.parametrize("c", [0.1, 0.4, 0.9, 2.0])
def test_cagrad_beats_every_point_of_a_grid(n_tasks: int, c: float) -> None:
    chance = np.random.default_rng(1)
    mixes = grid(n_tasks, 100)
    for _ in range(15):
        rows = chance.normal(size=(n_tasks, 3)) * 10.0 ** chance.uniform(-1, 1, size=(n_tasks, 1))
        mean = rows.mean(axis=0)
        radius = c * np.linalg.norm(mean)
        pulls = mixes @ rows
        dual = (pulls @ mean + radius * np.linalg.norm(pulls, axis=1)).min()  # the formula's minimum, from above
        step = step_of("cagrad", rows, c=c)
        worst = (rows @ step).min()  # what the step gives its worst-off task, from below
        scale = np.linalg.norm(rows, axis=1).max() ** 2
        assert np.linalg.norm(step - mean) <= radius * (1 + 1e-9)
        assert worst <= dual + 1e-9 * scale
        assert worst >= dual - (1 + c) * scale * n_tasks / 100


@given(
    rows=hnp.arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 8)), elements=st.integers(-3, 3).map(float)),
    c=st.sampled_from([0.05, 0.4, 0.9, 1.0, 3.0]),
)
@settings(max_examples=150, deadline=None)
def test_cagrad_is_optimal(rows: np.ndarray, c: float) -> None:
    """Weak duality closes: no step in the ball serves the worst-off task better than the weights prove possible."""
    mean = rows.mean(axis=0)
    assume(np.linalg.norm(mean) > 1e-6)
    radius = c * np.linalg.norm(mean)
    weights, step = ask(make("cagrad", len(rows), c=c), torch.tensor(rows))
    assert weights is not None
    lean = weights.numpy() - 1 / len(rows)
    step = step.numpy()
    scale = np.linalg.norm(rows, axis=1).max() ** 2
    assert (lean >= -1e-12).all()
    assert np.linalg.norm(step - mean) <= radius * (1 + 1e-6)
    proofs = [nearest(vectors(rows @ rows.T, 1e-16))]
    if lean.sum() > 0:
        proofs.append(lean / lean.sum())
    bound = min(w @ rows @ mean + radius * np.linalg.norm(w @ rows) for w in proofs)
    assert (rows @ step).min() >= bound - 1e-6 * scale


def test_cagrad_at_opposite_gradients_stays() -> None:
    assert step_of("cagrad", np.array([[1.0, 2.0], [-1.0, -2.0]])) == pytest.approx([0.0, 0.0])
    assert step_of("cagrad", np.array([[1.0], [-2.0]]), c=0.4) == pytest.approx([-0.5 * 0.6])  # as near to harmless as it may


def test_cagrad_at_a_stationary_point_harms_no_task() -> None:
    rows = np.array([[1.0, 0.0], [-1.1, 0.0], [0.0, 1.0]])
    step = step_of("cagrad", rows, c=0.5)
    assert step == pytest.approx([0.0, 1 / 3], abs=1e-6)


def algorithm_1(rows: np.ndarray) -> list[set[tuple[float, ...]]]:
    """For each task, all projections that some order of the others gives (Yu 2020, Algorithm 1), on the vectors themselves."""
    reachable = []
    for i in range(len(rows)):
        found = set()
        for order in itertools.permutations(j for j in range(len(rows)) if j != i):
            g = rows[i].copy()
            for j in order:
                if g @ rows[j] < 0:
                    g -= g @ rows[j] / (rows[j] @ rows[j]) * rows[j]
            found.add(tuple(np.round(g, 9)))
        reachable.append(found)
    return reachable


def test_pcgrad_reaches_all_that_algorithm_1_can_reach_and_nothing_else() -> None:
    rows = np.array([[-1.0, 3.0], [0.0, -3.0], [2.0, 2.0]])
    sums = {tuple(np.round(np.sum(one, axis=0), 6) + 0.0) for one in itertools.product(*algorithm_1(rows))}
    assert len(sums) > 1
    scheme = make("pcgrad", 3)
    found = {tuple(np.round(ask(scheme, torch.tensor(rows))[1].numpy(), 6) + 0.0) for _ in range(200)}
    assert found == sums


def test_pcgrad_draws_every_order_equally_often() -> None:
    scheme = make("pcgrad", 4)
    orders = [tuple(row) for _ in range(3000) for row in [others_in_random_order(4, scheme.setting.generator)[1].tolist()]]
    counts = {order: orders.count(order) for order in set(orders)}
    assert set(counts) == set(itertools.permutations((0, 2, 3)))
    assert max(counts.values()) < 600  # 500 expected, standard deviation 20
    assert min(counts.values()) > 400


def test_pcgrad_agrees_with_torchjd_where_the_order_cannot_matter() -> None:
    chance = np.random.default_rng(2)
    for n_tasks in (2, 6):
        rows = np.abs(chance.normal(size=(n_tasks, 9)))  # no conflict …
        rows[0, 0], rows[1:, 0] = -50.0, 0.0
        rows[1, 0] = 1.0  # … but one
        gram = torch.tensor(rows @ rows.T)
        ours = make("pcgrad", n_tasks).weights(gram, torch.ones(n_tasks))
        torch.testing.assert_close(ours, PCGradWeighting()(gram))


def test_pcgrad_is_decided_by_its_seed() -> None:
    rows = torch.tensor([[-1.0, 3.0], [0.0, -3.0], [2.0, 2.0]])

    def answers(seed: int) -> list[list[float]]:
        scheme = make("pcgrad", 3, seed)
        return [ask(scheme, rows)[1].tolist() for _ in range(10)]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)


def test_least_squares_agrees_with_a_search_of_all_faces() -> None:
    chance = np.random.default_rng(4)
    for _ in range(50):
        columns = chance.normal(size=(4, 5))
        columns /= np.linalg.norm(columns, axis=0)
        target = chance.normal(size=4)
        best = np.linalg.norm(target)
        for size in range(1, 5):
            for face in itertools.combinations(range(5), size):
                x = np.linalg.lstsq(columns[:, face], target, rcond=None)[0]
                if (x >= 0).all():
                    best = min(best, np.linalg.norm(columns[:, face] @ x - target))
        x = non_negative_least_squares(columns, target)
        assert (x >= 0).all()
        assert np.linalg.norm(columns @ x - target) == pytest.approx(best, rel=1e-9, abs=1e-12)
