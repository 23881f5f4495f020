"""``weigh``: one weighting scheme on gradients given by hand, for teaching and for checking against other code."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from mtl_core.cli.say import AsJson, answer, json_line, read_json
from mtl_core.config import load_yaml

GRADIENTS = "[[1,0],[-0.5,1]]"


def weigh(
    scheme: Annotated[
        str | None, typer.Argument(metavar="SCHEME", show_default=False, help="A weighting; see shelves.")
    ] = None,
    knobs: Annotated[list[str] | None, typer.Argument(metavar="KNOB=VALUE", show_default=False)] = None,
    *,
    gradients: Annotated[str | None, typer.Option(help="One row per task, as JSON: '[[1,0],[-0.5,1]]'.")] = None,
    losses: Annotated[str | None, typer.Option(help="One loss per task, as JSON [default: 1 each].")] = None,
    seed: Annotated[int, typer.Option(help="For schemes that use chance.")] = 0,
    batch: Annotated[
        str | None, typer.Option(metavar="FILE.jsonl", help="One request per line; one answer per line. - for standard input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the weights of one step and its direction, in float64 at the scheme's published scale, as one line of JSON."""
    if batch is not None:
        if scheme or gradients:
            raise ValueError("--batch takes scheme and gradients from its file: leave them out on the command line")
        _answer_batch(batch)
        return
    if scheme is None or gradients is None:
        raise ValueError("weigh needs a scheme and its gradients, as in: weigh pcgrad --gradients '[[1,0],[-0.5,1]]'")
    rows = read_json(gradients, "--gradients", GRADIENTS)
    numbers = None if losses is None else read_json(losses, "--losses", "[1, 2]")
    chosen = dict(read_knob(pair) for pair in knobs or ())
    from mtl_core.weigh import weigh as answer_of

    answer(json_line(answer_of(scheme, rows, numbers, seed=seed, knobs=chosen)))


def _answer_batch(name: str) -> None:
    """Answer each line of a file (or of standard input) as it comes; a bad line gets its error and the next is answered."""
    from mtl_core.weigh import weigh_lines

    with nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as lines:
        for found in weigh_lines(lines):
            answer(json_line(found))
            sys.stdout.flush()


def read_knob(pair: str) -> tuple[str, Any]:
    """``name=value`` with the value as YAML reads it. Raises ValueError with a remedy."""
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise ValueError(f"a knob reads name=value, got {pair!r}")
    return name, load_yaml(value)
