"""How long a run will take, from its arithmetic and from how fast this machine has done such arithmetic before."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtl_core.store import Run, Store

FACT = "throughput"
KEPT = 12  # past runs remembered per device and trunk
FORWARD_AND_BACKWARD = 3  # a backward pass costs two forward passes


@dataclass(frozen=True)
class Estimate:
    """Seconds of training (None while nothing is known) and the sentence that says where they come from."""

    seconds: float | None
    how: str


def step_flops(report: Mapping[str, Any], config: Mapping[str, Any], asks: str) -> float:
    """FLOPs of one optimiser step: forward and backward, and one more trunk pass per further task if gradients are asked for.

    >>> step_flops({"flops": 10, "flops_shared": 8, "heads": {"a": 0, "b": 0}}, {"training": {"batch_size": 2}}, "gramian")
    92.0
    """
    passes = FORWARD_AND_BACKWARD * report["flops"]
    if asks != "losses":
        passes += 2 * report["flops_shared"] * (len(report["heads"]) - 1)
    return float(passes * config["training"]["batch_size"])


def estimate(store: Store, spec: Mapping[str, Any], config: Mapping[str, Any], device: str) -> Estimate:
    """Expected seconds on that device, from past runs with the same kind of network if there are any, else from all."""
    known: dict[str, list[float]] = (store.get(FACT) or {}).get("rates", {})
    rates = known.get(_kind(device, spec, config)) or [
        rate for key, all_ in known.items() if _is_on(key, device) for rate in all_
    ]
    if not rates:
        return Estimate(None, "No run has finished on this device yet; the first one tells how fast it is.")
    steps = config["training"]["steps"]
    flops = step_flops(spec["report"], config, spec["asks"]) * steps
    what = "like it" if _kind(device, spec, config) in known else "on this device"
    how = f"{_short(flops)}FLOPs ({steps:,} steps), at the {_short(statistics.median(rates))}FLOP/s that {_runs(len(rates))} {what} reached."
    return Estimate(flops / statistics.median(rates), how)


def learn(store: Store) -> None:
    """Take the speed of runs that ended since the last call into the store's facts."""
    fact = store.get(FACT) or {}
    rates: dict[str, list[float]] = fact.get("rates", {})
    last = float(fact.get("last", 0.0))
    fresh = [run for run in store.runs(states=["finished", "stopped"], limit=KEPT) if (run.ended or 0.0) > last]
    for run in sorted(fresh, key=lambda run: run.ended or 0.0):
        rate = _rate(run)
        if rate is not None and run.spec is not None:
            key = _kind(run.device, run.spec, run.config)
            rates[key] = [*rates.get(key, []), rate][-KEPT:]
    if fresh:
        store.put(FACT, {"rates": rates, "last": max(run.ended or 0.0 for run in fresh)})


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


def _rate(run: Run) -> float | None:
    if run.spec is None or run.step < 50 or run.seconds < 1:
        return None
    return step_flops(run.spec["report"], run.config, run.spec["asks"]) * run.step / run.seconds


def _kind(device: str, spec: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    network = config["architecture"].get("trunk", "auto")
    return f"{device}|{config['dataset']['name']}|{config['architecture']['name']}|{network}|{spec['asks']}"


def _is_on(key: str, device: str) -> bool:
    return key.partition("|")[0] == device


def _runs(n: int) -> str:
    return "one past run" if n == 1 else f"{n} past runs"


def _short(number: float) -> str:
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:,.0f} "


def shorten(items: Sequence[str], limit: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "")
