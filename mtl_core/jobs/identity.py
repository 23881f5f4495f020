"""Who a process is, so that a number that was given out again is never taken for the process that had it before.

An identity is ``machine:pid:start``: the boot and process namespace of the machine, the process number and the moment at which
it started, in clock ticks since boot. A zombie (ended, not yet collected by its parent) counts as dead.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import psutil

PROC = Path("/proc")


@functools.cache
def machine() -> str:
    """This boot of this machine and this process namespace: inside it, a pid and a start time name one process."""
    if sys.platform == "linux":
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{os.stat(PROC / 'self/ns/pid').st_ino}"
    return f"boot-{int(psutil.boot_time())}"


def identify(pid: int | None = None) -> str | None:
    """The identity of a process (None: this one); None if there is no such process or it is a zombie.

    >>> is_alive(identify())
    True
    """
    pid = os.getpid() if pid is None else pid
    start = _start(pid)
    return None if start is None else f"{machine()}:{pid}:{start}"


def is_alive(identity: str) -> bool | None:
    """Whether that process still runs; None if it belongs to another machine (or boot), which cannot be told from here."""
    place, pid, start = _split(identity)
    if place != machine():
        return None if place else False
    return _start(pid) == start


def pid_of(identity: str) -> int | None:
    """The process number, if that very process is alive on this machine."""
    return _split(identity)[1] if identity and is_alive(identity) else None


def _split(identity: str) -> tuple[str, int, str]:
    place, _, rest = identity.partition(":")
    pid, _, start = rest.partition(":")
    return (place, int(pid), start) if pid.isdecimal() and len(pid) < 10 else ("", 0, "")


def _start(pid: int) -> str | None:
    if sys.platform != "linux":
        return _start_by_psutil(pid)
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if state in "ZX" else fields[18]


def _start_by_psutil(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
