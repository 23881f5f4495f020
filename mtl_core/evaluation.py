"""How good a network is on a split: losses and metrics per task, and a few predictions to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_core.architectures import Architecture
from mtl_core.batches import Examples
from mtl_core.records import Column
from mtl_core.tasks import Task

BATCH = 512
N_PREVIEWS = 12


@torch.no_grad()
def evaluate(model: Architecture, tasks: Sequence[Task], examples: Examples) -> dict[Column, float]:
    """Mean loss and metrics over the labelled examples of each task; NaN for a task without labels."""
    was_training = model.training
    model.eval()
    sums = {task.name: torch.zeros(2, dtype=torch.float64, device=examples.inputs.device) for task in tasks}
    scorers = {task.name: {name: s.to(examples.inputs.device) for name, s in task.scorers().items()} for task in tasks}
    for start in range(0, len(examples), BATCH):
        batch = examples.take(slice(start, start + BATCH))
        outputs = model(batch.inputs)
        for task in tasks:
            output, target = _labelled(batch, task.name, outputs[task.name].float())
            if not len(output):
                continue
            losses = task.loss(output, target)
            sums[task.name] += torch.stack([losses.double().sum(), losses.new_full((), len(losses), dtype=torch.float64)])
            prediction = task.predict(output)
            for scorer in scorers[task.name].values():
                scorer.update(prediction, target)
    model.train(was_training)
    found: dict[Column, float] = {}
    for task in tasks:
        total, count = sums[task.name].tolist()
        found[Column(task.name, "loss")] = total / count if count else float("nan")
        for metric in task.metrics:
            found[Column(task.name, metric.name)] = float(scorers[task.name][metric.name].compute()) if count else float("nan")
    return found


@torch.no_grad()
def preview(model: Architecture, tasks: Sequence[Task], examples: Examples) -> dict[str, NDArray[np.generic]]:
    """Inputs, targets and predictions of the first examples, as ``records.Preview`` describes them."""
    few = examples.take(slice(0, N_PREVIEWS))
    was_training = model.training
    model.eval()
    outputs = model(few.inputs)
    model.train(was_training)
    arrays: dict[str, NDArray[np.generic]] = {"inputs": _picture(few.inputs)}
    for task in tasks:
        arrays[f"target/{task.name}"] = task.preview(few.targets[task.name])
        arrays[f"prediction/{task.name}"] = task.preview(task.predict(outputs[task.name].float()))
        if task.name in few.labelled:
            arrays[f"labelled/{task.name}"] = few.labelled[task.name].cpu().numpy()
    return arrays


def _labelled(batch: Examples, task: str, output: Tensor) -> tuple[Tensor, Tensor]:
    target = batch.targets[task]
    if task not in batch.labelled:
        return output, target
    mask = batch.labelled[task]
    return output[mask], target[mask]


def _picture(inputs: Tensor) -> NDArray[np.generic]:
    """Pictures as uint8 [N, H, W, 3], vectors as they are."""
    if inputs.ndim != 4:
        vectors: NDArray[np.generic] = inputs.cpu().numpy()
        return vectors
    pixels = (inputs.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    pictures: NDArray[np.generic] = pixels.expand(-1, -1, -1, 3).cpu().numpy()
    return pictures
