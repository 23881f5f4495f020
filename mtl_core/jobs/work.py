"""One run from its claim to its end: the same code in a worker process and on the command line."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from mtl_core import checkpoints
from mtl_core.config import RunConfig
from mtl_core.jobs.checkup import way_on
from mtl_core.jobs.devices import slots
from mtl_core.jobs.endings import PAUSED_FOR, Ending, is_disk_full, of_error
from mtl_core.jobs.modes import whole_number
from mtl_core.plan import check
from mtl_core.records import RunOutput, Scalars
from mtl_core.store import LIVE, Command, Run, Store, Writer
from mtl_core.trainer import Diverged, Trainer

BEAT_S = 0.2  # between two looks at what is asked of us
FIRST_CHECKPOINT_S = 5.0
CHECKPOINT_S = 15.0
CHECKPOINT_SHARE = 0.02  # of the time at most goes into checkpoints
BALLAST_BYTES = 256 * 1024  # given back to a full disk, so that the end of the run can still be written down
FULL_DISK_PATIENCE_S = 30.0

OnItem = Callable[[RunOutput], None]


class TakenAway(Exception):
    """The run was deleted, or another worker has it: there is nothing left to do or to write."""


class Unwritable(Exception):
    """The disk stayed so full that not even the run's end could be written down."""


def train_run(store: Store, run: Run, *, device: str, on_item: OnItem | None = None) -> Run:
    """Train a run that this process has claimed, to whatever end it finds, and write that end down.

    Args:
        device: where, as torch in this process calls it.
        on_item: also called with everything that the trainer yields.

    Returns the run as it ended. Raises TakenAway and Unwritable, nothing else: every error becomes the run's state.
    """
    share_cores(device)
    with _signals() as caught:
        shift = _Shift(store, run, device, on_item, caught)
        try:
            ending = shift.train()
        except TakenAway:
            raise
        except Diverged as found:
            reason = (
                f"the loss of {found.task} became {found.what} at step {found.step}: lower the learning rate, or clip gradients"
            )
            shift.ended_at = found.step
            ending = Ending("diverged", reason)
        except KeyboardInterrupt:
            ending = Ending("interrupted", f"ended at once with Ctrl-C at step {shift.step}; {way_on(shift.folder)}")
        except Exception as error:  # the one place: whatever it is, the run's page must show it
            ending = of_error(error, step=shift.step, device=device, way_on=way_on(shift.folder))
        shift.end(ending)
    return store.run(run.id)


def rehearse() -> None:
    """Train a tiny run on the CPU and forget it: what is slow the first time (shelves, data files, kernels) is then done."""
    tiny = {"dataset": {"name": "digit_scenes", "scenes": 64, "held_out": 64}, "training": {"steps": 2, "device": "cpu"}}
    for _ in Trainer(check(RunConfig.from_mapping(tiny))).run():
        pass


def share_cores(device: str) -> None:
    """Where several runs may train on the CPU at once, each takes its share of the cores."""
    if device == "cpu" and slots("cpu") > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // slots("cpu")))


class _Shift:
    """One worker's time with one run."""

    def __init__(self, store: Store, run: Run, device: str, on_item: OnItem | None, caught: list[int]) -> None:
        self.store = store
        self.run = run
        self.device = device
        self.on_item = on_item
        self.caught = caught
        self.folder = store.run_folder(run.id)
        self.trainer: Trainer | None = None
        self.writer: Writer | None = None
        self.is_saving = False
        self.is_taken_up = False  # whether the trainer stands where the store does
        self.ended_at: int | None = None
        self._next_beat = 0.0
        self._next_checkpoint = time.monotonic() + FIRST_CHECKPOINT_S

    @property
    def step(self) -> int:
        if self.ended_at is not None:
            return self.ended_at
        return self.trainer.step if self.trainer and self.is_taken_up else self.run.step

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def train(self) -> Ending:
        """Train until the run ends or is asked to."""
        _write_ballast(self.folder)
        config = RunConfig.from_mapping(self.run.config)
        config = config.model_copy(update={"training": config.training.model_copy(update={"device": self.device})})
        self.trainer = trainer = Trainer(check(config))
        self.writer = writer = self.store.writer(self.run.id)
        self._take_up(trainer, writer)
        for item in trainer.run():
            if not self._is_known(item):
                writer.append(item)
            if self.on_item is not None:
                self.on_item(item)
            ending = self._look_up(trainer, writer)
            if ending is not None:
                return ending
        writer.flush()
        self._save(trainer)
        if self.is_saving:
            return Ending("finished", f"ended at step {trainer.step} of {trainer.steps_total}, as asked, and tested")
        return Ending(
            "finished",
            f"stopped early after {trainer.step} steps: validation got no better" if trainer.step < trainer.steps_total else "",
        )

    def end(self, ending: Ending) -> None:
        """Write down what is left and how it ended. On a full disk: make room, and wait for more."""
        trainer = self.trainer if self.is_taken_up else None
        numbers = {"step": self.step, "epoch": trainer.epoch, "seconds": trainer.seconds} if trainer else {}
        result = {"result": trainer.result} if trainer and trainer.result else {}
        until = time.monotonic() + FULL_DISK_PATIENCE_S
        while True:
            try:
                self._ballast.unlink(missing_ok=True)
                self._write_end(ending, {**numbers, **result})
                return
            except OSError as error:
                if not is_disk_full(error):
                    raise
                if time.monotonic() > until:
                    raise Unwritable from error
                time.sleep(0.5)

    def _write_end(self, ending: Ending, fields: dict[str, Any]) -> None:
        try:
            now = self.store.run(self.run.id)
        except LookupError:
            raise TakenAway from None
        if now.worker != self.run.worker or now.state not in LIVE:
            raise TakenAway
        if self.writer is not None:
            self.writer.flush()
        self.store.change(self.run.id, ending.state, ending.reason, error=ending.error, **fields)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _take_up(self, trainer: Trainer, writer: Writer) -> None:
        """Begin, or go on from the checkpoint: what was recorded after it will be trained again, number for number."""
        reason = ""
        if not self.checkpoint.exists() and (self.folder / "checkpoint.json").exists():
            raise ValueError("its checkpoint is gone, so it cannot go on: what was recorded is kept; train it again instead")
        if self.checkpoint.exists():
            checkpoints.load(self.checkpoint, trainer)
            reason = f"goes on from step {trainer.step}"
        writer.truncate(trainer.step if reason else -1)
        self.is_taken_up = True
        self.store.change(self.run.id, "running", reason, spec=trainer.describe(), steps=trainer.steps_total)

    def _is_known(self, item: RunOutput) -> bool:
        """Whether it is the final test of a run that was killed just after it: the test bears the step of the best
        validation, which lies before the checkpoint, so that it was not forgotten when the run was taken up."""
        if not isinstance(item, Scalars) or item.split != "test":
            return False
        return self.store.last_step(self.run.id, "test") >= int(item.steps[-1])

    def _look_up(self, trainer: Trainer, writer: Writer) -> Ending | None:
        """Between two yields: write, say that we live, and do what is asked. An ending if the run is to end."""
        if time.monotonic() < self._next_beat and not self.caught:
            return None
        writer.flush()
        command = self._beat(trainer)
        if not trainer.is_settled:
            return None  # comes back with the next item, which follows at once
        self._next_beat = time.monotonic() + BEAT_S
        if self.caught:
            return self._obey_signal(trainer)
        if command == "stop":
            self._save(trainer)
            return Ending("stopped", f"stopped at step {trainer.step} of {trainer.steps_total}; {way_on(self.folder)}")
        if command == "save":
            self._finish(trainer)
        elif command == "resume":  # a pause that was taken back before we met it
            self.store.clear_command(self.run.id, command)
        elif command == "pause":
            return self._pause(trainer)
        elif time.monotonic() > self._next_checkpoint:
            self._save(trainer)
        return None

    def _beat(self, trainer: Trainer) -> Command | None:
        try:
            return self.store.heartbeat(
                self.run.id, self.run.worker, step=trainer.step, epoch=trainer.epoch, seconds=trainer.seconds
            )
        except LookupError:
            raise TakenAway from None

    def _obey_signal(self, trainer: Trainer) -> Ending:
        self._save(trainer)
        if self.caught[0] == signal.SIGINT:
            return Ending("stopped", f"stopped with Ctrl-C at step {trainer.step}; {way_on(self.folder)}")
        return Ending("interrupted", f"its worker was asked to end (SIGTERM) at step {trainer.step}; {way_on(self.folder)}")

    def _finish(self, trainer: Trainer) -> None:
        self.store.clear_command(self.run.id, "save")
        self.is_saving = True
        trainer.finish()

    def _pause(self, trainer: Trainer) -> Ending | None:
        """Wait, with everything on disk, for what comes next; after an hour without a word the worker goes home."""
        self._save(trainer)
        self.store.change(self.run.id, "paused", f"paused at step {trainer.step} of {trainer.steps_total}")
        self.store.clear_command(self.run.id, "pause")
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()  # others may use it meanwhile
        minutes = whole_number("MTL_EXPLORER_PAUSE_MINUTES", 60, least=1)
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            time.sleep(BEAT_S)
            command = self._beat(trainer)
            if self.caught:
                return self._obey_signal(trainer)
            if command == "stop":
                return Ending("stopped", f"stopped while paused at step {trainer.step}; {way_on(self.folder)}")
            if command in ("resume", "save"):
                self.store.change(self.run.id, "running", f"goes on from step {trainer.step}")
                self.store.clear_command(self.run.id, command)
                if command == "save":
                    self._finish(trainer)
                return None
        return Ending("interrupted", f"{PAUSED_FOR} {minutes} minutes, so its worker was let go; {way_on(self.folder)}")

    def _save(self, trainer: Trainer) -> None:
        """Checkpoint, and a note beside it that pages can read without torch."""
        began = time.monotonic()
        checkpoints.save(self.checkpoint, trainer)
        note = self.folder / "checkpoint.json.part"
        note.write_text(json.dumps({"step": trainer.step, "epoch": trainer.epoch, "time": time.time()}))
        note.replace(self.folder / "checkpoint.json")
        now = time.monotonic()
        self._next_checkpoint = now + max(CHECKPOINT_S, (now - began) / CHECKPOINT_SHARE)


def _write_ballast(folder: Path) -> None:
    (folder / "ballast").write_bytes(bytes(BALLAST_BYTES))


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them; a second SIGINT is a KeyboardInterrupt. Main thread only."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def catch(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
