"""Knobs and what came of them: a line per group or run through an axis per setting, ending in a score."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any, ClassVar, Literal

import pandas as pd
import plotly.graph_objects as go

from mtl_core.figures import Spec, View
from mtl_core.figures.compared import CONTRASTS, Contrast
from mtl_core.figures.compared._ticks import Scaled, categories, numbers
from mtl_core.palette import TYPE, tones

LONGEST = 26  # letters of a value on an axis
PIXEL = 1 / 420  # of an axis
FEW, MANY = 60, 400  # lines up to which each is five, or three, strokes wide
TITLE = 18  # letters in a row of an axis title
LOWER = ("Δm in %", "Mean rank")  # titles of scores, beside the metrics', that are better when lower


@CONTRASTS.register
class ParallelCoordinates(Contrast):
    """An axis per setting in which the groups differ and, last, the score that colours the lines."""

    title = "Settings and what came of them"
    how_to_read = (
        "Each line is one group or run and crosses every axis at its value, blue ends better and orange worse: drag along an "
        "axis to keep only the lines that cross there, drag an axis by its title to move it, click it to let go."
    )
    may_say = (
        "If lines of one colour meet at one value of a setting, that setting goes with the score among these runs. Whether it "
        "is the cause shows only where all other settings are equal, and the best of many lines is partly luck."
    )
    waiting = "Lines appear with the first final test."
    source = "knobs"
    medium: ClassVar[Literal["altair", "plotly"]] = "plotly"

    @classmethod
    def choices(cls, spec: Spec) -> dict[str, str]:
        return {"groups": "A line per group", "runs": "A line per run"}

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec, view: View) -> pd.DataFrame:
        """The name of the line, a column per setting, the score; see ``frames.compared.knobs.knob_lines``."""
        return frame

    @classmethod
    def draw(cls, tidy: pd.DataFrame, spec: Spec, view: View) -> Any:
        return _empty(cls.waiting, view) if tidy.empty else cls.picture(tidy, spec, view)

    @classmethod
    def picture(cls, data: Any, spec: Spec, view: View) -> Any:
        tone = tones(view.theme)
        *settings, score = [name for name in data.columns if name != "line"]
        result = numbers(data[score], most=6)
        ramp = [tone.right, tone.floor, tone.wrong] if _is_lower_better(score, spec) else [tone.wrong, tone.floor, tone.right]
        low, high = min(result.places), max(result.places)
        lines = go.Parcoords(
            dimensions=[
                *(_dimension(name, _scaled(data[name])) for name in settings),
                _dimension(score, result),
            ],
            line={
                "color": _thick(result.places, 0.0),
                "colorscale": [[n / 2, colour] for n, colour in enumerate(ramp)],
                "cmin": low if high > low else low - 1,
                "cmax": high if high > low else high + 1,
            },
            unselected={"line": {"color": tone.floor, "opacity": 0.12}},
            labelfont={"size": TYPE.label, "color": tone.ink, "family": TYPE.font},
            tickfont={"size": TYPE.small, "color": tone.ink, "family": TYPE.font},
            rangefont={"size": 1, "color": "rgba(0,0,0,0)"},  # the ticks say it
            labelside="top",
        )
        picture = go.Figure(lines)
        _dress(picture, view, left=_margin(data[settings[0]] if settings else data[score]))
        return picture


def _scaled(values: pd.Series) -> Scaled:
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numbers(values) if is_number else categories([_short(str(value)) for value in values])


def _dimension(title: str, axis: Scaled) -> dict[str, Any]:
    return {
        "label": "<br>".join(escape(row, quote=False) for row in textwrap.wrap(title, TITLE, max_lines=2, placeholder=" …")),
        "values": _thick(axis.places, (axis.ends[1] - axis.ends[0]) * PIXEL),
        "range": list(axis.ends),
        "tickvals": axis.ticks,
        "ticktext": [escape(text, quote=False) for text in axis.texts],
    }


def _thick(places: list[float], apart: float) -> list[float]:
    """Few lines are drawn several times side by side: Plotly's are one pixel thin."""
    reach = 2 if len(places) <= FEW else 1 if len(places) <= MANY else 0
    return [place + n * apart for n in range(-reach, reach + 1) for place in places]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _margin(first: pd.Series) -> int:
    """Room for the longest value of the first axis, which stands left of it."""
    longest = 6 if pd.api.types.is_numeric_dtype(first) else max(len(_short(str(value))) for value in first)
    return 30 + 7 * max(longest, 4)


def _is_lower_better(score: str, spec: Spec) -> bool:
    known = {metric["label"]: not metric["higher_is_better"] for metric in spec.get("metrics", ())}
    return known.get(score, score.startswith(LOWER))


def _dress(picture: go.Figure, view: View, *, left: int) -> None:
    tone = tones(view.theme)
    picture.update_layout(
        height=view.height,
        margin={"l": left, "r": 84, "t": 76, "b": 20},
        paper_bgcolor=tone.card,
        plot_bgcolor=tone.card,
        font={"family": TYPE.font, "size": TYPE.label, "color": tone.ink},
    )


def _empty(sentence: str, view: View) -> go.Figure:
    """A place for axes and a sentence."""
    tone, picture = tones(view.theme), go.Figure()
    _dress(picture, view, left=30)
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "linecolor": tone.grid, "fixedrange": True}
    picture.update_xaxes(**bare, title="Settings")
    picture.update_yaxes(**bare, title="Score")
    look = {"font": {"color": tone.soft_ink, "size": TYPE.label}, "showarrow": False}
    picture.add_annotation(text=sentence, x=0.5, y=0.5, xref="paper", yref="paper", **look)
    return picture
