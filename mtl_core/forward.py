"""From a batch to each task's loss: one forward pass, with or without other parameters in place of the network's own.

Legend: T tasks asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from mtl_core.architectures import Architecture
from mtl_core.batches import Examples
from mtl_core.tasks import Task


class Passed(NamedTuple):
    """What a forward pass over (a part of) a batch gives, with its graph.

    ``representation``: what the tasks' own layers start from; ``losses`` per task, the mean over its labelled samples;
    ``counts_T`` how many those are; ``headlines`` per task, its headline metric (NaN where labels are missing).
    """

    representation: Tensor
    losses: list[Tensor]
    counts_T: Tensor
    headlines: list[Tensor]


class Forward:
    """Runs the network on a batch and asks the tasks for their losses.

    Args:
        model: the network.
        tasks: in the order of the scheme's tasks.
        precision: what the pass computes in (bfloat16 means mixed precision).
    """

    def __init__(self, model: Architecture, tasks: Sequence[Task], precision: torch.dtype) -> None:
        self.model = model
        self.tasks = tasks
        self.precision = precision
        self.device = next(model.parameters()).device
        self._norms = [module for module in model.modules() if isinstance(module, _NormBase) and module.track_running_stats]

    def __call__(self, batch: Examples, names: Sequence[str]) -> Passed:
        """The pass that trains."""
        with self._autocast():
            representation = self.model.represent(batch.inputs)
            outputs = self.model.decode(representation, names)
        losses, counts, headlines = [], [], []
        for task in self._chosen(names):
            output, target = outputs[task.name].float(), batch.targets[task.name]
            loss, count = _mean_loss(task, output, target, batch.labelled.get(task.name))
            losses.append(loss)
            counts.append(count)
            if task.name in batch.labelled:
                headlines.append(loss.new_full((), torch.nan))
            else:
                with torch.no_grad():
                    headlines.append(task.headline(output, target).to(loss.dtype))
        return Passed(representation, losses, torch.stack(counts), headlines)

    def losses(self, parts: Sequence[Examples], names: Sequence[str], instead: Mapping[str, Tensor] | None = None) -> Tensor:
        """Each task's loss [T] over all parts together, with the parameters ``instead`` in place of those of the same name."""
        sums, counts = [], []
        for part in parts:
            with self._autocast():
                here = (part.inputs, names)
                outputs = torch.func.functional_call(self.model, dict(instead), here) if instead else self.model(*here)
            found = [
                _mean_loss(task, outputs[task.name].float(), part.targets[task.name], part.labelled.get(task.name))
                for task in self._chosen(names)
            ]
            sums.append(torch.stack([loss * count for loss, count in found]))
            counts.append(torch.stack([count for _, count in found]))
        return torch.stack(sums).sum(0) / torch.stack(counts).sum(0).clamp(min=1)

    @contextmanager
    def repeated(self, chance: Sequence[Tensor]) -> Iterator[None]:
        """A pass that leaves no trace: the dice of an earlier pass (see ``chance``), and no batch statistics are kept."""
        now = self.chance()
        self._set_chance(chance)
        for norm in self._norms:
            norm.track_running_stats = False
        try:
            yield
        finally:
            for norm in self._norms:
                norm.track_running_stats = True
            self._set_chance(now)

    def chance(self) -> list[Tensor]:
        """The state of the dice that dropout draws from."""
        states = [torch.get_rng_state()]
        return [*states, torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else states

    def _set_chance(self, states: Sequence[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if len(states) > 1:
            torch.cuda.set_rng_state(states[1], self.device)

    def _chosen(self, names: Sequence[str]) -> list[Task]:
        return [task for task in self.tasks if task.name in names]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)


def _mean_loss(task: Task, output: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean over labelled samples (0 without any), and how many those are."""
    per_sample = task.loss(output, target)
    if mask is None:
        return per_sample.mean(), per_sample.new_full((), len(per_sample))
    count = mask.sum().to(per_sample.dtype)
    return (per_sample * mask).sum() / count.clamp(min=1), count
