"""The side of PyPI's torchjd in ``bench_schemes``; runs in the peers' environment, as ``python -m benchmarks._torchjd``.

A scheme that it lacks is not asked for. Constants that schemes share come from our defaults, so that both solve one problem.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchjd import aggregation, autogram, scalarization
from torchjd.autojac import jac, jac_to_grad, mtl_backward

from benchmarks._network import BATCH, LR, Network, Round
from benchmarks._side import Case, serve

SCALARIZERS: dict[str, Callable[[int, dict[str, Any]], nn.Module]] = {
    "equal": lambda n_tasks, knobs: scalarization.Sum(),
    "fixed": lambda n_tasks, knobs: scalarization.Constant(torch.full((n_tasks,), 1 / n_tasks)),
    "uncertainty": lambda n_tasks, knobs: scalarization.UW(n_tasks),
    "dwa": lambda n_tasks, knobs: scalarization.DWA(),
    "rlw": lambda n_tasks, knobs: scalarization.Random(),
    "gls": lambda n_tasks, knobs: scalarization.GeometricMean(),
    "imtl_l": lambda n_tasks, knobs: scalarization.IMTLL(n_tasks),
    "stch": lambda n_tasks, knobs: scalarization.STCH(mu=knobs.get("mu", 1.0)),
    "famo": lambda n_tasks, knobs: scalarization.FAMO(n_tasks),
}
AGGREGATORS: dict[str, Callable[[int, dict[str, Any]], nn.Module]] = {
    "mgda": lambda n_tasks, knobs: aggregation.MGDA(),
    "pcgrad": lambda n_tasks, knobs: aggregation.PCGrad(),
    "gradvac": lambda n_tasks, knobs: aggregation.GradVac(beta=knobs.get("beta", 0.5)),
    "cagrad": lambda n_tasks, knobs: aggregation.CAGrad(c=knobs.get("c", 0.4)),
    "imtl_g": lambda n_tasks, knobs: aggregation.IMTLG(),
    "nash_mtl": lambda n_tasks, knobs: aggregation.NashMTL(n_tasks),
    "aligned_mtl": lambda n_tasks, knobs: aggregation.AlignedMTL(),
    "fairgrad": lambda n_tasks, knobs: aggregation.FairGrad(alpha=knobs.get("alpha", 2.0)),
    "upgrad": lambda n_tasks, knobs: aggregation.UPGrad(),
    "dualproj": lambda n_tasks, knobs: aggregation.DualProj(),
    "graddrop": lambda n_tasks, knobs: aggregation.GradDrop(),
    "excess_mtl": lambda n_tasks, knobs: aggregation.ExcessMTL(),
    "config": lambda n_tasks, knobs: aggregation.ConFIG(),
}
OF_PARTS: dict[str, Callable[[int, dict[str, Any]], nn.Module]] = {
    "sdmgrad": lambda n_tasks, knobs: aggregation.SDMGradWeighting(),
    "modo": lambda n_tasks, knobs: aggregation.MoDoWeighting(),
}
WAYS = {
    "vmapped passes": {"parallel_chunk_size": None},
    "passes one by one": {"parallel_chunk_size": 1},
    "passes one by one, Gramians summed": {"parallel_chunk_size": 1, "optimize_gramian_computation": True},
    "autogram": {},
}
SCHEMES = (*SCALARIZERS, *AGGREGATORS, *OF_PARTS)
TRIAL = 0.05  # seconds of steps on which a way to call a scheme is judged, twice


class Torchjd(Case):
    """The loop of torchjd's documentation: forward, ``mtl_backward`` and ``jac_to_grad`` (or a scalarizer), optimiser."""

    def __init__(self, n_tasks: int, device: torch.device) -> None:
        self.device = device
        self.model = Network(n_tasks).to(device)
        self.batches = Round(n_tasks, device)
        self.shared = list(self.model.trunk.parameters())
        self.heads = list(self.model.heads.values())

    def optimise(self, *others: nn.Module) -> None:
        """The optimiser over the network and what the scheme learns."""
        parameters = [*self.model.parameters(), *(p for module in others for p in module.parameters())]
        self.optimizer = torch.optim.Adam(parameters, lr=LR, fused=True)

    def losses(self, inputs: Tensor, targets: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The shared representation and each task's loss."""
        representation, outputs = self.model(inputs)
        return representation, [cross_entropy(outputs[name], target) for name, target in targets.items()]


class Scalarized(Torchjd):
    """A scheme that looks at losses only."""

    def __init__(self, scheme: str, n_tasks: int, knobs: dict[str, Any], device: torch.device) -> None:
        super().__init__(n_tasks, device)
        self.scalarizer = SCALARIZERS[scheme](n_tasks, knobs).to(device)
        self.optimise(*([] if scheme == "famo" else [self.scalarizer]))  # FAMO keeps an optimiser of its own
        self.n_steps = 0

    def step(self) -> Tensor:
        inputs, targets = next(self.batches)
        losses = torch.stack(self.losses(inputs, targets)[1])
        self.optimizer.zero_grad()
        self.scalarizer(losses).backward()
        self.optimizer.step()
        if hasattr(self.scalarizer, "update"):  # FAMO
            with torch.no_grad():
                again = torch.stack(self.losses(inputs, targets)[1])
            self.scalarizer.update(again)
        self.n_steps += 1
        if hasattr(self.scalarizer, "step") and self.n_steps % (len(self.batches.inputs) // BATCH) == 0:  # DWA, each epoch
            self.scalarizer.step()
        return losses.detach()


class Aggregated(Torchjd):
    """A scheme that looks at gradients, called in one of the ways that torchjd offers (see ``WAYS``)."""

    def __init__(self, scheme: str, n_tasks: int, knobs: dict[str, Any], device: torch.device, way: str) -> None:
        super().__init__(n_tasks, device)
        self.optimise()
        self.aggregator = AGGREGATORS[scheme](n_tasks, knobs).to(device)
        self.note, self.way = way, dict(WAYS[way])
        self.chunk = self.way.pop("parallel_chunk_size", None)
        self.engine = autogram.Engine(self.model.trunk, batch_dim=None) if way == "autogram" else None

    def step(self) -> Tensor:
        representation, losses = self.losses(*next(self.batches))
        self.optimizer.zero_grad()
        if self.engine is not None:
            stacked = torch.stack(losses)
            stacked.backward(self.aggregator.gramian_weighting(self.engine.compute_gramian(stacked)))
        else:
            tasks = [list(head.parameters()) for head in self.heads]
            mtl_backward(
                losses, features=representation, tasks_params=tasks, shared_params=self.shared, parallel_chunk_size=self.chunk
            )
            jac_to_grad(self.shared, self.aggregator, **self.way)
        self.optimizer.step()
        return torch.stack(losses).detach()


class OfParts(Torchjd):
    """A scheme that wants independent batches: the batch in three, two for the weights and one for the step."""

    def __init__(self, scheme: str, n_tasks: int, knobs: dict[str, Any], device: torch.device, chunk: int | None) -> None:
        super().__init__(n_tasks, device)
        self.optimise()
        self.weighting = OF_PARTS[scheme](n_tasks, knobs).to(device)
        self.chunk = chunk
        self.note = "vmapped passes" if chunk is None else "passes one by one"

    def step(self) -> Tensor:
        inputs, targets = next(self.batches)
        ends = [BATCH * part // 3 for part in range(4)]
        jacobians, of_batch = [], torch.zeros(len(targets), device=self.device)
        self.optimizer.zero_grad()
        for part in range(3):
            chosen = slice(ends[part], ends[part + 1])
            losses = self.losses(inputs[chosen], {name: target[chosen] for name, target in targets.items()})[1]
            stacked = torch.stack(losses)
            of_batch += stacked.detach() * (ends[part + 1] - ends[part]) / BATCH
            if part < 2:
                found = jac(losses, self.shared, parallel_chunk_size=self.chunk)
                jacobians.append(torch.cat([jacobian.flatten(1) for jacobian in found], dim=1))
        stacked.backward(self.weighting(jacobians[0] @ jacobians[1].T))
        self.optimizer.step()
        return of_batch


def build(scheme: str, n_tasks: int, knobs: dict[str, Any], device: torch.device) -> Case:
    """A case of torchjd's; of its ways to call a scheme, the one that is fastest here."""
    if scheme in SCALARIZERS:
        return Scalarized(scheme, n_tasks, knobs, device)
    if scheme in OF_PARTS:
        return _fastest([partial(OfParts, scheme, n_tasks, knobs, device, chunk) for chunk in (None, 1)])
    ways = list(WAYS)
    if not hasattr(AGGREGATORS[scheme](n_tasks, knobs), "gramian_weighting"):
        ways = ways[:2]
    return _fastest([partial(Aggregated, scheme, n_tasks, knobs, device, way) for way in ways])


def _fastest(candidates: list[Callable[[], Case]]) -> Case:
    """A fresh case of the candidate whose steps take least time."""
    took = []
    for candidate in candidates:
        case = candidate()
        case.step()
        turns = [case.run(TRIAL) for _ in range(2)]
        took.append(min(seconds / n_steps for n_steps, seconds in turns))
    return candidates[took.index(min(took))]()


if __name__ == "__main__":
    serve(build)
