"""A scheme's walk through the toy problem: Adam in float64, weights by the scheme itself, as a training run would ask for them.

The two coordinates are the shared parameters; there are no heads. The problem is not random: all parts of a batch are the same, and
each step sees all data, so each step is an epoch. Legend: T = 2 tasks, P = 2 parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from typing import Any

import torch
from torch import Tensor

from mtl_core.chance import stream
from mtl_core.registry import no_such
from mtl_core.toy.problem import REACH, evaluate, is_on_front
from mtl_core.weightings import WEIGHTINGS, Setting, Weighting

TASKS = ("l1", "l2")
BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's, as torch has them
MAX_STEPS = 1_000_000
LOWEST = -21.0  # below both losses' minima
Rows = tuple[float, float, float, float]  # ∂₁ℓ₁, ∂₂ℓ₁, ∂₁ℓ₂, ∂₂ℓ₂


class Walk:
    """One scheme from one start. ``advance`` it until it is done; ``path`` grows on the way.

    Args:
        scheme: a name on the shelf of weightings.
        start: x₁ and x₂, within ±20.
        steps: how many steps make the whole walk.
        lr: Adam's learning rate; the scheme's own parameters take it too where they bring none.
        scale: what ℓ₁ is multiplied with for training, as in the papers; ``losses`` stay unscaled.
        seed: decides what random schemes draw.
        knobs: the scheme's knobs beside its name. ``on``, ``heads`` and ``scale`` change nothing or, to Adam, almost nothing here.
        keep_every: each so many steps a place goes into ``path``.

    Raises: ValueError in a sentence for anything that is not as above.

    >>> walk = Walk("equal", (0.0, -8.0), steps=2000, lr=0.01, scale=1.0)
    >>> walk.advance(2000)
    >>> [round(x, 4) for x in walk.point], walk.is_done, is_on_front(walk.point)
    ([0.0, -8.3551], True, True)
    """

    def __init__(
        self,
        scheme: str,
        start: Sequence[float],
        *,
        steps: int = 50_000,
        lr: float = 1e-3,
        scale: float = 0.1,
        seed: int = 0,
        knobs: Mapping[str, Any] | None = None,
        keep_every: int = 1_000_000,
    ) -> None:
        self.start = check_start(start)
        check_settings(steps=steps, lr=lr, scale=scale, seed=seed)
        self.scheme = create(scheme, seed, knobs, scale)
        self.steps, self.lr, self.scale, self.keep_every = steps, float(lr), float(scale), keep_every
        self._own = [
            _Learned(one, group.get("lr", self.lr)) for group in self.scheme.parameter_groups() for one in group["params"]
        ]
        self.step = 0
        self.point: tuple[float, float] = self.start
        self.stopped = ""  # why it ended early, if it did
        self.path: list[tuple[int, float, float]] = [(0, *self.start)]
        self._moments = [0.0, 0.0, 0.0, 0.0]

    @property
    def is_done(self) -> bool:
        """Whether all steps are taken, or the scheme has no answer any more."""
        return self.step >= self.steps or bool(self.stopped)

    @property
    def losses(self) -> tuple[float, float]:
        """Both losses, unscaled, where it stands now."""
        return evaluate(*self.point)[:2]

    def advance(self, n_steps: int) -> None:
        """Take so many steps more, or as many as are left."""
        with torch.enable_grad():
            for _ in range(min(n_steps, self.steps - self.step)):
                if self.stopped:
                    break
                self._take_step()
        if self.is_done and self.path[-1][0] != self.step:
            self.path.append((self.step, *self.point))

    def _take_step(self) -> None:
        losses, rows = self._look(self.point)
        losses_T = torch.tensor(losses, dtype=torch.float64)
        direction = self._direction(rows, losses_T)
        if not all(isfinite(number) for number in direction):
            self.stopped = f"its answer at step {self.step} is no number (losses {losses[0]:.3g} and {losses[1]:.3g})"
            return
        if self.scheme.looks_ahead:
            self.scheme.after_outlook(self._outlook(rows, direction))
        self.point = self._adam(direction)
        for learned in self._own:
            learned.step()
        self.step += 1
        if self.scheme.looks_again:
            self.scheme.after_look(losses_T, torch.tensor(self._look(self.point)[0], dtype=torch.float64))
        self.scheme.after_step(losses_T)
        self.scheme.after_epoch(losses_T)
        if self.step % self.keep_every == 0:
            self.path.append((self.step, *self.point))

    def _look(self, point: tuple[float, float]) -> tuple[tuple[float, float], Rows]:
        """Losses and gradients as training sees them: the first one scaled."""
        l1, l2, g11, g12, g21, g22 = evaluate(*point)
        return (self.scale * l1, l2), (self.scale * g11, self.scale * g12, g21, g22)

    def _direction(self, rows: Rows, losses_T: Tensor) -> tuple[float, float]:
        """The step to be subtracted, before Adam, from whatever the scheme asks for."""
        g11, g12, g21, g22 = rows
        if self.scheme.question == "gradients":
            grads_TP = torch.tensor(((g11, g12), (g21, g22)), dtype=torch.float64)
            d1, d2 = self.scheme.direction(grads_TP, losses_T).tolist()
            return d1 * self.scheme.factor, d2 * self.scheme.factor
        if self.scheme.question == "gramian":
            cross = g11 * g21 + g12 * g22
            gram_TT = torch.tensor(((g11 * g11 + g12 * g12, cross), (cross, g21 * g21 + g22 * g22)), dtype=torch.float64)
            weights_T = self.scheme.weights(gram_TT, losses_T)
        else:
            leaf = losses_T.clone().requires_grad_()
            torch.autograd.backward(self.scheme.objective(leaf))
            weights_T = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        w1, w2 = weights_T.tolist()
        return (w1 * g11 + w2 * g21) * self.scheme.factor, (w1 * g12 + w2 * g22) * self.scheme.factor

    def _outlook(self, rows: Rows, direction: tuple[float, float]) -> Tensor:
        """Slopes of the validation loss, here the toy's own sum, by each weight: −lr ∇L(θ − lr·d) · gᵢ."""
        g11, g12, g21, g22 = rows
        _, (n11, n12, n21, n22) = self._look((self.point[0] - self.lr * direction[0], self.point[1] - self.lr * direction[1]))
        v1, v2 = self.scheme.outlook_tasks().tolist()
        n1, n2 = v1 * n11 + v2 * n21, v1 * n12 + v2 * n22
        return torch.tensor((-self.lr * (n1 * g11 + n2 * g12), -self.lr * (n1 * g21 + n2 * g22)), dtype=torch.float64)

    def _adam(self, direction: tuple[float, float]) -> tuple[float, float]:
        """Where Adam goes from here: torch's arithmetic, number by number."""
        (beta1, beta2), count, moments = BETAS, self.step + 1, self._moments
        size, root = self.lr / (1 - beta1**count), sqrt(1 - beta2**count)
        moved = []
        for n, (place, slope) in enumerate(zip(self.point, direction, strict=True)):
            moments[n] += (slope - moments[n]) * (1 - beta1)
            moments[n + 2] = moments[n + 2] * beta2 + slope * slope * (1 - beta2)
            moved.append(place - size * moments[n] / (sqrt(moments[n + 2]) / root + EPS))
        return moved[0], moved[1]


class _Learned:
    """A parameter of the scheme with its Adam, undecayed: torch's arithmetic without its bookkeeping, which would cost more than the rest."""

    def __init__(self, parameter: Tensor, lr: float) -> None:
        self.parameter, self.lr, self.count = parameter, float(lr), 0
        self.mean, self.square = torch.zeros_like(parameter), torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:
        """Move, if there is a gradient, and forget it: what is set after the step counts for the next one."""
        slope = self.parameter.grad
        if slope is None:
            return
        self.count += 1
        (beta1, beta2), size = BETAS, self.lr / (1 - BETAS[0] ** self.count)
        self.mean.lerp_(slope, 1 - beta1)
        self.square.mul_(beta2).addcmul_(slope, slope, value=1 - beta2)
        spread = self.square.sqrt().div_(sqrt(1 - beta2**self.count)).add_(EPS)
        self.parameter.addcdiv_(self.mean, spread, value=-size)
        self.parameter.grad = None


def outcome(walk: Walk, scheme: str) -> dict[str, Any]:
    """Where a walk has ended, as the command line prints it; losses are unscaled."""
    return {
        "scheme": scheme,
        "start": list(walk.start),
        "end": list(walk.point),
        "losses": list(walk.losses),
        "on_front": is_on_front(walk.point),
    }


def create(name: str, seed: int, knobs: Mapping[str, Any] | None, scale: float) -> Weighting:
    """A fresh scheme for the two losses, in float64. Raises ValueError with a remedy.

    Knobs that are not given are those of the papers' walks (see ``usual_knobs``), else the scheme's own.
    """
    values = {str(key): value for key, value in (knobs or {}).items()}
    if "name" in values:
        raise ValueError(no_such(f"knob of weighting {name}", "name", WEIGHTINGS[name].Knobs.model_fields))
    variant, checked = WEIGHTINGS.parse({"name": name, **usual_knobs(name, scale), **values})
    variant.check(checked, TASKS)
    return variant(checked, Setting(TASKS, sizes=(1, 1), generator=stream(seed, "weighting"))).double()


def usual_knobs(name: str, scale: float) -> dict[str, Any]:
    """What the authors' walks set beside the scheme's own defaults.

    FAMO: the lowest losses (they fall to −20), and no pull of its logits to zero, "as the objective is not changing" (run.sh).
    """
    return {"min_losses": [LOWEST * scale, LOWEST], "gamma": 0.0} if name == "famo" else {}


def check_start(start: Sequence[float]) -> tuple[float, float]:
    """x₁ and x₂ as floats. Raises ValueError in a sentence."""
    if len(start) != 2:
        raise ValueError(f"a start is two numbers x1,x2, got {len(start)}: for example -8.5,7.5")
    x1, x2 = (float(number) for number in start)
    if not (abs(x1) <= REACH and abs(x2) <= REACH):  # NaN fails too
        raise ValueError(
            f"a start must lie within -{REACH:g} and {REACH:g} in x1 and x2, got {x1:g},{x2:g}: for example -8.5,7.5"
        )
    return x1, x2


def check_settings(*, steps: int, lr: float, scale: float, seed: int) -> None:
    """Raise ValueError, with a remedy, for what no walk can be made of."""
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must lie in 1..{MAX_STEPS:,}, got {steps:,}: the papers take 35,000 to 50,000")
    if not 0 < lr <= 1:
        raise ValueError(f"lr must lie above 0 and at most at 1, got {lr:g}: the papers take 0.001")
    if not 0 < scale <= 1000:
        raise ValueError(f"scale must lie above 0 and at most at 1000, got {scale:g}: the papers take 0.1")
    if seed < 0:
        raise ValueError(f"seed must be a whole number from 0 up, got {seed}")
