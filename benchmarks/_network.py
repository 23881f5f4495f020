"""The network and the batches of ``bench_schemes``: the same on every side, in torch alone, so that other environments read it.

Legend: T tasks, P shared parameters.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

BATCH = 64
INPUT = (3, 32, 32)
N_CLASSES = 10
N_EXAMPLES = 32 * BATCH
LR = 1e-4  # small: the labels are noise, and a network that knew them by heart would have gradients of nothing
CHANNELS = ((3, 32, 2), (32, 64, 2), (64, 128, 2), (128, 128, 1), (128, 256, 2))  # in, out, stride


class Network(nn.Module):
    """Five plain convolutions shared by all tasks (0.54 M parameters), and a linear head per task."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.trunk = nn.Sequential(*stages().values())
            self.heads = nn.ModuleDict({name: nn.Linear(CHANNELS[-1][1], N_CLASSES) for name in names(n_tasks)})

    def forward(self, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The shared representation [N, 256] and each task's logits [N, 10]."""
        representation = self.trunk(inputs)
        return representation, {name: head(representation) for name, head in self.heads.items()}


def names(n_tasks: int) -> list[str]:
    """What the tasks are called."""
    return [f"task{t}" for t in range(n_tasks)]


def stages() -> dict[str, nn.Module]:
    """The trunk's stages by name, from input to representation."""
    found: dict[str, nn.Module] = {}
    for number, (channels, out, stride) in enumerate(CHANNELS, start=1):
        layers = [nn.Conv2d(channels, out, 3, stride=stride, padding=1), nn.ReLU()]
        if number == len(CHANNELS):
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        found[f"conv{number}"] = nn.Sequential(*layers)
    return found


@cache
def examples(n_tasks: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
    """Noise to look at [N, 3, 32, 32] and, for every task, noise to learn [N]; made once, for all cases of a side."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(N_EXAMPLES, *INPUT, generator=generator)
    targets = {name: torch.randint(N_CLASSES, (N_EXAMPLES,), generator=generator).to(device) for name in names(n_tasks)}
    return inputs.to(device), targets


class Round:
    """The batches in a fixed order, over and over: slices, so that drawing one costs no side anything."""

    def __init__(self, n_tasks: int, device: torch.device) -> None:
        self.inputs, self.targets = examples(n_tasks, device)
        self._start = -BATCH

    def __next__(self) -> tuple[Tensor, dict[str, Tensor]]:
        self._start = (self._start + BATCH) % N_EXAMPLES
        chosen = slice(self._start, self._start + BATCH)
        return self.inputs[chosen], {name: target[chosen] for name, target in self.targets.items()}
