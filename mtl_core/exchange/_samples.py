"""What sample predictions must be so that pages can draw them: as many answers as examples, each of its task's form.

Legend: N examples, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mtl_core.exchange._form import Spec, Task

MOST_EXAMPLES = 1_000
_BEYOND_N = {"classification": 0, "angle": 0, "box": 1, "mask": 2}  # how many axes an answer has; numbers have one or none


def find_slip(arrays: Mapping[str, NDArray[np.generic]], spec: Spec) -> str:
    """What is wrong with a preview's arrays (``records.Preview``), in words; empty if nothing is."""
    if not arrays:
        return ""
    if "inputs" not in arrays:
        return "there are no inputs"
    sizes = {array.shape[:1] for array in arrays.values()}
    if len(sizes) > 1 or sizes == {()} or len(arrays["inputs"]) > MOST_EXAMPLES:
        return f"its arrays are not of the same examples, at most {MOST_EXAMPLES:,}"
    if len(spec.input_shape) == 3 and not _are_pictures(arrays["inputs"]):
        return "its inputs are no pictures"
    return next((slip for task in spec.tasks if (slip := _slip_of(task, arrays))), "")


def _are_pictures(inputs: NDArray[np.generic]) -> bool:
    """uint8 [N, H, W, 3]"""
    return inputs.dtype == np.uint8 and inputs.ndim == 4 and inputs.shape[3] == 3 and 0 not in inputs.shape[1:3]


def _slip_of(task: Task, arrays: Mapping[str, NDArray[np.generic]]) -> str:
    guess, target = arrays.get(f"prediction/{task.name}"), arrays.get(f"target/{task.name}")
    labelled = arrays.get(f"labelled/{task.name}")
    if guess is None:
        return ""
    if target is None or target.shape != guess.shape or (labelled is not None and labelled.shape != guess.shape[:1]):
        return f"the targets of task {task.name} do not fit its predictions"
    n_axes = guess.ndim - 1
    fits = n_axes == _BEYOND_N[task.kind] if task.kind in _BEYOND_N else n_axes <= 1
    fits &= task.kind != "box" or guess.shape[1:] == (4,)
    fits &= task.kind != "mask" or 0 not in guess.shape[1:]
    fits &= task.kind != "classification" or {guess.dtype.kind, target.dtype.kind} <= set("iub")
    return "" if fits else f"the predictions of task {task.name} do not have the form of {task.kind}"
