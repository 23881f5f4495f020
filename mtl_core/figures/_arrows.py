"""Gradients as arrows, and the step that every scheme would take between them. For a page that changes them by hand.

No run stands behind it, so it is not on the shelf: it draws the answers that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mtl_core.figures._answer import DASHES, Answer, Vector, as_tasks, mark
from mtl_core.figures._dial import WIDTH, X0, Dial, cone, rim
from mtl_core.figures._svg import printable, svg, tag, text_width, words
from mtl_core.palette import TYPE, Theme, Tones, task_colours, tones

LINE = 18.0
SAME_DEG = 1.5  # steps that lie so close share one arrow
LOOKS_AT = {"losses": "looks at losses", "gramian": "at angles and lengths", "gradients": "at every coordinate"}


@dataclass(frozen=True)
class _Bundle:
    """Schemes that ask one question and answer it alike: they share an arrow and a label."""

    asks: str
    names: tuple[str, ...]
    titles: tuple[str, ...]
    tip: Vector

    def label(self, chosen: str, room: float) -> str:
        mine = [title for name, title in zip(self.names, self.titles, strict=True) if name == chosen]
        others = [title for name, title in zip(self.names, self.titles, strict=True) if name != chosen]
        shown = mine + others
        n = len(shown)
        while n > 1 and text_width(_listed(shown, n), TYPE.small) > room:
            n -= 1
        return _listed(shown, n)


def draw_arrows(
    gradients: Sequence[Vector],
    answers: Sequence[Answer],
    *,
    chosen: str = "",
    same_length: bool = True,
    theme: Theme = "light",
) -> str:
    """The picture as SVG.

    Args:
        gradients: one arrow (x, y) per task; they point uphill, and so do the steps, which the optimiser subtracts.
        answers: the schemes' steps for these gradients.
        chosen: the name of the scheme that stands out.
        same_length: draw every step as long as the circle is wide; else at the gradients' scale.
    """
    tone, colours = tones(theme), list(task_colours(as_tasks(len(gradients)), theme).values())
    steps = [answer.step for answer in answers if answer.step is not None]
    dial = Dial.around([*gradients, *steps])
    longest = max((math.hypot(*vector) for vector in (gradients if same_length else [*gradients, *steps])), default=0.0)
    scale = dial.radius / longest if longest > 0 else 0.0
    bundles = _bundles(answers, dial, None if same_length else scale)
    parts = [
        rim(dial, tone),
        cone(gradients, dial, tone),
        *(_step(bundle, chosen, dial, tone) for bundle in sorted(bundles, key=lambda each: chosen in each.names)),
        *_labels(bundles, chosen, dial, tone),
        *(_gradient(n, (scale * x, scale * y), colours[n], dial, tone) for n, (x, y) in enumerate(gradients)),
        tag("circle", cx=X0, cy=dial.y0, r=3.5, fill=tone.ink),
        _resting(answers, chosen, dial, tone),
        _legend(dial.bottom + 34, tone),
    ]
    said = next((f" {answer.title} is marked." for answer in answers if answer.name == chosen), "")
    label = f"{len(gradients)} gradients as arrows and the steps of {len(answers)} schemes between them.{said}"
    return svg("".join(parts), WIDTH, dial.bottom + 42, label=label, ink=tone.ink)


def _bundles(answers: Sequence[Answer], dial: Dial, scale: float | None) -> list[_Bundle]:
    """Arrows to draw; ``scale`` None: all as long as the circle is wide."""
    bundles: list[tuple[float, float, list[Answer]]] = []
    for answer in answers:
        if answer.step is None or not answer.moves:
            continue
        angle, length = math.atan2(answer.step[1], answer.step[0]), math.hypot(*answer.step)
        for other, size, members in bundles:
            turn = abs(math.remainder(angle - other, math.tau))
            is_as_long = scale is None or abs(length - size) < 0.02 * max(length, size)
            if members[0].asks == answer.asks and is_as_long and math.degrees(turn) < SAME_DEG:
                members.append(answer)
                break
        else:
            bundles.append((angle, length, [answer]))
    return [
        _Bundle(
            members[0].asks,
            tuple(member.name for member in members),
            tuple(member.short for member in members),
            dial.place(angle, dial.radius if scale is None else scale * length),
        )
        for angle, length, members in bundles
    ]


def _step(bundle: _Bundle, chosen: str, dial: Dial, tone: Tones) -> str:
    is_chosen = chosen in bundle.names
    colour, x, y = (tone.ink if is_chosen else tone.floor), *bundle.tip
    line = tag(
        "line",
        x1=X0,
        y1=dial.y0,
        x2=x,
        y2=y,
        stroke=colour,
        stroke_width=3.0 if is_chosen else 1.4,
        stroke_dasharray=DASHES.get(bundle.asks, "none"),
        opacity=1.0 if is_chosen else 0.75,
    )
    sign = mark(bundle.asks, bundle.tip, 6.0 if is_chosen else 4.0, colour, tone)
    hint = tag("title", escape(printable(", ".join(bundle.titles))))
    return tag("g", hint + line + sign)


def _labels(bundles: Sequence[_Bundle], chosen: str, dial: Dial, tone: Tones) -> list[str]:
    """Names in two columns, half of them on either side, none over another, each led to its tip by a thin line."""
    by_side = sorted(bundles, key=lambda each: each.tip[0])
    n_left = sum(bundle.tip[0] < X0 for bundle in bundles)
    most = int((dial.bottom - 12) / LINE) + 1
    n_left = min(max(n_left, len(bundles) - most), most)
    parts = []
    for side, group in ((-1, by_side[:n_left]), (1, by_side[n_left:])):
        ordered = sorted(group, key=lambda each: each.tip[1])
        for bundle, y in zip(ordered, _spread([each.tip[1] for each in ordered], LINE, 12, dial.bottom), strict=True):
            parts.append(_label(bundle, (side, y), chosen, dial, tone))
    return parts


def _label(bundle: _Bundle, place: tuple[int, float], chosen: str, dial: Dial, tone: Tones) -> str:
    side, y = place
    is_chosen = chosen in bundle.names
    x = X0 + side * (dial.radius + 26)
    (tip_x, tip_y), colour = bundle.tip, tone.ink if is_chosen else tone.soft_ink
    lead = tag(
        "path",
        d=f"M{tip_x:.1f},{tip_y:.1f} L{x - side * 4:.1f},{y:.1f}",
        fill="none",
        stroke=colour,
        stroke_width=0.6,
        opacity=0.55,
    )
    text = words(
        bundle.label(chosen, dial.column - 18),
        x + side * 16,
        y + 4,
        width=dial.column - 8,
        fill=colour,
        text_anchor="end" if side < 0 else "start",
        font_weight=700 if is_chosen else 400,
    )
    hint = tag("title", escape(printable(", ".join(bundle.titles))))
    return tag("g", hint + lead + mark(bundle.asks, (x + side * 5, y), 4.0, colour, tone) + text)


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones (sorted) that are ``gap`` apart and lie between low and high, closer if they must."""
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    places: list[float] = []
    for place in wanted:
        places.append(max(place, low if not places else places[-1] + gap))
    ceiling = high
    for n in range(len(places) - 1, -1, -1):
        places[n] = min(places[n], ceiling)
        ceiling = places[n] - gap
    return places


def _gradient(n: int, tip: Vector, colour: str, dial: Dial, tone: Tones) -> str:
    """A task's arrow, thick, with its number at the tip."""
    length, angle = math.hypot(*tip), math.atan2(tip[1], tip[0])
    head = min(13.0, length)
    (x, y), (bx, by) = dial.place(angle, length), dial.place(angle, length - head)
    wide = 0.55 * head
    nx, ny = math.sin(angle) * wide, math.cos(angle) * wide
    line = tag("line", x1=X0, y1=dial.y0, x2=bx, y2=by, stroke=colour, stroke_width=5, stroke_linecap="round", opacity=0.9)
    end = tag("path", d=f"M{x:.1f},{y:.1f} L{bx + nx:.1f},{by + ny:.1f} L{bx - nx:.1f},{by - ny:.1f} Z", fill=colour)
    tx, ty = dial.place(angle, max(length - 34.0, 20.0))
    badge = tag("circle", cx=tx, cy=ty, r=10, fill=tone.card, stroke=colour, stroke_width=2)
    number = tag(
        "text", str(n + 1), x=tx, y=ty + 4.2, font_size=TYPE.small, font_weight=700, text_anchor="middle", fill=tone.ink
    )
    return tag("g", tag("title", f"gradient of task {n + 1}") + line + end + badge + number)


def _resting(answers: Sequence[Answer], chosen: str, dial: Dial, tone: Tones) -> str:
    """The schemes that do not move, in words: an arrow without length cannot be seen."""
    still = sorted((a for a in answers if not a.moves), key=lambda a: a.name != chosen)
    if not still:
        return ""
    text = f"No step: {', '.join(a.short for a in still)}"
    return words(text, X0, dial.bottom + 14, width=WIDTH - 40, text_anchor="middle", fill=tone.soft_ink)


def _legend(y: float, tone: Tones) -> str:
    parts, x = [], 150.0
    for asks, text in LOOKS_AT.items():
        parts.append(
            tag(
                "line",
                x1=x,
                y1=y - 4,
                x2=x + 30,
                y2=y - 4,
                stroke=tone.soft_ink,
                stroke_width=1.6,
                stroke_dasharray=DASHES[asks],
            )
        )
        parts.append(mark(asks, (x + 30, y - 4), 4, tone.soft_ink, tone) + words(text, x + 40, y, fill=tone.soft_ink))
        x += 52 + text_width(text, TYPE.small)
    swatch = tag("rect", x=x, y=y - 11, width=22, height=13, fill=tone.right, fill_opacity=0.16)
    return "".join(parts) + swatch + words("no task gets worse", x + 28, y, fill=tone.soft_ink)


def _listed(titles: Sequence[str], n: int) -> str:
    return ", ".join(titles[:n]) + (f" + {len(titles) - n}" if n < len(titles) else "")
