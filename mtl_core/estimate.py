"""How long a run will take, from its arithmetic and from how fast this machine has done such arithmetic before."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_core.store import Run, Store

FACT = "throughput"
KEPT = 60  # past runs remembered
FORWARD_AND_BACKWARD = 3  # a backward pass costs two forward passes
# (FLOPs, seconds) of a small and of a large step on an ordinary machine: they stand in for what has not been measured yet
USUAL = {"cpu": ((1e6, 0.003), (1e10, 0.2)), "cuda": ((1e6, 0.004), (1e11, 0.03))}
LARGE = 1e8  # FLOPs; a smaller step is mostly overhead and says nothing of the arithmetic


@dataclass(frozen=True)
class Estimate:
    """Seconds of training and the sentence that says where they come from."""

    seconds: float
    how: str


def step_flops(report: Mapping[str, Any], config: Mapping[str, Any], trunk_passes: float) -> float:
    """FLOPs of one optimiser step: forward and backward, and the further passes through the trunk that the weighting needs.

    >>> step_flops({"flops": 10, "flops_shared": 8}, {"training": {"batch_size": 2}}, trunk_passes=2)
    92.0
    """
    passes = FORWARD_AND_BACKWARD * report["flops"] + 2 * report["flops_shared"] * (trunk_passes - 1)
    return float(passes * config["training"]["batch_size"])


def estimate(store: Store, spec: Mapping[str, Any], config: Mapping[str, Any], device: str) -> Estimate:
    """Expected seconds on that device: a cost per step plus one per FLOP, both fitted to the past runs on it.

    Sizes of step that no past run had, small or large, are judged by an ordinary machine.
    """
    points = [point for point in (store.get(FACT) or {}).get("points", []) if point[0] == device]
    flops, steps = step_flops(spec["report"], config, _passes(spec)), config["training"]["steps"]
    measured = [(point[2], point[3]) for point in points]
    overhead, per_flop = fit([*measured, *_usual(device, measured)])
    alike = [point for point in points if point[1] == _kind(spec, config)]
    factor = statistics.median(point[3] / (overhead + per_flop * point[2]) for point in alike) if alike else 1.0
    seconds = factor * (overhead + per_flop * flops)
    source = f"{_runs(len(alike))} like it" if alike else f"{_runs(len(points))} on this device"
    how = f"judged by {source}" if points else "a first guess: no longer run has ended on this device yet"
    return Estimate(seconds * steps, f"{steps:,} steps of {_short(flops)}FLOPs at {_milliseconds(seconds)}, {how}.")


def _usual(device: str, measured: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What an ordinary device needs for the sizes of step that were not measured."""
    sides = {flops >= LARGE for flops, _ in measured}
    return [point for point in USUAL.get(device.partition(":")[0], USUAL["cpu"]) if (point[0] >= LARGE) not in sides]


def fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Seconds per step and seconds per FLOP, neither negative, that come closest, in proportion, to (FLOPs, seconds) of past runs.

    >>> overhead, per_flop = fit([(1e6, 0.003), (2e6, 0.004)])
    >>> round(overhead, 6), round(per_flop * 1e6, 6)
    (0.002, 0.001)
    >>> fit([(1e6, 0.004)])
    (0.0, 4e-09)
    """
    flops, seconds = np.array(points, dtype=float).T
    rate = float(np.median(seconds / np.maximum(flops, 1.0)))
    if np.ptp(flops) < 0.1 * flops.max():  # runs of one size tell nothing of the cost that is the same for all sizes
        return 0.0, rate
    rows = np.stack([1 / seconds, flops / seconds], axis=1)
    scale = np.abs(rows).max(axis=0)
    overhead, per_flop = np.linalg.lstsq(rows / scale, np.ones(len(rows)), rcond=None)[0] / scale
    if overhead <= 0:
        return 0.0, rate
    if per_flop <= 0:
        return float(np.median(seconds)), 0.0
    return float(overhead), float(per_flop)


def learn(store: Store) -> None:
    """Take the speed of runs that ended since the last call into the store's facts."""
    fact = store.get(FACT) or {}
    last = float(fact.get("last", 0.0))
    ended = store.runs(states=["finished", "stopped"], limit=KEPT)
    fresh = [run for run in ended if run.worker and (run.ended or 0.0) > last]  # without a worker: it was trained elsewhere
    if fresh:
        points = [*fact.get("points", []), *(point for run in reversed(fresh) if (point := _point(run)))]
        store.put(FACT, {"points": points[-KEPT:], "last": max(run.ended or 0.0 for run in fresh)})


def remaining(run: Run) -> float | None:
    """Seconds of training still to come, at the run's own average pace; None before there is one."""
    if run.step < 1 or run.seconds <= 0 or run.steps <= run.step:
        return None
    return run.seconds / run.step * (run.steps - run.step)


def in_words(seconds: float) -> str:
    """A duration as people say it.

    >>> in_words(0.4), in_words(95), in_words(4000), in_words(200_000)
    ('1 s', '1 min 35 s', '1 h 6 min', '2 d 7 h')
    """
    total = max(1, round(seconds))
    for big, small, size, unit in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if total >= size:
            rest = total % size // unit
            return f"{total // size} {big} {rest} {small}" if rest else f"{total // size} {big}"
    return f"{total} s"


def _point(run: Run) -> list[Any] | None:
    """[device, kind of network, FLOPs of a step, seconds of a step]; None for a run too short to tell."""
    if run.spec is None or run.step < 50 or run.seconds < 1:
        return None
    flops = step_flops(run.spec["report"], run.config, _passes(run.spec))
    return [run.device, _kind(run.spec, run.config), flops, run.seconds / run.step]


def _passes(spec: Mapping[str, Any]) -> float:
    usual = 1.0 if spec["asks"] == "losses" else float(len(spec["tasks"]))  # what runs before 0.2 did not say
    return float(spec.get("trunk_passes", usual))


def _kind(spec: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    network = config["architecture"]
    return f"{config['dataset']['name']}|{network['name']}|{network.get('trunk', 'auto')}|{spec['asks']}"


def _runs(n: int) -> str:
    return "one past run" if n == 1 else f"{n} past runs"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds * 1000:,.0f} ms"


def _short(number: float) -> str:
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:,.0f} "
