"""The schemes of a sweep as one list to choose from: names, schemes with knobs of their own, and whole fronts of fixed weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtl_core.ui.sweeps import values as sweep_values
from mtl_core.weightings import WEIGHTINGS

FRONTS: dict[str, tuple[float, ...]] = {  # shares of the first of two tasks
    "front of 9": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "front of 11": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
}


def front(name: str) -> list[dict[str, Any]]:
    """The mixes of a front for two tasks, as values of ``weighting``; Xin et al. (2022) ask for such a front beside every scheme.

    >>> front("front of 9")[0], len(front("front of 11"))
    ({'name': 'fixed', 'weights': [0.1, 0.9]}, 11)
    """
    return [{"name": "fixed", "weights": [share, round(1 - share, 6)]} for share in FRONTS[name]]


def tokens(values: Sequence[Any]) -> list[str]:
    """Values of ``weighting`` as things to choose, each a text; the mixes of a front become one.

    >>> tokens([*front("front of 9"), "mgda", {"name": "cagrad", "c": 0.2}])
    ['front of 9', 'mgda', '{name: cagrad, c: 0.2}']
    """
    texts = [_token(value) for value in values]
    for name in reversed(FRONTS):  # the larger one first: it holds the smaller
        mixes = [_token(mix) for mix in front(name)]
        if set(mixes) <= set(texts):
            texts[texts.index(mixes[0])] = name
            texts = [text for text in texts if text not in mixes]
    return list(dict.fromkeys(texts))


def values(chosen: Sequence[str]) -> list[Any]:
    """What was chosen as values of ``weighting``, each once."""
    found: dict[str, Any] = {}
    for token in chosen:
        for value in front(token) if token in FRONTS else sweep_values.read(token):
            found.setdefault(_token(value), value)
    return list(found.values())


def options(base: Mapping[str, Any], chosen: Sequence[str], n_tasks: int) -> list[str]:
    """All that may be chosen: the form's own scheme with its knobs, the shelf, fronts for two tasks, and what is chosen."""
    own = [_token(base)] if base["name"] in WEIGHTINGS else []
    fronts = list(FRONTS) if n_tasks == 2 else []
    return list(dict.fromkeys([*own, *fronts, *WEIGHTINGS.names(), *chosen]))


def title(token: str) -> str:
    """What a person calls it."""
    if token in FRONTS:
        return f"Fixed weights, {token} mixes"
    value = sweep_values.read(token)[0]
    name = value.get("name") if isinstance(value, Mapping) else value
    called = WEIGHTINGS[name].title if isinstance(name, str) and name in WEIGHTINGS else str(name)
    if not isinstance(value, Mapping):
        return called
    knobs = ", ".join(f"{knob} {sweep_values.one(each)}" for knob, each in value.items() if knob != "name")
    return f"{called} ({knobs})" if knobs else called


def _token(value: Any) -> str:
    """A name alone says the same as a name without knobs."""
    if isinstance(value, Mapping) and set(value) == {"name"}:
        value = value["name"]
    return sweep_values.one(value)
