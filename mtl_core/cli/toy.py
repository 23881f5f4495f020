"""``toy``: a weighting scheme on the two-dimensional problem of the papers, from one start or several."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mtl_core.cli.say import AsJson, answer, json_line, note, number, table
from mtl_core.cli.weigh import read_knob


def toy(
    scheme: Annotated[str, typer.Argument(metavar="SCHEME", show_default=False, help="A weighting; see shelves.")],
    knobs: Annotated[list[str] | None, typer.Argument(metavar="KNOB=VALUE", show_default=False)] = None,
    *,
    start: Annotated[
        list[str] | None,
        typer.Option(metavar="X,Y", show_default=False, help="Where to start; may be repeated [default: the papers' five]."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of Adam.")] = 50_000,
    lr: Annotated[float, typer.Option(help="Adam's learning rate.")] = 1e-3,
    scale: Annotated[float, typer.Option(help="What the first loss is multiplied with for training.")] = 0.1,
    seed: Annotated[int, typer.Option(help="For schemes that use chance.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Walk through the papers' toy problem, and say where each walk ends: place, unscaled losses, on the Pareto set or not."""
    chosen = dict(read_knob(pair) for pair in knobs or ())
    wished = None if start is None else [_read_start(text) for text in start]
    from mtl_core.toy.problem import PAPER_STARTS
    from mtl_core.toy.walk import Walk, outcome

    starts = wished or PAPER_STARTS
    walks = [Walk(scheme, place, steps=steps, lr=lr, scale=scale, seed=seed, knobs=chosen) for place in starts]
    ends = []
    for walk in walks:
        walk.advance(steps)
        ends.append(outcome(walk, scheme))
        if walk.stopped:
            note(f"{scheme} ended early from {walk.start[0]:g},{walk.start[1]:g}: {walk.stopped}")
        if as_json:
            answer(json_line(ends[-1]))
            sys.stdout.flush()
    if not as_json:
        rows = [
            (_place(end["start"]), _place(end["end"]), *map(number, end["losses"]), "yes" if end["on_front"] else "no")
            for end in ends
        ]
        table(["start", "end", "loss 1", "loss 2", "on the front"], rows, title=f"{scheme}, {steps:,} steps")


def _read_start(text: str) -> tuple[float, float]:
    try:
        x1, x2 = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"a start reads x1,x2, as in --start=-8.5,7.5, got {text[:60]!r}") from None
    return x1, x2


def _place(point: list[float]) -> str:
    return f"({point[0]:.4f}, {point[1]:.4f})"
