"""One tile per task: how good it is now in the words of its headline metric, and the shape of its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from mtl_core.figures import FIGURES, View
from mtl_core.palette import task_colours
from mtl_core.store import Run, Store
from mtl_core.ui import frame, live
from mtl_core.ui.tail import Reading

Scores = Mapping[str, Mapping[str, float]]


def show(store: Store, run: Run, reading: Reading) -> None:
    """All tasks side by side."""
    scores, source = latest(store, run)
    tidy, sparkline = reading.tidy("sparkline"), FIGURES["sparkline"]
    colours = task_colours(reading.spec, frame.theme())
    tiles = []
    for task in reading.spec["tasks"]:
        name = task["name"]
        line = sparkline.draw(tidy[tidy["task"] == name], reading.spec, View(theme=frame.theme()))
        value, what, since = _headline(task, scores.get(name, {}), source)
        tiles.append(
            f'<div class="mtl-tile" style="--tile:{colours[name]}"><div><div class="name">{escape(task["title"])}</div>'
            f'<div class="value">{value}</div><div class="what">{escape(what)}<br>{escape(since)}</div></div>{line}</div>'
        )
    live.inline_html(f'<div class="mtl-tiles">{"".join(tiles)}</div>')


def latest(store: Store, run: Run) -> tuple[Scores, str]:
    """Scores by task and metric, and where they come from: the final test if there is one, else the last validation."""
    if run.result and run.result.get("test"):
        return run.result["test"], "test"
    last = store.last_step(run.id, "validation")
    rows = store.read(run.id, "validation", after_step=last - 1) if last >= 0 else None
    found: dict[str, dict[str, float]] = {}
    if rows is not None:
        for column, value in zip(rows.columns, rows.values[-1], strict=True):
            found.setdefault(column.task, {})[column.name] = float(value)
    return found, f"validation, step {last:,}"


def _headline(task: Mapping[str, Any], scores: Mapping[str, float], source: str) -> tuple[str, str, str]:
    """The number, what it is, and since when it is known."""
    metric = task["metrics"][0]
    value = scores.get(metric["name"], math.nan)
    if math.isnan(value):
        return "–", metric["title"], "not validated yet"
    unit = metric["unit"]
    shown = f"{value:.1%}" if metric["name"] == "accuracy" else f"{value:.3g}".replace("-", "−")
    loss = f" · loss {scores['loss']:.3g}" if "loss" in scores else ""
    return f"{shown}{unit if unit in ('°', 'º') else f' {unit}'}".strip(), metric["title"], f"{source}{loss}"
