"""The supervisor of a store: hands queued runs to workers, oldest first, and says how a worker died. It never loads torch.

There is one per store (see ``desk``). It outlives the browser and the server, and ends by itself after some idle minutes.
A worker outlives it: a new supervisor finds the runs that still train and watches them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Set
from types import FrameType

from mtl_core.jobs import checkup, endings
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.devices import Device, devices, place
from mtl_core.jobs.identity import identify
from mtl_core.jobs.launch import fingerprint
from mtl_core.jobs.modes import whole_number
from mtl_core.jobs.office import ensure_supervisor
from mtl_core.jobs.outlook import LOAD_FACT
from mtl_core.jobs.revival import revive
from mtl_core.jobs.staff import Worker
from mtl_core.store import UNENDED, Run, Store
from mtl_core.store.sweeps import is_of_sweep

LOOK_S = 1.0  # between two looks at the queue when nobody rings
REST_S = 3.0  # after a run began: let it have the processor before the next standby loads
OBEDIENCE_S = 30.0  # a worker that was asked to stop and is silent for so long is killed
MANY = 100_000  # more runs than anyone queues
PATIENCE = 3  # standby workers that may fail to start in a row before the queued runs are told


class Supervisor:
    """One store's queue and its workers.

    Args:
        lock: the open file that holds the desk's lock.
        is_renewable: end when the program has changed and nothing is to do, so that one with the new code can follow.
    """

    def __init__(self, store: Store, desk: Desk, lock: int, *, idle_minutes: int, is_renewable: bool) -> None:
        self.store = store
        self.desk = desk
        self.lock = lock
        self.idle_s = 60.0 * idle_minutes
        self.standby: Worker | None = None
        self.workers: list[Worker] = []
        self.code = fingerprint()
        self.is_renewable = is_renewable
        self.is_outdated = False
        self._is_told = False
        self.is_idle = False
        self._signed_warm: bool | None = None
        self._failures = 0
        self._next_try = 0.0
        self._handed_at = -REST_S
        self._loads_since = 0.0
        self._busy_at = time.monotonic()
        self._known = devices()

    def serve(self) -> None:
        """Work until there has been nothing to do for a while, the store is gone, or somebody says so."""
        ear, bell = self.desk.hear()
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)  # a child's end rings too
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._sign()
        say("began")
        while not (why := self._why_leave()):
            try:
                self.look()
            except OSError as error:  # a full disk, a database that others hold: it may pass
                say(str(error))
            self._wait(ear)
        if self.standby is not None:
            self.standby.dismiss()
        say(f"ended: {why}")

    def _wait(self, ear: int) -> None:
        """Until somebody rings, a child ends, the standby worker is ready, or a second is over."""
        warming = [self.standby.line.fileno()] if self.standby is not None and not self.standby.is_ready else []
        ready, _, _ = select.select([ear, *warming], [], [], LOOK_S)
        if ear in ready:
            os.read(ear, 65_536)

    def look(self) -> None:
        """One look at everything: who ended, what waits, who could take it."""
        self._collect()
        for run_id, reason in revive(self.store).items():
            say(f"{run_id} is queued again: {reason}")
        live = self.store.runs(states=UNENDED, limit=MANY)
        self.is_idle = not live and not self.workers
        if not self.is_idle:
            self._busy_at = time.monotonic()
        for run in live:
            if run.state != "queued":
                self._check(run)
        self._keep_standby(live)
        self._assign(live)
        self._sign()

    # -- workers ----------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Say of each run whose worker has ended without ending it how that came about."""
        for worker in [worker for worker in self.workers if worker.has_ended()]:
            self.workers.remove(worker)
            with contextlib.suppress(LookupError):
                run = self.store.run(worker.run_id)
                if run.worker == worker.identity:
                    checkup.bury(self.store, run, worker.why_killed or endings.of_process(worker.code))
        if self.standby is not None and self.standby.has_ended():
            self._failures += 1
            self._next_try = time.monotonic() + min(60.0, 2.0**self._failures)
            say(f"a standby worker ended with status {self.standby.code}: see {self.desk.worker_log_path.name}")
            self.standby = None
            if self._failures >= PATIENCE:
                self._give_up()

    def _check(self, run: Run) -> None:
        """A run whose worker is not our child (it was another supervisor's, or is on a command line), or does not obey."""
        own = next((worker for worker in self.workers if worker.identity == run.worker), None)
        if own is None:
            if checkup.has_died(run):
                checkup.bury(self.store, run, "its worker was gone without a word")
        elif run.command == "stop" and checkup.silence(run) > OBEDIENCE_S:
            say(f"killing the worker of {run.id}: it was asked to stop and has not answered for {OBEDIENCE_S:.0f} s")
            own.kill(f"its worker did not answer for {OBEDIENCE_S:.0f} s when it was asked to stop, and was ended")

    def _keep_standby(self, live: list[Run]) -> None:
        """Have one worker that has loaded everything and waits, with the code as it is on disk now."""
        if self.standby is not None and self.standby.is_ready and self.standby.code_mark != fingerprint():
            self.standby.dismiss()
            self.standby = None
        now = time.monotonic()
        is_training = any(run.state == "running" for run in live)
        is_resting = is_training and now < self._handed_at + REST_S
        if self.standby is None and now >= self._next_try and not is_resting:
            self.standby = Worker.start(self.store, self.desk.worker_log_path, is_polite=is_training)
            self._loads_since = now
        if self.standby is not None and not self.standby.is_ready and self.standby.hears_ready():
            self._failures = 0
            self.store.put(LOAD_FACT, time.monotonic() - self._loads_since)

    def _give_up(self) -> None:
        """Tell the runs that wait why they wait in vain. Those that come later wait for the next try."""
        reason = f"no worker could start: {checkup.last_line(self.desk.worker_log_path)}"
        log = self.desk.worker_log_path.read_text(errors="replace")[-20_000:]
        for run in self.store.runs(states=["queued"], limit=MANY):
            with contextlib.suppress(LookupError, ValueError):
                self.store.change(run.id, "failed", reason, error=log)

    # -- the queue --------------------------------------------------------------------------------------------------

    def _assign(self, live: list[Run]) -> None:
        """Give the first queued run that has a free device to the standby worker."""
        if self.standby is None or not self.standby.is_ready:
            return
        taken = Counter(run.device for run in live if run.state == "running" or run.command == "resume")
        full: set[str] = set()  # what is asked for and taken: not asked of the driver for each of a thousand runs
        for run in in_turn(live, self.store.held()):
            wanted = str(run.config.get("training", {}).get("device", "auto"))
            key = None if wanted in full else place(wanted, taken, self._known)
            if key is None:
                full.add(wanted)
            elif self._hand_over(run, key):
                return

    def _hand_over(self, run: Run, key: str) -> bool:
        assert self.standby is not None
        worker = self.standby
        with self.desk.turn("claim"):
            claimed = self.store.claim(worker.identity, key, run.id)
        if claimed is None:  # stopped or deleted meanwhile
            return False
        self.standby = None
        worker.take(run.id, next((device for device in self._known if device.key == key), Device(key, "", "gpu")))
        self.workers.append(worker)
        self._handed_at = time.monotonic()
        say(f"{run.id} trains on {key} in process {worker.pid}")
        return True

    def _sign(self) -> None:
        """Leave word that we are here, and whether a worker stands by that has loaded everything."""
        is_warm = self.standby is not None and self.standby.is_ready
        if is_warm != self._signed_warm:
            self.desk.sign(self.lock, identity=identify(), is_warm=is_warm)
            self._signed_warm = is_warm

    # -- ending -----------------------------------------------------------------------------------------------------

    def _is_ours(self) -> bool:
        """Whether the lock is still the one on disk: a deleted store needs no supervisor."""
        try:
            return os.stat(self.desk.lock_path).st_ino == os.fstat(self.lock).st_ino
        except FileNotFoundError:
            return False

    def _why_leave(self) -> str:
        """Why to end now; empty while there is no reason to."""
        if self._is_told or not self._is_ours():
            self.is_idle = False
            return "it was told to" if self._is_told else "its store is gone"
        if self.is_idle and time.monotonic() - self._busy_at > self.idle_s:
            return "nothing to do"
        self.is_outdated = self.is_renewable and self.is_idle and fingerprint() != self.code
        return "the program has changed" if self.is_outdated else ""

    def _tell(self, number: int, frame: FrameType | None) -> None:
        self._is_told = True


def in_turn(live: Iterable[Run], held: Set[str]) -> list[Run]:
    """The queued runs that nothing holds back, oldest first; single runs, which somebody waits for, before those of sweeps."""
    queued = [run for run in live if run.state == "queued" and run.id not in held]
    return sorted(queued, key=lambda run: (is_of_sweep(run.request), run.queued, run.id))


def serve(store: Store, *, lock: int | None = None, idle_minutes: int | None = None) -> bool:
    """Be the supervisor of a store until there is nothing to do; False at once if it has one already.

    Args:
        lock: the open file that holds the lock already, for one that was started in the background.
    """
    desk = Desk.of(store)
    held = desk.try_lock() if lock is None else lock
    if held is None:
        return False
    os.set_inheritable(held, False)  # our workers must not hold it after us
    minutes = whole_number("MTL_EXPLORER_IDLE_MINUTES", 15, least=1) if idle_minutes is None else idle_minutes
    supervisor = Supervisor(store, desk, held, idle_minutes=minutes, is_renewable=lock is not None)
    supervisor.serve()
    os.close(held)
    if supervisor.is_outdated or (supervisor.is_idle and store.runs(states=["queued"], limit=1)):
        ensure_supervisor(store)  # with the new code; or a run came just now, and who brought it saw us here
    return True


def say(text: str) -> None:
    """A line in the supervisor's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} supervisor {os.getpid()}: {text}", flush=True)


def main() -> int:
    """Serve the store named by ``--store`` or by MTL_EXPLORER_STORE."""
    parser = argparse.ArgumentParser(prog="python -m mtl_core.jobs.supervisor", description=__doc__)
    parser.add_argument("--store", help="address of the store (default: MTL_EXPLORER_STORE)")
    parser.add_argument("--lock", type=int, help="open file that holds the lock already")
    options = parser.parse_args()
    if not serve(Store.open(options.store), lock=options.lock):
        say("this store has a supervisor already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
