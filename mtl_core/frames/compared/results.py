"""The test results of a comparison as a table: a row per group, who is best in each column, and who cannot be told from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mtl_core.comparing import Comparison, Interval, Verdict, standing
from mtl_core.frames.compared.heat import with_zero
from mtl_core.frames.compared.words import estimate

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

DELTA_M, DELTA_P, RANK, SECONDS = "delta_m", "delta_p", "rank", "seconds"
SEED_COLUMNS = ("group", "metric", "seed", "value", "mean", "low", "high", "seeds")
GAIN_COLUMNS = ("group", "task", "gain")


@dataclass(frozen=True)
class Column:
    """``over``: the heading above its title, a task's; ``higher_is_better``: None where no group is called best."""

    key: str
    over: str
    title: str
    unit: str
    higher_is_better: bool | None

    @property
    def name(self) -> str:
        """Its heading in one line."""
        said = f"{self.over}: {self.title}" if self.over else self.title
        return f"{said} ({self.unit})" if self.unit else said


@dataclass(frozen=True)
class Cell:
    """``is_alike``: it is not the best of its column, but cannot be told from it."""

    value: Interval
    is_best: bool = False
    is_alike: bool = False

    @property
    def words(self) -> str:
        """The mean ± half of its 95 % interval."""
        return estimate(self.value.mean, self.value.margin)


@dataclass(frozen=True)
class Row:
    """A group, and its cells by column; a group has no cell where it has no number."""

    group_id: str
    name: str
    n_seeds: int
    is_baseline: bool
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class ResultTable:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def sorted_by(self, key: str) -> ResultTable:
        """The best of a column first, those without a number last; unchanged if there is no such column."""
        column = next((column for column in self.columns if column.key == key), None)
        if column is None:
            return self
        sign = -1 if column.higher_is_better else 1

        def place(row: Row) -> tuple[bool, float]:
            cell = row.cells.get(key)
            return cell is None, 0.0 if cell is None else sign * cell.value.mean

        return replace(self, rows=tuple(sorted(self.rows, key=place)))


def result_table(compared: Compared, *, with_losses: bool = False) -> ResultTable:
    """The groups that have a test, in their order."""
    found = compared.comparison
    baselines = {group["id"] for group in compared.spec["groups"] if group["is_baseline"]}
    columns = _columns(found, with_losses)
    cells = {column.key: _cells(found, column, _values(found, column.key)) for column in columns}
    rows = [
        Row(
            group.id,
            group.name,
            len(group.by_seed),
            group.id in baselines,
            {key: column[group.id] for key, column in cells.items() if group.id in column},
        )
        for group in found.tested
    ]
    return ResultTable(tuple(columns), tuple(rows))


def result_frame(table: ResultTable) -> pd.DataFrame:
    """The same at full precision: six columns for each of the table's."""
    rows = []
    for row in table.rows:
        told: dict[str, Any] = {"group": row.name, "seeds": row.n_seeds, "baseline": row.is_baseline}
        for column in table.columns:
            cell = row.cells.get(column.key)
            value = None if cell is None else cell.value
            told[column.name] = None if value is None else value.mean
            if column.key == RANK:
                continue
            told |= {
                f"{column.name}, low": None if value is None else value.low,
                f"{column.name}, high": None if value is None else value.high,
                f"{column.name}, n": 0 if value is None else value.n,
                f"{column.name}, best": cell is not None and cell.is_best,
                f"{column.name}, overlaps the best": cell is not None and cell.is_alike,
            }
        rows.append(told)
    return pd.DataFrame(rows)


def verdict_frame(found: Sequence[Verdict]) -> pd.DataFrame:
    """A row per group and metric: the paired tests against the reference, at full precision."""
    return pd.DataFrame(
        [
            {
                "group": one.group.name,
                "metric": one.metric.label,
                "mean difference": one.paired.difference,
                "pairs": one.paired.n,
                "p, paired t": one.paired.t,
                "p, exact Wilcoxon": one.paired.wilcoxon,
                "p, after Holm": one.corrected,
                "verdict": one.words,
            }
            for one in found
        ]
    )


def seeds_table(compared: Compared, _: str) -> pd.DataFrame:
    """A row per group, metric and seed: its test number, and the mean and 95 % interval of its group."""
    rows = [
        (group.name, "|".join(metric.key), seed, value, interval.mean, interval.low, interval.high, interval.n)
        for group in compared.comparison.tested
        for metric in compared.comparison.metrics
        if (interval := group.intervals.get(metric.key)) is not None
        for seed, value in group.values[metric.key].items()
    ]
    frame = pd.DataFrame(rows, columns=list(SEED_COLUMNS))
    return frame.astype(dict.fromkeys(("value", "mean", "low", "high"), "float64"))


def gains_table(compared: Compared, _: str) -> pd.DataFrame:
    """A row per group and task: the mean relative improvement over the baseline in percent."""
    found = compared.comparison
    rows = [(group.name, task, gain) for group in found.tested for task, gain in found.gains(group).items()]
    return pd.DataFrame(rows, columns=list(GAIN_COLUMNS)).astype({"gain": "float64"})


def _columns(found: Comparison, with_losses: bool) -> list[Column]:
    shown = found.metrics if with_losses else found.scored
    titles = {metric.task: metric.task_title for metric in found.metrics}
    is_clear = len(set(titles.values())) == len(titles)  # two tasks may share a title, never a name
    columns = [
        Column(
            "|".join(metric.key),
            metric.task_title if is_clear else metric.task,
            metric.title,
            metric.unit,
            metric.higher_is_better,
        )
        for metric in shown
    ]
    if found.delta_m:
        columns += [Column(DELTA_M, "", "Δm", "%", False), Column(DELTA_P, "", "Δp", "%", True)]
    if found.mean_rank:
        columns.append(Column(RANK, "", "Mean rank", "", False))
    return [*columns, Column(SECONDS, "", "Training", "s", None)]


def _values(found: Comparison, key: str) -> dict[str, Interval]:
    """A column's numbers by group id."""
    if key in (DELTA_M, DELTA_P):
        return dict(found.delta_m if key == DELTA_M else found.delta_p)
    if key == RANK:
        return {group: Interval(rank, rank, rank, 1) for group, rank in found.mean_rank.items()}
    if key == SECONDS:
        return {group.id: group.duration for group in found.tested if group.duration is not None}
    metric = next(metric for metric in found.metrics if "|".join(metric.key) == key)
    return {group.id: group.intervals[metric.key] for group in found.tested if metric.key in group.intervals}


def _cells(comparison: Comparison, column: Column, values: Mapping[str, Interval]) -> dict[str, Cell]:
    if column.higher_is_better is None:
        return {group: Cell(value) for group, value in values.items()}
    if column.key == RANK:  # it says where groups stand, not how far apart they are
        least = min((value.mean for value in values.values()), default=0.0)
        return {group: Cell(replace(value, low=None, high=None), value.mean == least) for group, value in values.items()}
    # the baseline is 0 by definition, and the intervals of the others hold its scatter
    known = with_zero(comparison, values) if column.key in (DELTA_M, DELTA_P) else values
    found = standing(known, higher_is_better=column.higher_is_better)
    return {group: Cell(value, group == found.best, group in found.alike) for group, value in values.items()}
