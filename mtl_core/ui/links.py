"""A run's config as a web address and back: the same names as in YAML, ``weighting.c=0.4``, and only what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mtl_core.config import CHOICES, RunConfig, load_yaml
from mtl_core.registry import no_such

GROUPS = ("training", "measure")
MAX_PARAMS = 80
MAX_VALUE = 400


def to_params(config: RunConfig) -> dict[str, str]:
    """Query parameters that say what differs from an empty config.

    >>> to_params(RunConfig(weighting={"name": "cagrad", "c": 0.2}, tasks=["digit", "box"]))
    {'tasks': 'digit,box', 'weighting': 'cagrad', 'weighting.c': '0.2'}
    """
    values, usual = config.to_mapping(), RunConfig().to_mapping()
    params: dict[str, str] = {}
    if config.name:
        params["name"] = config.name
    for part in CHOICES:
        knobs = dict(values[part])
        name = knobs.pop("name")
        if part == "dataset" and config.tasks is not None:
            params["tasks"] = ",".join(config.tasks)
        if name != usual[part]["name"] or knobs:
            params[part] = name
        params |= {f"{part}.{knob}": _as_text(value) for knob, value in knobs.items()}
    for part in GROUPS:
        params |= {f"{part}.{knob}": _as_text(value) for knob, value in values[part].items() if value != usual[part][knob]}
    return params


def from_params(params: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Plain values of a config, and a sentence for each parameter that says nothing to us. Never raises.

    >>> from_params({"weighting": "cagrad", "weighting.c": "0.2", "wat": "1"})
    ({'weighting': {'name': 'cagrad', 'c': 0.2}}, ["no setting of a run is called 'wat'. There are: ..."])
    """
    values: dict[str, Any] = {}
    slips: list[str] = []
    if len(params) > MAX_PARAMS:
        return {}, [f"the link has {len(params)} settings, at most {MAX_PARAMS} are read: it was left aside"]
    for key, text in params.items():
        part, dot, knob = key.partition(".")
        if len(text) > MAX_VALUE:
            slips.append(f"{key[:40]} in the link is {len(text)} characters long, at most {MAX_VALUE} are read")
        elif key == "name":
            values["name"] = text[:80]
        elif key == "tasks":
            values["tasks"] = [task.strip() for task in text.split(",") if task.strip()]
        elif part in CHOICES and not dot:
            values.setdefault(part, {})["name"] = text
        elif part in (*CHOICES, *GROUPS) and knob:
            _read_knob(values, slips, part, knob, text)
        else:
            slips.append(no_such("setting of a run", key, ["name", "tasks", *CHOICES, *GROUPS]))
    return values, slips


def _read_knob(values: dict[str, Any], slips: list[str], part: str, knob: str, text: str) -> None:
    try:
        values.setdefault(part, {})[knob] = load_yaml(text)
    except ValueError as error:
        slips.append(f"{part}.{knob} in the link is unreadable: {error}")


def command_line(config: RunConfig) -> str:
    """The command that makes the same run from a shell, from an empty config and what differs from it."""
    overrides = [f"{key}={_quoted(value)}" for key, value in to_params(config).items() if key != "tasks"]
    if config.tasks is not None:
        overrides.append(f"tasks={_quoted('[' + ','.join(config.tasks) + ']')}")
    return " \\\n    ".join(["echo '{}' | python -m mtl_core train -", *overrides])


def _quoted(text: str) -> str:
    is_plain = all(sign.isalnum() or sign in "._:-" for sign in text)
    return text if is_plain and text else "'" + text.replace("'", "'\\''") + "'"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(_shortened(value), separators=(",", ":"), ensure_ascii=False)


def _shortened(value: Any) -> Any:
    """Whole numbers without their ".0", so that a config has one address however its numbers were typed."""
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value
