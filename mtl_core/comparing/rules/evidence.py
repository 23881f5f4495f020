"""Whether there is enough to go by: seeds, tests, numbers, pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mtl_core.comparing.groups import Group
from mtl_core.comparing.rules._said import NAMED, Warned, counted, names

FEW_SEEDS = 3
_UNENDED = ("queued", "running", "paused")


def seeds(tested: Sequence[Group]) -> Iterable[Warned]:
    """One seed, or two."""
    single = [group for group in tested if len(group.by_seed) == 1]
    if single:
        yield Warned("seeds", f"{names(single)}: one seed only, so nothing says how far chance alone would move the numbers.")
    few = [group for group in tested if 1 < len(group.by_seed) < FEW_SEEDS]
    if few:
        yield Warned("seeds", f"{names(few)}: two seeds only; an interval from two is hardly worth its name.")


def diverged(groups: Sequence[Group]) -> Iterable[Warned]:
    """Runs that came apart, and are missing from the means."""
    lost = [group for group in groups if any(run.state == "diverged" for run in group.runs)]
    if lost:
        said = names(lost, lambda group: f" ({sum(run.state == 'diverged' for run in group.runs)} of {len(group.runs)})")
        yield Warned(
            "diverged", f"Diverged runs have no test and are missing from the means, which flatters their group: {said}."
        )


def left_out(groups: Sequence[Group]) -> Iterable[Warned]:
    """Runs without a final test."""
    without = [run for group in groups for run in group.runs if not (run.result or {}).get("test") and run.state != "diverged"]
    if without:
        states = Counter(run.state if run.state not in _UNENDED else "not ended yet" for run in without)
        said = ", ".join(f"{n} {state}" for state, n in states.most_common())
        verb = "is" if len(without) == 1 else "are"
        yield Warned("left out", f"{counted(without, 'run')} without a final test {verb} left out ({said}).")


def numbers(tested: Sequence[Group]) -> Iterable[Warned]:
    """Test numbers that are missing or not finite."""
    lacking = [group for group in tested if group.lacking]
    if lacking:
        said = names(lacking, lambda group: f" ({', '.join(' '.join(key) for key in list(group.lacking)[:NAMED])})")
        yield Warned(
            "numbers",
            f"Test numbers are missing or not finite: {said}. The means are those of the other seeds, and Δm and Δp those of the "
            "seeds and metrics that are left, which flatters a group whose worst ones are gone.",
        )


def pairs(tested: Sequence[Group]) -> Iterable[Warned]:
    """Groups with other seeds than others."""
    if len({tuple(group.seeds) for group in tested}) > 1:
        yield Warned("pairs", "Not all groups have the same seeds: paired tests use those that both have.")


def repeats(groups: Sequence[Group]) -> Iterable[Warned]:
    """The same config and seed more than once."""
    repeated = 0
    for group in groups:
        tested = [run.config["training"]["seed"] for run in group.runs if (run.result or {}).get("test")]
        repeated += len(tested) - len(set(tested))
    if repeated:
        yield Warned(
            "repeats",
            f"{repeated} repeated a config with the same seed; of each, the newest run counts: they are no further evidence.",
        )
