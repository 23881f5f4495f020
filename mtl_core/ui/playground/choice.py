"""What a visitor has chosen on the Playground, as a web address and back: ``schemes=equal,cagrad&cagrad.c=0.2&starts=9,9``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from mtl_core.config import load_yaml
from mtl_core.registry import no_such
from mtl_core.toy.problem import REACH
from mtl_core.toy.walk import check_start, create
from mtl_core.weightings import WEIGHTINGS

DEFAULT_SCHEMES = ("equal", "pcgrad", "cagrad", "nash_mtl")
MAX_SCHEMES, MAX_STARTS = 8, 6
MAX_STEPS = 100_000
MAX_TOTAL = 2_000_000  # steps of all walks together: minutes of one core
MAX_PARAMS, MAX_VALUE = 60, 300
SURFACES = {"sum": "Sum, as trained", "first": "First loss", "second": "Second loss"}
BOUNDS: dict[str, tuple[Any, Any]] = {
    "steps": (1, MAX_STEPS),
    "lr": (1e-6, 1.0),
    "scale": (1e-6, 1000.0),
    "seed": (0, 2**31 - 1),
}  # whole numbers where the bounds are

Start = tuple[float, float]


@dataclass(frozen=True)
class Choice:
    """Schemes with the knobs that differ from the usual, starts, and how to walk."""

    schemes: tuple[str, ...] = DEFAULT_SCHEMES
    knobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    starts: tuple[Start, ...] = ((9.0, 9.0),)
    steps: int = 10_000  # five times the learning rate of the papers and a fifth of their steps: the same ends within seconds
    lr: float = 0.005
    scale: float = 0.1
    seed: int = 0
    surface: str = "sum"

    def check(self) -> None:
        """Raise ValueError, with a remedy, if this cannot be walked here."""
        if not self.schemes:
            raise ValueError("no scheme is chosen: choose at least one")
        if not self.starts:
            raise ValueError("no start is chosen: choose at least one")
        for name in BOUNDS:
            _check_bounds(name, getattr(self, name))
        for start in self.starts:
            check_start(start)
        for count, most, what in ((len(self.schemes), MAX_SCHEMES, "schemes"), (len(self.starts), MAX_STARTS, "starts")):
            if count > most:
                raise ValueError(f"at most {most} {what} fit into one picture, got {count}: leave some out")
        total = len(self.schemes) * len(self.starts) * self.steps
        if total > MAX_TOTAL:
            raise ValueError(
                f"all walks together may have {MAX_TOTAL:,} steps, got {total:,}: take fewer schemes, starts or steps"
            )
        for scheme in self.schemes:
            create(scheme, self.seed, self.knobs.get(scheme), self.scale)


USUAL = Choice()


def to_params(choice: Choice) -> dict[str, str]:
    """Query parameters that say what differs from the usual choice.

    >>> to_params(Choice(schemes=("mgda",), starts=((0.0, 0.0), (-8.5, 7.5)), seed=3))
    {'schemes': 'mgda', 'starts': '0,0;-8.5,7.5', 'seed': '3'}
    """
    params: dict[str, str] = {}
    if choice.schemes != USUAL.schemes:
        params["schemes"] = ",".join(choice.schemes)
    if choice.starts != USUAL.starts:
        params["starts"] = ";".join(f"{x1:.6g},{x2:.6g}" for x1, x2 in choice.starts)
    for name in BOUNDS:
        if getattr(choice, name) != getattr(USUAL, name):
            params[name] = f"{getattr(choice, name):.12g}"
    if choice.surface != USUAL.surface:
        params["surface"] = choice.surface
    for scheme in choice.schemes:
        for knob, value in choice.knobs.get(scheme, {}).items():
            params[f"{scheme}.{knob}"] = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return params


def from_params(params: Mapping[str, str]) -> tuple[Choice, list[str]]:
    """The choice of a link, and a sentence for each part that makes no sense, which stays as usual. Never raises.

    >>> from_params({"schemes": "mgda,pcgard", "lr": "nan"})[1][0]
    "no weighting is called 'pcgard'. Did you mean 'pcgrad'?"
    """
    if len(params) > MAX_PARAMS:
        return USUAL, [f"the link has {len(params)} settings, at most {MAX_PARAMS} are read: it was left aside"]
    choice = USUAL
    slips: list[str] = []
    for key, text in params.items():
        try:
            if len(text) > MAX_VALUE:
                raise ValueError(f"{key[:40]} in the link is {len(text)} characters long, at most {MAX_VALUE} are read")
            choice = _with(choice, key, text, slips)
        except ValueError as slip:
            slips.append(str(slip))
    for scheme, knobs in choice.knobs.items():
        try:
            create(scheme, 0, knobs, choice.scale)
        except ValueError as slip:
            slips.append(str(slip))
            choice = replace(choice, knobs={name: kept for name, kept in choice.knobs.items() if name != scheme})
    return choice, slips


def _with(choice: Choice, key: str, text: str, slips: list[str]) -> Choice:
    scheme, dot, knob = key.partition(".")
    if key == "schemes":
        return replace(choice, schemes=_schemes(text, slips))
    if key == "starts":
        return replace(choice, starts=tuple(dict.fromkeys(_start(part) for part in text.split(";")))[:MAX_STARTS])
    if key in BOUNDS:
        return replace(choice, **{key: _setting(key, text)})
    if key == "surface":
        if text not in SURFACES:
            raise ValueError(no_such("surface", text, SURFACES))
        return replace(choice, surface=text)
    if dot and scheme in WEIGHTINGS:
        return replace(choice, knobs={**choice.knobs, scheme: {**choice.knobs.get(scheme, {}), knob: load_yaml(text)}})
    raise ValueError(no_such("setting of the playground", key, ["schemes", "starts", *BOUNDS, "surface"]))


def _schemes(text: str, slips: list[str]) -> tuple[str, ...]:
    wished = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    slips.extend(no_such("weighting", name, WEIGHTINGS.names()) for name in wished if name not in WEIGHTINGS)
    known = [name for name in wished if name in WEIGHTINGS]
    if len(known) > MAX_SCHEMES:
        slips.append(f"at most {MAX_SCHEMES} schemes fit into one picture, got {len(known)}: the first {MAX_SCHEMES} are shown")
    return tuple(known[:MAX_SCHEMES]) or USUAL.schemes


def _start(text: str) -> Start:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"a start reads x1,x2, got {text[:40]!r}: both within -{REACH:g} and {REACH:g}") from None
    return rounded(check_start(numbers))


def rounded(start: Start) -> Start:
    """To four decimals, which a link and a label show; without a negative zero.

    >>> rounded((-0.00001, 3.14159))
    (0.0, 3.1416)
    """
    return round(start[0], 4) + 0.0, round(start[1], 4) + 0.0


def _setting(name: str, text: str) -> Any:
    is_whole = isinstance(BOUNDS[name][0], int)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or (is_whole and not number.is_integer()):
        raise ValueError(f"{name} must be a {'whole ' if is_whole else ''}number, got {text[:40]!r}")
    return _check_bounds(name, int(number) if is_whole else number)


def _check_bounds(name: str, value: Any) -> Any:
    low, high = BOUNDS[name]
    if not low <= value <= high:
        more = ": the command line takes more" if name == "steps" and value > high else ""
        raise ValueError(f"{name} must lie in {low:g}..{high:,.12g} on this page, got {value:.10g}{more}")
    return value
