"""Runs of other programs, brought in as curves, so that they stand in the same figures as our own.

From a CSV in the layout of our own export (a row per number) or a wide one (a row per step), or from TensorBoard's event
files. Which column is whose follows from its name: ``validation/digit/accuracy``, ``digit/loss``, ``val_loss``.
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtl_core.config import RunConfig
from mtl_core.exchange.columns import LONE, WHOLE_RUN, read_board, read_csv
from mtl_core.records import SPLITS, Column, Event, RunOutput, Scalars, Split
from mtl_core.store import Change, EndedRun, Store
from mtl_core.store.run import new_id

MOST_TASKS = 100
FOREIGN = "foreign"  # what its config says where we do not know
_LATEST = 4e9  # unix seconds: 2096
_CLOCK = 1e8  # larger times are unix seconds, smaller ones seconds of training (three years)
_LOWER = re.compile(r"loss|err|mae|mse|perplex|nll|dist|angle", re.IGNORECASE)  # better when lower


def bring_in(store: Store, path: str | Path, *, name: str = "", owner: str = "") -> str:
    """Bring the curves of a foreign run in as a finished run and return its id; its history says where it came from.

    Raises:
        ValueError: it cannot be read as curves (which column or line, and what would be right), or is here already.
        OSError: it cannot be read, or the store not written.
    """
    path = Path(path)
    kind = "TensorBoard" if path.is_dir() or "tfevents" in path.name else "CSV"
    found = read_board(path) if kind == "TensorBoard" else read_csv(path)
    left_out = found.attrs.get("left_out", ())
    rows = _name_lone_task(_checked(found, path))
    began = float(rows["time"].min())
    is_clock = began > _CLOCK
    rows["time"] -= began if is_clock else 0.0
    run = _ended(rows, path, kind, name, created=began if is_clock else time.time())
    items: list[RunOutput] = [_scalars(part, split) for split in SPLITS if len(part := rows[rows["split"] == split])]
    items.append(Event(0, 0.0, _told(rows, kind, path.name)))
    if left_out:
        items.append(Event(0, 0.0, f"columns without numbers were left out: {', '.join(left_out)[:200]}"))
    digest = hashlib.sha256(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()).hexdigest()
    origin = f"imported from {path.name} ({kind})"
    return store.add_ended(run, items, origin=origin, owner=owner, request=f"foreign:{owner}:{digest}")


def _checked(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows with a number, if they make sense."""
    rows = rows[np.isfinite(rows["step"]) & rows["value"].notna()]
    if rows.empty:
        raise ValueError(f"{path.name} holds no numbers: nothing was imported")
    if rows["step"].min() < 0:
        raise ValueError(f"{path.name}: steps must be whole numbers from 0 on")
    places = rows[["epoch", "time"]].to_numpy(np.float64)
    if not (np.isfinite(places).all() and places.min() >= 0 and places.max() <= _LATEST):
        sentence = "epochs and times must be numbers from 0 on (times: seconds of training, or unix seconds)"
        raise ValueError(f"{path.name}: {sentence}")
    tasks = _tasks(rows)
    if len(tasks) > MOST_TASKS:
        raise ValueError(f"{path.name} would have {len(tasks)} tasks (the first: {', '.join(tasks[:3])}): at most {MOST_TASKS}")
    return rows


def _ended(rows: pd.DataFrame, path: Path, kind: str, name: str, *, created: float) -> EndedRun:
    tasks, last, seconds = _tasks(rows), int(rows["step"].max()), float(rows["time"].max())
    config = {
        "name": (name or path.stem or path.name)[:80],
        **dict.fromkeys(("dataset", "architecture", "weighting"), FOREIGN),
        "tasks": tasks or None,
        "training": {"steps": min(max(last, 1), 10_000_000)},
        "measure": {"every": 0},
    }
    return EndedRun(
        id=new_id(created),
        config=RunConfig.from_mapping(config),
        spec=_spec(rows, tasks, {"kind": kind, "file": path.name}),
        state="finished",
        reason=f"trained elsewhere: from {kind}",
        created=created,
        started=created,
        ended=created + seconds,
        step=last,
        epoch=float(rows["epoch"].max()),
        seconds=seconds,
        result=_result(rows),
        history=(Change(created, "running", "trained elsewhere"),),
    )


def _tasks(rows: pd.DataFrame) -> list[str]:
    return [task for task in rows["task"].unique() if task]


def _name_lone_task(rows: pd.DataFrame) -> pd.DataFrame:
    """A run that names no task has one, with all that is not of the run as a whole."""
    rows = rows.copy()
    if (rows["task"] == "").all():
        rows.loc[~rows["name"].isin(WHOLE_RUN), "task"] = LONE
    return rows


def _scalars(rows: pd.DataFrame, split: Split) -> Scalars:
    """Rows as a block; of two numbers for the same step the last counts."""
    column = rows.groupby(["task", "name"], sort=False, observed=True).ngroup().to_numpy()
    first = rows.iloc[np.unique(column, return_index=True)[1]]
    keys = list(zip(first["task"], first["name"], strict=True))
    steps, row = np.unique(rows["step"].to_numpy(np.int64), return_inverse=True)
    values = np.full((len(steps), len(keys)), np.nan, np.float32)
    values[row, column] = rows["value"].to_numpy(np.float64)
    epochs, times = np.zeros(len(steps)), np.zeros(len(steps))
    epochs[row], times[row] = rows["epoch"].to_numpy(np.float64), rows["time"].to_numpy(np.float64)
    return Scalars(split, tuple(Column(*key) for key in keys), steps, epochs, times, values)


def _spec(rows: pd.DataFrame, tasks: list[str], origin: dict[str, str]) -> dict[str, Any]:
    """What figures and pages rely on; there is no network to draw and no gradient."""
    described = []
    for task in tasks:
        names = [name for name in rows.loc[rows["task"] == task, "name"].unique() if name not in ("loss", "weight")] or ["loss"]
        metrics = [
            {"name": name, "title": name.capitalize(), "higher_is_better": not _LOWER.search(name), "unit": ""}
            for name in names
        ]
        described.append({"name": task, "title": task, "kind": FOREIGN, "metrics": metrics})
    return {"tasks": described, "all_tasks": tasks, "stages": [], "shared_stages": [], "weighting": "", "origin": origin}


def _result(rows: pd.DataFrame) -> dict[str, Any] | None:
    """The last test of each task, if there was one."""
    tests = rows[(rows["split"] == "test") & (rows["task"] != "")].sort_values("step", kind="stable")
    if tests.empty:
        return None
    test: dict[str, dict[str, float]] = {}
    for task, name, value in zip(tests["task"], tests["name"], tests["value"].astype(np.float32).tolist(), strict=True):
        test.setdefault(task, {})[name] = value
    return {"test": test, "best_step": int(tests["step"].max())}


def _told(rows: pd.DataFrame, kind: str, file: str) -> str:
    lower = sorted({name for name in rows.loc[rows["task"] != "", "name"].unique() if _LOWER.search(name)})
    better = f"better when lower: {', '.join(lower)}; all else better when higher" if lower else "all better when higher"
    return f"curves from {file} ({kind}), as its columns are named; measures are taken to be {better}"
