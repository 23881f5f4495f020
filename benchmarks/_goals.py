"""What ``bench_schemes`` measures and what is good enough: rows, the arithmetic limit, verdicts.

Legend: T tasks.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._network import BATCH, INPUT, Network, names
from benchmarks._process import LIBMTL, OURS, TORCHJD
from mtl_core.weightings import WEIGHTINGS, Setting

LOSSES_GOAL, FAMO_GOAL, REPRESENTATION_GOAL = 1.03, 1.30, 1.15
ALLOWANCE = 1.05  # over the arithmetic limit


@dataclass(frozen=True)
class Flops:
    """FLOPs of a batch, counted: forward and backward through the trunk, backward through its last stage, a head's both."""

    forward: int
    backward: int
    last_stage: int
    head: int

    @classmethod
    def count(cls) -> Flops:
        """Of the benchmark's network. Its first layer needs no gradient by the input, so backward is less than twice forward."""
        network = Network(1)
        head = network.heads["task0"]
        with FlopCounterMode(display=False) as counter:
            seen = [0]
            representation = network.trunk(torch.zeros(BATCH, *INPUT))
            seen.append(counter.get_total_flops())
            seed = torch.zeros_like(representation)
            torch.autograd.grad(representation, list(network.trunk.parameters()), seed, retain_graph=True)
            seen.append(counter.get_total_flops())
            torch.autograd.grad(representation, list(network.trunk[-1].parameters()), seed)
            seen.append(counter.get_total_flops())
            start = seed.requires_grad_() + 0  # the counter takes no leaf
            torch.autograd.grad(head(start).sum(), [start, *head.parameters()])
            seen.append(counter.get_total_flops())
        return cls(*(after - before for before, after in pairwise(seen)))

    def ratio(self, n_tasks: int, on: str = "parameters") -> float:
        """What a Gramian step costs at least, beside equal weights: heads once per task, the trunk as often as ``on`` asks.

        >>> Flops(forward=1, backward=2, last_stage=0, head=0).ratio(3)
        2.3333333333333335
        """
        common = self.forward + n_tasks * self.head
        backward = {
            "parameters": n_tasks * self.backward,
            "last_stage": self.backward + n_tasks * self.last_stage,
            "representation": self.backward,
        }[on]
        return (common + backward) / (common + self.backward)


@dataclass(frozen=True)
class Row:
    """A scheme to measure: how sides know it (name, or name@on), its knobs, and what it asks."""

    scheme: str
    knobs: dict[str, Any]
    asks: str
    on: str

    def goal(self, flops: Flops, n_tasks: int) -> float | None:
        """The largest ratio to equal weights that is good enough; None if nothing was promised."""
        if self.scheme == "famo":
            return FAMO_GOAL
        if self.asks == "losses":
            return LOSSES_GOAL if self.scheme != "equal" and not self.looks_ahead else None
        if self.asks == "gradients":
            return None
        if self.on == "representation":
            return REPRESENTATION_GOAL if n_tasks == 3 else None
        return ALLOWANCE * flops.ratio(n_tasks, self.on)

    @property
    def looks_ahead(self) -> bool:
        """Whether it pays for validation batches too."""
        return WEIGHTINGS[self.scheme.partition("@")[0]].looks_ahead


def rows(n_tasks: int, wanted: Sequence[str] | None) -> list[Row]:
    """Every scheme of the shelf, equal weights first; with three tasks, Gramian schemes also on less than all parameters."""
    found = []
    setting = Setting(tuple(names(n_tasks)), (BATCH,) * n_tasks)
    for name in ["equal", *(name for name in WEIGHTINGS.names() if name != "equal")]:
        for on in [None, "parameters", "last_stage", "representation"]:
            scheme = name if on is None else f"{name}@{on}"
            is_asked_for = scheme in wanted if wanted else on is None or n_tasks == 3
            try:
                kind, knobs = WEIGHTINGS.parse({"name": name, **({"on": on} if on else {})})
                kind.check(knobs, setting.tasks)
            except ValueError:  # it has no such choice
                continue
            is_default = on is not None and on == getattr(kind.Knobs(), "on", None)
            if is_asked_for and not is_default:
                made = kind(knobs, setting)
                found.append(Row(scheme, knobs.model_dump(mode="json"), kind.asks, made.on))
    order = {"losses": 0, "gramian": 1, "gradients": 2}
    return sorted(found, key=lambda row: (row.scheme != "equal", order[row.asks], "@" in row.scheme, row.scheme))


@dataclass(frozen=True)
class Spread:
    """Median and middle half of the turns."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value or more."""
        return cls(*(statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3))


@dataclass
class Turns:
    """What one side took, turn by turn, in milliseconds per step; or why it did not."""

    equal: list[float] = field(default_factory=list)
    scheme: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    direction: torch.Tensor | None = None
    note: str = ""
    crash: str = ""

    def ratio(self) -> Spread:
        """To equal weights of the same side."""
        return Spread.of([scheme / equal for scheme, equal in zip(self.scheme, self.equal, strict=True)])


def judge(row: Row, found: dict[str, Turns], memory: float | None, flops: Flops, n_tasks: int) -> list[str]:
    """The goals of a row, each with "met", "even" (one and the same within the spread) or "MISSED"."""
    ours = found[OURS]
    if ours.crash:
        return ["MISSED: crashes"]
    said = []
    goal = row.goal(flops, n_tasks)
    if goal is not None:
        said.append(f"≤ {goal:.2f} {_verdict(ours.ratio(), goal)}")
    for name in (
        (LIBMTL, TORCHJD) if row.asks != "losses" else ()
    ):  # one pass is one pass: the rest is what a trainer keeps account of
        theirs = found.get(name)
        if theirs is not None and not theirs.crash:
            against = Spread.of([mine / other for mine, other in zip(ours.scheme, theirs.scheme, strict=True)])
            said.append(f"{against.middle:.2f} of {name} {_verdict(against, 1.0)}")
    if memory is not None and row.scheme != "equal":
        said.append(f"memory {'met' if round(memory, 1) <= n_tasks else 'MISSED'}")
    return said


def _verdict(measured: Spread, goal: float) -> str:
    if measured.middle <= goal:
        return "met"
    return "even" if measured.low <= goal else "MISSED"
