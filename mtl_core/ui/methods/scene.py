"""What the Methods page shows, as plain values: a scheme with its knobs, and the gradients it is asked about. All of it is in the URL."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mtl_core.config import RunConfig
from mtl_core.registry import no_such
from mtl_core.ui.links import from_params, to_params
from mtl_core.ui.train.drafts import mend
from mtl_core.weightings import WEIGHTINGS

FIRST_SHOWN = "pcgrad"
MOST_TASKS = 3
LONGEST, LARGEST_LOSS = 8.0, 10.0
OWN = ("gradients", "losses", "seed", "lengths")
MAX_SEED = 9999


@dataclass(frozen=True)
class Pull:
    """One task: how long its gradient is, where it points (degrees, 0 is right, 90 is up), and its loss."""

    length: float
    angle: float
    loss: float = 1.0


# For three tasks each; two take the first two.
PRESETS: dict[str, tuple[Pull, Pull, Pull]] = {
    "Conflict": (Pull(1.0, 30, 0.5), Pull(1.6, 155, 1.5), Pull(1.2, 85, 1.0)),
    "Aligned": (Pull(1.0, 65, 0.5), Pull(1.4, 105, 1.5), Pull(0.8, 85, 1.0)),
    "Magnitude gap": (Pull(0.5, 35, 0.2), Pull(4.0, 145, 3.0), Pull(1.5, 75, 1.0)),
    "Opposite": (Pull(1.0, 0, 0.5), Pull(1.5, 180, 1.5), Pull(1.0, 90, 1.0)),
}
USUAL = PRESETS["Conflict"]


@dataclass(frozen=True)
class Scene:
    """``pulls`` always holds three, so that a third task comes back as it was left; ``n_tasks`` of them count."""

    weighting: Mapping[str, Any]
    pulls: tuple[Pull, ...] = USUAL
    n_tasks: int = 2
    seed: int = 0
    same_length: bool = True

    @property
    def scheme(self) -> str:
        return str(self.weighting["name"])

    @property
    def knobs(self) -> dict[str, Any]:
        return {name: value for name, value in self.weighting.items() if name != "name"}

    @property
    def gradients(self) -> list[tuple[float, float]]:
        """One row (x, y) per task, with no more digits than a person would type."""
        return [_row(pull) for pull in self.pulls[: self.n_tasks]]

    @property
    def losses(self) -> list[float]:
        return [pull.loss for pull in self.pulls[: self.n_tasks]]

    @property
    def preset(self) -> str | None:
        """The preset that it shows, if nobody has moved a slider since."""
        return next((name for name, pulls in PRESETS.items() if pulls[: self.n_tasks] == self.pulls[: self.n_tasks]), None)

    def with_preset(self, name: str) -> Scene:
        return replace(self, pulls=PRESETS[name])

    def config(self) -> RunConfig:
        """A run with this scheme, for the link to Train."""
        return RunConfig(weighting=dict(self.weighting))


def usual_scene() -> Scene:
    """What the page shows without a link."""
    return Scene({"name": FIRST_SHOWN if FIRST_SHOWN in WEIGHTINGS else WEIGHTINGS.names()[0]})


def scene_params(scene: Scene) -> dict[str, str]:
    """The address of a scene; the scheme is always in it, the rest where it differs from the first one.

    >>> scene_params(Scene({"name": "cagrad", "c": 0.2}, seed=3))
    {'weighting': 'cagrad', 'weighting.c': '0.2', 'seed': '3'}
    """
    params = {"weighting": scene.scheme, **to_params(scene.config())}
    shown = scene.pulls[: scene.n_tasks]
    if shown != USUAL[:2]:
        params["gradients"] = ",".join(f"{pull.length:g}:{pull.angle:g}" for pull in shown)
        params["losses"] = ",".join(f"{pull.loss:g}" for pull in shown)
    if scene.seed:
        params["seed"] = str(scene.seed)
    if not scene.same_length:
        params["lengths"] = "true"
    return params


def read_scene(params: Mapping[str, str]) -> tuple[Scene, list[str]]:
    """The scene of an address, and a sentence for each part that says nothing to us. Never raises.

    >>> scene, slips = read_scene({"weighting": "mgda", "gradients": "1:0,2:90"})
    >>> scene.scheme, scene.gradients, slips
    ('mgda', [(1.0, 0.0), (0.0, 2.0)], [])
    """
    foreign = [key for key in params if key.partition(".")[0] not in ("weighting", *OWN)]
    values, slips = from_params({key: text for key, text in params.items() if key.partition(".")[0] == "weighting"})
    slips += [no_such("setting of this page", key, ["weighting", *OWN]) for key in foreign[:3]]
    scene = usual_scene()
    if "weighting" in values:
        chosen = values["weighting"]
        config, found = mend({"weighting": {"name": scene.scheme, **chosen}})
        slips += found
        scene = replace(scene, weighting=config.weighting)
    pulls = _read_pulls(params, slips)
    seed = _whole(params.get("seed", "0"), slips)
    return replace(
        scene,
        pulls=(*pulls, *USUAL[len(pulls) :]),
        n_tasks=len(pulls),
        seed=seed,
        same_length=params.get("lengths") != "true",
    ), slips


def command(scene: Scene) -> str:
    """The command that asks the highlighted scheme the same.

    >>> command(Scene({"name": "cagrad", "c": 0.2}, pulls=(Pull(1, 0), Pull(1, 90), Pull(1, 0))))
    "python -m mtl_core weigh cagrad c=0.2 --gradients '[[1,0],[0,1]]' --losses '[1,1]'"
    """
    knobs = [f"{name}={_plain(value)}" for name, value in scene.knobs.items()]
    words = ["python -m mtl_core weigh", scene.scheme, *(f"'{knob}'" if "[" in knob else knob for knob in knobs)]
    words += ["--gradients", f"'{_plain(scene.gradients)}'", "--losses", f"'{_plain(scene.losses)}'"]
    return " ".join([*words, *([f"--seed {scene.seed}"] if scene.seed else [])])


def _plain(value: Any) -> str:
    """A value as a person would type it: no spaces, no ".0"."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_plain, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _row(pull: Pull) -> tuple[float, float]:
    angle = math.radians(pull.angle)
    # + 0.0: no minus before a zero
    return round(pull.length * math.cos(angle), 4) + 0.0, round(pull.length * math.sin(angle), 4) + 0.0


def _read_pulls(params: Mapping[str, str], slips: list[str]) -> tuple[Pull, ...]:
    text = params.get("gradients", "")
    if not text:
        return USUAL[:2]
    try:
        pairs = [tuple(float(number) for number in pair.split(":")) for pair in text[:200].split(",")]
        losses = [float(number) for number in params["losses"][:200].split(",")] if params.get("losses") else [1.0] * len(pairs)
    except ValueError:
        slips.append(f"gradients in the link read length:angle for each task and losses one number each, got {text[:60]!r}")
        return USUAL[:2]
    if not 2 <= len(pairs) <= MOST_TASKS or len(losses) != len(pairs) or any(len(pair) != 2 for pair in pairs):
        slips.append(f"the link needs length:angle and a loss for each of 2 or 3 tasks, got {text[:60]!r}")
        return USUAL[:2]
    pulls = tuple(Pull(pair[0], pair[1], loss) for pair, loss in zip(pairs, losses, strict=True))
    if not all(0 <= p.length <= LONGEST and -180 <= p.angle <= 180 and 0 <= p.loss <= LARGEST_LOSS for p in pulls):
        slips.append(f"lengths lie in 0..{LONGEST:g}, angles in -180..180, losses in 0..{LARGEST_LOSS:g}, got {text[:60]!r}")
        return USUAL[:2]
    return pulls


def _whole(text: str, slips: list[str]) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4:
        return int(text)
    slips.append(f"seed must be a whole number from 0 to {MAX_SEED}, got {text[:20]!r}")
    return 0
