"""What every scheme that looks at the Gramian would have done at one measured step: weights, without training again.

Each scheme is made fresh and asked once, in float64: schemes that remember earlier steps give the answer of a first step, and say so.
Legend: T tasks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.chance import stream
from mtl_core.weightings import WEIGHTINGS, Setting, Weighting

REFERENCES = ("equal",)  # look at no Gramian, and belong in every comparison


class Answer(NamedTuple):
    """One scheme's answer: ``weights`` [T] at its own scale, NaN where there is none; ``note``: a sentence, or nothing."""

    scheme: str
    title: str
    weights: tuple[float, ...]
    note: str


def answers(
    gram_TT: NDArray[Any],
    losses_T: NDArray[Any],
    tasks: Sequence[str],
    *,
    last_TT: NDArray[Any] | None = None,
    seed: int = 0,
    chosen: Mapping[str, Any] | None = None,
) -> tuple[Answer, ...]:
    """Ask every Gramian scheme, and equal weights, about one step; the same question costs nothing twice.

    Args:
        gram_TT: inner products of the tasks' gradients; a task whose own entry is NaN has no gradient and is left out.
        losses_T: losses of that step.
        tasks: their names.
        last_TT: the same of the last shared stage alone, for schemes that look at no other; if None they get ``gram_TT``.
        seed: decides what random schemes draw.
        chosen: the run's own scheme with its knobs, ``{"name": …, knob: value}``; all others answer with their defaults.
    """
    gram = np.ascontiguousarray(gram_TT, dtype=np.float64)
    last = gram if last_TT is None else np.ascontiguousarray(last_TT, dtype=np.float64)
    losses = np.ascontiguousarray(losses_T, dtype=np.float64)
    assert gram.shape == (len(tasks), len(tasks)), f"{len(tasks)} tasks need a Gramian of as many rows, got {gram.shape}"
    step = (gram.tobytes(), last.tobytes(), losses.tobytes())
    return _answers(step, tuple(tasks), seed, json.dumps(dict(chosen or {}), sort_keys=True))


@lru_cache(maxsize=512)
def _answers(step: tuple[bytes, bytes, bytes], tasks: tuple[str, ...], seed: int, chosen: str) -> tuple[Answer, ...]:
    n = len(tasks)
    gram, last, losses = (torch.from_numpy(np.frombuffer(part).copy()) for part in step)
    seen = _Seen(gram.reshape(n, n), last.reshape(n, n), losses)
    own = json.loads(chosen)
    names = [*REFERENCES, *(variant.variant_name() for variant in WEIGHTINGS if variant.asks == "gramian")]
    return tuple(
        _ask(own if own.get("name") == name else {"name": name}, seen, tasks=tasks, seed=seed) for name in dict.fromkeys(names)
    )


class _Seen(NamedTuple):
    """What schemes are shown of the step: Gramians [T, T] over all shared stages and of the last one, losses [T]."""

    gram_TT: Tensor
    last_TT: Tensor
    losses_T: Tensor


def _ask(choice: Mapping[str, Any], seen: _Seen, *, tasks: tuple[str, ...], seed: int) -> Answer:
    name, title = str(choice["name"]), WEIGHTINGS[choice["name"]].title
    nothing = (float("nan"),) * len(tasks)
    active = seen.gram_TT.diagonal().isfinite().nonzero()[:, 0]
    if not len(active):  # a run that diverges
        return Answer(name, title, nothing, "No answer: no task has a finite gradient here.")
    try:
        variant, knobs = WEIGHTINGS.parse(choice)
        variant.check(knobs, tasks)
        generator = stream(seed, "weighting")
        scheme = variant(knobs, Setting(tasks, sizes=(1,) * len(tasks), generator=generator))
        scheme.active = active
        before = generator.get_state()
        gram_TT = seen.last_TT if scheme.on == "last_stage" else seen.gram_TT
        weights_A = _weights(scheme, gram_TT[active][:, active], seen.losses_T[active])
    except (ValueError, ArithmeticError, RuntimeError) as error:
        return Answer(name, title, nothing, f"No answer: {_first_line(error)}")
    if not weights_A.isfinite().all():
        return Answer(name, title, nothing, "No answer: its weights overflow here.")
    weights_T = torch.full((len(tasks),), torch.nan, dtype=torch.float64).index_copy(0, active, weights_A)
    draws = not torch.equal(before, generator.get_state())
    return Answer(name, title, tuple(weights_T.tolist()), _note(scheme, draws=draws))


@torch.enable_grad()
def _weights(scheme: Weighting, gram_TT: Tensor, losses_T: Tensor) -> Tensor:
    if scheme.asks == "gramian":
        weights_T = scheme.weights(gram_TT, losses_T)
    else:
        leaf_T = losses_T.clone().requires_grad_()
        (weights_T,) = torch.autograd.grad(scheme.objective(leaf_T), leaf_T)
    return weights_T.detach().double() * scheme.factor


def _note(scheme: Weighting, *, draws: bool) -> str:
    """What this answer leaves out."""
    sentences = []
    if list(scheme.state_dict()):
        sentences.append("It remembers earlier steps; this is what it does at a first one.")
    if draws:
        sentences.append("It draws at random; this is one draw.")
    if scheme.n_parts > 1:
        sentences.append("It wants independent parts of the batch; here it sees the whole batch.")
    if scheme.on == "last_stage":
        sentences.append("By its settings it looks at the last shared stage alone.")
    if scheme.on == "representation":
        sentences.append(
            "By its settings it looks at the shared representation; here it sees the shared parameters' gradients."
        )
    return " ".join(sentences)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:160] + "."
