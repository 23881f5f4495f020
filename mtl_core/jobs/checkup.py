"""Runs whose worker is gone: each gets a state that tells the truth and says how to go on."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from mtl_core.jobs.identity import is_alive
from mtl_core.store import Run, Store

SILENCE_S = 60.0  # a worker on another machine that has not been heard of for so long counts as dead
GRACE_S = 5.0  # the supervisor, who knows how its worker died, gets so long to say it first


def has_died(run: Run) -> bool:
    """Whether a running or paused run has lost its worker. One on another machine is judged by its heartbeat."""
    alive = is_alive(run.worker) if run.worker else False
    if alive is None:
        return silence(run) > SILENCE_S
    return not alive


def bury(store: Store, run: Run, cause: str) -> None:
    """Mark a run whose worker died as interrupted; nothing happens if it found another end or worker meanwhile."""
    with contextlib.suppress(LookupError, ValueError):
        now = store.run(run.id)
        if now.worker == run.worker and now.state in ("running", "paused"):
            store.change(run.id, "interrupted", f"{cause} at step {now.step}; {way_on(store.run_folder(run.id))}")


def way_on(folder: Path) -> str:
    """What Resume will do for a run, from the note beside its checkpoint."""
    step = checkpoint_step(folder)
    return "Resume trains it again from the start" if step is None else f"Resume continues from step {step}"


def checkpoint_step(folder: Path) -> int | None:
    """The step at which the checkpoint in a run's folder was taken; None if there is none. Needs no torch."""
    if not (folder / "checkpoint.pt").exists():
        return None
    try:
        return int(json.loads((folder / "checkpoint.json").read_text())["step"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def last_line(log: Path) -> str:
    """What a process last said in its log."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else "it said nothing"


def silence(run: Run) -> float:
    """Seconds since a run's worker was last heard of."""
    return time.time() - max(run.heartbeat or 0.0, run.queued)
