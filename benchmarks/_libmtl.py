"""The side of PyPI's LibMTL in ``bench_schemes``; runs in the peers' environment, as ``python -m benchmarks._libmtl``.

A scheme that it lacks is not asked for. Constants that schemes share come from our defaults, so that both solve one problem.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks._network import LR, Network, Round, names
from benchmarks._side import Case, serve

# our name → its name, and its own defaults where we have no such knob
SCHEMES: dict[str, tuple[str, dict[str, Any]]] = {
    "equal": ("EW", {}),
    "uncertainty": ("UW", {}),
    "dwa": ("DWA", {"T": 2.0}),
    "rlw": ("RLW", {"dist": "Normal"}),
    "gls": ("GLS", {}),
    "mgda": ("MGDA", {"mgda_gn": "none"}),
    "mgda@representation": ("MGDA", {"mgda_gn": "none"}),
    "pcgrad": ("PCGrad", {}),
    "gradvac": ("GradVac", {"beta": 0.5}),
    "cagrad": ("CAGrad", {"calpha": 0.4, "rescale": 0}),
    "imtl": ("IMTL", {}),
    "imtl@representation": ("IMTL", {}),
    "gradnorm": ("GradNorm", {"alpha": 1.5}),
    "graddrop": ("GradDrop", {"leak": 0.0}),
}
# LibMTL 1.1.5 as published does nothing on today's torch. What is put right here, so that there is something to time:
MENDED = (
    "its import (its ResNet asks for torchvision.models.utils, which is gone)",
    "its device (cuda:0, whatever there is)",
    "its loop (calls .next() on a loader, which has none any more; the loop's body is called here)",
    "its reset of gradients (torch 2 leaves None there, and every scheme that looks at gradients stumbles over it)",
)


class LibMTL(Case):
    """The body of LibMTL's training loop on its own Trainer, HPS network, loss and metric objects.

    Its ``Trainer.train`` cannot be called whole: it insists on a GPU, and calls ``.next()`` on a loader, which torch no longer has.
    """

    def __init__(self, scheme: str, n_tasks: int, knobs: dict[str, Any], device: torch.device) -> None:
        library = _import()

        class Anywhere(library.Trainer):
            device = property(lambda self: device, lambda self, value: None)

        name, constants = SCHEMES[scheme]
        shared = {"calpha": "c", "alpha": "alpha", "beta": "beta", "T": "T"}  # their constant → our knob
        self.constants = {key: knobs.get(shared.get(key, ""), value) for key, value in constants.items()}
        built = Network(n_tasks)
        metrics = {"metrics": ["Acc"], "weight": [1]}
        self.trainer = Anywhere(
            task_dict={
                task: {**metrics, "metrics_fn": library.metrics.AccMetric(), "loss_fn": library.loss.CELoss()}
                for task in names(n_tasks)
            },
            weighting=getattr(library.weighting, name),
            architecture=library.architecture.HPS,
            encoder_class=lambda: built.trunk,
            decoders=built.heads,
            rep_grad=scheme.endswith("@representation") or name == "GradDrop",  # which it has for no other gradients
            multi_input=False,
            optim_param={"optim": "adam", "lr": LR, "fused": True},
            scheduler_param=None,
            weight_args={},
            arch_args={},
        )
        model = self.trainer.model
        model.zero_grad_share_params = partial(model.encoder.zero_grad, set_to_none=False)  # see MENDED
        model.epoch = 2  # DWA and GradNorm only begin then; with the losses that they keep of the epochs before
        model.train_loss_buffer = torch.full((n_tasks, 3), 2.3).numpy()
        self.optimizer, self.shared, self.device = self.trainer.optimizer, list(model.get_share_params()), device
        self.batches = Round(n_tasks, device)

    def step(self) -> Tensor:
        """What its training loop does with a batch."""
        trainer = self.trainer
        inputs, targets = next(self.batches)
        predictions = trainer.process_preds(trainer.model(inputs))
        losses = trainer._compute_loss(predictions, targets)
        trainer.meter.update(predictions, targets)
        trainer.optimizer.zero_grad()
        trainer.model.backward(losses, **self.constants)
        trainer.optimizer.step()
        return losses.detach()

    def run(self, seconds: float) -> tuple[int, float]:
        self.trainer.meter.reinit()
        return super().run(seconds)


def _import() -> Any:
    """The library, with a stand-in for the module that it misses."""
    gone = ModuleType("torchvision.models.utils")
    vars(gone)["load_state_dict_from_url"] = torch.hub.load_state_dict_from_url
    sys.modules.setdefault(gone.__name__, gone)
    return import_module("LibMTL")


if __name__ == "__main__":
    serve(LibMTL)
