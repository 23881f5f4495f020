"""Made-up regression tasks with dials: how related, how loud, how noisy and how well labelled each one is."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from mtl_core.batches import Examples
from mtl_core.chance import stream
from mtl_core.datasets import DATASETS, Dataset
from mtl_core.records import Split
from mtl_core.registry import Knobs
from mtl_core.tasks import Shape, Task
from mtl_core.tasks.regression import Regression

NAMES = "abcdefghij"
N_REFERENCE = 4096  # inputs on which a teacher's own mean and spread are taken
GAIN = 2.0  # spread of what goes into tanh: well beyond its straight part, so that a task is no straight line

Scale = Annotated[float, Field(gt=0, le=1000)]
Count = Annotated[int, Field(ge=1, le=200_000)]


class TeacherKnobs(Knobs):
    """The dials. A list has one entry per task; a single number stands for all tasks."""

    n_tasks: int = Field(
        2, ge=2, le=len(NAMES), title="Tasks", description="How many tasks there are; they are called a, b, c and so on."
    )
    rho: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Relatedness ρ",
        description="Correlation of the tasks' hidden features: 0 = strangers, 1 = the same.",
    )
    target_scale: list[Scale] = Field(
        default_factory=lambda: [1.0],
        title="Target scale",
        description="What each task's targets are multiplied by, as a unit would.",
    )
    loss_scale: list[Scale] = Field(
        default_factory=lambda: [1.0], title="Loss scale", description="What each task's loss is multiplied by."
    )
    noise: float = Field(
        0.1,
        ge=0,
        le=10,
        title="Label noise",
        description="Spread of the noise on training and validation labels; the targets' own is 1.",
    )
    labels: list[Count] = Field(
        default_factory=list,
        title="Labelled examples",
        description="How many training examples carry each task's label; all if left empty.",
    )
    train: int = Field(2000, ge=16, le=200_000, title="Training examples", description="How many inputs to train on.")
    inputs: int = Field(10, ge=1, le=1000, title="Input numbers", description="How many numbers an input has.")
    hidden: int = Field(
        4, ge=1, le=256, title="Teacher's width", description="Hidden units of each teacher; more = a harder task."
    )

    @field_validator("target_scale", "loss_scale", "labels", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> TeacherKnobs:
        for name in ("target_scale", "loss_scale", "labels"):
            length = len(getattr(self, name))
            if length not in (1, self.n_tasks) and not (name == "labels" and length == 0):
                raise ValueError(
                    f"{name} has {length} entries for {self.n_tasks} tasks: give one per task, or a single number for all"
                )
        if self.labels and max(self.labels) > self.train:
            raise ValueError(f"labels asks for {max(self.labels)} labelled examples of {self.train}: lower it, or raise train")
        return self


@DATASETS.register
class Teacher(Dataset):
    """Each task is a small random network (a teacher) whose answers are to be learnt; dials set what sets tasks at odds.

    Teacher t answers y = v_t · tanh(W_t x), brought to mean 0 and variance 1, with x standard normal. Each entry of W_t is
    √ρ · shared + √(1 − ρ) · own, so the same entry of two teachers' W has correlation ρ; the readout v_t is each task's own. At
    ρ = 1 all tasks read the same hidden features. Noise is on training and validation labels; test targets are clean. Tasks with
    fewer labels miss them in training alone, on examples drawn per task; the first 16 labelled ones are among the first 32.
    """

    title = "Teacher and student"
    Knobs: ClassVar[type[Knobs]] = TeacherKnobs
    knobs: TeacherKnobs
    licence = "None needed: the numbers are drawn by this program."
    source = "Drawn by this program from the run's seed: random tanh networks on standard normal inputs."
    default_tasks: tuple[str, ...] = ("a", "b")

    def __init__(self, knobs: TeacherKnobs) -> None:
        super().__init__(knobs)
        self.names = NAMES[: knobs.n_tasks]
        self.default_tasks = tuple(self.names)

    @property
    def input_shape(self) -> Shape:
        """Vectors."""
        return (self.knobs.inputs,)

    def tasks(self) -> list[Task]:
        """a, b, c …: one number each."""
        scales = _per_task(self.knobs.loss_scale, self.knobs.n_tasks)
        return [
            Regression(name, title=f"Task {name.upper()}", scale=scale) for name, scale in zip(self.names, scales, strict=True)
        ]

    def sizes(self) -> dict[Split, int]:
        """Validation and test are large: a score should not depend on luck."""
        return {"train": self.knobs.train, "validation": 1000, "test": 2000}

    def load(self, split: Split, *, seed: int, device: torch.device) -> Examples:
        """Draw a split's inputs and ask the teachers."""
        knobs = self.knobs
        n = self.sizes()[split]
        inputs = torch.randn(n, knobs.inputs, generator=stream(seed, "inputs", split))
        targets, labelled = {}, {}
        scales = _per_task(knobs.target_scale, knobs.n_tasks)
        for index, name in enumerate(self.names):
            answers = self._ask(name, inputs, seed)
            if split != "test":
                answers = answers + knobs.noise * torch.randn(n, 1, generator=stream(seed, "noise", split, name))
            targets[name] = scales[index] * answers
            if split == "train" and knobs.labels:
                n_labels = _per_task(knobs.labels, knobs.n_tasks)[index]
                if n_labels < n:
                    order = torch.randperm(n, generator=stream(seed, "labels", name))
                    labelled[name] = torch.zeros(n, dtype=torch.bool).scatter(0, order[:n_labels], True)
                    targets[name] = targets[name].masked_fill(~labelled[name][:, None], 0.0)
        return Examples(inputs, targets, labelled).to(device)

    def augment(self, examples: Examples, *, strength: float, generator: torch.Generator) -> Examples:
        """Shakes the inputs by a tenth of their spread at full strength; targets stay."""
        if strength == 0:
            return examples
        shake = torch.randn(examples.inputs.shape, generator=generator).to(examples.inputs.device, non_blocking=True)
        return Examples(examples.inputs + 0.1 * strength * shake, examples.targets, examples.labelled)

    def hidden_weights(self, name: str, seed: int) -> Tensor:
        """W of one teacher, [hidden, inputs]; each entry has spread GAIN / √inputs."""
        knobs = self.knobs
        shape = (knobs.hidden, knobs.inputs)
        shared = torch.randn(shape, generator=stream(seed, "teacher", "shared"))
        own = torch.randn(shape, generator=stream(seed, "teacher", "own", name))
        return (sqrt(knobs.rho) * shared + sqrt(1 - knobs.rho) * own) * (GAIN / sqrt(knobs.inputs))

    def _ask(self, name: str, inputs: Tensor, seed: int) -> Tensor:
        """The teacher's clean answers, [N, 1], of mean 0 and variance 1 over inputs like these."""
        weights = self.hidden_weights(name, seed)
        readout = torch.randn(self.knobs.hidden, 1, generator=stream(seed, "teacher", "readout", name))
        reference = torch.randn(N_REFERENCE, self.knobs.inputs, generator=stream(seed, "teacher", "reference"))
        usual = (reference @ weights.T).tanh() @ readout
        answers: Tensor = ((inputs @ weights.T).tanh() @ readout - usual.mean()) / usual.std()
        return answers


def _per_task(values: list[Any], n_tasks: int) -> list[Any]:
    return values * n_tasks if len(values) == 1 else values
