"""Schemes that look at losses only: values by hand, torchjd's answers, and what each promises of units and of zeros."""

import math
import random
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from schemes import ask, make
from torch import Tensor
from torchjd.scalarization import FAMO as TorchjdFAMO
from torchjd.scalarization import IMTLL as TorchjdIMTLL
from torchjd.scalarization import STCH as TorchjdSTCH
from torchjd.scalarization import UW as TorchjdUW
from torchjd.scalarization import GeometricMean

from mtl_core.registry import parse_knobs
from mtl_core.weightings import WEIGHTINGS, Weighting

SCHEMES = [
    ("uncertainty_so", {}),
    ("uncertainty_so", {"T": 1e-6}),
    ("gls", {}),
    ("si", {}),
    ("imtl_l", {}),
    ("stch", {}),
    ("stch", {"mu": 1e-6}),
    ("stch", {"form": "code"}),
    ("stch", {"form": "code", "mu": 1e6}),
    ("famo", {}),
]
every_form = pytest.mark.parametrize(("name", "knobs"), SCHEMES)
positive = st.floats(1e-10, 1e10)
some_losses = st.lists(positive, min_size=1, max_size=40)
moderate = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=8)


def doubles(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def weights(scheme: Weighting, losses: Tensor) -> Tensor:
    """Derivative of the scheme's objective by each loss."""
    return ask(scheme, torch.eye(len(losses), dtype=losses.dtype), losses)[0]


def seasoned(name: str, n_tasks: int, **knobs: object) -> Weighting:
    """A scheme past its warm-up; the others do not mind."""
    scheme = make(name, n_tasks, **knobs)
    for _ in range(5):
        scheme.after_epoch(torch.linspace(0.5, 2.0, n_tasks))
    return scheme


# -- what all of them keep ----------------------------------------------------------------------------------------------


@every_form
@given(losses=st.lists(st.one_of(positive, st.sampled_from([0.0, 1e-45, 1e-30, 1e-10, 1e10])), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_weights_are_finite_and_never_negative(name: str, knobs: dict[str, object], losses: list[float]) -> None:
    for dtype in (torch.float32, torch.float64):
        for scheme in (make(name, len(losses), **knobs), seasoned(name, len(losses), **knobs)):
            found = weights(scheme, torch.tensor(losses, dtype=dtype))
            assert found.dtype == dtype
            assert found.isfinite().all()
            assert (found >= 0).all()


@every_form
@given(losses=moderate, chance=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_relabelling_tasks_relabels_weights(
    name: str, knobs: dict[str, object], losses: list[float], chance: random.Random
) -> None:
    order = list(range(len(losses)))
    chance.shuffle(order)
    found = weights(make(name, len(losses), **knobs), doubles(*losses))
    moved = weights(make(name, len(losses), **knobs), doubles(*losses)[order])
    torch.testing.assert_close(moved, found[order])


@every_form
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_loss_is_seen(name: str, knobs: dict[str, object], bad: float) -> None:
    for scheme in (make(name, 3, **knobs), seasoned(name, 3, **knobs)):
        assert not scheme.objective(doubles(1.0, bad, 2.0)).isfinite()


@every_form
def test_an_absent_task_leaves_the_others_as_if_it_did_not_exist(name: str, knobs: dict[str, object]) -> None:
    scheme, smaller = seasoned(name, 3, **knobs), make(name, 2, **knobs)
    for _ in range(5):
        smaller.after_epoch(torch.tensor([0.5, 2.0]))
    scheme.active = torch.tensor([0, 2])
    found, expected = weights(scheme, doubles(0.3, 4.0)), weights(smaller, doubles(0.3, 4.0))
    if name == "stch" and "form" not in knobs:  # preferences of 1/3 each, not 1/2
        expected = weights(make(name, 2, lambdas=[1 / 3, 1 / 3], **knobs), doubles(0.3, 4.0))
    torch.testing.assert_close(found, expected)


@given(losses=some_losses)
@settings(max_examples=60, deadline=None)
def test_weights_of_schemes_that_mix_sum_to_one(losses: list[float]) -> None:
    for name in ("uncertainty_so", "famo"):
        assert float(weights(make(name, len(losses)), doubles(*losses)).sum()) == pytest.approx(1.0)


# -- soft optimal uncertainty -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 20.0])
def test_uncertainty_so_is_a_softmax_of_inverse_losses(temperature: float) -> None:
    losses = [0.2, 0.5, 3.0]
    powers = [math.exp(1 / loss / temperature) for loss in losses]
    found = weights(make("uncertainty_so", 3, T=temperature), doubles(*losses))
    assert found.tolist() == pytest.approx([power / sum(powers) for power in powers])


def test_uncertainty_so_depends_on_the_unit_only_through_its_temperature() -> None:
    losses = doubles(0.2, 0.5, 3.0)
    found = weights(make("uncertainty_so", 3, T=2.0), 1000 * losses)
    torch.testing.assert_close(found, weights(make("uncertainty_so", 3, T=2000.0), losses))


def test_uncertainty_so_gives_solved_tasks_all_the_weight() -> None:
    for dtype in (torch.float32, torch.float64):
        for losses, expected in (([0.0, 1e-10, 1.0], [1, 0, 0]), ([0.0, 0.0, 1.0], [0.5, 0.5, 0]), ([1e10, 1e10], [0.5, 0.5])):
            assert weights(make("uncertainty_so", len(losses)), torch.tensor(losses, dtype=dtype)).tolist() == expected
    assert weights(make("uncertainty_so", 1), doubles(0.0)).tolist() == [1.0]


# -- geometric mean and sum of logarithms -------------------------------------------------------------------------------


@given(losses=some_losses)
@settings(max_examples=60, deadline=None)
def test_gls_agrees_with_torchjd_and_with_its_formula(losses: list[float]) -> None:
    leaf = doubles(*losses).requires_grad_()
    theirs = GeometricMean()(leaf)
    scheme = make("gls", len(losses))
    torch.testing.assert_close(scheme.objective(leaf), theirs)
    found = weights(scheme, leaf.detach())
    torch.testing.assert_close(found, torch.autograd.grad(theirs, leaf)[0])
    torch.testing.assert_close(found * leaf.detach(), (theirs / len(losses)).detach().expand(len(losses)))


@pytest.mark.parametrize("loss", [1e-10, 1e10])
def test_gls_of_forty_tiny_or_huge_losses(loss: float) -> None:
    found = weights(make("gls", 40), torch.full((40,), loss))
    torch.testing.assert_close(found, torch.full((40,), 1 / 40), rtol=1e-5, atol=0.0)


def test_gls_and_si_at_a_loss_of_zero() -> None:
    """The formula's weight there has no end; the task has nothing to gain, so it gets none."""
    assert weights(make("si", 3), doubles(0.0, 0.5, 4.0)).tolist() == [0.0, 2.0, 0.25]
    found = weights(make("gls", 2), doubles(0.0, 1.0))
    assert float(found[0]) == 0.0
    assert 0 < float(found[1]) < 1e-9  # the mean is 0, and so is its slope along every other loss
    for name in ("gls", "si"):
        assert weights(make(name, 2), doubles(0.0, 0.0)).tolist() == [0.0, 0.0]


@given(losses=moderate, data=st.data())
@settings(max_examples=40, deadline=None)
def test_units_do_not_matter_to_gls_and_si(losses: list[float], data: st.DataObject) -> None:
    """A loss u times as large has gradients u times as long: what counts is wᵢ · uᵢ."""
    n_tasks = len(losses)
    units = doubles(*data.draw(st.lists(st.floats(1e-6, 1e6), min_size=n_tasks, max_size=n_tasks)))
    for name in ("si", "gls"):
        before = weights(make(name, n_tasks), doubles(*losses))
        after = weights(make(name, n_tasks), units * doubles(*losses)) * units
        if name == "gls":  # all weights share one factor: the geometric mean of the units
            after = after / units.log().mean().exp()
        torch.testing.assert_close(after, before)


def test_si_weights_are_inverse_losses() -> None:
    losses = torch.tensor([1e-10, 0.5, 1e10])
    torch.testing.assert_close(weights(make("si", 3), losses), 1 / losses)
    assert float(make("si", 2).objective(doubles(math.e, math.e**2))) == pytest.approx(3.0)


# -- IMTL-L -------------------------------------------------------------------------------------------------------------


def test_imtl_l_agrees_with_torchjd_along_a_run() -> None:
    scheme, other, half = make("imtl_l", 3, lr=0.1), TorchjdIMTLL(3), TorchjdUW(3)
    (group,) = scheme.parameter_groups()
    assert group["weight_decay"] == 0.0
    assert group["lr"] == 0.1
    ours, theirs = torch.optim.Adam([group]), torch.optim.Adam(other.parameters(), lr=0.1)
    half_way = torch.optim.Adam(half.parameters(), lr=0.1)
    for step in range(50):
        losses = torch.tensor([0.01, 1.0, 50.0]) * (1 + step % 3)
        for optimizer, objective in ((ours, scheme.objective), (theirs, other), (half_way, half)):
            optimizer.zero_grad()
            objective(losses).backward()
            optimizer.step()
        scheme.after_step(losses)
        torch.testing.assert_close(scheme.objective(losses), other(losses))
        torch.testing.assert_close(scheme.objective(losses), 2 * half(losses), rtol=1e-3, atol=1e-3)  # Adam's ε is not halved


def test_imtl_l_settles_at_inverse_losses_and_stays_finite_at_zero() -> None:
    scheme = make("imtl_l", 3, lr=0.2)
    optimizer = torch.optim.SGD(scheme.parameter_groups())
    losses = torch.tensor([0.5, 4.0, 0.0])
    for _ in range(400):
        optimizer.zero_grad()
        scheme.objective(losses).backward()
        optimizer.step()
        scheme.after_step(losses)
    found = weights(scheme, losses)
    assert found[:2].tolist() == pytest.approx([2.0, 0.25], rel=1e-3)
    assert 9e9 < float(found[2]) < 1e10


# -- smooth Tchebycheff -------------------------------------------------------------------------------------------------


@given(losses=moderate, mu=st.floats(0.01, 100), data=st.data())
@settings(max_examples=60, deadline=None)
def test_stch_agrees_with_torchjd(losses: list[float], mu: float, data: st.DataObject) -> None:
    n_tasks = len(losses)
    numbers = st.lists(st.floats(0.01, 5), min_size=n_tasks, max_size=n_tasks)
    lambdas, ideal = data.draw(st.none() | numbers), data.draw(st.none() | numbers)
    other = TorchjdSTCH(mu, None if lambdas is None else doubles(*lambdas), None if ideal is None else doubles(*ideal))
    scheme = make("stch", n_tasks, mu=mu, lambdas=lambdas, ideal=ideal)
    leaf = doubles(*losses).requires_grad_()
    torch.testing.assert_close(scheme.objective(leaf), other(leaf))
    torch.testing.assert_close(weights(scheme, leaf.detach()), torch.autograd.grad(other(leaf), leaf)[0])


def test_stch_nears_the_maximum_as_mu_falls_and_the_mean_as_it_grows() -> None:
    losses = torch.tensor([1000.0, 1000.5, 3.0])
    assert weights(make("stch", 3, mu=1e-6), losses).tolist() == pytest.approx([0, 1 / 3, 0])
    assert weights(make("stch", 3, mu=1e6), losses).tolist() == pytest.approx([1 / 9] * 3, rel=1e-3)
    shortfalls = weights(make("stch", 2, mu=0.01, lambdas=[1, 1], ideal=[0, 9.98]), doubles(0.01, 10.0))
    assert shortfalls.tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])  # 0.01 and 0.02 above the ideal


def public_stch(losses: Tensor, nadir: Tensor, mu: float) -> Tensor:
    """The published program's weights, written from its formula: the slope of Kμ log Σ (ℓ/nadir)^{1/μ}."""
    powers = (losses / nadir) ** (1 / mu)
    return len(losses) * powers / powers.sum() / losses


@pytest.mark.parametrize("mu", [0.3, 1.0, 4.0])
def test_stch_as_in_the_public_code(mu: float) -> None:
    scheme = make("stch", 3, form="code", mu=mu)
    losses = doubles(0.5, 2.0, 8.0)
    for epoch in range(5):  # epochs 0 … 3 warm up; epoch 4, still with Σ log ℓ, gives the nadir
        torch.testing.assert_close(weights(scheme, losses), 1 / losses)
        scheme.after_epoch(doubles(9.0 - epoch, 2.0, 5.0))
    nadir = doubles(5.0, 2.0, 5.0)
    assert scheme.nadir_T.tolist() == nadir.tolist()
    torch.testing.assert_close(weights(scheme, losses), public_stch(losses, nadir, mu))
    scheme.after_epoch(doubles(0.1, 0.1, 0.1))  # the nadir stays
    torch.testing.assert_close(weights(scheme, losses), public_stch(losses, nadir, mu))
    second = make("stch", 3, form="code", mu=mu)
    second.load_state_dict(scheme.state_dict())
    torch.testing.assert_close(weights(second, losses), public_stch(losses, nadir, mu))


def test_stch_waits_for_the_nadir_of_a_task_without_labels() -> None:
    scheme = make("stch", 2, form="code", warmup_epochs=0)
    for means in ([4.0, 0.0], [3.0, math.nan]):
        scheme.after_epoch(doubles(*means))
        assert weights(scheme, doubles(0.5, 2.0)).tolist() == [2.0, 0.5]
    scheme.after_epoch(doubles(1.0, 2.0))
    assert scheme.nadir_T.tolist() == [4.0, 2.0]
    torch.testing.assert_close(weights(scheme, doubles(0.5, 2.0)), public_stch(doubles(0.5, 2.0), doubles(4.0, 2.0), 1.0))


def test_stch_scale_follows_its_form() -> None:
    assert [make("stch", 4, scale=scale).factor for scale in ("published", "mean", "sum")] == [1.0, 1.0, 4.0]
    assert [make("stch", 4, form="code", scale=scale).factor for scale in ("published", "mean", "sum")] == [1.0, 0.25, 1.0]


# -- FAMO ---------------------------------------------------------------------------------------------------------------


def looks(n_steps: int, n_tasks: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Losses before and after each step of a made-up run, of very different sizes."""
    chance = torch.Generator().manual_seed(seed)
    sizes = 10.0 ** torch.arange(n_tasks, dtype=torch.float64)
    found = []
    for _ in range(n_steps):
        before = sizes * (0.5 + torch.rand(n_tasks, generator=chance, dtype=torch.float64))
        found.append((before, before * (0.6 + 0.5 * torch.rand(n_tasks, generator=chance, dtype=torch.float64))))
    return found


class AlgorithmOne:
    """FAMO written down from the paper with autograd and torch's Adam, to compare with."""

    def __init__(self, lowest: Tensor, beta: float, gamma: float) -> None:
        self.lowest = lowest
        self.logits = torch.zeros_like(lowest, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=beta, weight_decay=gamma)

    def weights(self, losses: Tensor) -> Tensor:
        z = torch.softmax(self.logits, dim=0).detach()
        c = 1 / (z / (losses - self.lowest)).sum()
        return c * z / (losses - self.lowest)

    def update(self, before: Tensor, after: Tensor) -> None:
        self.optimizer.zero_grad()
        fall = (before - self.lowest).log() - (after - self.lowest).log()
        torch.softmax(self.logits, dim=0).backward(fall)
        self.optimizer.step()


@pytest.mark.parametrize(("beta", "gamma", "lowest"), [(0.025, 1e-3, [0, 0, 0]), (0.3, 0.01, [0.1, 1, 0])])
def test_famo_moves_as_algorithm_1_does_with_a_restart_on_the_way(beta: float, gamma: float, lowest: list[float]) -> None:
    knobs = {"beta": beta, "gamma": gamma, "min_losses": lowest}
    scheme, other = make("famo", 3, **knobs), AlgorithmOne(doubles(*lowest), beta, gamma)
    for step, (before, after) in enumerate(looks(20, 3, seed=0)):
        if step == 11:
            saved = scheme.state_dict()
            scheme = make("famo", 3, **knobs)
            scheme.load_state_dict(saved)
        torch.testing.assert_close(weights(scheme, before), other.weights(before))
        scheme.after_look(before, after)
        other.update(before, after)
        torch.testing.assert_close(scheme.logits_T, other.logits.detach())
    assert float(scheme.logits_T.abs().max()) > 2 * beta


def test_famo_agrees_with_torchjd_along_a_run() -> None:
    scheme, other = make("famo", 4), TorchjdFAMO(4)
    for before, after in looks(20, 4, seed=1):
        leaf = before.float().requires_grad_()
        torch.testing.assert_close(weights(scheme, before.float()), torch.autograd.grad(other(leaf), leaf)[0])
        scheme.after_look(before.float(), after.float())
        other.update(after.float())
    torch.testing.assert_close(scheme.logits_T.float(), other._w.detach(), rtol=1e-3, atol=1e-4)


def test_famo_by_hand() -> None:
    """Adam's first step is β · sign; at ξ = 0.025 · (−1, 1), z₁ = 1/(1 + e^0.05)."""
    scheme = make("famo", 2)
    scheme.after_look(doubles(4.0, 4.0), doubles(2.0, 3.0))
    assert scheme.logits_T.tolist() == pytest.approx([-0.025, 0.025])
    share = 1 / (1 + math.exp(0.05))
    first, second = share / 2, (1 - share) / 6
    found = weights(scheme, doubles(2.0, 6.0))
    assert found.tolist() == pytest.approx([first / (first + second), second / (first + second)])
    assert float(scheme.objective(doubles(2.0, 6.0))) == pytest.approx(1 / (first + second))  # c, where the lowest losses are 0


@given(losses=moderate, exponent=st.integers(-6, 6))
@settings(max_examples=40, deadline=None)
def test_famo_helps_those_that_fell_behind_in_any_unit(losses: list[float], exponent: int) -> None:
    scheme, other = make("famo", len(losses)), make("famo", len(losses))
    before = doubles(*losses)
    after = before * torch.linspace(0.5, 1.1, len(losses), dtype=torch.float64)  # the first fell most, the last rose
    scheme.after_look(before, after)
    other.after_look(before * 10.0**exponent, after * 10.0**exponent)
    torch.testing.assert_close(other.logits_T, scheme.logits_T)
    assert float(scheme.logits_T[0]) < 0 < float(scheme.logits_T[-1])


def test_famo_forgets_by_gamma_when_all_fall_alike() -> None:
    scheme = make("famo", 2, gamma=0.1)
    scheme.after_look(doubles(1.0, 1.0), doubles(0.5, 1.0))
    gap = float(scheme.logits_T[1] - scheme.logits_T[0])
    for _ in range(200):
        scheme.after_look(doubles(1.0, 1.0), doubles(0.9, 0.9))
    assert abs(float(scheme.logits_T[1] - scheme.logits_T[0])) < gap / 2


def test_famo_lets_absent_tasks_rest() -> None:
    scheme, pair = make("famo", 3), make("famo", 2)
    scheme.active = torch.tensor([0, 2])
    for before, after in looks(5, 2, seed=2):
        scheme.after_look(before, after)
        pair.after_look(before, after)
    assert scheme.logits_T[[0, 2]].tolist() == pair.logits_T.tolist()
    assert float(scheme.logits_T[1]) == 0.0
    scheme.active = torch.arange(3)
    assert weights(scheme, doubles(1.0, 1.0, 1.0)).isfinite().all()


def test_famo_survives_losses_at_and_below_their_minimum() -> None:
    scheme = make("famo", 3, min_losses=[0.0, 1.0, 2.0])
    losses = torch.tensor([0.0, 0.5, 2.0])
    for _ in range(3):
        assert weights(scheme, losses).isfinite().all()
        scheme.after_look(losses, torch.tensor([1e10, 0.0, 1e-10]))
    assert scheme.logits_T.isfinite().all()
    alone = make("famo", 1)
    alone.after_look(torch.tensor([2.0]), torch.tensor([1.0]))
    assert weights(alone, torch.tensor([0.0])).tolist() == [1.0]


def test_famo_says_what_it_costs() -> None:
    said = WEIGHTINGS["famo"].describe()
    assert said["backward_passes"] == "1 + one forward"
    assert WEIGHTINGS["famo"].looks_again
    assert make("famo", 2).parameter_groups() == []  # the run's optimiser has no say in ξ


# -- slips --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "knobs", "part"),
    [
        ("uncertainty_so", {"T": 0}, "greater than or equal to"),
        ("imtl_l", {"lr": 0}, "greater than 0"),
        ("stch", {"mu": 0}, "greater than or equal to"),
        ("stch", {"form": "tch"}, "'paper' or 'code'"),
        (
            "stch",
            {"lambdas": [1.0]},
            "stch needs one preference per task, got 1 for 2 tasks: give them in the order digit, box",
        ),
        ("stch", {"lambdas": [1.0, -1.0]}, "preference of box must lie in 0..1e12, got -1"),
        ("stch", {"ideal": [1.0, 2.0, 3.0]}, "stch needs one ideal loss per task, got 3 for 2 tasks"),
        ("stch", {"form": "code", "lambdas": [1.0, 1.0]}, "leave lambdas and ideal empty"),
        ("stch", {"form": "code", "ideal": [0.0, 0.0]}, "leave lambdas and ideal empty"),
        ("stch", {"warmup_epochs": -1}, "greater than or equal to 0"),
        ("famo", {"beta": -1}, "greater than 0"),
        ("famo", {"min_losses": [0.0]}, "famo needs one lowest loss per task, got 1 for 2 tasks"),
        ("famo", {"min_losses": [0.0, math.nan]}, "finite number"),
        ("gls", {"K": 2}, "K"),
    ],
)
def test_slips_are_answered_in_a_sentence(name: str, knobs: dict[str, object], part: str) -> None:
    variant = WEIGHTINGS[name]
    with pytest.raises(ValueError, match=re.escape(part)):
        variant.check(parse_knobs(variant.Knobs, knobs, name), ["digit", "box"])
