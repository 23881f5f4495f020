"""The parent's end of ``bench_schemes``: a process per library, told over a pipe what to build and when to run."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

OURS, LIBMTL, TORCHJD = "ours", "libmtl", "torchjd"
PATIENCE = 60.0  # seconds for an answer; LibMTL's MGDA may search for ever
SPIN_COUNT = os.environ.get("GOMP_SPINCOUNT", "5000")  # as in a worker


class Crashed(Exception):
    """A side ended, or gave no answer; the text says why."""


class Side:
    """A process that takes steps when it is told to. Begins anew after a crash, with the cases that it had.

    Args:
        command: starts it.
        device: where it computes.
        folder: its own, for what is too long for a pipe.
    """

    def __init__(self, command: Sequence[str | Path], device: str, folder: Path) -> None:
        self.command = command
        self.device = device
        self.folder = folder
        self._built: dict[str, dict[str, Any]] = {}
        self._process: subprocess.Popen[str] | None = None

    def build(self, case: str, scheme: str, n_tasks: int, knobs: dict[str, Any]) -> dict[str, Any]:
        """Build a scheme and take its first steps. Returns its first losses and direction. Raises Crashed."""
        file = str(Path(self.folder, f"{case}.pt"))
        order = {"do": "build", "case": case, "scheme": scheme, "n_tasks": n_tasks, "knobs": knobs, "file": file}
        answer = self._ask(order)
        self._built[case] = order
        return {**answer, "direction": torch.load(file)}

    def run(self, case: str, seconds: float) -> float:
        """A turn: milliseconds per step. Raises Crashed."""
        answer = self._ask({"do": "run", "case": case, "seconds": seconds})
        return 1000 * answer["seconds"] / answer["steps"]

    def memory(self, scheme: str, n_tasks: int, knobs: dict[str, Any]) -> int:
        """The most bytes allocated at once over the first steps. Raises Crashed."""
        return int(self._ask({"do": "memory", "scheme": scheme, "n_tasks": n_tasks, "knobs": knobs})["bytes"])

    def drop(self, case: str) -> None:
        """Forget a case."""
        if self._built.pop(case, None):
            self._ask({"do": "drop", "case": case})

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process as process:  # closes its pipes
                process.kill()
            self._process = None

    def _start(self) -> None:
        with Path(self.folder, "stderr").open("w") as errors:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                env={**os.environ, "GOMP_SPINCOUNT": SPIN_COUNT},
            )
        self._send({"do": "start", "device": self.device})
        for order in self._built.values():
            self._send(order)

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._start()
        return self._send(order)

    def _send(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if ready else ""
        if line:
            return dict(json.loads(line))
        self.close()
        words = Path(self.folder, "stderr").read_text().strip().splitlines()
        raise Crashed((words or ["no reason given"])[-1] if ready else f"no answer in {PATIENCE:.0f} s")


def start_sides(device: str, folder: Path, python: Path | None) -> dict[str, Side]:
    """Our process, and one per peer if they have an interpreter; each starts with its first order."""
    interpreters = {OURS: Path(sys.executable)}
    if python is not None:
        interpreters |= dict.fromkeys((LIBMTL, TORCHJD), python)
    sides = {}
    for name, interpreter in interpreters.items():
        (folder / name).mkdir()
        sides[name] = Side([interpreter, "-m", f"benchmarks._{name}"], device, folder / name)
    return sides
