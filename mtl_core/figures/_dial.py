"""The dial on which arrows lie, and the cone of directions in it along which no task gets worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mtl_core.figures._answer import Vector
from mtl_core.figures._svg import tag
from mtl_core.palette import Tones

WIDTH, X0 = 820.0, 410.0


@dataclass(frozen=True)
class Dial:
    """Where the arrows start and how long they may be: half a dial, and a larger one, where none points down."""

    y0: float
    radius: float
    bottom: float  # of the labels; below it words and the legend

    @classmethod
    def around(cls, vectors: Sequence[Vector]) -> Dial:
        points_down = any(y < -0.12 * math.hypot(x, y) for x, y in vectors)
        return cls(186.0, 174.0, 374.0) if points_down else cls(236.0, 222.0, 264.0)

    @property
    def column(self) -> float:
        """Room for names on either side."""
        return X0 - self.radius - 34

    def place(self, angle: float, length: float) -> Vector:
        return X0 + length * math.cos(angle), self.y0 - length * math.sin(angle)


def rim(dial: Dial, tone: Tones) -> str:
    """Its edge."""
    look = {"fill": "none", "stroke": tone.grid, "stroke_width": 1}
    if dial.bottom > dial.y0 + dial.radius:
        return tag("circle", cx=X0, cy=dial.y0, r=dial.radius, **look)
    left, right = X0 - dial.radius, X0 + dial.radius
    return tag("path", d=f"M{left:g},{dial.y0:g} A{dial.radius:g},{dial.radius:g} 0 0,1 {right:g},{dial.y0:g} Z", **look)


def cone(gradients: Sequence[Vector], dial: Dial, tone: Tones) -> str:
    """The shaded part of it."""
    found = safe_cone(gradients)
    if found is None:
        return ""
    start, width = found
    (ax, ay), (bx, by) = dial.place(start, dial.radius), dial.place(start + width, dial.radius)
    arc = f"A{dial.radius:g},{dial.radius:g} 0 0,0 {bx:.1f},{by:.1f}"
    return tag("path", d=f"M{X0:.1f},{dial.y0:.1f} L{ax:.1f},{ay:.1f} {arc} Z", fill=tone.right, fill_opacity=0.1)


def safe_cone(gradients: Sequence[Vector]) -> tuple[float, float] | None:
    """The directions that make no task worse, as start and width in radians; None if there are none (or only their edge).

    >>> start, width = safe_cone([(1, 0), (0, 1)])
    >>> math.degrees(start), math.degrees(width)
    (0.0, 90.0)
    >>> safe_cone([(1, 0), (-1, 0)]) is None
    True
    """
    angles = [math.atan2(y, x) for x, y in gradients if math.hypot(x, y) > 0]
    if not angles:
        return None
    edges = sorted((angle + side) % math.tau for angle in angles for side in (-math.pi / 2, math.pi / 2))
    arcs = [(start, (end - start) % math.tau) for start, end in zip(edges, [*edges[1:], edges[0]], strict=True)]
    good = [
        (start, width)
        for start, width in arcs
        if width > 1e-6 and all(math.cos(start + width / 2 - angle) > 1e-9 for angle in angles)
    ]
    if not good:
        return None
    start = next((s for s, _ in good if not any(abs((s0 + w0 - s) % math.tau) < 1e-9 for s0, w0 in good)), good[0][0])
    return start, sum(width for _, width in good)
