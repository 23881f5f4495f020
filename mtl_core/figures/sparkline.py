"""A run at a glance: each task's loss as one small line, for cards and lists."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._lines import curve_rows
from mtl_core.figures._parts import labels
from mtl_core.figures._svg import svg, tag, words
from mtl_core.palette import TYPE, task_colours, tones

WIDTH, HEIGHT = 260.0, 64.0


@FIGURES.register
class Sparkline(Figure):
    """Training losses without axes, each on its own scale: only the shape counts."""

    title = "Losses at a glance"
    how_to_read = "One line per task, each on its own scale: down is learning."
    when_to_worry = "A line is flat from the start, or goes up."
    waiting = "No step yet"
    source = "curves"
    medium = "svg"
    zooms = False

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, epoch, time, task, value, level]; level is the smoothed loss from 0 (its lowest) to 1 (its highest)."""
        rows = curve_rows(frame, "loss")
        is_train = (rows["split"] == "train") & np.isfinite(rows["value"])
        tidy: pd.DataFrame = rows[is_train].drop(columns=["split", "low", "high"]).astype({"task": "str"})
        by_task = tidy.groupby("task")["value"]
        low, high = by_task.transform("min"), by_task.transform("max")
        span = (high - low).where(high > low, 1.0)  # a flat line lies at the bottom
        tidy["level"] = (tidy["value"] - low) / span
        return tidy

    @classmethod
    def picture(cls, data: pd.DataFrame, spec: Spec, view: View) -> str:
        tone, colours = tones(view.theme), task_colours(spec, view.theme)
        label = f"Losses of {', '.join(labels(spec).values())}"
        base = tag("path", d=f"M4,{HEIGHT - 4:g} H{WIDTH - 4:g}", stroke=tone.grid, stroke_width=1)
        if data.empty:
            text = words(cls.waiting, WIDTH / 2, HEIGHT / 2 + 4, size=TYPE.small, text_anchor="middle", fill=tone.soft_ink)
            return svg(base + text, WIDTH, HEIGHT, label=label, ink=tone.ink)
        places = data[view.x]
        first, span = places.min(), max(places.max() - places.min(), 1e-12)
        lines = []
        for task, every in data.groupby("task", sort=False):
            rows = every.iloc[:: max(1, len(every) // 120)]  # a card is no wider than that
            x = 4 + (WIDTH - 8) * (rows[view.x] - first) / span
            y = 6 + (HEIGHT - 12) * (1 - rows["level"])
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
            colour = colours.get(str(task), tone.floor)
            line = {"fill": "none", "stroke": colour, "stroke_width": 1.8, "stroke_linejoin": "round"}
            lines.append(tag("polyline", points=points, **line))
        return svg(base + "".join(lines), WIDTH, HEIGHT, label=label, ink=tone.ink)
