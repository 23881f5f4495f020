"""Predicted against true numbers, for tasks that predict numbers."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._parts import empty, finish, rows_of, task_colour, task_shape, with_labels, y_axis
from mtl_core.palette import tones


@FIGURES.register
class PredictedVsTrue(Figure):
    """A point per example and number: on the diagonal the prediction is right."""

    title = "Predicted against true"
    how_to_read = "Each point is a validation example: right on the thin diagonal, too high above it, too low below."
    when_to_worry = "The points of a task lie flat: it answers with the mean whatever the input."
    source = "preview"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return any(task["kind"] == "regression" for task in spec.get("tasks", ()))

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, example, task, number, true, predicted]; examples without a label are left out."""
        numbers = {task["name"] for task in spec["tasks"] if task["kind"] == "regression"}
        rows = []
        for row in rows_of(frame):
            if row.task in numbers and row.target is not None:
                pairs = zip(np.atleast_1d(row.target), np.atleast_1d(row.prediction), strict=True)
                rows += [(row.step, row.example, row.task, n, float(a), float(b)) for n, (a, b) in enumerate(pairs)]
        return pd.DataFrame(rows, columns=["step", "example", "task", "number", "true", "predicted"])

    @classmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        if tidy.empty:
            sentence = "Predictions appear with the first validation."
            return empty(sentence, "Predicted", view, x_title="True", zooms=False)
        numbers = [task["name"] for task in spec["tasks"] if task["kind"] == "regression"]
        finite = tidy[np.isfinite(tidy["true"]) & np.isfinite(tidy["predicted"])]
        ends = [float(finite["true"].min()), float(finite["true"].max())] if len(finite) else [0.0, 1.0]
        diagonal = pd.DataFrame({"true": ends, "predicted": ends})
        x = alt.X("true:Q", title="True", scale=alt.Scale(zero=False), axis=alt.Axis(format=".3~g", tickCount=6))
        y = y_axis("predicted", "Predicted")
        line = alt.Chart(diagonal).mark_line(color=tones(view.theme).floor, strokeWidth=1.2).encode(x=x, y=y)
        tooltip = [
            alt.Tooltip("task:N", title="Task"),
            alt.Tooltip("true:Q", title="True", format=".4~g"),
            alt.Tooltip("predicted:Q", title="Predicted", format=".4~g"),
            alt.Tooltip("example:Q", title="Example"),
        ]
        points = alt.Chart(with_labels(finite, spec)).mark_point(filled=True, size=60, opacity=0.8)
        channels = {"color": task_colour(spec, view, only=numbers), "shape": task_shape(spec, only=numbers)}
        return finish(alt.layer(line, points.encode(x=x, y=y, tooltip=tooltip, **channels)), view, zooms=False)
