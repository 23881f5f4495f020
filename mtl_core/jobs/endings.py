"""How a run can end, in words that a page shows: what happened, where, and what to do about it."""

from __future__ import annotations

import errno
import signal
import traceback
from typing import NamedTuple

from mtl_core.store import Run, State

PAUSED_FOR = "paused for"  # how the reason of a run begins whose worker was let go after a long pause
EXIT_DISK_FULL = 74  # EX_IOERR of sysexits.h: the worker could not even write down how its run ended

_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "unable to allocate")


class Ending(NamedTuple):
    """The last state of a run, the sentence beside it, and the traceback if there is something to mend."""

    state: State
    reason: str
    error: str = ""


def of_error(error: Exception, *, step: int, device: str, way_on: str) -> Ending:
    """What a run that raised this error ends as.

    Args:
        way_on: what Resume would do now ("Resume continues from step 40").
    """
    trace = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        where = "the GPU" if device.startswith("cuda") else "this machine"
        remedy = "choose a smaller batch size, a smaller image or network, or fewer tasks, then retry"
        return Ending("failed", f"{where} ran out of memory at step {step}: {remedy}", trace)
    if is_disk_full(error):
        return Ending("interrupted", f"the disk was full at step {step}: free some space; {way_on}", trace)
    if isinstance(error, ValueError) and step == 0:
        return Ending("failed", str(error), trace)
    said = str(error).strip().partition("\n")[0][:300]
    return Ending("failed", f"{type(error).__name__} at step {step}: {said}" if said else type(error).__name__, trace)


def is_slip(run: Run) -> bool:
    """Whether a run failed because its config asks for what cannot be: the same would happen again."""
    return run.state == "failed" and run.step == 0 and run.reason != "" and run.error.rstrip().endswith(run.reason.rstrip())


def of_process(code: int) -> str:
    """How a worker process ended that left its run behind, from its exit status (negative: the signal)."""
    if code == EXIT_DISK_FULL:
        return "the disk was full"
    if code >= 0:
        return f"its worker ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = ", perhaps because the machine ran out of memory" if -code == signal.SIGKILL else ""
    return f"its worker was killed (signal {-code}, {name}{hint})"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, in Python, in numpy, in torch on the CPU or on a GPU, here or in what led to this error."""
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _MEMORY_WORDS):
            return True
        error = error.__cause__
    return False


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the disk, a quota or the database's file is full, here or in what led to this error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "disk is full" in str(error).lower() or "no space left on device" in str(error).lower():
            return True
        error = error.__cause__
    return False
