"""A sweep as a web address and back: ``vary.training.lr=0.001, 0.01``, ``per.cagrad.c=0.2, 0.4``; its base is the run's own part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mtl_core.config import RunConfig, load_yaml
from mtl_core.registry import explain, no_such
from mtl_core.sweeps import Sweep
from mtl_core.ui import links
from mtl_core.ui.sweeps import values as sweep_values

MODE, SWEEP = "mode", "sweep"  # mode=sweep: the page shows the sweep; sweep=…: its name
VARY, PER = "vary.", "per."
FACTS = {"search": "search", "trials": "trials", "draw": "seed", "baselines": "baselines"}  # parameter -> field of a sweep
MAX_SIGNS = 4_000  # of a whole link: what is longer, servers and chats cut
MAX_ROWS = 60


def to_params(sweep: Sweep) -> dict[str, str]:
    """Query parameters that say what varies, beside those of the base.

    >>> to_params(Sweep(vary={"training.seed": [0, 1, 2]}, per_scheme={"cagrad": {"c": [0.2]}}, baselines=False))
    {'mode': 'sweep', 'vary.training.seed': '0..2', 'per.cagrad.c': '0.2', 'baselines': 'false'}
    """
    params = {MODE: SWEEP}
    if sweep.name:
        params[SWEEP] = sweep.name
    params |= {VARY + key: sweep_values.write(values) for key, values in sweep.vary.items()}
    for scheme, knobs in sweep.per_scheme.items():
        params |= {f"{PER}{scheme}.{knob}": sweep_values.write(values) for knob, values in knobs.items()}
    usual = Sweep()
    for param, name in FACTS.items():
        value = getattr(sweep, name)
        if value != getattr(usual, name):
            params[param] = sweep_values.one(value)
    return params


def of_stored(sweep: Sweep) -> dict[str, str]:
    """The whole link of a sweep, base included. Raises ValueError for a base that this version cannot read."""
    return links.to_params(RunConfig.from_mapping(sweep.base)) | to_params(sweep)


def is_too_long(params: Mapping[str, str]) -> bool:
    """Whether it is more than a link should hold."""
    return sum(len(key) + len(value) for key, value in params.items()) > MAX_SIGNS


def from_params(params: Mapping[str, str]) -> tuple[Sweep | None, list[str], dict[str, str]]:
    """The sweep in a link (None if it speaks of a single run), a sentence for each slip, and the parameters of its base.

    >>> sweep, slips, rest = from_params({"vary.training.lr": "0.1, 0.01", "weighting": "mgda"})
    >>> sweep.vary, slips, rest
    ({'training.lr': [0.1, 0.01]}, [], {'weighting': 'mgda'})
    """
    mine = {key: text for key, text in params.items() if key in (MODE, SWEEP, *FACTS) or key.startswith((VARY, PER))}
    rest = {key: text for key, text in params.items() if key not in mine}
    slips: list[str] = []
    mode = mine.pop(MODE, "")
    if mode not in ("", "run", SWEEP):
        slips.append(no_such("way to train", mode, ["run", SWEEP]))
    if mode == "run" or not (mine or mode == SWEEP):
        return None, slips, rest
    if len(mine) > MAX_ROWS:
        return None, [*slips, f"the link varies {len(mine)} settings, at most {MAX_ROWS} are read: it was left aside"], rest
    values: dict[str, Any] = {"name": mine.pop(SWEEP, "")[:80], "vary": {}, "per_scheme": {}}
    for key, text in mine.items():
        try:
            _take(values, key, text)
        except ValueError as error:
            slips.append(f"{key[:60]} in the link: {error}")
    return _mended(values, slips), slips, rest


def _take(values: dict[str, Any], key: str, text: str) -> None:
    if key in FACTS:
        value = load_yaml(text)
        _valid({FACTS[key]: value})
        values[FACTS[key]] = value
        return
    found = sweep_values.read(text)
    if not found:
        raise ValueError("no values are named: write them with commas between, as in 0.001, 0.01")
    if key.startswith(VARY):
        values["vary"][key.removeprefix(VARY)] = found
        return
    scheme, _, knob = key.removeprefix(PER).partition(".")
    if not scheme or not knob:
        raise ValueError("it needs a scheme and its knob, as in per.cagrad.c")
    values["per_scheme"].setdefault(scheme, {})[knob] = found


def _mended(values: dict[str, Any], slips: list[str]) -> Sweep:
    try:
        return _valid(values)
    except ValueError as error:
        slips.append(str(error))
        return Sweep()


def _valid(values: Mapping[str, Any]) -> Sweep:
    try:
        return Sweep.model_validate(dict(values))
    except ValidationError as error:
        raise ValueError(explain(error, "sweep")) from None
