"""How often a run measures and validates when it is left to itself.

Counted in FLOPs, not in seconds: a rule that read the clock would give other curves on another machine.
"""

from __future__ import annotations

from itertools import count
from math import ceil, gcd

from mtl_core.plan import Plan

OVERHEAD = 0.10  # what measuring and validating may each add, as a share of the plain training
MOST_MEASUREMENTS = 1000
MOST_VALIDATIONS = 40


def measure_every(plan: Plan) -> int:
    """Steps between measurements; 0 = never. On auto: as often as keeps their cost under OVERHEAD.

    A measured step costs T − 1 trunk passes more than a plain one. A scheme that asks for gradients has paid for them already.
    """
    if plan.config.measure.every != "auto":
        return plan.config.measure.every
    report = plan.report()
    # a backward pass costs two forward passes
    extra = 2 * max(0, len(plan.tasks) - plan.trunk_passes()) * report.flops_shared
    bookkeeping = 0.25  # of a plain step: two half-batches in place of one batch, the Gramian, the step's own change
    share = extra / max(1, 3 * report.flops) + bookkeeping
    every = max(1, ceil(share / OVERHEAD), ceil(plan.config.training.steps / MOST_MEASUREMENTS))
    if plan.config.training.order == "alternating":  # or every measured step might be the turn of the same task
        every = next(n for n in count(every) if gcd(n, len(plan.tasks)) == 1)
    return every


def validate_every(plan: Plan) -> int:
    """Steps between validations. On auto: up to MOST_VALIDATIONS in a run, as long as they cost under OVERHEAD."""
    training, sizes = plan.config.training, plan.dataset.sizes()
    if training.validate_every != "auto":
        return training.validate_every
    # a validation is one forward pass over its split; a step is about three over its batch
    affordable = ceil(sizes["validation"] / (3 * batch_size(plan)) / OVERHEAD)
    return max(1, ceil(training.steps / MOST_VALIDATIONS), min(affordable, training.steps))


def batch_size(plan: Plan) -> int:
    """Examples per step: what was asked for, or the whole split if that is smaller."""
    return min(plan.config.training.batch_size, plan.dataset.sizes()["train"])
