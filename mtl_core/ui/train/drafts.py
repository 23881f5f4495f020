"""The config on the Train page while it is being made: from a link, a preset or a file, always possible choice by choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtl_core.architectures import ARCHITECTURES
from mtl_core.config import Measure, RunConfig, Training
from mtl_core.datasets import DATASETS
from mtl_core.registry import Knobs, Shelf, no_such, parse_knobs, without_defaults
from mtl_core.weightings import WEIGHTINGS

SHELVES: dict[str, Shelf[Any]] = {"dataset": DATASETS, "architecture": ARCHITECTURES, "weighting": WEIGHTINGS}


def mend(values: Mapping[str, Any]) -> tuple[RunConfig, list[str]]:
    """The nearest config in which every choice by itself is possible, and a sentence for each one that was left out.

    What does not fit *together* (fixed weights of the wrong length) stays as it was asked for: ``plan.check`` names it.
    """
    slips: list[str] = []
    mended: dict[str, Any] = {"name": str(values.get("name") or "")[:80]}
    for part, shelf in SHELVES.items():
        mended[part] = _mend_choice(shelf, values.get(part), part, slips)
    mended["tasks"] = _mend_tasks(mended["dataset"], values.get("tasks"), slips)
    mended["architecture"] = _mend_depth(mended, slips)
    mended["training"] = _mend_knobs(Training, values.get("training"), "training", slips)
    mended["measure"] = _mend_knobs(Measure, values.get("measure"), "measure", slips)
    return RunConfig.from_mapping(mended), slips


def _mend_choice(shelf: Shelf[Any], choice: Any, part: str, slips: list[str]) -> dict[str, Any]:
    usual = RunConfig().to_mapping()[part]["name"]
    knobs = dict(choice) if isinstance(choice, Mapping) else {"name": choice} if isinstance(choice, str) else {}
    name = knobs.pop("name", usual)
    if name not in shelf:
        slips.append(no_such(shelf.noun, name, shelf.names()) + f" Until then it is {usual}.")
        return {"name": usual}
    model = shelf[name].Knobs
    return {"name": name, **without_defaults(model, _mend_knobs(model, knobs, f"{shelf.noun} {name}", slips))}


def _mend_knobs(model: type[Knobs], values: Any, owner: str, slips: list[str]) -> dict[str, Any]:
    """One knob after the other, in the order of their declaration, so that a bad one takes no good one with it."""
    good: dict[str, Any] = {}
    given = values if isinstance(values, Mapping) else {}
    order = [
        *(name for name in model.model_fields if name in given),
        *(name for name in given if name not in model.model_fields),
    ]
    for name in order:
        try:
            parsed = parse_knobs(model, {**good, name: given[name]}, owner)
        except ValueError as error:
            slips.append(f"{error}: left at its default")
        else:
            good[name] = parsed.model_dump(mode="json")[name]
    return good


def _mend_tasks(dataset: Mapping[str, Any], tasks: Any, slips: list[str]) -> list[str] | None:
    if not isinstance(tasks, list):
        return None
    parsed, knobs = DATASETS.parse(dataset)
    offered = [task.name for task in parsed(knobs).tasks()]
    slips += [no_such(f"task of {dataset['name']}", task, offered) for task in tasks if task not in offered]
    known = list(dict.fromkeys(task for task in tasks if task in offered))
    return known or None


def _mend_depth(mended: Mapping[str, Any], slips: list[str]) -> dict[str, Any]:
    choice = dict(mended["architecture"])
    dataset, dataset_knobs = DATASETS.parse(mended["dataset"])
    architecture, knobs = ARCHITECTURES.parse(choice)
    try:
        n_stages = architecture.n_stages(knobs, dataset(dataset_knobs).input_shape)
    except ValueError as error:
        slips.append(f"{error}: the architecture is back at its defaults")
        return {"name": choice["name"]}
    depth = choice.get("depth")
    if depth is not None and depth > n_stages:
        slips.append(f"depth must lie in 0..{n_stages}, got {depth}: this trunk has {n_stages} stages, so all are shared")
        del choice["depth"]
    return choice
