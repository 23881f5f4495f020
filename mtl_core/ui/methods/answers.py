"""What every scheme on the shelf says to the gradients of the scene: the real schemes, at their first step, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import streamlit as st

from mtl_core.figures import Answer
from mtl_core.ui import errors
from mtl_core.ui.methods.scene import Scene
from mtl_core.weigh import weigh
from mtl_core.weightings import WEIGHTINGS, Question, Weighting

Vector = tuple[float, float]
Said = tuple[Vector | None, str, tuple[float, ...] | None]
QUESTIONS: tuple[str, ...] = get_args(Question)


def in_order() -> list[type[Weighting]]:
    """All schemes by the question they ask, then by title."""
    return sorted(WEIGHTINGS, key=lambda scheme: (QUESTIONS.index(scheme.asks), scheme.title.lower()))


def answers(scene: Scene) -> list[Answer]:
    """Everybody's answer; the highlighted scheme's with its knobs as they are turned."""
    found = dict(_ask_all(scene.gradients, scene.losses, scene.seed))
    if scene.knobs:
        found[scene.scheme] = ask(scene.scheme, scene.gradients, scene.losses, scene.seed, scene.knobs)
    return [Answer(name, scheme.title, scheme.asks, *found[name]) for scheme in in_order() if (name := scheme.variant_name())]


def ask(
    name: str, gradients: Sequence[Vector], losses: Sequence[float], seed: int, knobs: Mapping[str, Any] | None = None
) -> Said:
    """One scheme's step (x, y), or None and the sentence that says why there is none; and its weights, if it has any."""
    try:
        answer = weigh(name, gradients, losses, seed=seed, knobs=knobs)
    except ValueError as error:
        return None, errors.sentence(error), None
    direction, weights = answer["direction"], answer["weights"]
    assert direction is not None, "every scheme has a step, if not weights"
    return (direction[0], direction[1]), "", None if weights is None else tuple(weights)


@st.cache_data(max_entries=256, show_spinner=False)
def _ask_all(gradients: list[Vector], losses: list[float], seed: int) -> list[tuple[str, Said]]:
    return [(name, ask(name, gradients, losses, seed)) for name in WEIGHTINGS.names()]
