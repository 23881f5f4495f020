"""The supervisor's side of a worker process: started, ready, given a run, ended."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mtl_core.jobs.devices import Device
from mtl_core.jobs.identity import identify
from mtl_core.jobs.launch import ROOT, environment, fingerprint, python
from mtl_core.store import Store


@dataclass
class Worker:
    """One child process. ``code_mark`` tells which code it has loaded; ``run_id`` is empty while it stands by."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    identity: str
    code_mark: str
    is_ready: bool = False
    run_id: str = ""
    why_killed: str = ""

    @classmethod
    def start(cls, store: Store, log: Path, *, is_polite: bool) -> Worker:
        """Start a standby worker; what it prints goes to the log until it has a run.

        Args:
            is_polite: load with low priority, because a run is training.
        """
        ours, theirs = socket.socketpair()
        mark = fingerprint()
        with theirs, open(log, "wb") as output:
            process = subprocess.Popen(
                python("mtl_core.jobs.worker", "--line", str(theirs.fileno()), *(["--polite"] if is_polite else [])),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(store),
                cwd=ROOT,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        ours.setblocking(False)
        identity = identify(process.pid)
        return cls(process, ours, identity or "", mark)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def code(self) -> int:
        """Exit status; negative: the signal that killed it."""
        return self.process.returncode

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def hears_ready(self) -> bool:
        """Whether it has loaded everything and waits."""
        if not self.is_ready:
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                self.is_ready = self.line.recv(64).startswith(b"ready")
        return self.is_ready

    def take(self, run_id: str, device: Device) -> None:
        """Give it the run that was claimed in its name. A worker that just died is noticed as one that died while training."""
        self.run_id = run_id
        order = {"run": run_id, "device": device.key, "visible": device.visible}
        with contextlib.suppress(BrokenPipeError):
            self.line.sendall(json.dumps(order).encode() + b"\n")
        self.line.close()

    def dismiss(self) -> None:
        """Send a standby worker home."""
        self.line.close()
        self.process.terminate()

    def kill(self, why: str) -> None:
        """End it at once, for a reason that its run will show."""
        self.why_killed = why
        self.process.kill()
