"""What a training run says as it goes: numbers by step, split, task and name, in blocks that share their columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class Column(NamedTuple):
    """A series of a run: which task ("" for the run as a whole) and what is counted ("loss", "weight", "accuracy" …)."""

    task: str
    name: str


class Record(NamedTuple):
    """One number."""

    step: int
    epoch: float
    time: float
    split: Split
    task: str
    name: str
    value: float


@dataclass(frozen=True)
class Scalars:
    """N steps of one split: the numbers of its columns.

    Shapes: ``steps`` [N] int64, rising; ``epochs`` [N] float64; ``times`` [N] float64, seconds of training so far (pauses
    left out); ``values`` [N, C] float32, NaN where nothing was measured.
    """

    split: Split
    columns: tuple[Column, ...]
    steps: NDArray[np.int64]
    epochs: NDArray[np.float64]
    times: NDArray[np.float64]
    values: NDArray[np.float32]

    def __iter__(self) -> Iterator[Record]:
        for n, step in enumerate(self.steps):
            for c, column in enumerate(self.columns):
                value = float(self.values[n, c])
                yield Record(int(step), float(self.epochs[n]), float(self.times[n]), self.split, *column, value)


@dataclass(frozen=True)
class Measurement:
    """The gradients of one step, as inner products: all that a person may ask about conflict follows from it.

    Legend: T tasks, S shared stages, 2 half-batches (a, b).
    Row h·T + t of the Gramian is task t's gradient on half h.

    Shapes: ``gramian`` [S, 2T, 2T] float32; ``counts`` [2, T] float32, labelled samples per half; ``losses`` [T];
    ``weights`` [T] effective weights of the step taken (at the scheme's scale, NaN where a scheme has none);
    ``changes`` [T] first-order change of each task's loss through the shared parameters under the step taken
    (gradient · actual parameter change: negative = the task gains).
    """

    step: int
    epoch: float
    time: float
    gramian: NDArray[np.float32]
    counts: NDArray[np.float32]
    losses: NDArray[np.float32]
    weights: NDArray[np.float32]
    changes: NDArray[np.float32]


@dataclass(frozen=True)
class Preview:
    """Sample predictions on a few fixed validation examples.

    ``arrays`` holds "inputs" (images: uint8 [N, H, W, 3]; vectors: float32 [N, F]) and for each task ``target/<task>`` and
    ``prediction/<task>`` (class indices [N], boxes [N, 4] as x1 y1 x2 y2 in pixels, mask probabilities uint8 [N, H, W],
    angles in degrees [N], numbers [N, D]); where labels are missing, ``labelled/<task>`` [N] bool.
    """

    step: int
    epoch: float
    time: float
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """Something worth a line in the run's log ("learning rate halved", "stopped early: no better for 10 validations")."""

    step: int
    time: float
    text: str


@dataclass(frozen=True)
class Affinity:
    """How much a step for one task alone would help each other task: inter-task affinity (Fifty et al. 2021, TAG).

    ``values`` [T, T] float32: Z[i, j] = 1 − L_j(θ_s − η ∇L_i) / L_j(θ_s), the same batch, task j's own layers left as they are, η the
    run's learning rate; above zero = a step for task i helps task j; NaN where a loss is zero or labels are missing.
    """

    step: int
    epoch: float
    time: float
    values: NDArray[np.float32]


RunOutput = Scalars | Measurement | Preview | Event | Affinity
