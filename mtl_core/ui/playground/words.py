"""What the Playground says about its walks: a verdict for each, and the table beneath the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import tanh

import numpy as np

from mtl_core.toy.problem import evaluate, is_on_front
from mtl_core.ui.playground.choice import Choice, Start
from mtl_core.ui.playground.trails import Trail

IN_VALLEY = 0.15  # how near to the bottom of a logarithm counts as in its valley
STILL = 0.02  # moved less than this share of what its last steps could: stands still
MARKS = ("●", "■", "▲", "◆", "✚", "▼", "▶", "◀")


def verdict(trail: Trail, choice: Choice) -> str:
    """One sentence: where the walk has ended, and why there."""
    x1, x2 = trail.plane[-1].tolist()
    if trail.stopped:
        return f"Ended early: {trail.stopped}."
    if is_on_front((x1, x2)):
        return "Arrived."
    l1, l2 = trail.losses[-1].tolist()
    if x2 > 0 and _has_settled_in_valley(trail):
        which, other = ("first", "second") if valley(x1, x2) == 1 else ("second", "first")
        return (
            f"Caught in the {which} loss's valley: it jumps from wall to wall, and that loss's steep gradient drowns the "
            f"{other} one's."
        )
    if _share_moved(trail, choice) > STILL:
        return "Still on its way: give it more steps."
    if abs(l1) < 0.5 or abs(l2) < 0.5:
        return "Stands still where a loss is 0: this scheme needs losses above 0, and here they fall to −20."
    return "Stands still away from the best trade-offs."


def valley(x1: float, x2: float) -> int:
    """In whose logarithm's valley a point of the upper half-plane lies: 1, 2, or 0 for neither.

    >>> valley(5.0, 4.0), valley(-5.0, 4.0), valley(0.0, 4.0)
    (2, 1, 0)
    """
    depths = abs(0.5 * (-x1 - 7) - tanh(-x2)), abs(0.5 * (-x1 + 3) + tanh(-x2) + 2)
    if x2 <= 0 or min(depths) > IN_VALLEY:
        return 0
    return 1 if depths[0] <= depths[1] else 2


def _has_settled_in_valley(trail: Trail) -> bool:
    late = trail.plane[-max(2, len(trail.plane) // 10) :].tolist()
    return all(valley(*point) for point in late)


def _share_moved(trail: Trail, choice: Choice) -> float:
    """How far it came in its last tenth, of what Adam's steps could have made."""
    n = max(2, len(trail.plane) // 10)
    moved = float(np.linalg.norm(trail.plane[-1] - trail.plane[-n]))
    return moved / (choice.lr * max(1, int(trail.steps[-1] - trail.steps[-n])))


def summary(trails: Sequence[Trail], titles: Mapping[str, str]) -> str:
    """Who reached the front, in a sentence."""
    arrived = [trail for trail in trails if is_on_front(trail.plane[-1].tolist())]
    if len(arrived) == len(trails):
        return "Every walk ends on the best trade-offs. Try a start in the upper half, such as (9, 9)."
    if not arrived:
        more = "" if "nash_mtl" in titles else ", or add Nash-MTL"
        return f"No walk reaches the best trade-offs. Give them more steps{more}."
    by_scheme = {scheme: [trail in arrived for trail in trails if trail.scheme == scheme] for scheme in titles}
    always = [titles[scheme] for scheme, reached in by_scheme.items() if reached and all(reached)]
    never = [titles[scheme] for scheme, reached in by_scheme.items() if reached and not any(reached)]
    parts = [f"{len(arrived)} of {len(trails)} walks end on the best trade-offs."]
    if always:
        parts.append(f"{_listed(always)} {'gets' if len(always) == 1 else 'get'} there{' from every start' * _many(trails)}.")
    if never:
        parts.append(f"{_listed(never)} {'does' if len(never) == 1 else 'do'} not{' from any' * _many(trails)}.")
    return " ".join(parts)


def _many(trails: Sequence[Trail]) -> bool:
    return len({trail.start for trail in trails}) > 1


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def place(start: Start) -> str:
    """A start as people write it.

    >>> place((-8.5, 7.5))
    '(−8.5, 7.5)'
    """
    return _minus(f"({start[0]:g}, {start[1]:g})")


def table(trails: Sequence[Trail], choice: Choice, titles: Mapping[str, str], colours: Mapping[str, str]) -> str:
    """HTML: a row per walk, start by start."""
    heads = ("Scheme", "Start", "End", "ℓ₁", "ℓ₂", "On the front", "Reached at step", "What happened")
    numbers = {"ℓ₁", "ℓ₂", "Reached at step"}
    head = "".join(f'<th{_right(name in numbers)} scope="col">{name}</th>' for name in heads)
    body = "".join(_row(trail, choice, titles[trail.scheme], colours[trail.scheme]) for trail in trails)
    return f'<div class="pg-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(trail: Trail, choice: Choice, title: str, colour: str) -> str:
    x1, x2 = trail.plane[-1].tolist()
    l1, l2 = evaluate(x1, x2)[:2]
    mark = MARKS[choice.schemes.index(trail.scheme)]
    is_there = is_on_front((x1, x2))
    reached = "–" if trail.reached is None else f"{trail.reached:,}"
    cells = [
        f'<th scope="row"><i style="color:{colour}">{mark}</i>{escape(title)}</th>',
        f"<td>{place(trail.start)}</td>",
        _minus(f"<td>({x1:.2f}, {x2:.2f})</td>"),
        _minus(f"<td{_right(True)}>{l1:.2f}</td>"),
        _minus(f"<td{_right(True)}>{l2:.2f}</td>"),
        f'<td><b class="{"is-yes" if is_there else "is-no"}">{"✓ yes" if is_there else "✗ no"}</b></td>',
        f"<td{_right(True)}>{reached}</td>",
        f"<td>{escape(verdict(trail, choice))}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _right(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _minus(text: str) -> str:
    return text.replace("-", "−")  # the sign as wide as a plus
