"""Sweeps: many runs from one file, with an equal budget for every scheme and the single-task baseline beside them.

A sweep says what all runs have in common (``base``) and which settings take several values (``vary``). Expanding it gives the
same runs in the same order on every machine, and each run a key of its own: handing a sweep in twice never runs anything twice.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from mtl_core.config import CHOICES, Measure, RunConfig, dump_yaml, load_yaml, set_value
from mtl_core.registry import Knobs, explain, no_such

MOST_RUNS = 5_000
SEED = "training.seed"
SCHEME = "weighting"
DEPTH = "architecture.depth"
MEASURE = "measure"
NOT_OF_BASELINES = (SCHEME, DEPTH, MEASURE, "training.device")  # a baseline serves whatever these are
_ELSEWHERE = {
    "name": "name cannot vary: the runs of a sweep are named by their choices",
    f"{SCHEME}.name": f"vary {SCHEME} itself, as in {SCHEME}: [equal, mgda]: then every scheme gets the same budget",
}
Role = Literal["run", "baseline"]


class Sweep(Knobs):
    """What to run.

    >>> sweep = Sweep.from_yaml("vary: {weighting: [equal, mgda], training.seed: [0, 1, 2]}")
    >>> len(sweep.members())  # 2 schemes × 3 seeds, and the single-task baseline for each seed
    9
    """

    name: str = Field("", max_length=80, title="Name")
    base: dict[str, Any] = Field(
        default_factory=dict, title="Base", description="What all runs have in common, as in a run's config."
    )
    vary: dict[str, list[Any]] = Field(
        default_factory=dict,
        title="Vary",
        description="Settings with several values: weighting: [equal, {name: cagrad, c: 0.4}], training.lr: [0.001, 0.01] …",
    )
    per_scheme: dict[str, dict[str, list[Any]]] = Field(
        default_factory=dict, title="Per scheme", description="Knobs that one scheme alone has: cagrad: {c: [0.2, 0.4]}."
    )
    search: Literal["grid", "random"] = Field("grid", title="Search", description="Every combination, or some drawn at random.")
    trials: int = Field(8, ge=1, le=1000, title="Trials", description="random: combinations per scheme, each with every seed.")
    seed: int = Field(0, ge=0, lt=2**31, title="Seed of the draw", description="random: which combinations are drawn.")
    baselines: bool = Field(
        True,
        title="Single-task baselines",
        description="Also train separate networks (sharing depth 0, equal weights), for every setting that concerns them.",
    )

    @field_validator("vary", mode="before")
    @classmethod
    def _lists(cls, vary: Any) -> Any:
        if not isinstance(vary, Mapping):
            raise ValueError("needs settings with lists of values, as in training.lr: [0.001, 0.01]")
        for key, values in vary.items():
            if key in _ELSEWHERE:
                raise ValueError(_ELSEWHERE[key])
            if not isinstance(values, list) or not values:
                raise ValueError(f"{key} needs a list of values, as in {key}: [1, 2]")
        return {str(key): _each_once(map(_short, values) if key == SCHEME else values) for key, values in vary.items()}

    @field_validator("base", mode="before")
    @classmethod
    def _settings(cls, base: Any) -> Any:
        if not isinstance(base, Mapping):
            raise ValueError("needs settings as in a run's config, for example dataset: {name: teacher}")
        return base

    @field_validator("per_scheme", mode="before")
    @classmethod
    def _lists_of_schemes(cls, per_scheme: Any) -> Any:
        if not isinstance(per_scheme, Mapping) or not all(isinstance(knobs, Mapping) for knobs in per_scheme.values()):
            raise ValueError("needs schemes with knobs and lists of values, as in cagrad: {c: [0.2, 0.4]}")
        for name, knobs in per_scheme.items():
            for knob, values in knobs.items():
                if not isinstance(values, list) or not values:
                    raise ValueError(f"{name}: {knob} needs a list of values, as in {name}: {{{knob}: [1, 2]}}")
        return {
            str(name): {str(knob): _each_once(values) for knob, values in knobs.items()} for name, knobs in per_scheme.items()
        }

    @classmethod
    def from_mapping(cls, values: Any) -> Sweep:
        """Read plain values and check every run that they mean. Raises ValueError in sentences."""
        if not isinstance(values, Mapping):
            raise ValueError(f"a sweep is a mapping with base and vary, got {type(values).__name__}")
        unknown = [key for key in values if key not in cls.model_fields]
        if unknown:
            raise ValueError("; ".join(no_such("key of a sweep", key, cls.model_fields) for key in unknown))
        try:
            sweep = cls.model_validate(dict(values))
        except ValidationError as error:
            raise ValueError(explain(error, "sweep")) from None
        sweep.members()
        return sweep

    @classmethod
    def from_yaml(cls, text: str | bytes) -> Sweep:
        """Read YAML or JSON text. Raises ValueError."""
        return cls.from_mapping(load_yaml(text))

    def to_yaml(self) -> str:
        """Text that ``from_yaml`` reads back to an equal sweep; what was left at its default is left out.

        >>> print(Sweep(vary={"training.seed": [0, 1, 1]}, baselines=False).to_yaml().strip())
        vary:
          training.seed: [0, 1]
        baselines: false
        """
        return dump_yaml(self.model_dump(mode="json", exclude_defaults=True))

    def members(self) -> list[Member]:
        """All runs, baselines first, each config once. Raises ValueError for a setting that no run can have."""
        chosen = self._chosen()
        found: dict[str, Member] = {}
        for member in (*self._baselines(chosen), *self._runs(chosen)):
            found.setdefault(member.key, member)
            if len(found) > MOST_RUNS:
                raise ValueError(_too_many())
        return list(found.values())

    @property
    def seeds(self) -> list[Any]:
        """The seeds that every combination runs with."""
        return self.vary.get(SEED) or [self._base().training.seed]

    @property
    def budgets(self) -> dict[str, int]:
        """How many runs each scheme has, baselines apart; one that is listed with several knobs has as many times more.

        >>> Sweep(vary={"weighting": ["equal", {"name": "fixed", "weights": [1, 2]}, {"name": "fixed", "weights": [2, 1]}]}).budgets
        {'equal': 1, 'fixed': 2}
        """
        found: dict[str, int] = {}
        for scheme, combinations in zip(self._schemes(), self._chosen(), strict=True):
            name = self._name_of(scheme)
            found[name] = found.get(name, 0) + len(combinations) * len(self.seeds)
        return found

    def _chosen(self) -> list[list[dict[str, Any]]]:
        """The combinations of each scheme, as many for each."""
        schemes, chosen, n = self._schemes(), [], 0
        for scheme in schemes:
            chosen.append(self._combinations(scheme))
            n += len(chosen[-1]) * len(self.seeds)
            if n > 2 * MOST_RUNS:  # so many that it need not look which of them are equal
                raise ValueError(_too_many())
        sizes = {self._name_of(scheme): len(combinations) for scheme, combinations in zip(schemes, chosen, strict=True)}
        least = min(sizes.values())
        if max(sizes.values()) > least:
            remedy = (
                f"lower trials to {least}, or give the others more values"
                if self.search == "random"
                else f"give each as many values, or choose search: random with {_counted(least, 'trial')} per scheme"
            )
            said = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise ValueError(
                f"the schemes would get unequal budgets ({said} combinations), which makes them incomparable: {remedy}"
            )
        return chosen

    def _runs(self, chosen: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Member]:
        base = self._base().to_mapping()
        for combinations in chosen:
            for settings in combinations:
                for seed in self.seeds:
                    yield Member.of(self._config(base, {**settings, SEED: seed}), "run")

    def _combinations(self, scheme: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """The settings of one scheme, seeds apart."""
        lists = {key: values for key, values in self.vary.items() if key not in (SEED, SCHEME)}
        start: dict[str, Any] = {}
        if scheme is not None:
            start = {SCHEME: dict(scheme)}
        own = self.per_scheme.get(self._name_of(scheme), {})
        lists |= {f"{SCHEME}.{knob}": values for knob, values in own.items()}
        n = math.prod(len(values) for values in lists.values())
        if self.search == "grid" or n <= self.trials:
            if n > MOST_RUNS:
                raise ValueError(f"the grid has {n:,} combinations, at most {MOST_RUNS:,} are run: choose search: random")
            return [start | dict(zip(lists, chosen, strict=True)) for chosen in product(*lists.values())]
        dice = random.Random(f"{self.seed}/{self._name_of(scheme)}")
        places = dice.sample(range(n), self.trials)  # without repeats
        in_order = dict(sorted(lists.items()))  # in whatever order the settings were written, the draw is the same
        return [start | _pick(in_order, place) for place in places]

    def _schemes(self) -> Sequence[Mapping[str, Any] | None]:
        schemes: list[Mapping[str, Any] | None] = []
        for one in self.vary.get(SCHEME, ()):
            scheme = {"name": one} if isinstance(one, str) else one
            if not isinstance(scheme, Mapping) or not isinstance(scheme.get("name"), str):
                raise ValueError(f"weighting: each value must be a name or {{name: …, knob: value}}, got {one!r}")
            schemes.append(scheme)
        schemes = schemes or [None]
        named = {self._name_of(scheme) for scheme in schemes}
        for name in self.per_scheme:
            if name not in named:
                raise ValueError(no_such("scheme that per_scheme may name", name, sorted(named)))
        return schemes

    def _name_of(self, scheme: Mapping[str, Any] | None) -> str:
        if scheme is not None:
            return str(scheme["name"])
        return str(self._base().weighting["name"])

    def _baselines(self, chosen: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Member]:
        """Separate networks for what is left of the combinations when what does not concern them makes no difference."""
        if not self.baselines:
            return
        base, seen = self._base().to_mapping(), set()
        for settings in (settings for combinations in chosen for settings in combinations):
            left = {key: value for key, value in settings.items() if not key.startswith(NOT_OF_BASELINES)}
            content = json.dumps(left, sort_keys=True, default=str)
            if content not in seen:
                seen.add(content)
                for seed in self.seeds:
                    values = {**left, SEED: seed, SCHEME: {"name": "equal"}, DEPTH: 0}
                    yield Member.of(self._config(base, values), "baseline")

    def _base(self) -> RunConfig:
        return RunConfig.from_mapping(self.base)

    @staticmethod
    def _config(base: Mapping[str, Any], settings: Mapping[str, Any]) -> RunConfig:
        values = deepcopy(dict(base))
        # whole parts first, then what they are called: either would take the knobs away that were set before
        for key in sorted(settings, key=lambda key: (key.count("."), not key.endswith(".name"))):
            value = deepcopy(settings[key])
            set_value(values, key.split("."), {"name": value} if key in CHOICES and isinstance(value, str) else value)
        values.pop("name", None)  # the run's choices name it
        config = RunConfig.from_mapping(values)
        if config.architecture.get("depth") == 0 and config.weighting == {"name": "equal"}:
            config = config.model_copy(update={MEASURE: Measure()})  # it shares nothing, so nothing would be measured
        return config


@dataclass(frozen=True)
class Member:
    """One run of a sweep; ``key`` is the same for equal configs, whatever sweep they stand in."""

    key: str
    role: Role
    config: RunConfig

    @classmethod
    def of(cls, config: RunConfig, role: Role) -> Member:
        text = json.dumps(config.to_mapping(), sort_keys=True)
        return cls(hashlib.blake2b(text.encode(), digest_size=12).hexdigest(), role, config)


def _pick(lists: Mapping[str, list[Any]], place: int) -> dict[str, Any]:
    """The combination at that place of the grid."""
    settings = {}
    for key, values in lists.items():
        place, position = divmod(place, len(values))
        settings[key] = values[position]
    return settings


def _each_once(values: Iterable[Any]) -> list[Any]:
    """Without repeats: 1 and true are two values, 1 and 1.0 are one."""
    return list({_mark(value): value for value in values}.values())


def _mark(value: Any) -> str:
    is_whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if is_whole else value, sort_keys=True, default=str)


def _short(scheme: Any) -> Any:
    """A name alone says the same as a name without knobs."""
    return scheme["name"] if isinstance(scheme, Mapping) and set(scheme) == {"name"} else scheme


def _too_many() -> str:
    return f"the sweep has more than {MOST_RUNS:,} runs: vary less, or draw at random"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
