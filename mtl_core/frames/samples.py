"""What does not run with training: the blocks of the network and its sample predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mtl_core.store import Store


def report_frame(spec: Mapping[str, Any]) -> pd.DataFrame:
    """The blocks of a network, input to output: [order, stage, task, is_shared, n_parameters, flops, shape].

    ``task`` is "" for a shared stage; a stage with a copy per task has a row for each. Heads come last, with stage "head".
    """
    report, tasks = spec["report"], [task["name"] for task in spec["tasks"]]
    rows: list[tuple[Any, ...]] = []
    for order, stage in enumerate(report["stages"]):
        for task in [""] if stage["is_shared"] else tasks:
            rows.append((order, stage["name"], task, bool(stage["is_shared"]), *_sizes(stage)))
    for task in tasks:
        rows.append((len(report["stages"]), "head", task, False, *_sizes(report["heads"][task])))
    return pd.DataFrame(rows, columns=["order", "stage", "task", "is_shared", "n_parameters", "flops", "shape"])


def preview_frame(store: Store, run_id: str, spec: Mapping[str, Any], step: int | None = None) -> pd.DataFrame:
    """Sample predictions, a row per example and task: [step, example, task, input, target, prediction].

    The last three hold arrays or numbers as in ``records.Preview``; ``target`` is None where the label is missing.
    """
    columns = ["step", "example", "task", "input", "target", "prediction"]
    preview = store.preview(run_id, step)
    rows: list[tuple[Any, ...]] = []
    for task in [task["name"] for task in spec["tasks"]] if preview is not None else []:
        assert preview is not None
        arrays = preview.arrays
        if f"prediction/{task}" not in arrays:
            continue
        labelled = arrays.get(f"labelled/{task}")
        for n, (values, target, guess) in enumerate(
            zip(arrays["inputs"], arrays[f"target/{task}"], arrays[f"prediction/{task}"], strict=True)
        ):
            is_known = labelled is None or bool(labelled[n])
            rows.append((preview.step, n, task, values, target if is_known else None, guess))
    return pd.DataFrame(rows, columns=columns).sort_values(["example"], kind="stable", ignore_index=True)


def _sizes(stage: Mapping[str, Any]) -> tuple[int, int, str]:
    return int(stage["n_parameters"]), int(stage["flops"]), " × ".join(str(n) for n in stage["output_shape"])
