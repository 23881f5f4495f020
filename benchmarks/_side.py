"""One side of ``bench_schemes``, in a process of its own: it is told over a pipe what to build and when to run.

A line of JSON comes in, a line of JSON goes out. Whatever goes wrong ends the process, and its last words on stderr are the
reason that the table shows: a library that crashes takes nobody with it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

WARM_UP = 2  # steps after the first


class Case(ABC):
    """A scheme at a number of tasks: network, optimiser and batches, ready to step."""

    optimizer: torch.optim.Optimizer
    shared: Sequence[Tensor]
    device: torch.device
    note: str = ""

    @abstractmethod
    def step(self) -> Tensor:
        """One training step; the losses [T] before it."""

    def run(self, seconds: float) -> tuple[int, float]:
        """Steps for about that long: how many, and how long they took."""
        self.step()  # wakes threads and caches, and is not counted
        self.wait()
        start, n_steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            self.step()
            n_steps += 1
        self.wait()
        return n_steps, time.perf_counter() - start

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def first(self) -> tuple[Tensor, Tensor]:
        """The first step: its losses [T] and the direction [P] that the shared parameters were given."""
        found = []

        def look(*_: Any) -> None:
            found.append(torch.cat([parameter.grad.detach().reshape(-1) for parameter in self.shared]).cpu())

        handle = self.optimizer.register_step_pre_hook(look)
        losses = self.step()
        handle.remove()
        return losses, found[0]


Build = Callable[[str, int, dict[str, Any], torch.device], Case]


def serve(build: Build) -> None:
    """Answer until the pipe closes. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    cases: dict[str, Case] = {}
    device = torch.device("cpu")
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {}
        if order["do"] == "start":
            device = torch.device(order["device"])
        elif order["do"] == "build":
            case = cases[order["case"]] = build(order["scheme"], order["n_tasks"], order["knobs"], device)
            losses, direction = case.first()
            torch.save(direction, order["file"])
            for _ in range(WARM_UP):
                case.step()
            answer = {"losses": losses.tolist(), "note": case.note}
        elif order["do"] == "run":
            answer = dict(zip(("steps", "seconds"), cases[order["case"]].run(order["seconds"]), strict=True))
        elif order["do"] == "drop":
            cases = {name: case for name, case in cases.items() if name != order["case"]}
        elif order["do"] == "memory":
            answer = {"bytes": peak(partial(build, order["scheme"], order["n_tasks"], order["knobs"], device), device)}
        print(json.dumps(answer), file=answers)


def peak(make: Callable[[], Case], device: torch.device) -> int:
    """The most bytes that lay allocated at once while a case was built and took three steps.

    On the CPU this adds up every allocation and release that torch's profiler has seen, temporary ones inside operators
    included; on a GPU it asks the allocator.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        case = make()
        for _ in range(3):
            case.step()
        case.wait()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        case = make()
        for _ in range(3):
            case.step()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        highest = max(highest, live)
    return highest
