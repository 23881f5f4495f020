"""Which runs belong together: one config but for name and seed. The same answer for tables of runs and for comparisons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

RUN = "run"  # a setting of a run that was trained elsewhere: it stands alone


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as one flat table, without its name and seed.

    >>> settings_of({"name": "x", "weighting": {"name": "mgda"}, "training": {"seed": 3, "lr": 0.1}})
    {'weighting.name': 'mgda', 'training.lr': 0.1}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": kept for inner, kept in value.items()}
        elif key != "name":
            flat[key] = value
    flat.pop("training.seed", None)
    return flat


def lean_settings(config: Mapping[str, Any], spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same in the fewest words, which the spec of a run says once it has begun, and without the device: runs that trained
    on different ones, or whose configs spell out different defaults, are alike in it.

    >>> lean_settings({"weighting": {"name": "cagrad", "c": 0.4}}, {"lean": {"weighting": {"name": "cagrad"}}})
    {'weighting.name': 'cagrad'}
    """
    settings = settings_of((spec or {}).get("lean") or config)
    settings.pop("training.device", None)
    return settings


def has_lean(spec: Mapping[str, Any] | None) -> bool:
    """Whether a spec says the config in the fewest words; a run that has not begun has none."""
    return bool((spec or {}).get("lean"))


def is_lean(spec: Mapping[str, Any] | None, config: Mapping[str, Any]) -> bool:
    """Whether what a spec says in few words is part of that config, or it says nothing."""
    settings = settings_of(config)
    return all(key in settings and settings[key] == value for key, value in lean_settings({}, spec).items())


def is_foreign(spec: Mapping[str, Any] | None) -> bool:
    """Whether a run with this spec was trained elsewhere: nobody knows what it has in common with others."""
    return bool((spec or {}).get("origin"))


def group_id(settings: Mapping[str, Any]) -> str:
    """A name for runs with these settings, the same at all times and on all machines.

    >>> group_id({"a": 1, "b": 2}) == group_id({"b": 2, "a": 1})
    True
    """
    return hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=6).hexdigest()


def in_words(value: Any) -> str:
    """A setting as people write it.

    >>> in_words([0.25, 0.75]), in_words(0.001), in_words(None), in_words(True)
    ('0.25 : 0.75', '0.001', '–', 'yes')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " : ".join(in_words(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def knobs_in_words(weighting: Mapping[str, Any]) -> list[str]:
    """The knobs of a scheme as people write them, fixed weights without their name.

    >>> knobs_in_words({"name": "cagrad", "c": 0.4}), knobs_in_words({"name": "fixed", "weights": [0.2, 0.8]})
    (['c 0.4'], ['0.2 : 0.8'])
    """
    weights = [in_words(weighting["weights"])] if weighting.get("weights") else []
    return weights + [f"{knob} {in_words(value)}" for knob, value in weighting.items() if knob not in ("name", "weights")]
