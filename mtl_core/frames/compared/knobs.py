"""What was set, and what came of it: a line per group or run, and the settings in which groups differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mtl_core.comparing import Comparison, Group, Interval, in_words
from mtl_core.frames.compared.heat import DELTA_M, DELTA_P, RANK
from mtl_core.frames.compared.settings import section_title, setting_title, value_of, varied_settings

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

MOST_AXES = 7  # settings that lines run through unless somebody asks for others
LINE = "line"


def score_titles(comparison: Comparison) -> dict[str, str]:
    """What a line may end in: Δm and Δp where there is a baseline, every metric, and the mean rank."""
    deltas = {DELTA_M: "Δm in %, lower is better", DELTA_P: "Δp in %, higher is better"} if comparison.delta_m else {}
    rank = {RANK: "Mean rank, 1 is best"} if comparison.mean_rank else {}
    return deltas | {"|".join(metric.key): metric.label for metric in comparison.metrics} | rank


def knob_lines(compared: Compared, choice: str) -> pd.DataFrame:
    """A row per line: its name, a column per setting in which the groups differ, and the score last.

    Settings that are numbers stay numbers (missing where a group has no such setting); others are in words. Groups
    without the score are left out.

    Args:
        choice: "groups" or "runs", the score and the settings wanted, a line each; what is left out is groups, the first
            score and the first settings that differ.
    """
    kind, score, *wanted = (choice or "groups").split("\n") + ([""] if "\n" not in choice else [])
    found = compared.comparison
    titles = score_titles(found)
    if not titles:
        return pd.DataFrame(columns=[LINE])
    score = score if score in titles else next(iter(titles))
    varied = varied_settings(found)
    keys = [key for key in varied if key in wanted] or varied[:MOST_AXES]
    shown = _run_by_run(found) if kind == "runs" else [(group.name, group) for group in found.tested]
    among = replace(found, groups=(*(found.groups if kind == "runs" else ()), *(group for _, group in shown)))
    scores = _scores(among, score, [group for _, group in shown])
    lines = [(name, group) for name, group in shown if group.id in scores]
    columns = {LINE: [name for name, _ in lines]}
    columns |= {_title(key, keys): _column([value_of(group, key) for _, group in lines]) for key in keys}
    return pd.DataFrame(columns | {titles[score]: [scores[group.id] for _, group in lines]})


def settings_table(comparison: Comparison, *, everything: bool = False) -> pd.DataFrame:
    """A row per setting in which the groups differ, or of all: [section, setting, key, differs, one column per group id].

    Values are in words.
    """
    varied = set(varied_settings(comparison))
    keys = dict.fromkeys(key for group in comparison.groups for key in group.settings)
    chosen = [key for key in keys if everything or key in varied]
    order = list(
        dict.fromkeys(section_title(key) for key in ("dataset.name", "architecture.", "weighting.", "training.", *keys))
    )
    chosen.sort(key=lambda key: order.index(section_title(key)))
    rows = [
        {"section": section_title(key), "setting": setting_title(key), "key": key, "differs": key in varied}
        | {group.id: in_words(value_of(group, key)) for group in comparison.groups}
        for key in chosen
    ]
    return pd.DataFrame(rows, columns=["section", "setting", "key", "differs", *(group.id for group in comparison.groups)])


def usual_values(table: pd.DataFrame) -> list[str | None]:
    """The value that more than half of the groups have, for each row of ``settings_table``; None where there is none."""
    groups = table.drop(columns=["section", "setting", "key", "differs"])
    counted = [Counter(row).most_common(1) for row in groups.itertuples(index=False, name=None)]
    return [top[0][0] if top and 2 * top[0][1] > groups.shape[1] else None for top in counted]


def _run_by_run(found: Comparison) -> list[tuple[str, Group]]:
    """Every run with a test result as a group of its own."""
    return [
        (f"{group.name}, seed {seed}", replace(group, id=run.id, runs=(run,), by_seed={seed: run}))
        for group in found.tested
        for seed, run in group.by_seed.items()
    ]


def _scores(among: Comparison, score: str, shown: list[Group]) -> dict[str, float]:
    if score == RANK:
        return replace(among, groups=tuple(shown)).mean_rank
    if score in (DELTA_M, DELTA_P):
        deltas: Mapping[str, Interval] = among.delta_m if score == DELTA_M else among.delta_p
        return {group: interval.mean for group, interval in deltas.items()}
    known = {"|".join(metric.key): metric.key for metric in among.metrics}
    return {group.id: group.intervals[known[score]].mean for group in shown if known[score] in group.intervals}


def _title(key: str, among: list[str]) -> str:
    """A setting's title; with its section where two share a title."""
    title = setting_title(key)
    return title if [setting_title(other) for other in among].count(title) == 1 else f"{title} ({key})"


def _column(values: list[Any]) -> list[Any]:
    """Numbers as they are, everything else in words."""
    given = [value for value in values if value is not None]
    are_numbers = bool(given) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    return (
        [None if value is None else float(value) for value in values] if are_numbers else [in_words(value) for value in values]
    )
