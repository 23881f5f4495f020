"""Whether all were given the same to train with: steps, examples, device, time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtl_core.comparing.groups import Group, trained_on
from mtl_core.comparing.rules._said import NAMED, Warned, counted, listed

LENGTH = ("training.steps", "training.batch_size")
LIKE_TIMES = 1.5  # up to this ratio, equal steps are about equal time


def unequal(tested: Sequence[Group]) -> Iterable[Warned]:
    """Other steps, other batches, runs that ended early."""
    for key, what in zip(LENGTH, ("steps", "examples per step"), strict=True):
        values = sorted({int(group.settings[key]) for group in tested if key in group.settings})
        if len(values) > 1:
            yield Warned("budget", f"Unequal budgets: the groups train with {listed(values)} {what}.")
    early = [
        run
        for group in tested
        for run in group.by_seed.values()
        if run.step < run.steps and not run.config["training"].get("patience")
    ]
    if early:
        yield Warned("budget", f"Unequal budgets: {counted(early, 'run')} ended before the last step.")
    impatient = [group for group in tested if any(run.config["training"].get("patience") for run in group.by_seed.values())]
    ends = {group.name: sum(run.step for run in group.by_seed.values()) / len(group.by_seed) for group in impatient}
    longest, shortest = max(ends, key=ends.__getitem__, default=""), min(ends, key=ends.__getitem__, default="")
    if ends and ends[longest] > LIKE_TIMES * ends[shortest]:
        yield Warned(
            "budget",
            f"Early stopping ended {shortest} after {ends[shortest]:,.0f} steps and {longest} after {ends[longest]:,.0f}: one rule "
            "for all, but not one budget. Results compares them at equal steps and at equal time, too.",
        )


def device(tested: Sequence[Group]) -> Iterable[Warned]:
    """More than one kind of device."""
    devices = sorted({trained_on(run) for group in tested for run in group.by_seed.values()})
    if len(devices) > 1:
        yield Warned(
            "device", f"The runs trained on different devices ({listed(devices[:NAMED])}): their times do not compare."
        )


def time(tested: Sequence[Group]) -> Iterable[Warned]:
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
