"""Splits that lie on the device whole, and seeded batches drawn from them; a missing label is a mask, not a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """N examples: inputs [N, *X] float32, targets per task [N, *Y], and who is labelled.

    ``labelled`` holds a [N] bool tensor for each task that misses labels; a task that is not in it has them all. A target that
    is missing still has to be one that the task's loss can take (class 0, a box with sides; never NaN): it is multiplied by 0.
    """

    inputs: Tensor
    targets: dict[str, Tensor]
    labelled: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Tensor | slice) -> Examples:
        """The chosen examples, by index tensor (on the same device) or slice."""
        return Examples(
            self.inputs[index],
            {task: values[index] for task, values in self.targets.items()},
            {task: mask[index] for task, mask in self.labelled.items()},
        )

    def to(self, device: torch.device | str) -> Examples:
        """All tensors on that device."""
        return Examples(
            self.inputs.to(device),
            {task: values.to(device) for task, values in self.targets.items()},
            {task: mask.to(device) for task, mask in self.labelled.items()},
        )

    def only(self, tasks: Sequence[str]) -> Examples:
        """The same examples with the targets of these tasks alone."""
        return Examples(
            self.inputs,
            {task: self.targets[task] for task in tasks},
            {task: self.labelled[task] for task in tasks if task in self.labelled},
        )

    def n_labelled(self, task: str) -> int:
        """How many examples carry that task's label (waits for the device)."""
        return int(self.labelled[task].sum()) if task in self.labelled else len(self)


class Batches:
    """Endless shuffled batches of a training split, epoch by epoch, from one generator.

    Every batch has the same size: an epoch is ``len(examples) // batch_size`` steps and the rest of its shuffle is left out.
    A split smaller than a batch is one batch. The order is a CPU permutation, so it is the same on every device.

    >>> examples = Examples(torch.arange(5.0)[:, None], {})
    >>> batches = Batches(examples, 2, torch.Generator().manual_seed(0))
    >>> batches.steps_per_epoch, len(next(batches))
    (2, 2)
    """

    def __init__(self, examples: Examples, batch_size: int, generator: torch.Generator) -> None:
        self.examples = examples
        self.batch_size = min(batch_size, len(examples))
        self.steps_per_epoch = len(examples) // self.batch_size
        self._generator = generator
        self._order = torch.empty(0, dtype=torch.long)
        self._position = self.steps_per_epoch
        self._masks = {task: mask.cpu() for task, mask in examples.labelled.items()}
        self._chosen = slice(0)

    def __iter__(self) -> Iterator[Examples]:
        return self

    def __next__(self) -> Examples:
        if self._position == self.steps_per_epoch:
            self._shuffle(torch.randperm(len(self.examples), generator=self._generator))
            self._position = 0
        start = self._position * self.batch_size
        self._position += 1
        self._chosen = slice(start, start + self.batch_size)
        return self.examples.take(self._on_device[self._chosen])

    def has_labels(self, task: str) -> bool:
        """Whether any sample of the last batch carries that task's label (known without asking the device)."""
        mask = self._masks.get(task)
        return mask is None or bool(mask[self._order[self._chosen]].any())

    def _shuffle(self, order: Tensor) -> None:
        self._order = order
        self._on_device = order.to(self.examples.inputs.device, non_blocking=True)  # the step does not wait for the copy

    def state_dict(self) -> dict[str, Any]:
        """Where in the shuffle we are, and how the next one will fall."""
        return {"order": self._order, "position": self._position, "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where ``state_dict`` was taken."""
        self._shuffle(state["order"])
        self._position = int(state["position"])
        self._generator.set_state(state["generator"])
