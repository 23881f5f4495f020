"""The settings of groups: what to call them, in which order their values stand, and which of them differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from mtl_core.comparing import Comparison, Group, in_words
from mtl_core.config import Measure, RunConfig, Training

SCHEME, DEPTH = "weighting.name", "architecture.depth"
SECTIONS = {
    "dataset": "Data",
    "tasks": "Data",
    "architecture": "Sharing",
    "weighting": "Scheme",
    "training": "Training",
    "measure": "Measuring",
}
_TITLES = {
    "dataset.name": "Data set",
    "architecture.name": "Architecture",
    "architecture.trunk": "Trunk",
    SCHEME: "Scheme",
    DEPTH: "Sharing depth",
    "run": "Run",
}
_DECLARED: dict[str, type[BaseModel]] = {"training": Training, "measure": Measure, "": RunConfig}


def setting_title(key: str) -> str:
    """What to call a setting.

    >>> setting_title("training.lr"), setting_title("weighting.rescale_by"), setting_title("weighting.c")
    ('Learning rate', 'Rescale by', 'c')
    """
    if key in _TITLES:
        return _TITLES[key]
    section, _, name = key.rpartition(".")
    field = _DECLARED[section].model_fields.get(name) if section in _DECLARED else None
    plain = name.replace("_", " ")
    return (field.title if field is not None else None) or (plain if len(plain) < 2 else plain[:1].upper() + plain[1:])


def section_title(key: str) -> str:
    """Which part of a config a setting belongs to."""
    return SECTIONS.get(key.partition(".")[0], "Run")


def varied_settings(comparison: Comparison) -> list[str]:
    """The settings in which groups differ: scheme, depth and the scheme's knobs first, then the rest.

    A depth counts as what it came to: "auto" and the number that it stood for are one.
    """
    keys = dict.fromkeys(comparison.varied)
    depths = {group.depth for group in comparison.groups}
    found = [key for key in keys if key != DEPTH] + ([DEPTH] if len(depths) > 1 else [])
    order = ("weighting.name", DEPTH, "weighting.", "training.lr", "training.", "architecture.")
    return sorted(found, key=lambda key: next((n for n, start in enumerate(order) if key.startswith(start)), len(order)))


def value_of(group: Group, key: str) -> Any:
    """A group's value of a setting; its depth as the number of shared stages."""
    return group.depth if key == DEPTH else group.settings.get(key)


def ordered(values: Iterable[Any]) -> list[str]:
    """The values in words, each once: numbers by size, then lists, then words, and last what is not set.

    >>> ordered([10, 9.5, None, "b", "a", [0.5, 0.5], 10.0])
    ['9.5', '10', '0.5 : 0.5', 'a', 'b', '–']
    """
    return list(dict.fromkeys(in_words(value) for value in sorted(values, key=_rank)))


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return 3, 0
    if isinstance(value, list | tuple):
        return 1, [_rank(item) for item in value]
    return (0, value) if isinstance(value, bool | int | float) else (2, str(value))
