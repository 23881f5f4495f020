"""Schemes that see the gradients themselves, and Auto-λ, which sees what weights do to the validation loss: formulas by hand,
independent answers, what they remember, and what they never do."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from schemes import ask, make, step_of
from torch import Tensor
from torchjd.aggregation import ExcessMTLWeighting, MGDAWeighting
from torchjd.aggregation import GradDrop as TorchjdGradDrop

from mtl_core.registry import parse_knobs
from mtl_core.weightings import WEIGHTINGS, Setting, Weighting
from mtl_core.weightings._memory import RowMemory

REMEMBER = ["db_mtl", "moco", "excess_mtl"]
SIX = [*REMEMBER, "graddrop", "auto_lambda"]
FLOATS = st.floats(-100, 100, width=32)
MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=FLOATS)


def some_rows(n_tasks: int, seed: int = 0, n: int = 30) -> Tensor:
    return torch.randn(n_tasks, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_losses(n_tasks: int, seed: int = 0) -> Tensor:
    return torch.rand(n_tasks, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1


# -- GradDrop -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0, [0.0, 0.25, 1.0, 0.5]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_graddrop_agrees_with_torchjd_on_the_same_dice(leak: float | list[float], dtype: torch.dtype) -> None:
    leaks = torch.tensor(leak if isinstance(leak, list) else [leak] * 4, dtype=dtype)
    for seed in range(20):
        rows = some_rows(4, seed, n=200).to(dtype)
        step = make("graddrop", 4, seed, leak=leak).direction(rows, torch.ones(4))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            theirs = TorchjdGradDrop(leak=leaks)(rows)
        torch.testing.assert_close(step, theirs)


def test_graddrop_keeps_each_side_as_often_as_its_share_of_the_pull() -> None:
    rows = torch.tensor([[3.0, 1.0, -1.0, 2.0, 0.0], [-1.0, -1.0, -9.0, 1.0, 0.0], [0.0, 0.0, 10.0, 1.0, 0.0]])
    scheme = make("graddrop", 3)
    steps = torch.stack([scheme.direction(rows, torch.ones(3)) for _ in range(8000)])
    for column, (up, down) in enumerate([(3.0, -1.0), (1.0, -1.0), (10.0, -10.0), (4.0, 0.0), (0.0, 0.0)]):
        assert set(steps[:, column].tolist()) == {up, down} - ({down} if column == 3 else set())
    shares = (steps[:, :3] > 0).double().mean(0)
    assert shares.tolist() == pytest.approx([3 / 4, 1 / 2, 1 / 2], abs=0.025)  # four standard deviations
    both = ((steps[:, 1] > 0) & (steps[:, 2] > 0)).double().mean()
    assert float(both) == pytest.approx(1 / 4, abs=0.025)  # a die for each parameter
    assert steps[:, 0].mean().item() == pytest.approx(3 / 4 * 3 - 1 / 4, abs=0.1)


@given(rows=MATRICES, seed=st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_graddrop_moves_no_parameter_both_ways(rows: np.ndarray, seed: int) -> None:
    """Each coordinate is the sum of all pulls of one sign, and the order of the tasks does not matter."""
    step = make("graddrop", len(rows), seed).direction(torch.tensor(rows), torch.ones(len(rows))).numpy()
    up, down = rows.clip(min=0).sum(0), rows.clip(max=0).sum(0)
    is_up, is_down = np.isclose(step, up), np.isclose(step, down)
    assert (is_up | is_down).all()
    turned = make("graddrop", len(rows), seed).direction(torch.tensor(rows[::-1].copy()), torch.ones(len(rows))).numpy()
    assert turned == pytest.approx(step, abs=1e-9)


def test_graddrop_leaks_what_it_is_told() -> None:
    rows = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
    assert make("graddrop", 2, leak=1).direction(rows, torch.ones(2)).tolist() == [-3.0, 3.0, -3.0]
    spared = make("graddrop", 2, leak=[1.0, 0.0])  # task 0 is never dropped
    for _ in range(50):
        others = spared.direction(rows, torch.ones(2)) - rows[0]
        assert ((others == 0) | (others == rows[1])).all()
    alone = make("graddrop", 3, leak=[0.0, 0.5, 0.5])
    alone.active = torch.tensor([1])
    assert alone.direction(rows[:1], torch.ones(1)).tolist() == rows[0].tolist()
    assert alone.mix(torch.ones(1)) is None


def test_graddrop_leaks_as_exactly_as_gradients_are_given() -> None:
    found = step_of("graddrop", np.array([[1.0], [-1.0]]), leak=[0.3, 0.7]).item()
    assert min(abs(found - 0.3), abs(found + 0.7)) < 1e-15  # 0.3 − 0.7 leak; then up: + 0.7 · 1, or down: + 0.3 · −1


def test_graddrop_is_decided_by_its_seed_and_rolls_anew_at_each_step() -> None:
    rows = torch.stack([torch.ones(64), -torch.ones(64)])

    def answers(seed: int) -> list[list[float]]:
        scheme = make("graddrop", 2, seed)
        return [scheme.direction(rows, torch.ones(2)).tolist() for _ in range(3)]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)
    assert len({tuple(step) for step in answers(1)}) == 3


# -- DB-MTL -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beta", "sigma"), [(0.0, 0.0), (0.9, 0.0), (0.5, 0.5)])
def test_db_mtl_follows_its_algorithm(beta: float, sigma: float) -> None:
    """Algorithm 1 of the paper, on the vectors themselves."""
    scheme = make("db_mtl", 3, beta=beta, beta_sigma=sigma)
    average = np.zeros((3, 30))
    for k in range(1, 8):
        rows, losses = some_rows(3, k), some_losses(3, k)
        beta_k = beta / k**sigma
        average = beta_k * average + (1 - beta_k) * rows.numpy() / (losses.numpy()[:, None] + 1e-8)
        lengths = np.linalg.norm(average, axis=1)
        weights, step = ask(scheme, rows, losses)
        assert step.numpy() == pytest.approx(lengths.max() * (average / lengths[:, None]).sum(0))
        assert weights is not None
        assert weights.numpy() == pytest.approx(lengths.max() / lengths / losses.numpy(), rel=1e-6)
    assert scheme.head_weights(losses, weights).numpy() == pytest.approx(1 / losses.numpy(), rel=1e-6)


@given(rows=MATRICES, units=st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5))
@settings(max_examples=60, deadline=None)
def test_db_mtl_does_not_know_units(rows: np.ndarray, units: list[float]) -> None:
    """Measuring a loss in another unit changes no step; without memory, the logged weights give the step."""
    n = len(rows)
    unit = torch.tensor(units[:n], dtype=torch.float64)
    grads, losses = torch.tensor(rows), some_losses(n)
    step = make("db_mtl", n).direction(grads, losses)
    assert make("db_mtl", n).direction(grads * unit[:, None], losses * unit).numpy() == pytest.approx(step.numpy(), rel=1e-4)
    weights, step = ask(make("db_mtl", n, beta=0), grads, losses)
    assert weights is not None
    assert (weights @ grads).numpy() == pytest.approx(step.numpy(), rel=1e-6, abs=1e-12)


def test_db_mtl_stretches_every_gradient_to_the_longest_however_short() -> None:
    rows = torch.tensor([[1e-15, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 1e-3, 0.0], [0.0, 0.0, 0.0, 0.0]])
    weights, step = ask(make("db_mtl", 4, beta=0), rows)
    assert step.tolist() == pytest.approx([3.0, 3.0, 3.0, 0.0])
    assert weights is not None
    assert float(weights[3]) == 0.0
    late = ask(make("db_mtl", 2, beta=0), torch.eye(2), torch.tensor([0.0, -1.0]))[1]  # no logarithm: as at a loss of 0
    assert late.tolist() == pytest.approx([1e8, 1e8])


# -- MoCo ---------------------------------------------------------------------------------------------------------------


def nearest_on_simplex(point: np.ndarray) -> np.ndarray:
    """By bisection on what is taken off each coordinate."""
    low, high = point.min() - 1, point.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0)


@pytest.mark.parametrize(
    "knobs", [{}, {"beta": 0.99, "beta_sigma": 0, "gamma_sigma": 0}, {"gamma": 0.01, "rho": 2.0}, {"gamma": 0.0}]
)
def test_moco_follows_its_formula(knobs: dict[str, float]) -> None:
    chosen = {"beta": 0.5, "beta_sigma": 0.5, "gamma": 0.1, "gamma_sigma": 0.5, "rho": 0.0} | knobs
    scheme = make("moco", 4, **knobs)
    y, weights = np.zeros((4, 30)), np.full(4, 0.25)
    for k in range(1, 10):
        rows = some_rows(4, k) * torch.tensor([0.1, 0.5, 0.2, 1.0], dtype=torch.float64)[:, None]
        y = y - chosen["beta"] / k ** chosen["beta_sigma"] * (y - rows.numpy())
        slope = (y @ y.T + chosen["rho"] * np.eye(4)) @ weights
        weights = nearest_on_simplex(weights - chosen["gamma"] / k ** chosen["gamma_sigma"] * slope)
        found, step = ask(scheme, rows)
        assert found is not None
        assert found.numpy() == pytest.approx(weights, abs=1e-9)
        assert step.numpy() == pytest.approx(weights @ y, abs=1e-9)


def test_moco_ends_where_mgda_is() -> None:
    rows = some_rows(4, 3) / 10
    scheme = make("moco", 4, gamma=1.0, gamma_sigma=0, beta=0.2, beta_sigma=0)
    for _ in range(1000):
        weights, step = ask(scheme, rows)
    expected = MGDAWeighting(epsilon=1e-9, max_iters=20_000)(rows @ rows.T)
    torch.testing.assert_close(weights, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(step, expected @ rows, atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [1e10, 1e18, 1e30])
def test_moco_stays_finite_where_inner_products_overflow(size: float) -> None:
    rows = torch.tensor([[1.0, 0.0], [-1e-3, 0.0], [0.0, 2.0]]) * size
    scheme = make("moco", 3)
    for _ in range(5):
        weights, step = ask(scheme, rows)
        assert weights is not None
        assert weights.isfinite().all()
        assert step.isfinite().all()
        assert float(weights.sum()) == pytest.approx(1.0)
    assert weights is not None


# -- ExcessMTL ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.01, 1.0])
@pytest.mark.parametrize("warmup", [0, 2])
def test_excess_mtl_agrees_with_torchjd(eta: float, warmup: int) -> None:
    """Their warm-up of one step is our first step: every task is at its start, so weights stay equal."""
    variant, knobs = WEIGHTINGS.parse({"name": "excess_mtl", "eta": eta, "warmup": warmup})
    scheme = variant(knobs, Setting(("a", "b", "c"), (1, 1, 1), steps_per_epoch=3))
    other = ExcessMTLWeighting(robust_step_size=eta, n_warmup_steps=3 * warmup or 1)
    lengths = torch.tensor([[1.0], [10.0], [0.1]], dtype=torch.float64)
    for k in range(12):
        rows = some_rows(3, k) * lengths * torch.tensor([[0.7**k], [1.0], [1.2**k]], dtype=torch.float64)
        weights, step = ask(scheme, rows)
        theirs = other(rows)
        torch.testing.assert_close(weights, theirs, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(step, theirs @ rows, rtol=1e-5, atol=1e-7)


def test_excess_mtl_turns_to_the_task_that_has_farthest_to_go() -> None:
    scheme = make("excess_mtl", 3, eta=0.1)
    for k in range(60):  # one converges, one stays as far as it was, one has no gradient at all
        rows = torch.diag(torch.tensor([0.8**k, 1.0, 0.0], dtype=torch.float64))
        weights, _ = ask(scheme, rows)
    assert weights is not None
    assert weights[1] > 1.5 * weights[0]
    assert weights[0] > 1.2 * weights[2]
    assert float(weights.sum()) == pytest.approx(1.0)


def test_excess_mtl_measures_a_late_task_from_its_own_start() -> None:
    scheme = make("excess_mtl", 2, eta=0.5)
    for k in range(3):
        weights, _ = ask(scheme, torch.tensor([[1.0, 0.0], [0.0, float(k == 2) * 1e6]], dtype=torch.float64))
    assert weights is not None
    # task 1: ratio 0, 0, then 1 at its own start; task 0: E = 1/√k
    assert float((weights[0] / weights[1]).log()) == pytest.approx(0.5 * (1 + 0.5**0.5 + 3**-0.5 - 1), rel=1e-5)


# -- what is remembered -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REMEMBER)
def test_tasks_that_are_absent_keep_what_is_remembered_of_them(name: str) -> None:
    scheme, untouched = make(name, 4), make(name, 4)
    for k in range(3):
        for one in (scheme, untouched):
            ask(one, some_rows(4, k), some_losses(4, k))
    scheme.active = torch.tensor([0, 2])
    ask(scheme, some_rows(2, 9), some_losses(2, 9))
    now, before = scheme.state_dict(), untouched.state_dict()
    changed = {key: (now[key] != before[key]) for key in now if now[key].dim() > 0}
    for key, is_changed in changed.items():
        rows = is_changed if is_changed.dim() == 1 else is_changed.any(dim=1)
        assert not rows[[1, 3]].any(), key
    assert any(is_changed[0].any() and is_changed[2].any() for is_changed in changed.values())


def test_moco_and_excess_mtl_leave_absent_tasks_their_share() -> None:
    for name in ("moco", "excess_mtl"):
        scheme = make(name, 4)
        ask(scheme, some_rows(4, 1))
        scheme.active = torch.tensor([1])
        ask(scheme, some_rows(1, 2))
        scheme.active = torch.arange(4)
        weights, _ = ask(scheme, torch.zeros(4, 30, dtype=torch.float64))
        assert weights is not None
        assert float(weights.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", REMEMBER)
def test_a_state_starts_empty_and_stays_whose_it_is(name: str) -> None:
    scheme = make(name, 2)
    assert all(isinstance(value, Tensor) for value in scheme.state_dict().values())
    fresh = {key: value.clone() for key, value in scheme.state_dict().items()}
    first = ask(scheme, some_rows(2))[1].tolist()
    saved = {key: value.clone() for key, value in scheme.state_dict().items()}
    kept = {key: value.clone() for key, value in saved.items()}
    other = make(name, 2)
    other.load_state_dict(saved)
    assert ask(other, some_rows(2, 5))[1].tolist() == ask(scheme, some_rows(2, 5))[1].tolist()
    assert all(torch.equal(saved[key], kept[key]) for key in kept)
    other.load_state_dict(fresh)
    assert ask(other, some_rows(2))[1].tolist() == first


def test_a_memory_follows_the_gradients_that_arrive() -> None:
    memory, everyone = RowMemory(2), torch.tensor([0, 1])
    memory.keep(everyone, memory.of(everyone, torch.ones(2, 3)).add_(1.5))
    assert memory.of(everyone, torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64
    assert memory.of(everyone, torch.ones(2, 3, dtype=torch.float64)).tolist() == [[1.5] * 3] * 2
    assert memory.of(everyone, torch.ones(2, 5)).tolist() == [[0.0] * 5] * 2


@pytest.mark.parametrize("name", [*REMEMBER, "graddrop"])
def test_the_gradients_that_were_shown_are_left_as_they_were(name: str) -> None:
    rows, losses = some_rows(3), some_losses(3)
    before, scheme = rows.clone(), make(name, 3)
    for _ in range(3):
        step = scheme.direction(rows, losses)
        step.zero_()  # the step belongs to the trainer
    assert torch.equal(rows, before)
    assert scheme.direction(rows, losses).abs().sum() > 0


# -- Auto-λ -------------------------------------------------------------------------------------------------------------


def test_auto_lambda_moves_by_the_outlook_alone() -> None:
    scheme = make("auto_lambda", 3, lr=0.5, init=0.2)
    (group,) = scheme.parameter_groups()
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.0)
    optimizer = torch.optim.SGD([group])
    losses = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    objective = scheme.objective(losses)
    objective.backward()
    assert objective.item() == pytest.approx(0.2 * 6)
    assert losses.grad is not None
    assert losses.grad.tolist() == pytest.approx([0.2] * 3)
    assert all(parameter.grad is None for parameter in scheme.parameters())
    scheme.after_outlook(torch.tensor([-1.0, 0.2, 9.0]))
    optimizer.step()
    scheme.after_step(losses.detach())
    assert weights_of(scheme, 3) == pytest.approx([0.7, 0.1, 0.0])  # never below 0
    scheme.active = torch.tensor([0, 2])
    scheme.after_outlook(torch.tensor([0.4, -1.0]))
    optimizer.step()
    assert weights_of(scheme, 2) == pytest.approx([0.5, 0.5])
    scheme.active = torch.arange(3)
    assert weights_of(scheme, 3) == pytest.approx([0.5, 0.1, 0.5])


def weights_of(scheme: Weighting, n_tasks: int) -> list[float]:
    weights, _ = ask(scheme, torch.eye(n_tasks))
    assert weights is not None
    return weights.tolist()


def test_auto_lambda_starts_at_its_knob_to_the_last_digit() -> None:
    assert step_of("auto_lambda", np.eye(2)).tolist() == [0.1, 0.1]  # 0.1 in float32 is 0.10000000149
    assert step_of("auto_lambda", np.eye(2), init=0.3).tolist() == [0.3, 0.3]


def test_auto_lambda_finds_the_helper_of_its_primary_task() -> None:
    """Three quadratics: the second's minimum lies near the first's, the third's the other way. Slopes are the true ones."""
    scheme = make("auto_lambda", 3, primary=["t0"], lr=0.05)
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.3], [-1.0, 0.0]])
    point = torch.zeros(2)
    optimizer = torch.optim.SGD(scheme.parameter_groups())
    for _ in range(50):
        rows = 2 * (point - targets)
        weights = scheme.lambda_T.detach().float().requires_grad_()
        ahead = point - 0.1 * weights @ rows
        validation = scheme.outlook_tasks() @ (ahead - targets).pow(2).sum(1)
        (slopes,) = torch.autograd.grad(validation, weights)
        scheme.after_outlook(slopes)
        optimizer.step()
        scheme.after_step(torch.ones(3))
        point = point - 0.1 * scheme.lambda_T.detach().float() @ rows
    own, helper, foe = scheme.lambda_T.tolist()
    assert own > 0.2
    assert helper > 0.2
    assert foe < 0.05


@pytest.mark.parametrize(
    ("primary", "mask"), [(None, [1.0, 1.0, 1.0]), (["t2"], [0.0, 0.0, 1.0]), (["t2", "t0"], [1.0, 0.0, 1.0])]
)
def test_auto_lambda_looks_at_its_primary_tasks(primary: list[str] | None, mask: list[float]) -> None:
    assert make("auto_lambda", 3, primary=primary).outlook_tasks().tolist() == mask


# -- slips, and the device ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "knobs", "part"),
    [
        ("auto_lambda", {"primary": ["bax"]}, "no task of auto_lambda's primary is called 'bax'. Did you mean 'box'?"),
        ("auto_lambda", {"primary": []}, "name one or more of digit, box"),
        ("auto_lambda", {"init": 0}, "greater than 0"),
        ("graddrop", {"leak": 1.5}, "a leak must lie in 0..1, got 1.5"),
        ("graddrop", {"leak": [0.1, -0.2]}, "a leak must lie in 0..1, got -0.2"),
        ("graddrop", {"leak": [0.1, 0.2, 0.3]}, "got 3 for 2 tasks: give them in the order digit, box"),
        ("graddrop", {"leak": []}, "got 0 for 2 tasks"),
        ("graddrop", {"leak": "much"}, "valid list"),
        ("db_mtl", {"beta": 1.0}, "less than 1"),
        ("moco", {"beta": 0.0}, "greater than 0"),
        ("moco", {"Beta": 0.5}, "Did you mean 'beta'?"),
        ("excess_mtl", {"eta": 0.0}, "greater than 0"),
        ("excess_mtl", {"warmup": 1.5}, "integer"),
    ],
)
def test_slips_are_answered_in_a_sentence(name: str, knobs: dict[str, object], part: str) -> None:
    variant = WEIGHTINGS[name]
    with pytest.raises(ValueError, match=re.escape(part)):
        variant.check(parse_knobs(variant.Knobs, knobs, name), ["digit", "box"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SIX)
def test_on_a_gpu_no_step_waits_and_a_state_from_the_cpu_moves_there(name: str) -> None:
    here, there = make(name, 3), make(name, 3).cuda()
    rows, losses = some_rows(3), some_losses(3)
    for one in (here, there):
        place = one.active.device
        with torch.no_grad():
            ask_anywhere(one, rows.to(place), losses.to(place))
    there.load_state_dict({key: value.clone() for key, value in here.state_dict().items()})
    rows, losses = rows.cuda(), losses.cuda()
    ask_anywhere(there, rows, losses)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step = ask_anywhere(there, rows, losses)
        there.after_step(losses)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert step.device.type == "cuda"
    if name != "graddrop":
        for _ in range(2):
            expected = ask_anywhere(here, rows.cpu(), losses.cpu())
        torch.testing.assert_close(step.cpu(), expected)


def ask_anywhere(scheme: Weighting, rows: Tensor, losses: Tensor) -> Tensor:
    if scheme.question == "gradients":
        return scheme.direction(rows, losses)
    scheme.after_outlook(rows[:, 0])
    return scheme.objective(losses)
