"""The rules of a fair comparison, each as a sentence when it is broken."""

from __future__ import annotations

from collections.abc import Sequence

from mtl_core.comparing.groups import Group
from mtl_core.comparing.rules import baselines as against
from mtl_core.comparing.rules import budgets, data, evidence, settings
from mtl_core.comparing.rules._said import Rule, Warned

__all__ = ["Rule", "Warned", "check"]


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
    return [
        *data.elsewhere(groups),
        *data.unlike(groups),
        *evidence.seeds(tested),
        *budgets.unequal(ours),
        *settings.unlike(ours),
        *settings.treatment(ours),
        *settings.tuning(ours),
        *evidence.diverged(groups),
        *evidence.left_out(groups),
        *evidence.numbers(tested),
        *against.missing(tested, without_baseline),
        *against.awaited(awaited),
        *against.incomparable(incomparable),
        *against.scatter(baselines),
        *evidence.pairs(ours),
        *evidence.repeats(groups),
        *budgets.device(ours),
        *budgets.time(ours),
    ]
