"""Thousands of runs as a table shows them: what each is made of, how far it is, how good it was, and what people say of it.

A run's config and spec never change once they are there, and thousands of runs share them, so what is read out of one is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Row, inspect, select

from mtl_core.store import alike
from mtl_core.store.schema import members, runs
from mtl_core.store.search import newest
from mtl_core.store.states import State

if TYPE_CHECKING:
    from mtl_core.store import Store

MOST_LISTED = 5_000
_KEPT = 20_000  # of what was read out of JSON
_NAMES = ("id", "name", "choices", "config", "spec", "state", "created", "ended", "step", "steps", "seconds", "device")
_FIELDS = [runs.c[name] for name in (*_NAMES, "owner", "result")]


class Score(NamedTuple):
    """A task's first metric in the final test."""

    metric: str
    value: float
    title: str
    task_title: str
    higher_is_better: bool
    unit: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in a table. Times are unix seconds; ``seconds`` is time spent training.

    ``tasks``: those that it trains, as far as that is known before it starts. ``depth``: how many stages are shared, None where
    nobody knows. ``knobs``: those of its scheme, in words. ``scores``: by task; empty without a final test. ``deleted``: when
    it was thrown away. ``sweeps``: ids. ``is_foreign``: trained elsewhere. ``group``: the same for runs that differ in nothing
    but name and seed, and the id of their group in a comparison.
    """

    id: str
    name: str
    choices: str
    state: State
    created: float
    ended: float | None
    step: int
    steps: int
    seconds: float
    device: str
    owner: str
    dataset: str
    tasks: tuple[str, ...]
    architecture: str
    depth: int | None
    scheme: str
    knobs: str
    lr: float | None
    batch_size: int | None
    seed: int
    optimizer: str
    scores: Mapping[str, Score]
    tags: tuple[str, ...]
    note: str
    is_archived: bool
    deleted: float | None
    sweeps: tuple[str, ...]
    is_foreign: bool
    group: str


def listing(
    store: Store,
    *,
    states: Sequence[State] | None = None,
    search: str = "",
    tags: Sequence[str] | None = None,
    sweep: str | None = None,
    archived: bool = False,
    deleted: bool = False,
    limit: int = MOST_LISTED,
    offset: int = 0,
) -> list[Listed]:
    """Runs, newest first: the usual ones, or those put aside, or those thrown away (whether put aside before or not).

    Args:
        search: each word must be found in name, choices, id, owner, tags or note, whatever the case.
        tags: each of them must be borne, whatever the case.
        sweep: the id of a sweep that they belong to.
    """
    with store._database.reading() as connection:
        query = newest(
            connection,
            _FIELDS,
            with_labels=True,
            states=states,
            search=search,
            tags=tags or (),
            sweep=sweep,
            archived=None if deleted else archived,
            deleted=deleted,
        )
        rows = connection.execute(query.limit(limit).offset(offset)).all()
        sweeps = _sweeps_of(connection, [row.id for row in rows])
    read = [(_of_config(row.config), _of_spec(row.spec)) for row in rows]
    begun = {config.group: spec.group for config, spec in read if spec.group and not spec.is_foreign}
    return [_as_listed(row, *each, begun, sweeps.get(row.id, ())) for row, each in zip(rows, read, strict=True)]


def _sweeps_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The sweeps of those runs, all of them of one moment."""
    if not run_ids or not inspect(connection).has_table(members.name):
        return {}
    query = select(members.c.run_id, members.c.sweep_id).order_by(members.c.sweep_id)
    lowest, highest = min(run_ids), max(run_ids)  # ids sort by age: few bound values, hardly a row too many
    found: dict[str, tuple[str, ...]] = {}
    for run_id, sweep_id in connection.execute(query.where(members.c.run_id.between(lowest, highest))):
        found[run_id] = (*found.get(run_id, ()), sweep_id)
    return found


def _as_listed(row: Row[Any], config: _Config, spec: _Spec, begun: Mapping[str, str], sweeps: tuple[str, ...]) -> Listed:
    """A row of the table.

    Args:
        begun: the group of runs that have begun, by the group that their configs would be as they are written.
    """
    ended = _of_result(row.result, spec.headlines)
    has_label = row.tags is not None
    return Listed(
        id=row.id,
        name=row.name,
        choices=row.choices,
        state=row.state,
        created=row.created,
        ended=row.ended,
        step=row.step,
        steps=row.steps,
        seconds=ended.seconds or row.seconds,
        device=row.device,
        owner=row.owner,
        dataset=config.dataset,
        tasks=spec.tasks or config.tasks,
        architecture=config.architecture,
        depth=spec.depth if config.depth is None else config.depth,
        scheme=config.scheme,
        knobs=config.knobs,
        lr=config.lr,
        batch_size=config.batch_size,
        seed=config.seed,
        optimizer=config.optimizer,
        scores=ended.scores,
        tags=tuple(json.loads(row.tags)) if has_label else (),
        note=row.note if has_label else "",
        is_archived=bool(row.is_archived) if has_label else False,
        deleted=row.deleted if has_label else None,
        sweeps=sweeps,
        is_foreign=spec.is_foreign,
        group=_group(row, config, spec, begun),
    )


def _group(row: Row[Any], config: _Config, spec: _Spec, begun: Mapping[str, str]) -> str:
    if spec.is_foreign:
        return alike.group_id(config.settings | {alike.RUN: row.id})
    return spec.group or begun.get(config.group, config.group)  # one that waits belongs to those with its config that do not


class _Config(NamedTuple):
    """What a table shows of a config."""

    dataset: str
    tasks: tuple[str, ...]
    architecture: str
    depth: int | None
    scheme: str
    knobs: str
    lr: float | None
    batch_size: int | None
    seed: int
    optimizer: str
    settings: dict[str, Any]
    group: str


class _Spec(NamedTuple):
    """What a table shows of a spec."""

    tasks: tuple[str, ...] = ()
    headlines: tuple[tuple[str, Score], ...] = ()  # with the task; their values are zero
    depth: int | None = None
    is_foreign: bool = False
    group: str = ""


class _Ended(NamedTuple):
    """What a table shows of a final test."""

    seconds: float
    scores: Mapping[str, Score]


@lru_cache(maxsize=_KEPT)
def _of_config(text: str) -> _Config:
    config: dict[str, Any] = json.loads(text)
    training, settings = config["training"], alike.lean_settings(config, None)
    return _Config(
        dataset=str(config["dataset"]["name"]),
        tasks=tuple(config.get("tasks") or ()),
        architecture=str(config["architecture"]["name"]),
        depth=config["architecture"].get("depth"),
        scheme=str(config["weighting"]["name"]),
        knobs=", ".join(alike.knobs_in_words(config["weighting"])),
        lr=training.get("lr"),
        batch_size=training.get("batch_size"),
        seed=int(training["seed"]),
        optimizer=str(training.get("optimizer", "")),
        settings=settings,
        group=alike.group_id(settings),
    )


@lru_cache(maxsize=_KEPT // 4)
def _of_spec(text: str | None) -> _Spec:
    spec: dict[str, Any] = json.loads(text) if text else {}
    tasks = spec.get("tasks", ())
    is_foreign = alike.is_foreign(spec)
    shared = None if is_foreign else spec.get("shared_stages")
    return _Spec(
        tasks=tuple(str(task["name"]) for task in tasks),
        headlines=tuple((str(task["name"]), _headline(task)) for task in tasks if task["metrics"]),
        depth=None if shared is None else len(shared),
        is_foreign=is_foreign,
        group=alike.group_id(alike.lean_settings({}, spec)) if alike.has_lean(spec) else "",
    )


@lru_cache(maxsize=_KEPT)
def _of_result(text: str | None, headlines: tuple[tuple[str, Score], ...]) -> _Ended:
    result: dict[str, Any] = json.loads(text) if text else {}
    test, found = result.get("test") or {}, {}
    for task, headline in headlines:
        value = test.get(task, {}).get(headline.metric)
        if isinstance(value, int | float) and math.isfinite(value):
            found[task] = Score(headline.metric, float(value), *headline[2:])
    return _Ended(float(result.get("seconds") or 0), found)


def _headline(task: Mapping[str, Any]) -> Score:
    """A task's first metric, its value to come."""
    metric = task["metrics"][0]
    is_up, unit = bool(metric["higher_is_better"]), str(metric.get("unit", ""))
    return Score(str(metric["name"]), 0.0, str(metric["title"]), str(task["title"]), is_up, unit)
