"""Our side of ``bench_schemes``: the Trainer itself, with measuring off, on the network that all sides share.

The scheme comes as its name, or as name@on for a Gramian scheme that looks elsewhere than at all shared parameters.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from benchmarks._network import BATCH, INPUT, LR, N_CLASSES, N_EXAMPLES, Network, Round, examples, names, stages
from benchmarks._side import Case, serve
from mtl_core import trainer
from mtl_core.architectures.hard_sharing import HardSharing, HardSharingKnobs
from mtl_core.batches import Examples
from mtl_core.config import RunConfig
from mtl_core.datasets import Dataset
from mtl_core.plan import Plan
from mtl_core.records import Scalars, Split
from mtl_core.registry import Knobs
from mtl_core.tasks import Shape, Task
from mtl_core.tasks.classification import Classification
from mtl_core.weightings import WEIGHTINGS

ENDLESS = 1_000_000


class Shared(HardSharing):
    """The benchmark's network as an architecture."""

    @classmethod
    def create(cls, knobs: Any, *, input_shape: Shape, tasks: Any, seed: int) -> HardSharing:
        """The same weights as on the other sides."""
        built = Network(len(tasks))
        shared = dict(zip(stages(), built.trunk, strict=True))
        return cls(shared, {task.name: [] for task in tasks}, dict(built.heads.items()))


class Noise(Dataset):
    """The benchmark's batches as a data set."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__(Knobs())
        self.n_tasks = n_tasks

    @property
    def input_shape(self) -> Shape:
        return INPUT

    def tasks(self) -> list[Task]:
        classes = [str(number) for number in range(N_CLASSES)]
        return [Classification(name, title=name, classes=classes) for name in names(self.n_tasks)]

    def sizes(self) -> dict[Split, int]:
        return {"train": N_EXAMPLES, "validation": BATCH, "test": BATCH}

    def load(self, split: Split, *, seed: int, device: torch.device) -> Examples:
        return Examples(*examples(self.n_tasks, device)).take(slice(0, self.sizes()[split]))


class InOrder(Round):
    """The batches as the Trainer takes them."""

    def __next__(self) -> Examples:
        return Examples(*super().__next__())

    def has_labels(self, task: str) -> bool:
        """Every task has them."""
        return True


class Ours(Case):
    """A Trainer that is asked for as many steps as a turn takes."""

    def __init__(self, scheme: str, n_tasks: int, device: torch.device) -> None:
        name, _, on = scheme.partition("@")
        knobs: dict[str, Any] = {"name": name}
        if on:
            knobs["on"] = on
        training = {"steps": ENDLESS, "validate_every": ENDLESS, "schedule": "constant", "lr": LR, "batch_size": BATCH}
        fast = {"device": str(device), "precision": "float32", "channels_last": False, "augment": 0.0}
        config = RunConfig.from_mapping({"weighting": knobs, "training": {**training, **fast}, "measure": {"every": 0}})
        dataset = Noise(n_tasks)
        tasks = tuple(dataset.tasks())
        weighting, weighting_knobs = WEIGHTINGS.parse(knobs)
        weighting.check(weighting_knobs, [task.name for task in tasks])
        self.device = device
        self.trainer = trainer.Trainer(Plan(config, dataset, tasks, Shared, HardSharingKnobs(), weighting, weighting_knobs))
        self.outputs = self.trainer.run()
        next(self.outputs)
        while not self.trainer.is_settled:  # builds, and validates once
            next(self.outputs)
        self.trainer.batches = InOrder(n_tasks, device)
        self.optimizer = self.trainer.optimizer
        self.shared = self.trainer.backward.shared.parameters

    def step(self) -> Tensor:
        """One step: asked to report at once, the Trainer reports after each."""
        return self._advance(0.0)

    def _advance(self, seconds: float) -> Tensor:
        trainer.FLUSH_SECONDS = seconds  # it reports when so much time has passed
        item = next(self.outputs)
        while not self.trainer.is_settled:
            next(self.outputs)
        assert isinstance(item, Scalars)
        return torch.from_numpy(item.values[0, : len(self.trainer.names)].copy())

    def run(self, seconds: float) -> tuple[int, float]:
        self.step()
        self.wait()
        start, before = time.perf_counter(), self.trainer.step
        self._advance(seconds)
        self.wait()
        return self.trainer.step - before, time.perf_counter() - start


def build(scheme: str, n_tasks: int, knobs: dict[str, Any], device: torch.device) -> Case:
    """A case of our side."""
    return Ours(scheme, n_tasks, device)


if __name__ == "__main__":
    serve(build)
