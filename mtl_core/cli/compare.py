"""``delta-m``: published numbers beside each other, without a run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mtl_core.cli.say import AsJson, answer, json_line, read_json

Numbers = Annotated[str, typer.Option(help="One number per metric, as JSON: '[38.3, 63.76, 0.675]'.")]


def delta_m(
    *,
    baseline: Numbers,
    method: Numbers,
    higher_is_better: Annotated[str, typer.Option(help="Which way each metric is better, as JSON: '[1, 1, 0]'.")],
    groups: Annotated[
        str | None, typer.Option(help="Each task's metrics by position, as JSON: '[[0, 1], [2]]' [default: one each].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print Δm (lower is better, mean over metrics) and Δp (higher is better, mean inside a task, then over tasks), in percent."""
    from mtl_core import scores

    before = _numbers(baseline, "--baseline")
    after = _numbers(method, "--method")
    directions = [_is_true(value) for value in _list(higher_is_better, "--higher-is-better")]
    chosen = None if groups is None else [_positions(group) for group in _list(groups, "--groups")]
    found = {
        "delta_m": scores.delta_m(before, after, directions),
        "delta_p": scores.delta_p(before, after, directions, chosen),
    }
    if as_json:
        answer(json_line(found))
        return
    answer(f"Δm {found['delta_m']:+.2f} % (lower is better)")
    answer(f"Δp {found['delta_p']:+.2f} % (higher is better)")


def _list(text: str, option: str) -> list[Any]:
    values = read_json(text, option)
    if not isinstance(values, list):
        raise ValueError(f"{option} must be a list in JSON, as in '[1, 0]', got {text[:60]}")
    return values


def _numbers(text: str, option: str) -> list[float]:
    values = _list(text, option)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{option} must hold numbers only, got {value!r}")
    return [float(value) for value in values]


def _is_true(value: Any) -> bool:
    if value not in (0, 1):  # true and false are 1 and 0
        raise ValueError(f"--higher-is-better must hold 1 (or true) and 0 (or false) only, got {value!r}")
    return bool(value)


def _positions(group: Any) -> list[int]:
    if not isinstance(group, list) or not all(isinstance(m, int) and not isinstance(m, bool) for m in group):
        raise ValueError(f"--groups must hold lists of positions, counted from 0, as in '[[0, 1], [2]]', got {group!r}")
    return group
