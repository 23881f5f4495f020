"""Which settings a sweep may vary, what they are called, and whether a value fits, told by the knobs' own declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mtl_core.architectures import ARCHITECTURES
from mtl_core.architectures.trunks import TRUNKS
from mtl_core.config import Measure, RunConfig, Training
from mtl_core.datasets import DATASETS
from mtl_core.registry import Knobs, describe_knobs, no_such, parse_knobs
from mtl_core.sweeps import DEPTH, SCHEME, SEED, Sweep
from mtl_core.ui.sweeps import values as sweep_values
from mtl_core.ui.sweeps.links import PER, VARY
from mtl_core.weightings import WEIGHTINGS

RATE = "training.lr"
WHOLE = {f"{VARY}{part}" for part in RunConfig.model_fields}  # a file may vary whole parts: dataset: [teacher, multi_digits]
OWN_WIDGET = {VARY + key for key in (SCHEME, DEPTH, RATE, SEED)}
TASKS = "Which tasks are learned together: lists of their names, as in [digit], [box], [digit, box]."
GROUPS: dict[str, tuple[str, type[Knobs]]] = {"training": ("Training", Training), "measure": ("Measuring", Measure)}


@dataclass(frozen=True)
class Setting:
    """One thing that may vary. ``row``: its parameter in a link; ``model``: what checks it (None: only the check of whole runs);
    ``choices``: all of its values where they are few; ``others``: what the knobs beside it are in the form."""

    row: str
    group: str
    title: str
    help: str
    model: type[Knobs] | None
    name: str
    choices: tuple[Any, ...] | None
    others: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What the list of settings calls it."""
        return f"{self.group} · {self.title}"

    def parse(self, value: Any) -> Any:
        """The value as a config holds it. Raises ValueError with the knob's own words."""
        if self.model is None:
            return value
        owner = self.group
        try:
            parsed = parse_knobs(self.model, {**self.others, self.name: value}, owner)
        except ValueError as error:
            try:  # with the other knobs' defaults: those may vary too
                parsed = parse_knobs(self.model, {self.name: value}, owner)
            except ValueError:
                said = str(error).removeprefix(f"{owner}: {self.name}: ").removeprefix(f"{owner}: ").rpartition(" (got ")
                raise ValueError(f"{self.title} cannot be {sweep_values.one(value)[:60]}: {said[0] or said[2]}") from None
        return parsed.model_dump(mode="json")[self.name]


def offered(config: RunConfig, sweep: Sweep) -> dict[str, Setting]:
    """Everything that may vary around this base, by row; what has a widget of its own included."""
    found = [*_of_choice("dataset", "Data set", config), *_of_choice("architecture", "Architecture", config)]
    found.append(Setting(f"{VARY}tasks", "Data set", "Tasks", TASKS, None, "tasks", None, {}))
    for part, (group, model) in GROUPS.items():
        values = getattr(config, part).model_dump(mode="json")
        found += _of_model(f"{VARY}{part}.", group, model, values)
    found += _of_schemes(config, sweep)
    return {setting.row: setting for setting in found}


def named(row: str, known: Mapping[str, Setting]) -> Setting:
    """The setting of a row; for one that nobody offers, one that takes any value (``stranger`` says what is wrong with it)."""
    title = row.removeprefix(VARY).removeprefix(PER)
    return known.get(row) or Setting(row, "Setting", title, "", None, title, None, {})


def stranger(row: str, known: Mapping[str, Setting]) -> str:
    """The sentence for a row that these schemes and this data set do not have; empty if they do."""
    if row in known or row in WHOLE:
        return ""
    shown = [each.removeprefix(VARY).removeprefix(PER) for each in known]
    found = no_such("setting here", row.removeprefix(VARY).removeprefix(PER), shown)
    return found if "Did you mean" in found else f"{found.partition('. ')[0]}: take it out, or choose what has it"


def schemes(config: RunConfig, sweep: Sweep) -> list[str]:
    """The names of the schemes that the sweep's runs have, each once."""
    chosen = sweep.vary.get(SCHEME) or [config.weighting]
    names = [one.get("name") if isinstance(one, Mapping) else one for one in chosen]
    return [name for name in dict.fromkeys(map(str, names)) if name in WEIGHTINGS]


def check(setting: Setting, values: Sequence[Any]) -> list[Any]:
    """The values as a config holds them, each once. Raises ValueError naming the first that does not fit."""
    parsed = [setting.parse(value) for value in values]
    once = {sweep_values.one(value): value for value in parsed}
    return list(once.values())


def _of_choice(part: str, group: str, config: RunConfig) -> Iterator[Setting]:
    """The knobs of the data set or the architecture that the form shows."""
    choice = dict(getattr(config, part))
    name = choice.pop("name")
    shelf: Any = {"dataset": DATASETS, "architecture": ARCHITECTURES}[part]
    if name in shelf:
        yield from _of_model(f"{VARY}{part}.", group, shelf[name].Knobs, choice)


def _of_model(prefix: str, group: str, model: type[Knobs], others: Mapping[str, Any]) -> Iterator[Setting]:
    for knob in describe_knobs(model):
        choices = knob["choices"] or ([False, True] if knob["type"] == "bool" else None)
        if knob["name"] == "trunk":
            choices = ["auto", *TRUNKS.names()]
        yield Setting(
            prefix + knob["name"],
            group,
            knob["title"],
            knob["help"],
            model,
            knob["name"],
            tuple(choices) if choices else None,
            others,
        )


def _of_schemes(config: RunConfig, sweep: Sweep) -> Iterator[Setting]:
    """What all chosen schemes have, for all of them; what one has alone, for that one."""
    names = schemes(config, sweep)
    if not names:
        return
    common = set.intersection(*(set(WEIGHTINGS[name].Knobs.model_fields) for name in names))
    is_varied = SCHEME in sweep.vary
    for place, name in enumerate(names):
        kind, others = (
            WEIGHTINGS[name],
            {} if is_varied else {key: value for key, value in config.weighting.items() if key != "name"},
        )
        for setting in _of_model("", kind.title, kind.Knobs, others):
            if setting.name not in common:
                yield replace(setting, row=f"{PER}{name}.{setting.name}")
            elif place == 0:
                group = "Every scheme" if len(names) > 1 else kind.title
                yield replace(setting, row=f"{VARY}{SCHEME}.{setting.name}", group=group)
