"""What a scheme says to gradients that a person drew, and the signs that its question is drawn with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtl_core.figures._svg import tag
from mtl_core.palette import Tones

Vector = tuple[float, float]
DASHES = {"losses": "none", "gramian": "6 3", "gradients": "1.5 3.5"}
MARKS = {
    "losses": "M-1,0A1,1 0 1,1 1,0A1,1 0 1,1 -1,0Z",
    "gramian": "M-0.9,-0.9H0.9V0.9H-0.9Z",
    "gradients": "M0,-1.3L1.3,0L0,1.3L-1.3,0Z",
}


@dataclass(frozen=True)
class Answer:
    """What one scheme says to the gradients. ``step`` is None where it has no answer; ``problem`` says why.

    ``weights`` are those of the tasks, None where the step is no mix of their gradients.
    """

    name: str
    title: str
    asks: str
    step: Vector | None
    problem: str = ""
    weights: tuple[float, ...] | None = None

    @property
    def short(self) -> str:
        """Its title in few letters."""
        return short_title(self.title)

    @property
    def moves(self) -> bool:
        return self.step is not None and math.hypot(*self.step) > 1e-9


def short_title(title: str) -> str:
    """A scheme's title without what stands in brackets; the brackets alone where they hold the abbreviation of a long one.

    >>> [short_title(title) for title in ("GradVac (gradient vaccine)", "Random loss weighting (RLW)", "Uncertainty weighting")]
    ['GradVac', 'RLW', 'Uncertainty']
    """
    name, _, rest = title.partition(" (")
    abbreviation = rest.rstrip(")")
    return abbreviation if len(name) > 12 and 0 < len(abbreviation) <= 7 else name.removesuffix(" weighting")


def mark(asks: str, place: Vector, size: float, colour: str, tone: Tones) -> str:
    """The sign of a question: the second channel beside the dashes."""
    at = f"translate({place[0]:.1f} {place[1]:.1f}) scale({size:g})"
    return tag(
        "path", d=MARKS.get(asks, MARKS["losses"]), transform=at, fill=colour, stroke=tone.card, stroke_width=round(1 / size, 3)
    )


def as_tasks(n: int) -> dict[str, list[str]]:
    """What the palette needs to know of n nameless tasks."""
    return {"all_tasks": [f"t{i}" for i in range(n)]}
