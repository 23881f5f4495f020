"""What the trainer costs beside a bare loop written by hand: same network, same data, same order of batches.

Trainer and bare loop take turns for about a second each, many times over, so that a busy machine slows both; what is printed is
the median of the turns' ratios, with the middle half of them in brackets.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # as in a worker; read when torch is imported

import torch

from mtl_core.chance import stream
from mtl_core.compute import choose_device
from mtl_core.config import RunConfig
from mtl_core.plan import Plan, check
from mtl_core.records import Scalars
from mtl_core.trainer import Trainer

ENDLESS = 1_000_000
COMMON = [
    f"training.steps={ENDLESS}",
    f"training.validate_every={ENDLESS}",
    "training.schedule=constant",
    "training.augment=0",
    "training.precision=float32",
    "training.channels_last=false",
]
CASES = {
    "telemetry off": ["measure.every=0"],
    "default telemetry": ["measure.every=auto"],
    "mgda, telemetry off": ["measure.every=0", "weighting.name=mgda"],
    "mgda, default telemetry": ["measure.every=auto", "weighting.name=mgda"],
}


class BareLoop:
    """What one would write by hand: forward, sum of the losses, backward, Adam. No logging, no validation, nothing else."""

    def __init__(self, plan: Plan, device: torch.device) -> None:
        training = plan.config.training
        shape = plan.dataset.input_shape
        self.tasks = plan.tasks
        self.model = plan.architecture.create(
            plan.architecture_knobs, input_shape=shape, tasks=plan.tasks, seed=training.seed
        ).to(device)
        self.examples = plan.dataset.load("train", seed=training.seed, device=device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=training.lr, fused=True)
        self.indices = self._indices(training.batch_size, stream(training.seed, "order"), device)

    def _indices(self, size: int, generator: torch.Generator, device: torch.device) -> Iterator[torch.Tensor]:
        while True:
            order = torch.randperm(len(self.examples), generator=generator).to(device)
            for start in range(0, len(order) - size + 1, size):
                yield order[start : start + size]

    def step(self) -> torch.Tensor:
        """One step; the losses of the tasks before it."""
        index = next(self.indices)
        outputs = self.model(self.examples.inputs[index])
        losses = [task.loss(outputs[task.name], self.examples.targets[task.name][index]).mean() for task in self.tasks]
        self.optimizer.zero_grad()
        sum(losses).backward()
        self.optimizer.step()
        return torch.stack(losses).detach()


@dataclass(frozen=True)
class Turn:
    """Seconds per step of the trainer and of the bare loop, in turns next to each other."""

    trainer: float
    bare: float

    @property
    def ratio(self) -> float:
        return self.trainer / self.bare


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(plan: Plan, *, turns: int, seconds: float) -> tuple[list[Turn], float]:
    """The turns, and the largest difference between the two loops' losses over their first steps (None of their work differs)."""
    trainer = Trainer(plan)
    device = trainer.device
    bare = BareLoop(plan, device)
    outputs = trainer.run()
    rows: list[Scalars] = []

    def advance(seconds: float) -> tuple[int, float]:
        wait(device)
        start, before = time.perf_counter(), trainer.step
        while time.perf_counter() - start < seconds or trainer.step == before:
            item = next(outputs)
            if isinstance(item, Scalars) and item.split == "train" and not rows:
                rows.append(item)
        while not trainer.is_settled:
            next(outputs)
        wait(device)
        return trainer.step - before, time.perf_counter() - start

    advance(seconds)  # building, loading, first validation, warming up
    theirs = rows[0].values[:20, : len(plan.tasks)]
    ours = torch.stack([bare.step() for _ in range(len(theirs))]).cpu().numpy()
    for _ in range(trainer.step - len(theirs)):
        bare.step()
    difference = float(abs(ours - theirs).max())
    found = []
    for _ in range(turns):
        n_steps, took = advance(seconds)
        wait(device)
        start = time.perf_counter()
        for _ in range(n_steps):
            bare.step()
        wait(device)
        found.append(Turn(took / n_steps, (time.perf_counter() - start) / n_steps))
    return found, difference


def main() -> None:
    """Measure every case and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("overrides", nargs="*", metavar="key.key=value", help="changes to the default run")
    options = parser.parse_args()
    base = RunConfig().with_overrides(options.overrides)
    device = choose_device(base.training.device)
    title = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{title}, {torch.get_num_threads()} threads, Python {platform.python_version()}, torch {torch.__version__}")
    print(f"{'':26}{'ratio':>7}  {'middle half':15}{'trainer':>10}{'bare loop':>11}   first losses differ by")
    for name, overrides in CASES.items():
        plan = check(base.with_overrides([*COMMON, *overrides]))
        turns, difference = take_turns(plan, turns=options.turns, seconds=options.seconds)
        ratios = [turn.ratio for turn in turns]
        low, middle, high = statistics.quantiles(ratios, n=4)
        trainer, bare = (1000 * statistics.median(getattr(turn, who) for turn in turns) for who in ("trainer", "bare"))
        shown = f"{difference:.1e}" if "mgda" not in name else "(another direction)"
        print(f"{name:26}{middle:7.3f}  [{low:.3f}, {high:.3f}] {trainer:7.2f} ms{bare:8.2f} ms   {shown}")


if __name__ == "__main__":
    main()
