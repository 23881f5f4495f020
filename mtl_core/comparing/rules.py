"""The rules of a fair comparison, each as a sentence when it is broken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mtl_core.comparing.groups import Group, trained_on
from mtl_core.comparing.treatment import HEADS, SCALES, by_heads, by_scale, schemes
from mtl_core.store.alike import in_words

Rule = (
    Literal["elsewhere", "data", "seeds", "budget", "settings", "treatment", "tuning", "selection", "diverged", "left out"]
    | Literal["baseline", "numbers", "pairs", "repeats", "device", "time"]
)
FEW_SEEDS = 3
LIKE_TIMES = 1.5  # up to this ratio, equal steps are about equal time
_NAMED = 3  # groups named in a sentence
_LENGTH = ("training.steps", "training.batch_size")
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
_OWN = ("weighting.", "dataset.", "measure.", "training.device", "architecture.depth", *_LENGTH)  # have rules of their own
_SINGLE = "single task"
_UNENDED = ("queued", "running", "paused")


@dataclass(frozen=True)
class Warned:
    """A broken rule: which, and what it means here."""

    rule: Rule
    sentence: str


def check(
    groups: Sequence[Group],
    *,
    without_baseline: Sequence[Group] = (),
    awaited: Sequence[Group] = (),
    baselines: Sequence[Group] = (),
    incomparable: Sequence[Group] = (),
) -> list[Warned]:
    """Every rule that these groups break, the gravest first.

    Args:
        without_baseline: the groups that Δm has nothing to be measured against.
        awaited: the baselines of others that have no test.
        baselines: the groups that others are measured against.
        incomparable: the groups that have a baseline, and no Δm all the same.
    """
    tested = [group for group in groups if group.by_seed]
    ours = [group for group in tested if not group.is_foreign]  # of the others neither budget nor tuning is known
    found = [*_elsewhere(groups), *_data(groups), *_seeds(tested), *_budget(ours), *_settings(ours)]
    found += [*_treatment(ours), *_tuning(ours)]
    found += [*_diverged(groups), *_left_out(groups), *_numbers(tested), *_baseline(tested, without_baseline)]
    found += [*_awaited(awaited), *_incomparable(incomparable), *_scatter(baselines)]
    found += [*_pairs(ours), *_repeats(groups), *_device(ours), *_time(ours)]
    return found


def _elsewhere(groups: Sequence[Group]) -> Iterable[Warned]:
    foreign = [group for group in groups if group.is_foreign]
    if foreign:
        yield Warned(
            "elsewhere",
            f"{_names(foreign)}: trained elsewhere, so nobody here knows the budget, the tuning or the test split. Show them, "
            "but do not conclude from them who is better.",
        )


def _data(groups: Sequence[Group]) -> Iterable[Warned]:
    ours = [group for group in groups if not group.is_foreign]
    sets = {
        json.dumps([[key, value] for key, value in sorted(group.lean.items()) if key.startswith("dataset.")]) for group in ours
    }
    if len(sets) > 1:
        yield Warned(
            "data", "Not all runs have the same data: their validation and test splits differ, so their numbers do not compare."
        )
    tasks = {tuple(sorted(_tasks(group))) for group in groups if _tasks(group)}
    if len(tasks) > 1:
        said = "; ".join(" + ".join(names) for names in sorted(tasks)[:_NAMED])
        yield Warned("data", f"Not all runs have the same tasks ({said}): averages over tasks do not compare.")


def _seeds(tested: Sequence[Group]) -> Iterable[Warned]:
    single = [group for group in tested if len(group.by_seed) == 1]
    if single:
        yield Warned("seeds", f"{_names(single)}: one seed only, so nothing says how far chance alone would move the numbers.")
    few = [group for group in tested if 1 < len(group.by_seed) < FEW_SEEDS]
    if few:
        yield Warned("seeds", f"{_names(few)}: two seeds only; an interval from two is hardly worth its name.")


def _budget(tested: Sequence[Group]) -> Iterable[Warned]:
    for key, what in zip(_LENGTH, ("steps", "examples per step"), strict=True):
        values = sorted({int(group.settings[key]) for group in tested if key in group.settings})
        if len(values) > 1:
            yield Warned("budget", f"Unequal budgets: the groups train with {_list(values)} {what}.")
    early = [
        run
        for group in tested
        for run in group.by_seed.values()
        if run.step < run.steps and not run.config["training"].get("patience")
    ]
    if early:
        yield Warned("budget", f"Unequal budgets: {_count(early, 'run')} ended before the last step.")
    impatient = [group for group in tested if any(run.config["training"].get("patience") for run in group.by_seed.values())]
    ends = {group.name: sum(run.step for run in group.by_seed.values()) / len(group.by_seed) for group in impatient}
    longest, shortest = max(ends, key=ends.__getitem__, default=""), min(ends, key=ends.__getitem__, default="")
    if ends and ends[longest] > LIKE_TIMES * ends[shortest]:
        yield Warned(
            "budget",
            f"Early stopping ended {shortest} after {ends[shortest]:,.0f} steps and {longest} after {ends[longest]:,.0f}: one rule "
            "for all, but not one budget. Results compares them at equal steps and at equal time, too.",
        )


def _settings(tested: Sequence[Group]) -> Iterable[Warned]:
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


def _treatment(tested: Sequence[Group]) -> Iterable[Warned]:
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


def _tuning(tested: Sequence[Group]) -> Iterable[Warned]:
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
        f"Several settings of {_list(tuned)} stand here: to take the best by these test numbers would be selection on the test "
        "split. Choose by validation, then report that one's test.",
    )


def _diverged(groups: Sequence[Group]) -> Iterable[Warned]:
    lost = [group for group in groups if any(run.state == "diverged" for run in group.runs)]
    if lost:
        said = _names(lost, lambda group: f" ({sum(run.state == 'diverged' for run in group.runs)} of {len(group.runs)})")
        yield Warned(
            "diverged", f"Diverged runs have no test and are missing from the means, which flatters their group: {said}."
        )


def _left_out(groups: Sequence[Group]) -> Iterable[Warned]:
    without = [run for group in groups for run in group.runs if not (run.result or {}).get("test") and run.state != "diverged"]
    if without:
        states = Counter(run.state if run.state not in _UNENDED else "not ended yet" for run in without)
        said = ", ".join(f"{n} {state}" for state, n in states.most_common())
        verb = "is" if len(without) == 1 else "are"
        yield Warned("left out", f"{_count(without, 'run')} without a final test {verb} left out ({said}).")


def _numbers(tested: Sequence[Group]) -> Iterable[Warned]:
    lacking = [group for group in tested if group.lacking]
    if lacking:
        said = _names(lacking, lambda group: f" ({', '.join(' '.join(key) for key in list(group.lacking)[:_NAMED])})")
        yield Warned(
            "numbers",
            f"Test numbers are missing or not finite: {said}. The means are those of the other seeds, and Δm and Δp those of the "
            "seeds and metrics that are left, which flatters a group whose worst ones are gone.",
        )


def _incomparable(groups: Sequence[Group]) -> Iterable[Warned]:
    if groups:
        yield Warned(
            "baseline",
            f"{_names(groups)}: no Δm, because the baseline is zero in one of the metrics or lacks it, or no seed has all of "
            "them: read the metrics one by one.",
        )


def _baseline(tested: Sequence[Group], without: Sequence[Group]) -> Iterable[Warned]:
    if tested and len(without) == len(tested):
        yield Warned(
            "baseline",
            "No single-task baseline (sharing depth 0, equal weights, otherwise the same) is among the runs, so there is no Δm: "
            "add one, or choose another baseline.",
        )
    elif without:
        yield Warned(
            "baseline", f"{_names(without)}: no single-task baseline with the same data, tasks and training, so no Δm."
        )


def _awaited(awaited: Sequence[Group]) -> Iterable[Warned]:
    if awaited:
        states = Counter(run.state for group in awaited for run in group.runs)
        said = ", ".join(f"{n} {state}" for state, n in states.most_common())
        yield Warned(
            "baseline",
            f"The single-task baseline ({_names(awaited)}) has no test ({said}), so there is no Δm against it: wait for it, "
            "train it again, or choose another baseline.",
        )


def _scatter(baselines: Sequence[Group]) -> Iterable[Warned]:
    single = [group for group in baselines if len(group.by_seed) == 1]
    if single:
        yield Warned(
            "baseline",
            f"The baseline ({_names(single)}) has one seed: its own scatter is unknown and missing from the intervals of Δm and "
            "Δp, which are too narrow. Train it with as many seeds as the others.",
        )


def _pairs(tested: Sequence[Group]) -> Iterable[Warned]:
    if len({tuple(group.seeds) for group in tested}) > 1:
        yield Warned("pairs", "Not all groups have the same seeds: paired tests use those that both have.")


def _repeats(groups: Sequence[Group]) -> Iterable[Warned]:
    repeated = 0
    for group in groups:
        tested = [run.config["training"]["seed"] for run in group.runs if (run.result or {}).get("test")]
        repeated += len(tested) - len(set(tested))
    if repeated:
        yield Warned(
            "repeats",
            f"{repeated} repeated a config with the same seed; of each, the newest run counts: they are no further evidence.",
        )


def _device(tested: Sequence[Group]) -> Iterable[Warned]:
    devices = sorted({trained_on(run) for group in tested for run in group.by_seed.values()})
    if len(devices) > 1:
        yield Warned(
            "device", f"The runs trained on different devices ({_list(devices[:_NAMED])}): their times do not compare."
        )


def _time(tested: Sequence[Group]) -> Iterable[Warned]:
    """Says nothing where devices differ: then times do not compare at all."""
    timed = {group.name: group.seconds for group in tested if group.seconds}
    devices = {trained_on(run) for group in tested for run in group.by_seed.values()}
    steps = {run.step for group in tested for run in group.by_seed.values()}
    if len(timed) < 2 or len(devices) > 1 or len(steps) > 1:
        return
    longest, shortest = max(timed, key=timed.__getitem__), min(timed, key=timed.__getitem__)
    ratio = timed[longest] / timed[shortest]
    if ratio > LIKE_TIMES:
        yield Warned(
            "time",
            f"Equal steps are not equal time: {longest} trained {ratio:.1f} times as long as {shortest}. Results shows both, at "
            "equal steps and at equal time.",
        )


def _tasks(group: Group) -> list[str]:
    for run in group.runs:
        if run.spec is not None:
            return [str(task["name"]) for task in run.spec.get("tasks", ())]
    return [str(task) for task in group.settings.get("tasks") or ()]


def _names(groups: Sequence[Group], more: Any = lambda _: "") -> str:
    said = [f"{group.name}{more(group)}" for group in groups[:_NAMED]]
    rest = len(groups) - len(said)
    return "; ".join([*said, *([f"{rest} more"] if rest > 0 else [])])


def _list(values: Sequence[Any]) -> str:
    """
    >>> _list([60, 120, 240])
    '60, 120 and 240'
    """
    words = [in_words(value) for value in values]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _count(items: Sequence[object], what: str) -> str:
    return f"{len(items)} {what}{'' if len(items) == 1 else 's'}"
