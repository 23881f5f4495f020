"""What the tests of weighting schemes share: making one, asking it as the trainer does, and gradients that hurt."""

import itertools

import numpy as np
import torch
from torch import Tensor

from mtl_core.weightings import WEIGHTINGS, Setting, Weighting

HAND = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)  # g1 = (1, 0), g2 = (−½, 1)
CHANCY = {"rlw", "pcgrad", "gradvac"}  # they draw for the tasks in their order
NASTY = {
    "zero": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    "one zero": [[0.0, 0.0], [1.0, 2.0], [-1.0, 1.0]],
    "equal": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]],
    "opposite": [[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0]],
    "tiny": [[1e-10, 0.0], [-5e-11, 1e-10], [0.0, -1e-10]],
    "huge": [[1e10, 0.0], [-5e9, 1e10], [0.0, -1e10]],
    "tiny against huge": [[1e-10, 0.0], [-5e9, 1e10], [1.0, -1.0]],
    "round a circle": [[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]],
}


def make(name: str, n_tasks: int, seed: int = 0, **knobs: object) -> Weighting:
    """A scheme for tasks t0, t1 … with 100, 200 … labelled examples."""
    variant, checked = WEIGHTINGS.parse({"name": name, **knobs})
    tasks = tuple(f"t{i}" for i in range(n_tasks))
    variant.check(checked, tasks)
    sizes = tuple(100 * (i + 1) for i in range(n_tasks))
    return variant(checked, Setting(tasks, sizes, generator=torch.Generator().manual_seed(seed)))


def ask(scheme: Weighting, rows: Tensor, losses: Tensor | None = None) -> tuple[Tensor | None, Tensor]:
    """The weights (None if there are none) and the step, as the trainer would get them at the published scale."""
    losses = torch.ones(len(rows), dtype=rows.dtype) if losses is None else losses
    if scheme.question == "gradients":
        direction = scheme.direction(rows, losses)
        return scheme.mix(losses), direction
    if scheme.question == "gramian":
        weights = scheme.weights(rows @ rows.T, losses)
    else:
        leaf = losses.clone().requires_grad_()
        (weights,) = torch.autograd.grad(scheme.objective(leaf), leaf)
    return weights, weights @ rows


def step_of(name: str, rows: np.ndarray, **knobs: object) -> np.ndarray:
    """The step that a fresh scheme takes on these gradients, with losses of 1, in float64."""
    return ask(make(name, len(rows), **knobs), torch.tensor(rows, dtype=torch.float64))[1].detach().numpy()


def live(scheme: Weighting, n_steps: int, seed: int) -> list[list[float]]:
    """Steps as in training, learned state included; the answers."""
    generator = torch.Generator().manual_seed(seed)
    groups = scheme.parameter_groups()
    optimizer = torch.optim.SGD(groups, lr=0.1) if groups else None
    answers = []
    for step in range(n_steps):
        rows = torch.randn(3, 4, generator=generator)
        losses = torch.rand(3, generator=generator) + 0.1
        if optimizer is not None:
            optimizer.zero_grad()
            if scheme.question == "losses":
                scheme.objective(losses.clone().requires_grad_()).backward()
        answers.append(ask(scheme, rows, losses)[1].tolist())
        if scheme.looks_ahead:
            scheme.after_outlook(rows[:, 0])
        if optimizer is not None:
            optimizer.step()
        if scheme.looks_again:
            scheme.after_look(losses, losses * torch.rand(3, generator=generator))
        scheme.after_step(losses)
        if step % 2:
            scheme.after_epoch(losses)
    return answers


def grid(n_tasks: int, n: int) -> np.ndarray:
    """All weights on the simplex in steps of 1/n."""
    counts = [c for c in itertools.product(range(n + 1), repeat=n_tasks - 1) if sum(c) <= n]
    first = np.array(counts, float) / n
    return np.column_stack([first, 1 - first.sum(axis=1)])
