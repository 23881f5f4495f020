"""One answer of one weighting scheme to gradients written down by hand: what the command line's ``weigh`` does.

Legend: T tasks, P parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

import torch
from torch import Tensor

from mtl_core.chance import stream
from mtl_core.registry import no_such
from mtl_core.weightings import WEIGHTINGS, Setting, Weighting

REQUEST_KEYS = ("scheme", "gradients", "losses", "seed", "knobs")
REQUIRED_KEYS = ("scheme", "gradients")


def weigh(
    scheme: str,
    gradients: Sequence[Sequence[float]],
    losses: Sequence[float] | None = None,
    *,
    seed: int = 0,
    knobs: Mapping[str, Any] | None = None,
) -> dict[str, list[float] | None]:
    """The weights and the step with which a scheme answers these gradients at its first step, in float64.

    Args:
        scheme: a name on the shelf of weightings.
        gradients: T rows of P numbers, one row per task.
        losses: T numbers; 1 each if left out.
        seed: decides what random schemes draw; the same seed, the same answer.
        knobs: the scheme's knobs beside its name.

    Returns:
        ``weights``: T numbers, or None for a scheme whose step is no mix of the gradients; ``direction``: P numbers, the step
        to be subtracted. Both at the scheme's published scale unless the knob ``scale`` says otherwise.

    Raises:
        ValueError: in a sentence, for anything that is not as above.

    >>> weigh("equal", [[1, 0], [-0.5, 1]])
    {'weights': [1.0, 1.0], 'direction': [0.5, 1.0]}
    """
    rows = _matrix(gradients)
    losses_T = torch.ones(len(rows), dtype=torch.float64) if losses is None else _losses(losses, len(rows))
    chosen = _create(scheme, len(rows), seed, knobs)
    with torch.enable_grad():
        weights_T, direction_P = _answer(chosen, rows, losses_T)
    if not all(answer.isfinite().all() for answer in (weights_T, direction_P) if answer is not None):
        raise ValueError(f"the answer of {scheme} overflows float64: bring gradients and losses nearer to 1")
    return {"weights": None if weights_T is None else weights_T.tolist(), "direction": direction_P.tolist()}


def weigh_lines(lines: Iterable[str | bytes]) -> Iterator[dict[str, Any]]:
    """Answer requests in JSON, one per line: what ``weigh`` returns, or ``{"error": sentence}``. Blank lines get no answer.

    >>> list(weigh_lines(['{"scheme": "mgda", "gradients": [[2], [1]]}', '', '{"scheme": "mgad", "gradients": [[1]]}']))
    [{'weights': [0.0, 1.0], 'direction': [1.0]}, {'error': "no weighting is called 'mgad'. Did you mean 'mgda'?"}]
    """
    return (answer_line(line) for line in lines if line.strip())


def answer_line(line: str | bytes) -> dict[str, Any]:
    """Answer one request in JSON, or say in ``{"error": sentence}`` why not. Raises nothing for a bad request."""
    try:
        return answer_request(_read(line))
    except ValueError as error:
        return {"error": str(error)}


def answer_request(request: object) -> dict[str, Any]:
    """Answer ``{"scheme", "gradients", "losses", "seed", "knobs"}``; all but the first two may be left out or None."""
    if not isinstance(request, Mapping):
        raise ValueError(f"a request is an object with scheme and gradients, got {_shown(request)}")
    for key in request:
        if key not in REQUEST_KEYS:
            raise ValueError(no_such("key of a request", key, REQUEST_KEYS))
    for key in REQUIRED_KEYS:
        if key not in request:
            raise ValueError(f"the request has no {key}: it needs {' and '.join(REQUIRED_KEYS)}")
    return weigh(**{key: value for key, value in request.items() if value is not None or key in REQUIRED_KEYS})


def _answer(scheme: Weighting, rows: Tensor, losses_T: Tensor) -> tuple[Tensor | None, Tensor]:
    if scheme.asks == "gradients":
        direction_P = scheme.direction(rows, losses_T).detach() * scheme.factor
        mix = scheme.mix(losses_T)
        is_mix = mix is not None and torch.allclose(rows.T @ (mix * scheme.factor), direction_P, rtol=1e-9, atol=0)
        return mix * scheme.factor if mix is not None and is_mix else None, direction_P
    if scheme.asks == "gramian":
        gram_TT = rows @ rows.T
        if not gram_TT.isfinite().all():
            raise ValueError(
                "the gradients are so long that their inner products overflow float64: divide them all by one number"
            )
        weights_T = scheme.weights(gram_TT, losses_T).detach()
    else:
        losses_T = losses_T.requires_grad_()
        (weights_T,) = torch.autograd.grad(scheme.objective(losses_T), losses_T)
    weights_T = weights_T * scheme.factor
    return weights_T, rows.T @ weights_T


def _create(name: object, n_tasks: int, seed: object, knobs: object) -> Weighting:
    if not isinstance(name, str):
        raise ValueError(f"scheme must be the name of a weighting, got {_shown(name)}: one of {', '.join(WEIGHTINGS.names())}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 up, got {_shown(seed)}")
    if knobs is not None and not isinstance(knobs, Mapping):
        raise ValueError(f"knobs must be names with values, as in {{'c': 0.4}}, got {_shown(knobs)}")
    values = {str(key): value for key, value in (knobs or {}).items()}
    if "name" in values:
        raise ValueError(no_such(f"knob of weighting {name}", "name", WEIGHTINGS[name].Knobs.model_fields))
    tasks = tuple(f"t{i}" for i in range(n_tasks))
    variant, checked = WEIGHTINGS.parse({"name": name, **values})
    variant.check(checked, tasks)
    return variant(checked, Setting(tasks, sizes=(1,) * n_tasks, generator=stream(seed, "weighting")))


def _matrix(gradients: object) -> Tensor:
    """[T, P] in float64, or a ValueError."""
    if not _is_list(gradients) or not all(_is_list(row) for row in gradients):
        raise ValueError(f"gradients must be a list of rows, one per task, as in [[1, 0], [-0.5, 1]], got {_shown(gradients)}")
    if not len(gradients):
        raise ValueError("there are no gradients: give one row per task")
    lengths = [len(row) for row in gradients]
    if not min(lengths):
        raise ValueError(f"the gradient of task t{lengths.index(0)} is empty: give at least one number per task")
    if len(set(lengths)) > 1:
        raise ValueError(f"all gradients must have the same length, got {', '.join(map(str, lengths[:20]))}: pad with 0")
    return torch.stack([_vector(row, f"the gradient of task t{i}") for i, row in enumerate(gradients)])


def _losses(losses: object, n_tasks: int) -> Tensor:
    if not _is_list(losses):
        raise ValueError(f"losses must be a list of numbers, one per task, got {_shown(losses)}")
    if len(losses) != n_tasks:
        raise ValueError(f"there must be one loss per task, got {len(losses)} losses for {n_tasks} gradients")
    return _vector(losses, "losses")


def _vector(numbers: Sequence[Any], what: str) -> Tensor:
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, Real):
            raise ValueError(f"{what} must hold numbers only, got {_shown(number)}")
    try:
        vector = torch.tensor([float(number) for number in numbers], dtype=torch.float64)
    except OverflowError:
        raise ValueError(f"{what} holds a number too large for float64") from None
    if not vector.isfinite().all():
        raise ValueError(
            f"{what} must hold finite numbers, got {_shown(list(numbers))}: the scheme cannot weigh NaN or infinity"
        )
    return vector


def _read(line: str | bytes) -> Any:
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("the line is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("the line is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the line is not JSON: {error.msg} at character {error.pos + 1}") from None


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
