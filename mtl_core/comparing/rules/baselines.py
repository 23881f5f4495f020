"""Whether there is a single-task baseline to measure against, and whether it can bear it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mtl_core.comparing.groups import Group
from mtl_core.comparing.rules._said import Warned, names


def missing(tested: Sequence[Group], without: Sequence[Group]) -> Iterable[Warned]:
    """Groups that have none."""
    if tested and len(without) == len(tested):
        yield Warned(
            "baseline",
            "No single-task baseline (sharing depth 0, equal weights, otherwise the same) is among the runs, so there is no Δm: "
            "add one, or choose another baseline.",
        )
    elif without:
        yield Warned("baseline", f"{names(without)}: no single-task baseline with the same data, tasks and training, so no Δm.")


def awaited(awaited: Sequence[Group]) -> Iterable[Warned]:
    """Baselines without a test."""
    if awaited:
        states = Counter(run.state for group in awaited for run in group.runs)
        said = ", ".join(f"{n} {state}" for state, n in states.most_common())
        yield Warned(
            "baseline",
            f"The single-task baseline ({names(awaited)}) has no test ({said}), so there is no Δm against it: wait for it, "
            "train it again, or choose another baseline.",
        )


def incomparable(groups: Sequence[Group]) -> Iterable[Warned]:
    """Groups that have one, and no Δm all the same."""
    if groups:
        yield Warned(
            "baseline",
            f"{names(groups)}: no Δm, because the baseline is zero in one of the metrics or lacks it, or no seed has all of "
            "them: read the metrics one by one.",
        )


def scatter(baselines: Sequence[Group]) -> Iterable[Warned]:
    """A baseline with one seed."""
    single = [group for group in baselines if len(group.by_seed) == 1]
    if single:
        yield Warned(
            "baseline",
            f"The baseline ({names(single)}) has one seed: its own scatter is unknown and missing from the intervals of Δm and "
            "Δp, which are too narrow. Train it with as many seeds as the others.",
        )
