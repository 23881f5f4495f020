"""What lands in ``.grad``: for every scheme and every kind of gradient that it may look at; and the looks beside it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtl_core.architectures import Architecture
from mtl_core.backward import Backward
from mtl_core.batches import Examples
from mtl_core.chance import stream
from mtl_core.config import RunConfig, Training
from mtl_core.forward import Forward
from mtl_core.looks import Before, Looks
from mtl_core.optimisers import make_optimizer
from mtl_core.plan import check
from mtl_core.weightings import WEIGHTINGS, Setting

GRAMIAN = [name for name in WEIGHTINGS.names() if WEIGHTINGS[name].asks == "gramian"]
WAYS = [(name, {}) for name in WEIGHTINGS.names()]
WAYS += [(name, {"on": on}) for name in GRAMIAN for on in ("last_stage", "representation")]
WAYS += [(name, {"heads": "weighted"}) for name in WEIGHTINGS.names()] + [
    (name, {"heads": "unit"}) for name in WEIGHTINGS.names()
]
WAYS += [("mgda", {"scale": "sum", "heads": "weighted"}), ("pcgrad", {"scale": "mean", "on": "representation"})]
ways = pytest.mark.parametrize(
    ("name", "knobs"), WAYS, ids=lambda value: value if isinstance(value, str) else "-".join(value.values())
)
TASKS = ["a", "b", "c"]
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # outputs are float32, whatever the network computes in


class Step:
    """One step of a small float64 network on a fixed batch, by the code that trains."""

    def __init__(self, name: str, n: int = 24, depth: int = 2, **knobs: Any) -> None:
        config = RunConfig.from_mapping(
            {
                "dataset": {"name": "teacher", "n_tasks": 3, "train": 200, "rho": 0.4},
                "tasks": TASKS,
                "architecture": {"name": "hard_sharing", "width": 8, "layers": 3, "depth": depth},
                "weighting": {"name": name, **knobs},
            }
        )
        plan = check(config)
        self.plan = plan
        self.model = plan.architecture.create(
            plan.architecture_knobs, input_shape=plan.dataset.input_shape, tasks=plan.tasks, seed=0
        ).double()
        examples = plan.dataset.load("train", seed=0, device=torch.device("cpu")).only(TASKS)
        self.batch = _double(examples.take(slice(0, n)))
        self.validation = _double(examples.take(slice(n, 3 * n)))
        setting = Setting(tuple(TASKS), (200, 200, 200), generator=stream(0, "weighting"))
        self.scheme = plan.weighting(plan.weighting_knobs, setting).double()
        self.forward = Forward(self.model, plan.tasks, torch.float32)
        self.forward._autocast = torch.enable_grad  # float64 all through
        self.backward = Backward(self.forward, self.scheme)
        self.shared = self.backward.shared

    def gradients(self, batch: Examples | None = None) -> tuple[Tensor, list[list[Tensor]]]:
        """Each task's gradient of the shared parameters [T, P], and of its own ones, by plain autograd."""
        losses = self.losses(batch or self.batch)
        rows, own = [], []
        for t, name in enumerate(TASKS):
            mine = self.model.own_parameters(name)
            found = torch.autograd.grad(losses[t], [*self.shared.parameters, *mine], retain_graph=True)
            rows.append(torch.cat([g.reshape(-1) for g in found[: len(self.shared.parameters)]]))
            own.append(list(found[len(self.shared.parameters) :]))
        return torch.stack(rows), own

    def losses(self, batch: Examples) -> Tensor:
        outputs = self.model(batch.inputs, TASKS)
        return torch.stack([task.loss(outputs[task.name], batch.targets[task.name]).mean() for task in self.plan.tasks])

    def __call__(self, *, is_measured: bool) -> tuple[Tensor, Tensor]:
        """The logged weights and the step of the shared parameters."""
        self.model.zero_grad(set_to_none=True)
        row, _ = self.backward(self.batch, [0, 1, 2], is_measured=is_measured)
        return row[3:6].detach(), torch.cat([p.grad.reshape(-1) for p in self.shared.parameters])


def _double(examples: Examples) -> Examples:
    return Examples(examples.inputs.double(), {name: values.double() for name, values in examples.targets.items()})


@ways
def test_the_step_is_the_mix_that_the_log_says(name: str, knobs: dict[str, Any]) -> None:
    step = Step(name, **knobs)
    rows, _ = step.gradients(step.batch.take(slice(16, 24)) if step.scheme.n_parts == 3 else None)
    whole = step.gradients()[1]
    weights, direction = step(is_measured=False)
    if weights.isfinite().all() and step.scheme.asks != "gradients":
        torch.testing.assert_close(direction, weights @ rows, **CLOSE)
    assert direction.isfinite().all()
    losses = step.losses(step.batch).detach()
    factors = torch.ones(3, dtype=torch.float64)
    if step.scheme.has_weighted_heads:
        factor = 1.0 if step.scheme.asks == "losses" else step.scheme.factor
        factors = step.scheme.head_weights(losses, weights / factor if weights.isfinite().all() else None) * factor
    for t, task in enumerate(TASKS):
        for parameter, gradient in zip(step.model.own_parameters(task), whole[t], strict=True):
            torch.testing.assert_close(parameter.grad, factors[t] * gradient, **CLOSE)


@ways
def test_a_measured_step_is_the_plain_step(name: str, knobs: dict[str, Any]) -> None:
    plain, measured = Step(name, **knobs), Step(name, **knobs)
    for _ in range(2):
        for mine, theirs in zip(plain(is_measured=False), measured(is_measured=True), strict=True):
            torch.testing.assert_close(mine, theirs, **CLOSE, equal_nan=True)
    for mine, theirs in zip(plain.model.parameters(), measured.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, **CLOSE)


@pytest.mark.parametrize("is_measured", [False, True])
def test_what_a_gramian_scheme_sees(is_measured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Gramian of all shared parameters, of the last stage, or of the flattened representation, by plain autograd."""
    seen: list[Tensor] = []

    def keep(gram_TT: Tensor, losses_T: Tensor) -> Tensor:
        seen.append(gram_TT)
        return torch.ones_like(losses_T)

    for on in ("parameters", "last_stage", "representation"):
        step = Step("mgda", on=on)
        monkeypatch.setattr(step.scheme, "weights", keep)
        step(is_measured=is_measured)
        if on == "representation":
            features = step.model.represent(step.batch.inputs).detach().requires_grad_()
            outputs = step.model.decode(features, TASKS)
            losses = [task.loss(outputs[task.name], step.batch.targets[task.name]).mean() for task in step.plan.tasks]
            rows = torch.stack([torch.autograd.grad(loss, features)[0].reshape(-1) for loss in losses])
        else:
            rows = step.gradients()[0]
            rows = rows[:, step.shared.slices[-1]] if on == "last_stage" else rows
        torch.testing.assert_close(seen.pop().double(), (rows @ rows.T).double(), **CLOSE)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@pytest.mark.parametrize("depth", [0, 3])
def test_one_task_and_no_shared_layers(name: str, depth: int) -> None:
    step = Step(name, depth=depth)
    for active in ([1], [0, 1, 2], [0, 2], []):
        for is_measured in (False, True):
            step.model.zero_grad(set_to_none=True)
            row, measured = step.backward(step.batch, active, is_measured=is_measured)
            assert row[:3][active].isfinite().all()
            assert row[:3].isnan().sum() == 3 - len(active) or is_measured
            assert all(p.grad is None or p.grad.isfinite().all() for p in step.model.parameters())
            assert (measured is not None) == (is_measured and depth > 0)
            if active and depth:
                assert any(p.grad is not None for p in step.shared.parameters)


# -- looks --------------------------------------------------------------------------------------------------------------


class Noisy(Architecture):
    """A network with dropout and batch statistics, which none of ours has."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Tanh())
        self.heads = nn.ModuleDict({name: nn.Linear(8, 1) for name in TASKS})

    def represent(self, inputs: Tensor) -> Tensor:
        return self.trunk(inputs)

    def decode(self, representation: Tensor, tasks: Any = None) -> dict[str, Tensor]:
        return {name: self.heads[name](representation) for name in tasks or TASKS}

    def shared_stages(self) -> list[tuple[str, list[nn.Parameter]]]:
        return [("trunk", list(self.trunk.parameters()))]

    def own_parameters(self, task: str) -> list[nn.Parameter]:
        return list(self.heads[task].parameters())

    @classmethod
    def n_stages(cls, knobs: Any, input_shape: Any) -> int:
        return 1

    @classmethod
    def create(cls, knobs: Any, **_: Any) -> Architecture:
        return cls()

    @classmethod
    def report(cls, knobs: Any, **_: Any) -> Any:
        raise NotImplementedError


def test_a_second_look_throws_the_same_dice_and_keeps_no_statistics() -> None:
    torch.manual_seed(0)
    model, tasks = Noisy().train(), Step("equal").plan.tasks
    inputs = torch.randn(12, 4)
    batch = Examples(inputs, {name: torch.randn(12, 1) for name in TASKS})
    forward = Forward(model, tasks, torch.float32)
    looks = Looks(forward, Backward(forward, Step("equal").scheme.float()).shared)
    chance = forward.chance()
    first = torch.stack(forward(batch, TASKS).losses).detach()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    dice = torch.get_rng_state()
    torch.testing.assert_close(looks.again(Before([batch], TASKS, chance)), first, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), dice)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not torch.equal(torch.stack(forward(batch, TASKS).losses), first)  # the next pass has dice of its own
    assert int(model.trunk[1].num_batches_tracked) == 2
    with torch.no_grad():
        model.heads["b"].bias += 1.0
    again = looks.again(Before([batch], TASKS, chance))
    assert again[1] != first[1]
    assert again[[0, 2]].tolist() == first[[0, 2]].tolist()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_look_ahead_is_the_slope_of_the_validation_loss(optimizer: str) -> None:
    """Against plain autograd: −η ∇L_val(θ − η(μ·momentum + g + λθ))·gᵢ."""
    step = Step("equal")
    training = Training(optimizer=optimizer, lr=0.05, momentum=0.5, weight_decay=0.1)
    torch_optimizer = make_optimizer(training, step.model.parameters(), [])
    for parameter in step.model.parameters() if optimizer == "sgd" else ():
        torch_optimizer.state[parameter]["momentum_buffer"].fill_(0.01)
    looks = Looks(step.forward, step.shared)
    step(is_measured=False)
    before = {name: p.detach().clone() for name, p in step.model.named_parameters()}
    counts = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    found = looks.ahead(Before([step.batch], TASKS, step.forward.chance()), step.validation, counts, torch_optimizer)
    present = Before([step.batch], ["a", "b"], step.forward.chance())  # an absent task still counts in the validation loss
    fewer = looks.ahead(present, step.validation, counts, torch_optimizer)
    torch.testing.assert_close(fewer, found[:2], rtol=2e-3, atol=1e-6)
    assert all(torch.equal(p, before[name]) for name, p in step.model.named_parameters())

    parameters = list(step.model.parameters())
    losses = step.losses(step.batch)
    grads = [torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in losses]
    grads = [[torch.zeros_like(p) if g is None else g for g, p in zip(one, parameters, strict=True)] for one in grads]
    momentum = 0.5 * 0.01 if optimizer == "sgd" else 0.0
    with torch.no_grad():
        for n, p in enumerate(parameters):
            p.sub_(0.05 * (sum(one[n] for one in grads) + 0.1 * p + momentum))
    pulls = torch.autograd.grad((counts * step.losses(step.validation)).sum(), parameters, allow_unused=True)
    expected = [-0.05 * sum((g * v).sum() for g, v in zip(one, pulls, strict=True) if v is not None) for one in grads]
    torch.testing.assert_close(found, torch.stack(expected).detach(), rtol=2e-3, atol=1e-6)


def test_affinity_is_the_loss_after_a_step_for_one_task_alone() -> None:
    step = Step("equal")
    rows, _ = step.gradients()
    found = Looks(step.forward, step.shared).affinity(Before([step.batch], TASKS, step.forward.chance()), rows, lr=0.1)
    before = step.losses(step.batch).detach()
    for i in range(3):
        step.shared.set_grad(rows[i])
        with torch.no_grad():
            for parameter in step.shared.parameters:
                parameter.sub_(0.1 * parameter.grad)
        torch.testing.assert_close(found[i], 1 - step.losses(step.batch).detach() / before)
        with torch.no_grad():
            for parameter in step.shared.parameters:
                parameter.add_(0.1 * parameter.grad)
    assert (found.diagonal() > 0).all()
