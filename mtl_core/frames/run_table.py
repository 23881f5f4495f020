"""The list of runs as a table: a row per run, narrowed down, put in order, or taken together by what the runs have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mtl_core.comparing.chance import LEVEL, student_quantile
from mtl_core.store import STATES, Listed

BY = ("settings", "scheme", "data set", "depth", "sweep", "tag")  # what runs can be taken together by
_COLUMN = {"settings": "group", "scheme": "family", "data set": "dataset", "depth": "depth", "sweep": "sweeps", "tag": "tags"}
_WITHOUT = {"depth": "depth unknown", "sweep": "in no sweep", "tag": "without a tag"}
_TELLING = {"depth": "depth ", "dataset": "", "architecture": "", "optimizer": "", "lr": "lr ", "batch_size": "batch "}
_PLAIN = ("id", "name", "dataset", "architecture", "optimizer", "lr", "batch_size", "seed", "steps", "seconds", "device")
_MORE = ("depth", "owner", "note", "group", "is_foreign", "tags", "sweeps")
_LIKE_AN_ID = 5  # characters of a word that is looked for in ids, too: "2" is in most of them
_CATEGORIES = ("dataset", "architecture", "optimizer", "scheme", "family", "device", "owner", "group")


@dataclass(frozen=True)
class Result:
    """A column of final test results: a task's headline metric."""

    key: str
    metric: str
    task_title: str
    title: str
    unit: str
    higher_is_better: bool

    @property
    def is_share(self) -> bool:
        """Whether people write it in percent."""
        return self.metric == "accuracy"


@dataclass(frozen=True)
class RunTable:
    """Runs as rows of ``frame``, and their columns of results, those that most runs have first.

    The frame's columns: id, name, state, dataset, architecture, scheme (with its knobs), family (the scheme alone), depth, lr,
    batch_size, optimizer, seed, progress (0 to 1), steps, seconds, created (UTC), device, owner, tags and sweeps (tuples),
    sweep (their names), note, group (the same for runs that differ in nothing but name and seed), is_foreign, and a column
    per result, NaN where a run has none.
    """

    frame: pd.DataFrame
    results: tuple[Result, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> list[str]:
        """The runs, in the table's order."""
        return list(self.frame["id"])


def tabulate(listed: Sequence[Listed], *, sweeps: dict[str, str] | None = None) -> RunTable:
    """What the store lists, as a table in the same order. ``sweeps``: names by id."""
    titles = sweeps or {}
    frame = pd.DataFrame({column: [getattr(run, column) for run in listed] for column in (*_PLAIN, *_MORE)})
    frame["state"] = pd.Categorical([run.state for run in listed], categories=STATES, ordered=True)
    frame["family"] = [run.scheme for run in listed]
    frame["scheme"] = [f"{run.scheme} {run.knobs}" if run.knobs else run.scheme for run in listed]
    frame["progress"] = [min(1.0, run.step / run.steps) if run.steps else 0.0 for run in listed]
    frame["created"] = pd.to_datetime([run.created for run in listed], unit="s", utc=True)
    frame["sweep"] = [", ".join(titles.get(one, one) for one in run.sweeps) for run in listed]
    for column in ("depth", "batch_size", "seed"):
        frame[column] = pd.array(frame[column].tolist(), dtype="Int64")
    frame["lr"] = frame["lr"].astype(float)
    frame["seconds"] = frame["seconds"].where(frame["seconds"] > 0)
    for column in _CATEGORIES:
        frame[column] = frame[column].astype("category")
    found = _results(listed)
    values = {
        key: [score.value if (score := run.scores.get(task)) and score.metric == result.metric else math.nan for run in listed]
        for key, (task, result) in found.items()
    }
    return RunTable(frame.assign(**values), tuple(result for _, result in found.values()))


def narrow(table: RunTable, *, words: str = "", tags: Sequence[str] = (), sweep: str = "", **among: Sequence[str]) -> RunTable:
    """The runs that fit, and those results that one of them has.

    Args:
        words: each must be found in a run's name, scheme, data set, id, owner, tags, sweeps or note, whatever the case.
        tags: a run fits if it bears one of them.
        sweep: the id of a sweep, "" for any run.
        among: column -> values of which a run has one; no values, no restriction.
    """
    frame = table.frame
    fits = np.ones(len(frame), bool)
    for column, wanted in among.items():
        if wanted:
            fits &= frame[column].isin(list(wanted)).to_numpy()
    for column, some in (("tags", set(tags)), ("sweeps", {sweep} - {""})):
        if some:
            fits &= np.fromiter((not some.isdisjoint(one) for one in frame[column]), bool, len(frame))
    for word in words.casefold().split():
        texts = _texts(frame, with_ids=len(word) >= _LIKE_AN_ID)
        fits &= np.fromiter((word in text for text in texts), bool, len(frame))
    kept = frame[fits].reset_index(drop=True)
    return RunTable(kept, tuple(result for result in table.results if kept[result.key].notna().any()))


def arrange(table: RunTable, column: str, *, is_descending: bool) -> RunTable:
    """The runs in the order of a column, those without a value last, equal ones as they stood."""
    return replace(table, frame=_sorted(table.frame, column, is_descending=is_descending))


def gather(table: RunTable, by: str, *, sweeps: dict[str, str] | None = None) -> tuple[pd.DataFrame, list[list[str]]]:
    """Runs taken together: a row per group in the order of its first run, and beside it the ids of each group's runs.

    Columns: name, runs, seeds, states ("3 finished, 1 failed"), created (the newest run's), and per result its key (the mean)
    and "± key": by ``settings`` half of the 95 % interval of the mean over seeds, of each of which the newest run counts;
    otherwise the standard deviation over runs. A run with several tags or sweeps is in several groups.

    Args:
        by: one of ``BY``.
        sweeps: names by id.
    """
    frame = table.frame.assign(key=table.frame[_COLUMN[by]])
    if by in ("sweep", "tag"):
        keys = pd.Series([list(one) or [""] for one in frame["key"]], dtype=object)
        frame = frame.assign(key=keys).explode("key", ignore_index=True)
    frame["key"] = frame["key"].astype("string").fillna("")
    parts = frame.groupby("key", sort=False)
    out = pd.DataFrame({"runs": parts.size(), "seeds": parts["seed"].nunique(), "created": parts["created"].max()})
    out["states"] = _states(frame)
    for result in table.results:
        out[result.key], out[f"± {result.key}"] = _mean_and_spread(frame, result.key, over_seeds=by == "settings")
    titles = _titles(frame) if by == "settings" else sweeps or {}
    prefix = "depth " if by == "depth" else ""
    out.insert(0, "name", [titles.get(key, prefix + key) if key else _WITHOUT.get(by, "–") for key in out.index])
    members = parts["id"].agg(list)
    return out.reset_index(drop=True), [members[key] for key in out.index]


def arrange_groups(
    groups: pd.DataFrame, members: Sequence[list[str]], column: str, *, is_descending: bool
) -> tuple[pd.DataFrame, list[list[str]]]:
    """Groups in the order of one of their own columns; as they are where they have no such column."""
    if column not in groups:
        return groups, list(members)
    order = _sorted(groups.assign(place=range(len(groups))), column, is_descending=is_descending)
    return order.drop(columns="place"), [members[place] for place in order["place"]]


def _results(listed: Iterable[Listed]) -> dict[str, tuple[str, Result]]:
    """The headline metrics of all runs with their tasks, those that most runs have first, a data set's side by side."""
    counts = Counter((run.dataset, task, score._replace(value=0.0)) for run in listed for task, score in run.scores.items())
    sizes: Counter[str] = Counter()
    for (dataset, _, _), n in counts.items():
        sizes[dataset] = max(n, sizes[dataset])
    found: dict[str, tuple[str, Result]] = {}
    for _, task, score in sorted(counts, key=lambda one: (-sizes[one[0]], one[0])):
        key = f"{task}|{score.metric}"
        result = Result(key, score.metric, score.task_title, score.title, score.unit, score.higher_is_better)
        found.setdefault(key, (task, result))
    return found


def _texts(frame: pd.DataFrame, *, with_ids: bool) -> Iterable[str]:
    """What a search looks in, run by run."""
    places = ("name", "scheme", "dataset", "owner", "note", "sweep", *(["id"] if with_ids else []))
    columns = (frame[column].astype(str) for column in places)
    return (" ".join((*parts, *tags)).casefold() for *parts, tags in zip(*columns, frame["tags"], strict=True))


def _sorted(frame: pd.DataFrame, column: str, *, is_descending: bool) -> pd.DataFrame:
    values = frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        values = values.cat.codes
    elif column == "tags":
        values = pd.Series([", ".join(one).casefold() or None for one in values], dtype=object)
    elif not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_datetime64_any_dtype(values):
        values = pd.Series([str(one).casefold() or None for one in values], dtype=object)
    order = values.reset_index(drop=True).sort_values(ascending=not is_descending, kind="stable", na_position="last")
    return frame.iloc[order.index].reset_index(drop=True)


def _states(frame: pd.DataFrame) -> pd.Series[Any]:
    """How many runs of each group are in which state, in words."""
    counts = frame.groupby(["key", "state"], sort=True, observed=True).size().reset_index(name="n")
    words = counts["n"].astype(str) + " " + counts["state"].astype(str)
    return words.groupby(counts["key"], sort=False).agg(", ".join)


def _mean_and_spread(frame: pd.DataFrame, result: str, *, over_seeds: bool) -> tuple[pd.Series[Any], pd.Series[Any]]:
    tested = frame[frame[result].notna()]
    if over_seeds:
        tested = tested.sort_values("created", ascending=False, kind="stable").drop_duplicates(["key", "seed"])
    values = tested.groupby("key", sort=False)[result]
    spread, counts = values.std(ddof=1), values.size()
    if over_seeds:
        factors = {n: student_quantile((1 + LEVEL) / 2, n - 1) / math.sqrt(n) for n in set(counts) if n > 1}
        spread = spread * counts.map(factors)
    return values.mean(), spread


def _titles(frame: pd.DataFrame) -> dict[str, str]:
    """Names of groups of settings: scheme and depth, and what else differs between them; a foreign run keeps its own name."""
    first = frame.drop_duplicates("key")
    ours = first[~first["is_foreign"].astype(bool)]
    telling = [column for column in _TELLING if column == "depth" or ours[column].nunique(dropna=False) > 1]
    is_single = (ours["depth"] == 0).fillna(False).to_numpy(bool) & (ours["family"] == "equal").to_numpy()
    parts = [ours["scheme"].astype(str).where(~is_single, "single task")]
    for column in telling:
        known = ours[column].where(~is_single) if column == "depth" else ours[column]
        values = known.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value), na_action="ignore")
        parts.append((_TELLING[column] + values.astype("string")).fillna(""))
    names = [", ".join(part for part in row if part) for row in zip(*parts, strict=True)]
    counts = Counter(names)
    keys = list(ours["key"])
    titles = {key: name if counts[name] == 1 else f"{name} #{key[:4]}" for key, name in zip(keys, names, strict=True)}
    return dict(zip(first["key"], first["name"], strict=True)) | titles
