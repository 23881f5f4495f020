"""Checks that several schemes make of what a person typed."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST = 1e12  # beyond it float32 sums lose the smaller numbers altogether


def check_one_per_task(owner: str, noun: str, numbers: Sequence[float], tasks: Sequence[str]) -> None:
    """Raise ValueError unless there is one number per task, each in 0..1e12, and one of them above zero.

    >>> check_one_per_task("fixed", "weight", [1.0], ["digit", "box"])
    Traceback (most recent call last):
    ValueError: fixed needs one weight per task, got 1 for 2 tasks: give them in the order digit, box
    """
    if len(numbers) != len(tasks):
        order = ", ".join(tasks)
        raise ValueError(
            f"{owner} needs one {noun} per task, got {len(numbers)} for {len(tasks)} tasks: give them in the order {order}"
        )
    for task, number in zip(tasks, numbers, strict=True):
        if not (math.isfinite(number) and 0 <= number <= MOST):
            raise ValueError(
                f"{owner}: the {noun} of {task} must lie in 0..1e12, got {number:g}: a task that should not count gets 0"
            )
    if not any(numbers):
        raise ValueError(f"{owner}: every {noun} is 0, so nothing would be learned: raise at least one")
