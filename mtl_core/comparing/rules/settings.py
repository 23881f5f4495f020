"""Whether the schemes differ in nothing but the scheme, and whether each was tuned as much as the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mtl_core.comparing.groups import Group
from mtl_core.comparing.rules._said import Warned, listed
from mtl_core.comparing.rules.budgets import LENGTH
from mtl_core.comparing.treatment import HEADS, SCALES, by_heads, by_scale, schemes
from mtl_core.store.alike import in_words

_SEARCHED = tuple(  # what people search for the best value of
    f"training.{name}"
    for name in (
        "lr",
        "weight_decay",
        "optimizer",
        "l1",
        "clip",
        "momentum",
        "schedule",
        "warmup",
        "augment",
        "order",
        "patience",
    )
)
_OWN = ("weighting.", "dataset.", "measure.", "training.device", "architecture.depth", *LENGTH)  # have rules of their own
_SINGLE = "single task"


def unlike(tested: Sequence[Group]) -> Iterable[Warned]:
    """What sets one scheme apart beside its name: settings of which each has one value, and not all the same one."""
    table: dict[str, dict[str, set[str]]] = {}
    for group in tested:
        scheme = _SINGLE if group.is_single_task else group.scheme
        said = {key: value for key, value in group.settings.items() if not key.startswith(_OWN) and key != "tasks"}
        precisions = {str((run.spec or {}).get("precision", "")) for run in group.by_seed.values()}
        said |= {"training.precision": ", ".join(sorted(precisions))} if all(precisions) else {}  # what auto came to
        for key, value in said.items():
            table.setdefault(key, {}).setdefault(scheme, set()).add(in_words(value))
    unlike = []
    for key, by_scheme in table.items():
        if all(len(values) == 1 for values in by_scheme.values()) and len(set(map(frozenset, by_scheme.values()))) > 1:
            values = dict.fromkeys(value for values in by_scheme.values() for value in values)
            unlike.append(f"{key.rpartition('.')[2].replace('_', ' ')} {' or '.join(values)}")
    if unlike:
        yield Warned(
            "settings",
            f"The schemes differ in more than the scheme ({'; '.join(unlike)}): what looks like the one's doing may be the other's. "
            "Train all with the same, or search it for each with as many trials.",
        )


def treatment(tested: Sequence[Group]) -> Iterable[Warned]:
    """Sums against means where the optimiser does not even them out, and heads that somebody chose to treat in another way."""
    scales = by_scale([group for group in tested if group.settings.get("training.optimizer") == "sgd"])
    if len(scales) > 1:
        said = " and ".join(f"{SCALES[one]} for {schemes(mine)}" for one, mine in scales.items())
        yield Warned(
            "treatment",
            f"The step is {said}: with SGD that is as if the learning rate were multiplied by the number of tasks. Set the knob "
            "scale of all schemes to sum, or of all to mean.",
        )
    weighed = [group for group in tested if group.scheme != "equal"]  # with equal weights the two are the same
    heads = by_heads(weighed)
    if len(heads) > 1 and any(group.knobs.get("weighting.heads") in HEADS for group in weighed):
        said = " and ".join(f"{HEADS[one]} for {schemes(mine)}" for one, mine in heads.items())
        yield Warned(
            "treatment",
            f"The tasks' own layers {said}, by choice and not as published: what looks like the scheme's doing may be the heads'. "
            "Set the knob heads alike for all schemes.",
        )


def tuning(tested: Sequence[Group]) -> Iterable[Warned]:
    """How many settings each scheme was tried with; several fixed weights are a front, and depths a question of their own."""
    trials: dict[str, set[str]] = {}
    for group in tested:
        knobs = [] if group.scheme == "fixed" else sorted(group.knobs.items())
        searched = [group.settings.get(key) for key in _SEARCHED]
        name = _SINGLE if group.is_single_task else group.scheme
        trials.setdefault(name, set()).add(json.dumps([knobs, searched]))
    counts = {scheme: len(settings) for scheme, settings in trials.items()}
    if not counts or max(counts.values()) == 1:
        return
    said = ", ".join(f"{scheme} {n}" for scheme, n in sorted(counts.items(), key=lambda item: -item[1]))
    if len(counts) > 1 and _SINGLE in counts:  # a baseline for each setting that any scheme drew is no wider search
        counts[_SINGLE] = min(counts[_SINGLE], max(n for scheme, n in counts.items() if scheme != _SINGLE))
    tuned = [scheme for scheme, n in counts.items() if n > 1]
    if min(counts.values()) == 1:
        yield Warned("tuning", f"Tuned against untuned: the number of learning rates and knobs tried is unequal ({said}).")
    elif len(set(counts.values())) > 1:
        yield Warned("tuning", f"Unequal search budgets: the number of learning rates and knobs tried differs ({said}).")
    yield Warned(
        "selection",
        f"Several settings of {listed(tuned)} stand here: to take the best by these test numbers would be selection on the test "
        "split. Choose by validation, then report that one's test.",
    )
