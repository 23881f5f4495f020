"""Predicted against true numbers, for tasks that predict numbers."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._parts import by_label, finish, rows_of, task_colour, task_shape, wire, y_axis
from mtl_core.palette import tones


@FIGURES.register
class PredictedVsTrue(Figure):
    """A point per example and number: on the diagonal the prediction is right."""

    title = "Predicted against true"
    how_to_read = "Each point is a validation example: right on the thin diagonal, too high above it, too low below."
    when_to_worry = "The points of a task lie flat: it answers with the mean whatever the input."
    waiting = "Predictions appear with the first validation."
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
        tidy = pd.DataFrame(rows, columns=["step", "example", "task", "number", "true", "predicted"])
        return tidy.astype({"true": "float64", "predicted": "float64", "task": "str"})

    @classmethod
    def axes(cls, spec: Spec, view: View) -> tuple[str | None, str]:
        return "True", "Predicted"

    @classmethod
    def rows(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """The points, and the two ends of the diagonal as rows without a task."""
        finite = tidy[np.isfinite(tidy["true"]) & np.isfinite(tidy["predicted"])]
        ends = finite["true"].agg(["min", "max"]).to_numpy() if len(finite) else np.empty(0)
        both = pd.concat([finite, pd.DataFrame({"true": ends, "predicted": ends})], ignore_index=True)
        return wire(both, view, ["task", "example", "true", "predicted"], task=by_label(both["task"], spec))

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        numbers = [task["name"] for task in spec["tasks"] if task["kind"] == "regression"]
        x = alt.X("true:Q", title="True", scale=alt.Scale(zero=False), axis=alt.Axis(format=".3~g", tickCount=6))
        base = alt.Chart(data).encode(x=x, y=y_axis("predicted", "Predicted", view))
        line = base.transform_filter("!isValid(datum.task)").mark_line(color=tones(view.theme).floor, strokeWidth=1.2)
        tooltip = [
            alt.Tooltip("task:N", title="Task"),
            alt.Tooltip("true:Q", title="True", format=".4~g"),
            alt.Tooltip("predicted:Q", title="Predicted", format=".4~g"),
            alt.Tooltip("example:Q", title="Example"),
        ]
        points = base.transform_filter("isValid(datum.task)").mark_point(filled=True, size=60, opacity=0.8)
        channels = {"color": task_colour(spec, view, only=numbers, as_markers=True), "shape": task_shape(spec, only=numbers)}
        return finish(alt.layer(line, points.encode(tooltip=tooltip, **channels)), view, zooms=False)
