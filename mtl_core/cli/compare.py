"""``compare``: runs side by side, seeds taken together; ``delta-m``: published numbers beside each other, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtl_core.cli.say import AsJson, StoreUrl, answer, json_line, note, number, read_json, table

if TYPE_CHECKING:
    from mtl_core.comparing import Comparison, Group, Interval
    from mtl_core.store import Store

Numbers = Annotated[str, typer.Option(help="One number per metric, as JSON: '[38.3, 63.76, 0.675]'.")]


def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN …", show_default=False, help="Ids of runs, or of sweeps for all of theirs.")
    ],
    *,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            show_default=False,
            help="The run whose group Δm and Δp are measured against [default: each group's single-task baseline].",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the result table, in full precision.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report with every figure, for a browser offline.")] = None,
    figure: Annotated[
        str, typer.Option(help="With --out: which figure of the comparison, such as task_results or front.")
    ] = "",
    panel: Annotated[str, typer.Option(help="With --figure: which of its panels.")] = "",
    out: Annotated[Path | None, typer.Option(help="With --figure: the file to draw into, .svg or .png.")] = None,
    as_json: AsJson = False,
    store: StoreUrl = None,
) -> None:
    """Compare runs: seeds grouped into mean and 95 % interval, Δm, Δp, mean rank, front, hypervolume, and broken rules."""
    from mtl_core.comparing.named import compare_named
    from mtl_core.store import Store

    if bool(figure) != (out is not None) or (panel and not figure):
        raise ValueError("--figure and --out go together, as in --figure front --out front.svg")
    with Store.open(store, read_only=True) as kept:
        found = compare_named(kept, runs, baseline=baseline)
        if csv or html or out:
            from mtl_core.exchange.compare_files import write

            write(kept, found, csv=csv, html=html, figure=figure, panel=panel, picture=out)
        if as_json:
            answer(json_line(_told(found)))
            return
        _show(found)
        _say_front(kept, found)
    for warned in found.warnings:
        note(f"warning: {warned.sentence}")


def _told(found: Comparison) -> dict[str, Any]:
    """The comparison, JSON-ready."""
    front = found.front()
    groups = []
    for group in found.groups:
        metrics: dict[str, dict[str, Any]] = {}
        for metric in found.metrics:
            if metric.key in group.intervals:
                metrics.setdefault(metric.task, {})[metric.name] = _interval(group.intervals[metric.key])
        groups.append(
            {
                "name": group.name,
                "runs": [run.id for run in group.runs],
                "seeds": group.seeds,
                "metrics": metrics,
                "delta_m": _mean(found.delta_m.get(group.id)),
                "delta_p": _mean(found.delta_p.get(group.id)),
                "delta_m_interval": _ends(found.delta_m.get(group.id)),
                "delta_p_interval": _ends(found.delta_p.get(group.id)),
                "mean_rank": found.mean_rank.get(group.id),
                "on_front": front is not None and group.id in front.members,
                "baseline": _name(found.baseline_of(group)),
                "seconds": group.seconds,
            }
        )
    return {
        "groups": groups,
        "front": [] if front is None else [group.name for group in found.groups if group.id in front.members],
        "front_metrics": [] if front is None else [list(metric.key) for metric in front.metrics],
        "reference": None if front is None else list(front.reference),
        "hypervolume": None if front is None else front.hypervolume,
        "fixed_hypervolume": None if front is None else front.fixed_hypervolume,  # of fixed weights alone
        "warnings": [warned.sentence for warned in found.warnings],
    }


def _show(found: Comparison) -> None:
    """The same for people."""
    front, scored = found.front(), found.scored
    rows = []
    for group in found.groups:
        numbers = [_in_words(group.intervals.get(metric.key)) for metric in scored]
        deltas = [_percent(found.delta_m.get(group.id)), _percent(found.delta_p.get(group.id))]
        is_on = "yes" if front is not None and group.id in front.members else ""
        rows.append((group.name, len(group.by_seed), *numbers, *deltas, number(found.mean_rank.get(group.id)), is_on))
    labels = [f"{metric.task} {metric.name}" for metric in scored]
    table(("group", "seeds", *labels, "Δm % (lower is better)", "Δp % (higher is better)", "mean rank", "on front"), rows)
    if front is not None:
        axes = " and ".join(f"{metric.task} {metric.name}" for metric in front.metrics)
        answer(f"front and hypervolume ({number(front.hypervolume)}) over {axes}; ± is half a 95 % interval over seeds")


def _say_front(kept: Store, found: Comparison) -> None:
    """What the front amounts to: whether it has mixes enough, and who lies beyond it."""
    from mtl_core.frames.compared import Compared
    from mtl_core.frames.compared.front import front_said

    said = front_said(Compared(kept, found), "")
    for sentence in said.sentences if said is not None else ():
        answer(sentence)


def _interval(one: Interval) -> dict[str, Any]:
    return {"mean": one.mean, "low": one.low, "high": one.high, "n": one.n}


def _mean(one: Interval | None) -> float | None:
    return None if one is None else one.mean


def _ends(one: Interval | None) -> list[float] | None:
    return None if one is None or one.low is None or one.high is None else [one.low, one.high]


def _name(group: Group | None) -> str | None:
    return None if group is None else group.name


def _in_words(one: Interval | None) -> str:
    if one is None:
        return "–"
    return number(one.mean) if one.margin is None else f"{one.mean:.4g} ± {one.margin:.2g}"


def _percent(one: Interval | None) -> str:
    return "–" if one is None else f"{one.mean:+.2f}" if one.margin is None else f"{one.mean:+.2f} ± {one.margin:.2f}"


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
    try:
        return [float(value) for value in values]
    except OverflowError:
        raise ValueError(f"{option} must hold numbers below 1e308, got one with more than 308 digits") from None


def _is_true(value: Any) -> bool:
    if value not in (0, 1):  # true and false are 1 and 0
        raise ValueError(f"--higher-is-better must hold 1 (or true) and 0 (or false) only, got {value!r}")
    return bool(value)


def _positions(group: Any) -> list[int]:
    if not isinstance(group, list) or not all(isinstance(m, int) and not isinstance(m, bool) for m in group):
        raise ValueError(f"--groups must hold lists of positions, counted from 0, as in '[[0, 1], [2]]', got {group!r}")
    return group
