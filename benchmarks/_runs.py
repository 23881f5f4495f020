"""Finished runs made up for measuring, through the store's own door for runs from elsewhere: hundreds in seconds.

Legend: T tasks, S shared stages, N rows, C columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.config import RunConfig
from mtl_core.plan import check
from mtl_core.records import Column, Measurement, RunOutput, Scalars, Split
from mtl_core.store import EndedRun, Store
from mtl_core.store.run import new_id

TASKS = ("digit", "box", "mask", "angle")
N_SEEDS = 5
VALIDATIONS, MEASUREMENTS = 40, 30
_BASE = {"dataset": {"name": "digit_scenes"}, "tasks": list(TASKS)}
_SCHEMES: tuple[dict[str, Any], ...] = (
    {"name": "equal"},
    {"name": "fixed", "weights": [0.4, 0.3, 0.2, 0.1]},
    {"name": "fixed", "weights": [0.1, 0.2, 0.3, 0.4]},
    {"name": "uncertainty"},
    {"name": "dwa"},
    {"name": "mgda"},
    {"name": "pcgrad"},
    {"name": "cagrad", "c": 0.4},
    {"name": "nash_mtl"},
)


@dataclass(frozen=True)
class Made:
    """Ids of the runs, the first group (separate networks: the baseline) first; seeds of a group stand together."""

    run_ids: list[str]
    seconds: float


def make_runs(store: Store, n_runs: int, n_steps: int) -> Made:
    """Finished runs of four tasks with curves, measurements and tests, ``N_SEEDS`` to a group."""
    began = time.perf_counter()
    specs: dict[str, Mapping[str, Any]] = {}
    ids = []
    for number, config in enumerate(_configs(n_runs, n_steps)):
        key = repr((config.architecture, config.weighting, config.training.lr))
        if key not in specs:
            specs[key] = _describe(config)
        ids.append(_add(store, config, dict(specs[key]), number))
    return Made(ids, time.perf_counter() - began)


def _configs(n_runs: int, n_steps: int) -> Iterator[RunConfig]:
    """Schemes, then depths, then learning rates, the baseline before all of them."""
    made = 0
    while True:
        lr = round(0.001 * (1 + made // 1000) * (1 + made % 97 / 100), 6)
        settings = [({"name": "hard_sharing", "depth": 0}, _SCHEMES[0])]
        settings += [({"name": "hard_sharing", "depth": depth}, scheme) for depth in (4, 2) for scheme in _SCHEMES]
        for architecture, weighting in settings:
            for seed in range(N_SEEDS):
                if made == n_runs:
                    return
                made += 1
                training = {"steps": n_steps, "seed": seed, "lr": lr}
                yield RunConfig.from_mapping(
                    {**_BASE, "architecture": architecture, "weighting": weighting, "training": training}
                )


def _describe(config: RunConfig) -> dict[str, Any]:
    """What a worker writes down when a run starts."""
    return {
        **check(config).describe(),
        "device": "CPU",
        "precision": "float32",
        "measure_every": config.training.steps // MEASUREMENTS,
        "validate_every": config.training.steps // VALIDATIONS,
        "steps_per_epoch": 125,
    }


def _add(store: Store, config: RunConfig, spec: dict[str, Any], number: int) -> str:
    chance = np.random.default_rng(number)
    metrics = {task["name"]: [metric["name"] for metric in task["metrics"]] for task in spec["tasks"]}
    test = {task: {name: float(chance.uniform(0.6, 0.9)) for name in ("loss", *names)} for task, names in metrics.items()}
    now, n_steps = time.time(), config.training.steps
    run = EndedRun(
        id=new_id(now),
        config=config,
        spec=spec,
        state="finished",
        reason="",
        created=now - 60,
        started=now - 60,
        ended=now,
        step=n_steps,
        epoch=n_steps / 125,
        seconds=60.0,
        device="cpu",
        result={"test": test, "best_step": n_steps, "seconds": 60.0},
    )
    return store.add_ended(run, list(_records(spec, metrics, n_steps, chance)), origin="made up to measure with")


def _records(
    spec: Mapping[str, Any], metrics: Mapping[str, list[str]], n_steps: int, chance: np.random.Generator
) -> Iterator[RunOutput]:
    trained = [Column(task, name) for task, names in metrics.items() for name in ("loss", "weight", names[0])]
    yield _curve("train", [*trained, Column("", "total"), Column("", "lr")], np.arange(1, n_steps + 1), chance)
    tested = [Column(task, name) for task, names in metrics.items() for name in ("loss", *names)]
    validated = [*tested, Column("", "score")]
    yield _curve("validation", validated, np.unique(np.linspace(1, n_steps, VALIDATIONS, dtype=np.int64)), chance)
    yield _curve("test", validated, np.array([n_steps]), chance)
    n_stages, n_tasks = len(spec["shared_stages"]), len(metrics)
    for step in np.unique(np.linspace(1, n_steps, MEASUREMENTS, dtype=np.int64)) if n_stages else ():
        yield _measurement(int(step), n_stages, n_tasks, chance)


def _curve(split: Split, columns: list[Column], steps: NDArray[np.int64], chance: np.random.Generator) -> Scalars:
    """Noise on a falling curve."""
    values = 1 / (1 + steps[:, None] / 500) + chance.normal(0.3, 0.03, (len(steps), len(columns)))
    return Scalars(split, tuple(columns), steps, steps / 125, steps * 0.006, values.astype(np.float32))


def _measurement(step: int, n_stages: int, n_tasks: int, chance: np.random.Generator) -> Measurement:
    """Gradients of 50 random directions."""
    halves = chance.normal(size=(n_stages, 2 * n_tasks, 50))
    gramian = (halves @ halves.transpose(0, 2, 1)).astype(np.float32)
    losses, weights, changes = chance.normal(1.0, 0.1, (3, n_tasks)).astype(np.float32)
    counts = np.full((2, n_tasks), 32, np.float32)
    return Measurement(step, step / 125, step * 0.006, gramian, counts, losses, weights, changes)
