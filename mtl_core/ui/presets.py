"""Good places to start: whole configs with a title and the thing to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mtl_core.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """A config worth running, and what one sees when it runs."""

    title: str
    look: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> RunConfig:
        return RunConfig.from_mapping({"name": self.title, **self.values})

    @property
    def unnamed(self) -> RunConfig:
        """To compare with what stands in the form, whatever the run is called."""
        return RunConfig.from_mapping(self.values)


PRESETS: dict[str, Preset] = {
    "classic": Preset(
        "Digit + box, the classic",
        "Which digit is it, and where? Two tasks that mostly help each other.",
        {"dataset": {"name": "digit_scenes"}},
    ),
    "five": Preset(
        "Five tasks at once",
        "Digit, box, mask, turn and photograph on one trunk: see which pairs pull apart, and in which stage.",
        {
            "dataset": {"name": "digit_scenes"},
            "tasks": ["digit", "box", "mask", "angle", "photo"],
            "training": {"augment": 0.5},
        },
    ),
    "overlap": Preset(
        "Two digits, real negative transfer",
        "Left and right digit overlaid: sharing costs accuracy. Compare with depth 0.",
        {"dataset": {"name": "multi_digits"}},
    ),
    "related": Preset(
        "Teacher: related",
        "Two regressions with the same hidden features, and only 32 labels for task A: sharing helps it. Compare with depth 0.",
        {"dataset": {"name": "teacher", "rho": 1.0, "labels": [32, 2000]}, "training": {"lr": 0.003}},
    ),
    "unrelated": Preset(
        "Teacher: unrelated, narrow",
        "Nothing in common and room for little: watch the cosine fall below the noise floor.",
        {
            "dataset": {"name": "teacher"},
            "architecture": {"name": "hard_sharing", "width": 3},
            "training": {"lr": 0.003},
        },
    ),
    "scale": Preset(
        "Loss scale kills a task",
        "Targets ×1 and ×10 under equal weights: task A starves while the total loss looks fine. Then try uncertainty.",
        {
            "dataset": {"name": "teacher", "target_scale": [1.0, 10.0]},
            "architecture": {"name": "hard_sharing", "width": 6},
            "training": {"lr": 0.003},
        },
    ),
}
