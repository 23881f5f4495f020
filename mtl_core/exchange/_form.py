"""What an archive says of its run, checked before anything of it is believed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mtl_core.records import Split

_NO_NUL = r"^[^\x00]*$"  # which PostgreSQL cannot keep
Word = Annotated[str, Field(max_length=200, pattern=_NO_NUL)]
Line = Annotated[str, Field(max_length=20_000, pattern=_NO_NUL)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Clock = Annotated[float, Field(ge=0, le=4e9)]  # unix seconds, up to 2096: beyond, calendars fail
Amount = Annotated[float, Field(ge=0, le=1e12)]
Parts = Annotated[int, Field(ge=0, le=20_000)]
Ended = Literal["finished", "stopped", "failed", "diverged", "interrupted"]


class _Form(BaseModel):
    """Plain values of the right kind; numbers are finite."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class _Open(_Form):
    """May say more than we ask about."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="allow")


class Metric(_Open):
    """A measure of a task."""

    name: Word
    title: Word
    higher_is_better: bool
    unit: Word


class Task(_Open):
    """A task of the run."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    title: Word
    kind: Word
    metrics: Annotated[list[Metric], Field(min_length=1, max_length=100)]
    classes: list[Word] = []


class Stage(_Open):
    """A stage of the network, as the diagram draws it."""

    name: Word
    is_shared: bool
    n_copies: Count
    n_parameters: Count
    flops: Count
    output_shape: list[Count]


class Report(_Open):
    """The network."""

    stages: list[Stage]
    heads: dict[Word, Stage]
    n_shared: Count
    n_per_task: dict[Word, Count]
    n_total: Count
    n_separate: Count
    flops: Count
    flops_shared: Count
    flops_separate: Count


class Spec(_Open):
    """What the run was: what figures and pages rely on."""

    tasks: Annotated[list[Task], Field(max_length=1_000)]
    all_tasks: list[Word]
    shared_stages: list[Word]
    stages: list[Word]
    input_shape: list[Count] = []
    report: Report | None = None
    weighting: Word = ""
    asks: Word = ""
    precision: Word = ""
    trunk_passes: Amount = 1.0
    scale: Word = ""
    heads: Word = ""
    lean: dict[Word, Any] | None = None
    origin: dict[Word, Word] | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Spec:
        names = [task.name for task in self.tasks]
        for what, listed in (("tasks", names), ("stages", self.stages), ("shared_stages", self.shared_stages)):
            if len(set(listed)) < len(listed):
                raise ValueError(f"one of {what} is named twice")
        for task in self.tasks:
            if len({metric.name for metric in task.metrics}) < len(task.metrics):
                raise ValueError(f"a metric of task {task.name} is named twice")
        if self.report is not None and not set(names) <= set(self.report.heads) & set(self.report.n_per_task):
            raise ValueError("the network has no head for one of the tasks")
        return self


class Moment(_Form):
    """A change of state."""

    time: Clock
    state: Literal["queued", "running", "paused", "finished", "stopped", "failed", "diverged", "interrupted"]
    reason: Line


class Said(_Form):
    """A line of the run's log."""

    step: Count
    time: Amount
    text: Line


class Series(_Form):
    """A split: its columns (task, name), and in how many parts it comes."""

    columns: Annotated[list[tuple[Word, Word]], Field(min_length=1, max_length=10_000)]
    parts: Parts


class Pictures(_Form):
    """Sample predictions at a step: the names of their arrays."""

    step: Count
    epoch: Amount
    time: Amount
    arrays: Annotated[list[Word], Field(max_length=3_001)]


class Result(_Open):
    """The final test."""

    test: dict[Word, dict[Word, float | None]] = {}
    best_step: Count | None = None
    seconds: Amount | None = None


class RunForm(_Form):
    """A run, without its numbers."""

    id: Word
    name: Word
    spec: Spec | None
    state: Ended
    reason: Line
    created: Clock
    started: Clock | None
    ended: Clock | None
    step: Count
    epoch: Amount
    seconds: Amount
    device: Word
    result: Result | None
    error: Annotated[str, Field(max_length=1_000_000, pattern=_NO_NUL)]
    history: Annotated[list[Moment], Field(max_length=10_000)]
    events: Annotated[list[Said], Field(max_length=100_000)]
    series: dict[Split, Series]
    measurements: Parts
    affinities: Parts
    previews: Annotated[list[Pictures], Field(max_length=1_000)]
    tags: Annotated[list[Word], Field(max_length=100)] = []
    note: Line = ""


class Manifest(_Open):
    """What kind of file this is."""

    format: Literal["mtl-run"]
    version: Annotated[int, Field(ge=1)]


def plain(form: BaseModel | None) -> dict[str, Any] | None:
    """A form as plain values again."""
    return None if form is None else form.model_dump(mode="json", exclude_unset=True)
