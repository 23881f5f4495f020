"""Colours, dashes, shapes and type sizes: one task looks the same on every page, in light and in dark.

The ten task colours start from the four hues of Okabe & Ito, "Color Universal Design" (2008), that stay apart for
colour-blind readers (blue, orange, green, pink). Lightness and the six further colours were found by a search that kept the
contrast with both page backgrounds at 3:1 or better (WCAG 2.2, 1.4.11) and pushed the closest pair apart in CIEDE2000, for
normal, protan and deutan vision (Machado et al. 2009, severity 1). Ten colours are near the limit of what eyes keep apart, so a
second channel, dash or shape, always goes with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

# The page, and the cards on it.
PAGE: dict[Theme, tuple[str, str]] = {"light": ("#f6f7f9", "#ffffff"), "dark": ("#0f1217", "#181d25")}

TASK_COLOURS: dict[Theme, tuple[str, ...]] = {
    "light": ("#1065cb", "#cc7703", "#007658", "#dc6389", "#762300", "#072da8", "#5390cb", "#6d2048", "#a15313", "#525b79"),
    "dark": ("#41ccff", "#ddaf0c", "#0d8872", "#ec7ba7", "#ade5aa", "#0384ff", "#8d7d03", "#71eae3", "#d939ae", "#96a26f"),
}
_STAR = "M0,-1L0.24,-0.32L0.95,-0.31L0.38,0.12L0.59,0.81L0,0.4L-0.59,0.81L-0.38,0.12L-0.95,-0.31L-0.24,-0.32Z"
_BAR = "M-0.35,-1L0.35,-1L0.35,1L-0.35,1Z"
SHAPES = (
    *("circle", "square", "triangle-up", "diamond", "cross"),
    *("triangle-down", "triangle-right", "triangle-left", _STAR, _BAR),
)
DASHES: tuple[tuple[int, ...], ...] = (
    *((1, 0), (8, 3), (2, 2), (8, 3, 2, 3), (12, 4)),
    *((4, 4), (12, 3, 2, 3), (2, 5), (8, 3, 2, 3, 2, 3), (5, 2)),
)


@dataclass(frozen=True)
class Tones:
    """Every colour that is not a task's: hex texts.

    ``diverging`` runs from conflict (orange, −1) over nothing (0) to agreement (blue, +1); both sides leave the middle
    equally fast for every kind of colour vision.
    """

    page: str
    card: str
    ink: str
    soft_ink: str
    grid: str
    shared: str
    on_shared: str
    floor: str
    right: str
    wrong: str
    diverging: tuple[str, ...]


_TONES: dict[Theme, Tones] = {
    "light": Tones(
        page="#f6f7f9",
        card="#ffffff",
        ink="#1c2330",
        soft_ink="#566072",
        grid="#e3e6ec",
        shared="#3b4557",
        on_shared="#ffffff",
        floor="#7a8394",
        right="#0b6b8a",
        wrong="#b4470b",
        diverging=("#9e5e00", "#dc943e", "#f8d0a9", "#f3f4f6", "#c0d2f7", "#6a9de5", "#0061a8"),
    ),
    "dark": Tones(
        page="#0f1217",
        card="#181d25",
        ink="#e7eaf0",
        soft_ink="#a4adbb",
        grid="#2a313c",
        shared="#c9d1de",
        on_shared="#12161d",
        floor="#8b94a3",
        right="#5cc8ee",
        wrong="#ff9d5c",
        diverging=("#feab70", "#c16f30", "#714627", "#2a303a", "#1b588b", "#3c90dc", "#a3c9fe"),
    ),
}
_STATES: dict[Theme, dict[str, str]] = {
    "light": {
        "queued": "#6b7586",
        "running": "#1065cb",
        "paused": "#8a6a00",
        "finished": "#007658",
        "stopped": "#525b79",
        "failed": "#b4320b",
        "diverged": "#a3266f",
        "interrupted": "#a15313",
    },
    "dark": {
        "queued": "#98a2b3",
        "running": "#5ab6ff",
        "paused": "#ddaf0c",
        "finished": "#3fc7a4",
        "stopped": "#a9b3cc",
        "failed": "#ff8a66",
        "diverged": "#f07fc0",
        "interrupted": "#e0a066",
    },
}


@dataclass(frozen=True)
class TypeScale:
    """Sizes in pixels for charts and diagrams; the font is the page's."""

    font: str = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'
    title: int = 15
    label: int = 13
    small: int = 12


TYPE = TypeScale()
_Look = TypeVar("_Look")


def task_colours(spec: Mapping[str, Any], theme: Theme = "light") -> dict[str, str]:
    """Each task's colour, by its place among all tasks of the data set, chosen for the run or not.

    >>> task_colours({"all_tasks": ["digit", "box"], "tasks": [{"name": "box"}]})["box"]
    '#cc7703'
    """
    return _by_task(spec, TASK_COLOURS[theme])


def task_shapes(spec: Mapping[str, Any]) -> dict[str, str]:
    """Each task's marker: the second channel beside its colour."""
    return _by_task(spec, SHAPES)


def task_dashes(spec: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Each task's dash pattern: the second channel where a line has no markers."""
    return _by_task(spec, DASHES)


def tones(theme: Theme = "light") -> Tones:
    """The colours that belong to no task."""
    return _TONES[theme]


def state_colours(theme: Theme = "light") -> dict[str, str]:
    """A colour for each state of a run; pages write the state beside it."""
    return dict(_STATES[theme])


def _by_task(spec: Mapping[str, Any], looks: Sequence[_Look]) -> dict[str, _Look]:
    chosen = [task["name"] for task in spec.get("tasks", ())]
    names = list(dict.fromkeys([*spec.get("all_tasks", ()), *chosen]))  # a task that the list forgot comes last
    return {name: looks[n % len(looks)] for n, name in enumerate(names)}
