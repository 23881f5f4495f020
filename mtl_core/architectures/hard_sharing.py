"""The classic: the first stages are one for all tasks, the rest is one copy per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtl_core.architectures import ARCHITECTURES, Architecture, Report, StageReport
from mtl_core.architectures.trunks import TRUNKS, Stage, Trunk
from mtl_core.chance import seeded
from mtl_core.registry import Knobs as BaseKnobs
from mtl_core.registry import no_such
from mtl_core.tasks import Shape, Task


class HardSharingKnobs(BaseKnobs):
    """What to share, and of which trunk."""

    trunk: str = Field(
        "auto", title="Trunk", description="The layers between input and heads; auto: conv for pictures, mlp for vectors."
    )
    depth: int | None = Field(
        None,
        ge=0,
        le=64,
        title="Sharing depth",
        description="How many stages are shared; 0 = separate networks; all if left out.",
    )
    width: int | None = Field(
        None,
        ge=1,
        le=2048,
        title="Width",
        description="Channels of the first stage, or units of a layer; the trunk's own if left out.",
    )
    layers: int | None = Field(None, ge=1, le=16, title="Stages", description="How many stages; the trunk's own if left out.")

    @field_validator("trunk")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name != "auto" and name not in TRUNKS:
            raise ValueError(no_such("trunk", name, ["auto", *TRUNKS.names()]))
        return name


@ARCHITECTURES.register
class HardSharing(Architecture):
    """The first layers are shared by all tasks; from the branching depth on each task has its own copy, and its own head.

    Depth d of n: stages 1..d are shared, stages d+1..n are copied per task. d = 0 is separate networks, the single-task
    baseline; d = n is one trunk with heads (Caruana, 1997).
    """

    title = "Hard sharing"
    Knobs: ClassVar[type[BaseKnobs]] = HardSharingKnobs

    def __init__(self, shared: dict[str, nn.Module], branches: dict[str, list[nn.Module]], heads: dict[str, nn.Module]) -> None:
        super().__init__()
        self.stage_names = list(shared)
        self.shared = nn.ModuleList(shared.values())
        self.branches = nn.ModuleDict({task: nn.Sequential(*stages) for task, stages in branches.items()})
        self.heads = nn.ModuleDict(heads)

    def represent(self, inputs: Tensor) -> Tensor:
        """The output of the last shared stage."""
        features = inputs
        for stage in self.shared:
            features = stage(features)
        return features

    def decode(self, representation: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Each task's own stages and head on the shared representation."""
        return {
            task: self.heads[task](self.branches[task](representation)) for task in (self.heads if tasks is None else tasks)
        }

    def shared_stages(self) -> list[tuple[str, list[nn.Parameter]]]:
        """Name and parameters of each shared stage, from input to output."""
        return [(name, list(stage.parameters())) for name, stage in zip(self.stage_names, self.shared, strict=True)]

    def own_parameters(self, task: str) -> list[nn.Parameter]:
        """The parameters of the task's copies and of its head."""
        return [*self.branches[task].parameters(), *self.heads[task].parameters()]

    @classmethod
    def n_stages(cls, knobs: Any, input_shape: Shape) -> int:
        """The largest depth."""
        return len(_stages(knobs, input_shape))

    @classmethod
    def create(cls, knobs: Any, *, input_shape: Shape, tasks: Sequence[Task], seed: int) -> HardSharing:
        """Build it. Each stage and head has its own stream of chance, so depth 0 trains each task exactly as if alone."""
        stages = _stages(knobs, input_shape)
        depth = _depth(knobs, stages)
        shared: dict[str, nn.Module] = {}
        for stage in stages[:depth]:
            with seeded(seed, "stage", stage.name):
                shared[stage.name] = stage.build()
        branches: dict[str, list[nn.Module]] = {}
        heads: dict[str, nn.Module] = {}
        for task in tasks:
            branches[task.name] = []
            for stage in stages[depth:]:
                with seeded(seed, "stage", stage.name, task.name):
                    branches[task.name].append(stage.build())
            with seeded(seed, "head", task.name):
                heads[task.name] = task.head(stages[-1].output_shape)
        return cls(shared, branches, heads)

    @classmethod
    def report(cls, knobs: Any, *, input_shape: Shape, tasks: Sequence[Task]) -> Report:
        """Parameters and FLOPs, counted on torch's meta device: nothing is allocated."""
        stages = _stages(knobs, input_shape)
        depth = _depth(knobs, stages)
        reports = []
        shape = input_shape
        for index, stage in enumerate(stages):
            with torch.device("meta"):
                n_parameters, flops = _count(stage.build(), shape)
            copies = 1 if index < depth else len(tasks)
            reports.append(StageReport(stage.name, index < depth, copies, n_parameters, flops, stage.output_shape))
            shape = stage.output_shape
        heads = {}
        for task in tasks:
            with torch.device("meta"):
                n_parameters, flops = _count(task.head(shape), shape)
            heads[task.name] = StageReport(f"head {task.name}", False, 1, n_parameters, flops, ())
        return _total(reports, heads)

    @classmethod
    def lean(cls, knobs: BaseKnobs, input_shape: Shape) -> BaseKnobs:
        assert isinstance(knobs, HardSharingKnobs)
        trunk = _trunk(knobs, input_shape)
        usual = {"trunk": _usual_trunk(input_shape), "width": trunk.default_width, "layers": trunk.default_layers}
        left = {"trunk": "auto", "width": None, "layers": None}
        same = {name: value for name, value in left.items() if getattr(knobs, name) == usual[name]}
        return knobs.model_copy(update=same)

    @classmethod
    def describe(cls) -> dict[str, Any]:
        described = super().describe()
        for knob in described["knobs"]:
            if knob["name"] == "trunk":
                knob["choices"] = ["auto", *TRUNKS.names()]
        return {**described, "trunks": [trunk.describe() for trunk in TRUNKS]}


def _usual_trunk(input_shape: Shape) -> str:
    return "conv" if len(input_shape) == 3 else "mlp"


def _trunk(knobs: HardSharingKnobs, input_shape: Shape) -> type[Trunk]:
    return TRUNKS[_usual_trunk(input_shape) if knobs.trunk == "auto" else knobs.trunk]


def _stages(knobs: HardSharingKnobs, input_shape: Shape) -> list[Stage]:
    trunk = _trunk(knobs, input_shape)
    return trunk.stages(input_shape, width=knobs.width or trunk.default_width, layers=knobs.layers or trunk.default_layers)


def _depth(knobs: HardSharingKnobs, stages: list[Stage]) -> int:
    return len(stages) if knobs.depth is None else knobs.depth


def _count(module: nn.Module, shape: Shape) -> tuple[int, int]:
    """Parameters, and FLOPs of one sample's forward pass, of a module on the meta device."""
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(1, *shape, device="meta"))
    return sum(parameter.numel() for parameter in module.parameters()), int(counter.get_total_flops())


def _total(stages: list[StageReport], heads: dict[str, StageReport]) -> Report:
    shared = [stage for stage in stages if stage.is_shared]
    own = [stage for stage in stages if not stage.is_shared]
    n_shared = sum(stage.n_parameters for stage in shared)
    n_per_task = {task: sum(stage.n_parameters for stage in own) + head.n_parameters for task, head in heads.items()}
    trunk_flops = sum(stage.flops for stage in stages)
    flops_shared = sum(stage.flops for stage in shared)
    head_flops = sum(head.flops for head in heads.values())
    return Report(
        stages=tuple(stages),
        heads=heads,
        n_shared=n_shared,
        n_per_task=n_per_task,
        n_total=n_shared + sum(n_per_task.values()),
        n_separate=sum(n_shared + n for n in n_per_task.values()),
        flops=flops_shared + len(heads) * (trunk_flops - flops_shared) + head_flops,
        flops_shared=flops_shared,
        flops_separate=len(heads) * trunk_flops + head_flops,
    )
