"""The one training loop: any data set, any architecture, any weighting, and the measurements along the way.

It knows no store, no queue and no screen: it yields what it finds, and whoever asked for it decides between two yields
whether to go on. Nothing in a step waits for the device, but for schemes that find their weights on the host (those that solve
a problem on the Gramian, from three tasks on), once; numbers are fetched in blocks.
Legend: T tasks, P shared parameters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from mtl_core.backward import Backward, Measured
from mtl_core.batches import Batches, Examples
from mtl_core.cadence import batch_size, measure_every, validate_every
from mtl_core.chance import stream
from mtl_core.compute import choose_device, choose_precision, device_title
from mtl_core.config import RunConfig
from mtl_core.evaluation import evaluate, preview
from mtl_core.forward import Forward
from mtl_core.looks import Before, Looks
from mtl_core.optimisers import load_moments, lr_factor, make_optimizer, set_lr
from mtl_core.plan import Plan, check
from mtl_core.records import Affinity, Column, Event, Measurement, Preview, RunOutput, Scalars, Split
from mtl_core.selection import Selection, snapshot
from mtl_core.weightings import Setting

FLUSH_SECONDS = 0.15


class Diverged(ArithmeticError):
    """A loss became NaN or infinite: a result of the run, not a fault of the program."""

    def __init__(self, step: int, task: str, what: str) -> None:
        super().__init__(f"the loss of task {task} became {what} at step {step}: lower the learning rate, or clip gradients")
        self.step = step
        self.task = task
        self.what = what


class _Taken(NamedTuple):
    """One training step, still on the device."""

    row: Tensor
    step: int
    epoch: float
    time: float
    lr: float
    active: list[int]


class Trainer:
    """One run of training, from its first step to its test.

    Args:
        plan: a checked config.

    ``is_settled`` is true between two yields when all that happened up to ``step`` has been yielded; only then does a
    ``state_dict`` match what the reader has seen.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.training = plan.config.training
        self.device = choose_device(self.training.device)
        self.precision = choose_precision(self.training.precision, self.device)
        self.tasks = plan.tasks
        self.names = list(plan.task_names)
        self.steps_total = self.training.steps
        self.step = 0
        self.result: dict[str, Any] | None = None
        self.is_settled = True
        self.steps_per_epoch = plan.dataset.sizes()["train"] // batch_size(plan)
        self.measure_every = measure_every(plan)
        self._rhythms = {"gramian": self.measure_every, "affinity": plan.config.measure.affinity_every}
        self.validate_every = validate_every(plan)
        self._seconds = 0.0
        self._since = time.perf_counter()
        self._is_built = False
        self._is_finishing = False

    @property
    def epoch(self) -> float:
        """Epochs of training done."""
        return self.step / self.steps_per_epoch

    @property
    def seconds(self) -> float:
        """Seconds of training done, without the time that the reader took between yields."""
        return self._seconds

    def describe(self) -> dict[str, Any]:
        """What pages need to know of the run, JSON-ready."""
        return {
            **self.plan.describe(),
            "device": device_title(self.device),
            "precision": str(self.precision).removeprefix("torch."),
            "measure_every": self.measure_every,
            "validate_every": self.validate_every,
            "steps_per_epoch": self.steps_per_epoch,
        }

    def finish(self) -> None:
        """End at the next step boundary as if out of steps: last validation, then the test on the best checkpoint."""
        self._is_finishing = True

    def run(self) -> Iterator[RunOutput]:
        """Train, and yield what there is to know every fraction of a second. Raises Diverged.

        Ends after the test on the best validation checkpoint, with ``result`` set.
        """
        self._since = time.perf_counter()
        self._build()
        for group in self._groups():
            self._seconds = self._now()
            for item in group:
                self.is_settled = item is group[-1]
                yield item
            self._since = time.perf_counter()

    # -- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        if self._is_built:
            return
        plan, seed = self.plan, self.training.seed
        self.model = plan.architecture.create(
            plan.architecture_knobs, input_shape=plan.dataset.input_shape, tasks=self.tasks, seed=seed
        ).to(self.device)
        self._is_channels_last = (
            self.training.channels_last and self.device.type == "cuda" and len(plan.dataset.input_shape) == 3
        )
        if self._is_channels_last:
            convert_conv2d_weight_memory_format(self.model, torch.channels_last)
        splits: dict[Split, Examples] = {split: self._load(split) for split in ("train", "validation")}
        self.validation = splits["validation"]
        self.batches = Batches(splits["train"], self.training.batch_size, stream(seed, "order"))
        self._augmenting = stream(seed, "augment")
        setting = Setting(
            tasks=tuple(self.names),
            sizes=tuple(splits["train"].n_labelled(name) for name in self.names),
            steps_per_epoch=self.steps_per_epoch,
            generator=stream(seed, "weighting"),
        )
        self.scheme = plan.weighting(plan.weighting_knobs, setting).to(self.device)
        self.forward = Forward(self.model, self.tasks, self.precision)
        self.backward = Backward(self.forward, self.scheme)
        self.looks = Looks(self.forward, self.backward.shared)
        self._validation_batches = Batches(self.validation, self.training.batch_size, stream(seed, "look ahead"))
        self.optimizer = make_optimizer(self.training, self.model.parameters(), self.scheme.parameter_groups())
        self._columns = _train_columns(self.plan)
        self._taken: list[_Taken] = []
        self._measured: list[tuple[_Taken, tuple[Tensor, ...]]] = []
        self._affine: list[tuple[_Taken, Tensor]] = []
        self._epoch_losses = torch.zeros(len(self.names), device=self.device)
        self._epoch_counts = [0] * len(self.names)
        self.selection = Selection(self.training.patience)
        self._validated_at = -1
        self._is_built = True

    def _load(self, split: Split) -> Examples:
        examples = self.plan.dataset.load(split, seed=self.training.seed, device=self.device)
        if split != "train" or self.plan.augment == 0:  # augmenting may need targets that no task of the run predicts
            examples = examples.only(self.names)
        if self._is_channels_last:
            inputs = examples.inputs.contiguous(memory_format=torch.channels_last)
            examples = Examples(inputs, examples.targets, examples.labelled)
        return examples

    # -- the loop ---------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[list[RunOutput]]:
        """What happened, in groups that end at a settled step."""
        if self._validated_at < 0:
            yield self._validate()
        flushed = time.perf_counter()
        while self.step < self.steps_total and not self._is_finishing and not self.selection.has_lost_patience:
            self._train_step()
            is_due = self.step % self.validate_every == 0 or self.step == self.steps_total
            if not is_due and time.perf_counter() - flushed < FLUSH_SECONDS:
                continue
            yield from self._settle(is_due=is_due)
            flushed = time.perf_counter()
        if self.selection.has_lost_patience:
            yield [self._event(f"stopped early: no better for {self.selection.n_worse} validations in a row")]
        yield from self._settle(is_due=self._validated_at < self.step)
        yield self._test()

    def _settle(self, *, is_due: bool) -> Iterator[list[RunOutput]]:
        """Say all that is pending, with a validation if one is due. Raises Diverged after the block that shows it."""
        group, diverged = self._flush()
        if is_due and not diverged:
            group += self._validate()
        if group:
            yield group
        if diverged:
            raise diverged

    def _train_step(self) -> None:
        batch = next(self.batches)
        if self.plan.augment > 0:
            batch = self.plan.dataset.augment(batch, strength=self.plan.augment, generator=self._augmenting)
            batch = batch.only(self.names)
        active = self._active()
        is_due = {what: every > 0 and self.step % every == 0 for what, every in self._rhythms.items()}
        factor = lr_factor(self.training, self.step)
        set_lr(self.optimizer, factor)
        self.optimizer.zero_grad(set_to_none=True)
        chance = self.forward.chance() if self.scheme.looks_again or self.scheme.looks_ahead or is_due["affinity"] else []
        row, measured = self.backward(batch, active, is_measured=any(is_due.values()))
        passed = Before(self.backward.parts, [self.names[t] for t in active], chance)
        if self.scheme.looks_ahead and active:
            self._look_ahead(passed)
        affinity = self._affinity(measured, passed) if measured is not None and is_due["affinity"] else None
        before = self.backward.shared.flat() if measured else None
        self._regularise()
        self.optimizer.step()
        self.step += 1
        taken = _Taken(row, self.step, self.epoch, self._now(), self.training.lr * factor, active)
        self._taken.append(taken)
        if measured is not None and before is not None:
            changes = measured.rows_TP @ (self.backward.shared.flat() - before)
            self._measured.append((taken, (*measured[:4], changes)))
        if affinity is not None:
            self._affine.append((taken, affinity))
        self._tell_scheme(row[: len(self.names)], active, passed)

    def _look_ahead(self, passed: Before) -> None:
        """Tell the scheme what each weight would do to the validation loss; it sets its parameters' gradients."""
        counts_T = self.scheme.outlook_tasks().to(self.device, non_blocking=True)
        self.scheme.after_outlook(self.looks.ahead(passed, next(self._validation_batches), counts_T, self.optimizer))

    def _affinity(self, measured: Measured, passed: Before) -> Tensor:
        return self.looks.affinity(passed._replace(tasks=self.names), measured.rows_TP, self.training.lr)

    def _active(self) -> list[int]:
        """The tasks that this step trains: those of its turn that have labels in the batch."""
        turn = range(len(self.names))
        if self.training.order == "alternating":
            turn = range(self.step % len(self.names), self.step % len(self.names) + 1)
        return [t for t in turn if self.batches.has_labels(self.names[t])]

    def _regularise(self) -> None:
        if self.training.l1 > 0:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.detach().sign(), alpha=self.training.l1)
        if self.training.clip > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip)

    def _tell_scheme(self, losses_T: Tensor, active: list[int], passed: Before) -> None:
        losses = losses_T[self.backward.index(active)] if len(active) < len(self.names) else losses_T
        if self.scheme.looks_again and active:
            self.scheme.after_look(losses, self.looks.again(passed))
        self.scheme.after_step(losses)
        self._epoch_losses += losses_T.nan_to_num()
        for t in active:
            self._epoch_counts[t] += 1
        if self.step % self.steps_per_epoch == 0:
            counts = torch.tensor(self._epoch_counts).clamp(min=1).to(self.device, non_blocking=True)
            self.scheme.after_epoch(self._epoch_losses / counts)
            self._epoch_losses.zero_()
            self._epoch_counts = [0] * len(self.names)

    # -- what is yielded --------------------------------------------------------------------------------------------

    def _flush(self) -> tuple[list[RunOutput], Diverged | None]:
        """Fetch the pending steps and measurements from the device, up to the first in which a loss is no number."""
        taken, measured, affine = self._taken, self._measured, self._affine
        self._taken, self._measured, self._affine = [], [], []
        if not taken:
            return [], None
        values = np.empty((len(taken), len(self._columns)), np.float32)
        values[:, :-1] = torch.stack([one.row for one in taken]).float().cpu().numpy()
        values[:, -1] = [one.lr for one in taken]
        diverged = None
        bad = ((n, t) for n, one in enumerate(taken) for t in one.active if not np.isfinite(values[n, t]))
        if (first := next(bad, None)) is not None:
            n, t = first
            diverged = Diverged(taken[n].step, self.names[t], "NaN" if np.isnan(values[n, t]) else "infinite")
            taken, values = taken[: n + 1], values[: n + 1]
        steps = np.array([one.step for one in taken], np.int64)
        epochs = np.array([one.epoch for one in taken])
        times = np.array([one.time for one in taken])
        group: list[RunOutput] = [Scalars("train", self._columns, steps, epochs, times, values)]
        for one, tensors in measured:
            arrays = [tensor.float().cpu().numpy() for tensor in tensors]
            group.append(Measurement(one.step, one.epoch, one.time, *arrays))
        for one, values_TT in affine:
            group.append(Affinity(one.step, one.epoch, one.time, values_TT.float().cpu().numpy()))
        return [item for item in group if diverged is None or not _is_after(item, diverged.step)], diverged

    def _validate(self) -> list[RunOutput]:
        """One validation: scores, whether it is the best so far, and sample predictions."""
        found = evaluate(self.model, self.tasks, self.validation)
        losses = {name: found[Column(name, "loss")] for name in self.names}
        score = self.selection.judge(losses, self.step, self.model)
        self._validated_at = self.step
        sample = preview(self.model, self.tasks, self.validation)
        return [
            self._scored("validation", {**found, Column("", "score"): score}, self.step),
            Preview(self.step, self.epoch, self._now(), sample),
        ]

    def _test(self) -> list[RunOutput]:
        """The test, once, with the weights that validated best."""
        last, best = snapshot(self.model), self.selection.best
        self.model.load_state_dict(best["model"])
        found = evaluate(self.model, self.tasks, self._load("test"))
        self.model.load_state_dict(last)
        scores = {task.name: {c.name: v for c, v in found.items() if c.task == task.name} for task in self.tasks}
        self.result = {"test": scores, "best_step": best["step"], "seconds": self._now()}
        return [self._scored("test", found, best["step"])]

    def _scored(self, split: Split, found: dict[Column, float], step: int) -> Scalars:
        values = np.array([list(found.values())], np.float32)
        epoch = step / self.steps_per_epoch
        return Scalars(split, tuple(found), np.array([step], np.int64), np.array([epoch]), np.array([self._now()]), values)

    def _event(self, text: str) -> Event:
        return Event(self.step, self._now(), text)

    def _now(self) -> float:
        return self._seconds + time.perf_counter() - self._since

    # -- going on later ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: tensors and plain values only."""
        assert self.is_settled, "a state is taken between groups of yields"
        self._build()
        return {
            "step": self.step,
            "seconds": self._seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheme": self.scheme.state_dict(),
            "scheme_generator": self.scheme.setting.generator.get_state(),
            "batches": self.batches.state_dict(),
            "augmenting": self._augmenting.get_state(),
            "epoch_losses": self._epoch_losses,
            "epoch_counts": self._epoch_counts,
            "validated_at": self._validated_at,
            "validation_batches": self._validation_batches.state_dict(),
            **self.selection.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where ``state_dict`` was taken."""
        self._build()
        self.model.load_state_dict(state["model"])
        load_moments(self.optimizer, state["optimizer"])
        self.scheme.load_state_dict(state["scheme"])
        self.scheme.setting.generator.set_state(state["scheme_generator"])
        self.batches.load_state_dict(state["batches"])
        self._augmenting.set_state(state["augmenting"])
        self._epoch_losses = state["epoch_losses"].to(self.device)
        self._epoch_counts = list(state["epoch_counts"])
        self.selection.load_state_dict(state)
        self._validation_batches.load_state_dict(state["validation_batches"])
        self._validated_at = state["validated_at"]
        self.step, self._seconds = state["step"], state["seconds"]


def train(config: RunConfig) -> Iterator[RunOutput]:
    """Check a config and train it: the whole product in one line, for notebooks and tests."""
    yield from Trainer(check(config)).run()


def _is_after(item: RunOutput, step: int) -> bool:
    return not isinstance(item, Scalars) and item.step > step


def _train_columns(plan: Plan) -> tuple[Column, ...]:
    losses = [Column(name, "loss") for name in plan.task_names]
    weights = [Column(name, "weight") for name in plan.task_names]
    headlines = [Column(task.name, task.metrics[0].name) for task in plan.tasks]
    return (*losses, *weights, *headlines, Column("", "total"), Column("", "lr"))
