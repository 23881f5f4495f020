"""Where the supervisor of a store is found: a lock that says whether one is there, a bell that wakes it, and its log.

The lock is an ``flock`` that whoever starts a supervisor takes first and hands down to it as an open file, so there is no moment
in which two could start; the kernel lets go of it when the supervisor dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_core.store import Store
from mtl_core.store.complaints import system_error

SIGNATURE_BYTES = 512


@dataclass(frozen=True)
class Desk:
    """The files of one store's supervisor, in a folder of their own beside the runs."""

    folder: Path
    key: str

    @classmethod
    def of(cls, store: Store) -> Desk:
        """The desk of a store: the same for every process that opened it, another for another store in the same folder."""
        folder = store.folder.resolve() / ".jobs"
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        name = f"{folder}/{store.url.rpartition('/')[2]}" if store.url.startswith("sqlite") else store.url  # links resolved
        return cls(folder, hashlib.blake2b(name.encode(), digest_size=4).hexdigest())

    @property
    def lock_path(self) -> Path:
        return self.folder / f"{self.key}.lock"

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.key}.log"

    @property
    def worker_log_path(self) -> Path:
        """Where the standby worker writes until it has a run."""
        return self.folder / f"{self.key}.standby.log"

    @property
    def bell_path(self) -> Path:
        return self.folder / f"{self.key}.bell"

    def try_lock(self) -> int | None:
        """Take the supervisor's lock: its open file, or None if a supervisor (or one that is just starting) holds it."""
        with _writing(self.folder):
            handle = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    @contextlib.contextmanager
    def turn(self, what: str) -> Iterator[None]:
        """One at a time, across processes, for that purpose: waits for its turn."""
        with _writing(self.folder):
            handle = os.open(self.folder / f"{self.key}.{what}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def sign(self, handle: int, **facts: Any) -> None:
        """Write who holds the lock into its file, with the time.

        Args:
            facts: ``identity`` once the supervisor has come up; ``is_warm``: whether a worker waits that has loaded everything.
        """
        text = json.dumps({"time": time.time(), **facts}).encode()
        os.pwrite(handle, text.ljust(SIGNATURE_BYTES), 0)  # one write of one size: nobody reads half of it

    def signature(self) -> dict[str, Any]:
        """What ``sign`` wrote last; empty if nobody ever did."""
        try:
            signed = json.loads(self.lock_path.read_bytes() or b"{}")
        except (FileNotFoundError, ValueError):
            return {}
        return signed if isinstance(signed, dict) else {}

    def hear(self) -> tuple[int, int]:
        """Open the bell for listening: its read and write ends, neither of which ever blocks."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.bell_path, 0o600)
        reader = os.open(self.bell_path, os.O_RDONLY | os.O_NONBLOCK)
        return reader, os.open(self.bell_path, os.O_WRONLY | os.O_NONBLOCK)

    def ring(self) -> None:
        """Wake the supervisor, if one listens; it looks by itself every second anyway."""
        try:
            handle = os.open(self.bell_path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no bell yet, or nobody listens
            return
        try:
            os.write(handle, b"!")
        except BlockingIOError:
            pass  # it has been rung 65,536 times already
        finally:
            os.close(handle)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say with a remedy that a store's folder cannot be written."""
    try:
        yield
    except OSError as error:
        sentence = (
            f"the folder {folder} cannot be written ({error.strerror}): free its disk, or choose a store that may be written"
        )
        raise system_error(error.errno, sentence) from error
