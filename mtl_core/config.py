"""A run as names and numbers: what it trains on, what it shares, how it weighs, how it trains and what it measures.

The same names serve YAML, JSON, ``key.key=value`` overrides on the command line, and the page's URL. This module checks the
form; whether names and knobs fit together is checked by ``plan.check``, which knows the shelves (and therefore torch).
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from mtl_core.registry import Knobs, explain, no_such

MAX_YAML_BYTES = 64_000
MAX_DEPTH = 8

Choice = dict[str, Any]  # {"name": …, knob: value}
CHOICES = ("dataset", "architecture", "weighting")  # the parts of a config that are choices


class Training(Knobs):
    """How the parameters move."""

    steps: int = Field(1500, ge=1, le=10_000_000, title="Steps", description="Optimiser steps; one batch each.")
    batch_size: int = Field(64, ge=2, le=65_536, title="Batch size", description="Examples per step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam", title="Optimiser", description="What turns gradients into steps."
    )
    lr: float = Field(0.001, gt=0, le=100, title="Learning rate", description="Size of a step.")
    momentum: float = Field(0.9, ge=0, lt=1, title="Momentum", description="For SGD only.")
    schedule: Literal["constant", "cosine", "linear", "step"] = Field(
        "cosine",
        title="Learning-rate schedule",
        description="constant; cosine or linear down to zero over the run; step: ÷ 10 after 50 % and 75 % of the steps.",
    )
    warmup: int = Field(0, ge=0, title="Warm-up steps", description="Steps over which the learning rate first rises from zero.")
    weight_decay: float = Field(
        0.0, ge=0, le=10, title="Weight decay (L2)", description="Pull of every weight towards zero (decoupled in AdamW)."
    )
    l1: float = Field(0.0, ge=0, le=10, title="L1 penalty", description="Pull of every weight to exactly zero.")
    clip: float = Field(0.0, ge=0, title="Gradient clipping", description="Largest length of the whole gradient; 0 = off.")
    augment: float | None = Field(
        None,
        ge=0,
        le=1,
        title="Augmentation",
        description="How strongly training examples are varied; 0 = off; as is usual for the data set if left out.",
    )
    order: Literal["joint", "alternating"] = Field(
        "joint", title="Order of tasks", description="All tasks in every step, or one task per step in turn."
    )
    validate_every: int | Literal["auto"] = Field(
        "auto",
        title="Validate every",
        description="Steps between validations; auto: up to 40 times in a run, as long as they cost under 10 % of the training.",
    )
    patience: int = Field(
        0, ge=0, title="Early stopping", description="Stop after so many validations without a better one; 0 = off."
    )
    seed: int = Field(0, ge=0, lt=2**31, title="Seed", description="Every random thing follows from it.")
    device: str = Field("auto", title="Device", description="auto: a GPU if there is one.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title="Precision",
        description="auto: bfloat16 on a GPU that has it, else float32. Mixed precision on CUDA only.",
    )
    channels_last: bool = Field(
        True, title="Channels last", description="Memory layout of images on CUDA; no effect on results' meaning."
    )

    @field_validator("device")
    @classmethod
    def _is_device(cls, name: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", name):
            raise ValueError("there is no such device: choose auto, cpu, cuda or cuda:N")
        return name

    @field_validator("validate_every")
    @classmethod
    def _validates(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1, or auto")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Training:
        if self.warmup > self.steps:
            raise ValueError(f"warmup ({self.warmup}) is longer than the run ({self.steps} steps): lower it or raise steps")
        return self


class Measure(Knobs):
    """What is measured beside the losses."""

    every: Annotated[int, Field(ge=0, le=1_000_000)] | Literal["auto"] = Field(
        "auto",
        title="Measure gradients every",
        description="Steps between measurements of gradient conflict; auto: as often as keeps their cost under 10 %; 0 = never.",
    )
    affinity_every: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Look ahead every",
        description="Steps between measurements of inter-task affinity: would a step for one task alone help the others? "
        "Costs a forward pass per task; 0 = never.",
    )


class RunConfig(Knobs):
    """Everything that defines a run. Two runs with equal configs give equal curves (on the CPU bit for bit).

    >>> config = RunConfig(dataset={"name": "teacher"}, weighting={"name": "mgda"})
    >>> RunConfig.from_yaml(config.to_yaml()) == config
    True
    """

    name: str = Field("", max_length=80, title="Name", description="What lists call the run; made from its choices if empty.")
    dataset: Choice = Field(default_factory=lambda: {"name": "digit_scenes"})
    tasks: list[str] | None = Field(
        None, title="Tasks", description="Which of the data set's tasks; its default ones if left out."
    )
    architecture: Choice = Field(default_factory=lambda: {"name": "hard_sharing"})
    weighting: Choice = Field(default_factory=lambda: {"name": "equal"})
    training: Training = Field(default_factory=Training)
    measure: Measure = Field(default_factory=Measure)

    @field_validator(*CHOICES, mode="before")
    @classmethod
    def _named(cls, choice: Any) -> Any:
        if isinstance(choice, str):
            return {"name": choice}
        if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
            raise ValueError("needs a name, as in {name: …}")
        return {str(key): value for key, value in choice.items()}

    @field_validator("tasks")
    @classmethod
    def _some_tasks(cls, tasks: list[str] | None) -> list[str] | None:
        if tasks is not None and not tasks:
            raise ValueError("no task is chosen: choose at least one")
        if tasks is not None and len(set(tasks)) < len(tasks):
            raise ValueError("a task is named twice: name each once")
        return tasks

    @classmethod
    def from_mapping(cls, values: Any) -> RunConfig:
        """Read plain values. Raises ValueError in sentences."""
        if values is None:
            raise ValueError("the config is empty: it needs at least a line such as dataset: {name: digit_scenes}")
        if not isinstance(values, Mapping):
            raise ValueError(f"a config is a mapping (key: value lines), got {type(values).__name__}")
        for owner, model in (("config", cls), ("training", Training), ("measure", Measure)):
            part = values if owner == "config" else values.get(owner)
            unknown = [key for key in part if key not in model.model_fields] if isinstance(part, Mapping) else []
            if unknown:
                raise ValueError("; ".join(no_such(f"key of {owner}", key, model.model_fields) for key in unknown))
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(explain(error, "config")) from None

    @classmethod
    def from_yaml(cls, text: str | bytes) -> RunConfig:
        """Read YAML or JSON text. Anchors, aliases and tags are refused, as are texts over 64 kB. Raises ValueError."""
        return cls.from_mapping(load_yaml(text))

    def to_mapping(self) -> dict[str, Any]:
        """Plain values; what was left at its default inside training and measure is written out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_yaml(self) -> str:
        """Text that ``from_yaml`` reads back to an equal config."""
        return dump_yaml(self.to_mapping())

    def with_overrides(self, pairs: Iterable[str]) -> RunConfig:
        """Apply ``key.key=value`` texts; values are read as YAML.

        >>> RunConfig().with_overrides(["training.lr=0.1", "weighting.name=mgda"]).training.lr
        0.1
        """
        values = json.loads(json.dumps(self.to_mapping()))
        for pair in pairs:
            path, equals, text = pair.partition("=")
            keys = path.strip().split(".")
            if not equals or not all(keys):
                raise ValueError(f"an override reads key.key=value, got {pair!r}")
            set_value(values, keys, load_yaml(text))
        return RunConfig.from_mapping(values)


def set_value(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """Put a value at its place in a config's plain values, in place. Raises ValueError where it has none."""
    *parents, last = keys
    if last == "name" and parents and isinstance(values.get(parents[0]), dict):
        values[parents[0]] = {}  # another variant has other knobs: the old ones go
    for key in parents:
        if not isinstance(values.setdefault(key, {}), dict):
            raise ValueError(f"{key!r} holds a single value, so {'.'.join(keys)!r} has nowhere to go")
        values = values[key]
    values[last] = value


def get_value(values: Mapping[str, Any], key: str) -> Any:
    """What a config's plain values hold at ``key.key``; None where there is nothing.

    >>> get_value({"training": {"lr": 0.1}}, "training.lr"), get_value({"tasks": ["a"]}, "tasks.a")
    (0.1, None)
    """
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Text that ``load_yaml`` reads back to equal values."""
    # PyYAML writes these three line breaks as they are and reads them back as others: let it escape them
    is_readable = not any(mark in json.dumps(values, ensure_ascii=False) for mark in "\x85\u2028\u2029")
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=is_readable, default_flow_style=None, width=120)


def load_yaml(text: str | bytes) -> Any:
    """Plain values from a YAML or JSON text that nobody vouches for. Raises ValueError with the line of the slip."""
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(
            f"the config is longer than the {MAX_YAML_BYTES:,} bytes that are read: leave out what it need not say"
        )
    try:
        slip = _find_slip(text)
        values = None if slip else yaml.load(text, Loader=_PlainLoader)
    except (UnicodeDecodeError, yaml.reader.ReaderError):
        raise ValueError("the config is not plain text in UTF-8: save it as UTF-8 in a text editor") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise ValueError(f"the config is no YAML{place}: {getattr(error, 'problem', None) or 'unreadable'}") from None
    except (ValueError, OverflowError) as error:  # 2001-99-99, or a number of 5,000 digits
        raise ValueError(f"the config holds a value that cannot be read: {error}") from None
    if slip:
        raise ValueError(slip)
    return values


class _PlainLoader(yaml.SafeLoader):
    """YAML in which a key stands once: of two, plain YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = getattr(key_node, "value", None)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands there twice", key_node.start_mark)
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep=deep)


def _find_slip(text: str | bytes) -> str | None:
    """What well-formed YAML may not hold here, found before anything is built (and before deep nesting costs minutes)."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else "?"
        if isinstance(event, yaml.AliasEvent):  # ten lines of them can stand for gigabytes
            return f"the config uses an alias (*name) in line {line}: write the value out instead"
        if getattr(event, "tag", None):  # asks for other types than text, numbers, lists and mappings
            return f"the config uses a tag (!name) in line {line}: write the plain value instead"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return f"the config is nested more than {MAX_DEPTH} levels deep in line {line}"
    return None
