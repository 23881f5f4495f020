"""Who gains and who pays: what one step of each scheme does to each task's loss, to first order, as rows of bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from mtl_core.figures._answer import Answer, Vector, as_tasks, mark
from mtl_core.figures._svg import printable, svg, tag, words
from mtl_core.palette import Theme, Tones, task_colours, tones

WIDTH, ROW, TOP = 820.0, 21.0, 26.0
N_COLUMNS, GUTTER, NAME = 3, 20.0, 128.0


def gains(gradients: Sequence[Vector], answer: Answer, *, same_length: bool = True) -> list[float] | None:
    """How much each task's loss falls (negative: rises) to first order; None without an answer.

    With ``same_length``, as a share of the most that a step of that length could do for the task, −1 to 1: the cosine
    between step and gradient. Else d · gᵢ, which is what a learning rate is multiplied with.

    >>> gains([(1, 0), (0, 2)], Answer("sum", "Sum", "losses", (1, 2)), same_length=False)
    [1.0, 4.0]
    """
    if answer.step is None:
        return None
    x, y = answer.step
    inner = [float(x * gx + y * gy) for gx, gy in gradients]
    if not same_length:
        return inner
    lengths = [math.hypot(x, y) * math.hypot(*g) for g in gradients]
    return [value / length if length > 1e-12 else 0.0 for value, length in zip(inner, lengths, strict=True)]


def draw_gains(
    gradients: Sequence[Vector],
    answers: Sequence[Answer],
    *,
    chosen: str = "",
    same_length: bool = True,
    theme: Theme = "light",
) -> str:
    """A row per scheme and a bar per task as SVG, in three columns: right of the line it gains, left it pays."""
    tone, colours = tones(theme), list(task_colours(as_tasks(len(gradients)), theme).values())
    values = {answer.name: gains(gradients, answer, same_length=same_length) for answer in answers}
    most = 1.0 if same_length else max((abs(v) for row in values.values() for v in row or ()), default=1.0) or 1.0
    n_rows = max(1, math.ceil(len(answers) / N_COLUMNS))
    width = (WIDTH - (N_COLUMNS - 1) * GUTTER) / N_COLUMNS
    cell = (width - NAME) / max(len(gradients), 1)
    parts = []
    for column in range(math.ceil(len(answers) / n_rows) if answers else 0):
        left = column * (width + GUTTER)
        parts += [_head(n, left + NAME + (n + 0.5) * cell, colour, tone) for n, colour in enumerate(colours)]
        for place, answer in enumerate(answers[column * n_rows : (column + 1) * n_rows]):
            top = TOP + place * ROW
            parts.append(_row(answer, left, top, width, tone, is_chosen=answer.name == chosen))
            row = values[answer.name]
            if row is None:
                parts.append(words("no answer", left + NAME + 4, top + 15, width=width - NAME, fill=tone.soft_ink))
                continue
            middles = [left + NAME + (n + 0.5) * cell for n in range(len(row))]
            parts += [
                _bar(value / most, (x, top), cell, colours[n], tone)
                for n, (value, x) in enumerate(zip(row, middles, strict=True))
            ]
    label = f"What one step of each of {len(answers)} schemes does to the loss of each of {len(gradients)} tasks"
    return svg("".join(parts), WIDTH, TOP + n_rows * ROW + 4, label=label, ink=tone.ink)


def _head(n: int, x: float, colour: str, tone: Tones) -> str:
    """The task's number in its colour, as on its arrow."""
    badge = tag("circle", cx=x, cy=11, r=9, fill=tone.card, stroke=colour, stroke_width=2)
    return badge + words(str(n + 1), x, 15, font_weight=700, text_anchor="middle", fill=tone.ink)


def _row(answer: Answer, left: float, top: float, width: float, tone: Tones, *, is_chosen: bool) -> str:
    wash = tag("rect", x=left, y=top, width=width, height=ROW - 1, rx=3, fill=tone.grid, opacity=0.9) if is_chosen else ""
    colour = tone.ink if is_chosen else tone.soft_ink
    name = words(answer.short, left + 14, top + 15, width=NAME - 18, fill=colour, font_weight=700 if is_chosen else 400)
    hint = tag("title", escape(printable(answer.problem or answer.title)))
    return tag("g", hint + wash + mark(answer.asks, (left + 6, top + 10.5), 3.2, colour, tone) + name)


def _bar(share: float, place: Vector, cell: float, colour: str, tone: Tones) -> str:
    """From the line in the middle to the right if the task gains; to the left, striped by a gap, if it pays."""
    (middle, top), room = place, cell / 2 - 5
    size = room * min(abs(share), 1.0)
    zero = tag("line", x1=middle, y1=top + 2, x2=middle, y2=top + ROW - 3, stroke=tone.floor, stroke_width=1)
    if size < 0.4:
        return zero
    box = {"y": top + 5.0, "height": ROW - 11, "width": round(size, 2), "rx": 1.5}
    if share > 0:
        return tag("rect", x=round(middle, 2), fill=colour, **box) + zero
    outline = tag("rect", x=round(middle - size, 2), fill=colour, fill_opacity=0.25, stroke=colour, stroke_width=1.6, **box)
    return outline + zero


def gains_in_words(gradients: Sequence[Vector], answer: Answer) -> str:
    """Who gains and who pays under one scheme, in words.

    >>> gains_in_words([(1, 0), (-0.5, 1)], Answer("equal", "Equal weights", "losses", (0.5, 1)))
    'Task 1 gains 45 %, task 2 gains 60 % of the most that a step of this length could do for it.'
    """
    found = gains(gradients, answer)
    if found is None:
        return answer.problem
    if not answer.moves:
        return "It stays where it is: the step has no length."
    said = [f"task {n + 1} {_verb(share)}" for n, share in enumerate(found)]
    text = ", ".join(said) + " of the most that a step of this length could do for it."
    return text[0].upper() + text[1:]


def _verb(share: float) -> str:
    return f"{'gains' if share >= 0 else 'pays'} {abs(share):.0%}".replace("%", " %")
