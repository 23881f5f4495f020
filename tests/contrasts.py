"""Stores with groups of runs for tests of comparisons: real ones, poor ones, and hostile ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mtl_core.comparing import compare
from mtl_core.config import RunConfig
from mtl_core.frames.compared import Compared
from mtl_core.records import Column, Measurement, Scalars
from mtl_core.store import Store

HOSTILE = "<img src=x onerror=alert(1)>\"'|&\\`$x$ {b} Ärger 漢字 \u202e" + "W" * 40
METRICS = (("r2", "R²", True), ("mae", "Mean absolute error", False))
STEPS = 60


def tasks_of(titles: Sequence[str] = ("Task A", "Task B")) -> list[dict[str, Any]]:
    metrics = [{"name": n, "title": t, "higher_is_better": up, "unit": ""} for n, t, up in METRICS]
    return [{"name": "ab"[n], "title": title, "kind": "regression", "metrics": metrics} for n, title in enumerate(titles)]


def add(
    store: Store,
    weighting: Any = "equal",
    seed: int = 0,
    depth: int = 2,
    *,
    test: dict[str, dict[str, float]] | None = None,
    titles: Sequence[str] = ("Task A", "Task B"),
    fills: Callable[[np.ndarray], np.ndarray] = lambda values: values,
    seconds: float = 2.0,
    steps: int = STEPS,
    device: str = "cpu",
    is_recorded: bool = True,
    **training: Any,
) -> str:
    """A finished run with curves, measurements of conflict and a test.

    Args:
        test: numbers by task and metric; made up from the seed if left out.
        fills: changes the recorded numbers before they are stored.
    """
    chance = np.random.default_rng([seed, depth, len(str(weighting))])
    config = RunConfig.from_mapping(
        {
            "dataset": {"name": "teacher"},
            "architecture": {"name": "hard_sharing", "depth": depth},
            "weighting": weighting,
            "training": {"seed": seed, "steps": steps, **training},
        }
    )
    run_id = store.enqueue(config)
    store.claim("somebody", device, run_id)
    tasks = tasks_of(titles)
    spec = {
        "tasks": tasks,
        "all_tasks": ["a", "b"],
        "stages": ["layer 1", "layer 2"],
        "shared_stages": ["layer 1", "layer 2"][:depth],
        "weighting": config.weighting["name"],
        "steps_per_epoch": 30,
        "validate_every": 10,
        "measure_every": 6,
    }
    found = test or {
        name: {"r2": 0.5 + 0.1 * chance.random(), "mae": 0.4 + 0.1 * chance.random(), "loss": 0.3} for name in "ab"
    }
    fields: dict[str, Any] = {"step": steps, "steps": steps, "seconds": seconds}
    if is_recorded:
        record(store, run_id, depth, chance, fills, seconds=seconds, steps=steps)
    result = {"test": found, "best_step": steps, "seconds": seconds}
    store.change(run_id, "finished", spec=spec, result=result, **fields)
    return run_id


def record(store: Store, run_id: str, depth: int, chance: Any, fills: Any, *, seconds: float, steps: int) -> None:
    """Curves of training and validation, and the Gramians of every sixth step."""
    train = np.arange(1, steps + 1)
    quantities = [(task, name) for task in "ab" for name in ("loss", "r2", "mae")]
    weights = [(task, "weight") for task in "ab"]
    columns = {"train": [*quantities, *weights, ("", "total")], "validation": [*quantities, ("", "score")]}
    with store.writer(run_id) as writer:
        for split, at in (("train", train), ("validation", train[9::10])):
            values = fills(chance.uniform(0.1, 1, (len(at), len(columns[split]))).astype(np.float32))
            named = tuple(Column(*one) for one in columns[split])
            writer.append(Scalars(split, named, at, at / 30, at * seconds / steps, values))
        for step in train[::6] if depth else ():
            rows = chance.normal(size=(depth, 4, 20)) + 0.2
            gramian = fills((rows @ rows.transpose(0, 2, 1)).astype(np.float32))
            halves = [fills(np.full(2, 0.5, np.float32)) for _ in range(3)]
            at = (int(step), step / 30, step * seconds / steps)
            writer.append(Measurement(*at, gramian, np.ones((2, 2), np.float32), *halves))


def compared(store: Store, **more: Any) -> Compared:
    """All runs of a store, side by side, in the order in which they were added."""
    return Compared(store, compare(store.runs(limit=1000)[::-1], **more))


def fair(store: Store) -> None:
    """A baseline, fixed weights and two schemes at two depths, three seeds each."""
    for seed in range(3):
        add(store, "equal", seed, 0)
        for depth in (1, 2):
            add(store, "equal", seed, depth)
            add(store, "mgda", seed, depth)
        for first in (0.2, 0.8):
            add(store, {"name": "fixed", "weights": [first, 1 - first]}, seed, 2)


def many(store: Store) -> None:
    """Sixty groups, which differ in learning rate, scheme and depth."""
    for n in range(60):
        add(store, ("equal", "mgda", "pcgrad")[n % 3], 0, n % 3, lr=0.001 * (n + 1))


def hollow(store: Store) -> None:
    """Numbers that are none: in the curves, in the measurements and in the test."""
    for seed in range(2):
        add(store, "equal", seed, 0, fills=lambda values: np.full_like(values, np.nan))
        add(store, "mgda", seed, 2, fills=lambda values: np.full_like(values, np.nan), test={"a": {"r2": math.nan, "mae": 1.0}})
        add(
            store,
            "pcgrad",
            seed,
            2,
            fills=lambda values: np.full_like(values, np.inf),
            test={"a": {"r2": 0.0}, "b": {"mae": math.inf}},
        )


def hostile(store: Store) -> None:
    """Titles that are HTML, Markdown, Vega expressions and worse."""
    for seed in range(3):
        add(store, "equal", seed, 0, titles=(HOSTILE, HOSTILE + "2"))
        add(store, "mgda", seed, 2, titles=(HOSTILE, HOSTILE + "2"))


def alike(store: Store) -> None:
    """Groups without any scatter, and a group that is its baseline in everything."""
    for seed in range(3):
        for scheme, depth in (("equal", 0), ("equal", 2), ("mgda", 2)):
            same = {task: {"r2": 0.5, "mae": 0.4, "loss": 1.0} for task in "ab"}
            add(store, scheme, seed, depth, test=same, fills=np.ones_like)


def waiting(store: Store) -> None:
    """Runs that have not begun, and one that has said nothing."""
    for scheme in ("equal", "mgda"):
        store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}, "weighting": scheme}))
    silent = store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}, "weighting": "pcgrad"}))
    store.claim("somebody", "cpu", silent)


CASES: dict[str, Callable[[Store], object]] = {
    "fair": fair,
    "one group": lambda store: [add(store, "mgda", seed) for seed in range(3)],
    "one seed": lambda store: [add(store, scheme, 0, depth) for scheme, depth in (("equal", 0), ("mgda", 2))],
    "one run": lambda store: add(store, "mgda"),
    "many": many,
    "hollow": hollow,
    "hostile": hostile,
    "alike": alike,
    "waiting": waiting,
    "silent": lambda store: [add(store, scheme, 0, is_recorded=False) for scheme in ("equal", "mgda")],
}
