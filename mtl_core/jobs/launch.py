"""Starting a process that outlives the one which started it: browser tab, server and terminal may all go."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtl_core.store import Store

SPIN_COUNT = "5000"
ROOT = Path(__file__).resolve().parents[2]


def python(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module with this very interpreter."""
    return [sys.executable, "-m", module, *arguments]


def environment(store: Store) -> dict[str, str]:
    """The environment of our processes: where the store is (an address may hold a password: not for the command line), no
    settings of the web server, output not held back.

    Threads of a worker spin only briefly while they wait for each other (GOMP_SPINCOUNT): numbers stay the same. Measured on
    two cores, the default network: left to themselves 17 ms a step on an idle machine, but 340 to 850 ms beside other busy
    programs; never spinning 30 and 52 ms; like this 18 and 69 ms.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    return {"GOMP_SPINCOUNT": SPIN_COUNT, **kept, "MTL_EXPLORER_STORE": store.url, "PYTHONUNBUFFERED": "1"}


def detach(command: Sequence[str], *, env: Mapping[str, str], log: Path, keep: Sequence[int] = ()) -> None:
    """Run a command in a session of its own, as nobody's child, its output appended to a log.

    A shell stands between, puts it in the background and ends: what it leaves belongs to init, never becomes our zombie, and
    nothing is forked from this process, which may have threads or a GPU.

    Args:
        keep: open files that the command inherits.
    """
    with open(log, "ab") as output:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd=ROOT,
            start_new_session=True,
            pass_fds=tuple(keep),
            check=True,
        )


def fingerprint() -> str:
    """Changes when a file of this package does: a process that was started before has the old code in its memory."""
    marks = []
    for file in sorted((ROOT / "mtl_core").rglob("*.py")):
        with contextlib.suppress(FileNotFoundError):  # an editor may be replacing it just now
            marks.append(f"{file.relative_to(ROOT)} {file.stat().st_mtime_ns}")
    return hashlib.blake2b("\n".join(marks).encode(), digest_size=8).hexdigest()
