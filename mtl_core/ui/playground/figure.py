"""The picture of the Playground: walks over the landscape of losses and, beside it, the same walks in losses, in one animation.

It plays in the browser alone, so it is smooth whatever the server does. Plotly, because it stands still between choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mtl_core.palette import DASHES, TASK_COLOURS, TYPE, Theme, Tones, tones
from mtl_core.toy.problem import Floats, front
from mtl_core.ui.playground.choice import Choice
from mtl_core.ui.playground.land import landscape
from mtl_core.ui.playground.layout import lay_out
from mtl_core.ui.playground.trails import Trail

FRAMES = 100
TAIL = 24  # places of a walk that stay bright behind its head
VIEW = 11.0  # what is shown of the plane at least, in both directions
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
SPACES = (("x1", "x2"), ("l1", "l2"))  # left and right


def tidy(trails: Sequence[Trail]) -> pd.DataFrame:
    """[scheme, walk, step, x1, x2, l1, l2], a row per kept place; losses unscaled. What a visitor may take away as CSV."""
    tables = [
        pd.DataFrame(
            {
                "scheme": trail.scheme,
                "walk": n,
                "step": trail.steps,
                **dict(zip(("x1", "x2"), trail.plane.T, strict=True)),
                **dict(zip(("l1", "l2"), trail.losses.T, strict=True)),
            }
        )
        for n, trail in enumerate(trails)
    ]
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class Look:
    """How a scheme's walks are told from others': colour, and dash and marker beside it."""

    scheme: str
    title: str
    colour: str
    dash: str
    symbol: str


def looks(schemes: Sequence[str], titles: Mapping[str, str], theme: Theme) -> dict[str, Look]:
    """A look for each scheme, by its place among the chosen ones.

    >>> looks(["equal", "mgda"], {"equal": "Equal", "mgda": "MGDA"}, "light")["mgda"]
    Look(scheme='mgda', title='MGDA', colour='#cc7703', dash='8px,3px', symbol='square')
    """
    dashes = ["solid", *(",".join(f"{length}px" for length in dash) for dash in DASHES[1:])]
    return {name: Look(name, titles[name], TASK_COLOURS[theme][n], dashes[n], SYMBOLS[n]) for n, name in enumerate(schemes)}


def draw(walks: pd.DataFrame, choice: Choice, styles: Mapping[str, Look], theme: Theme) -> go.Figure:
    """The figure, with its frames, its Play button and its slider; it opens at the end of all walks."""
    tone = tones(theme)
    picture = make_subplots(cols=2, horizontal_spacing=0.075)
    reach = _reach(walks)
    ends = {"x": -reach, "y": reach, "sizex": 2 * reach, "sizey": 2 * reach, "xref": "x", "yref": "y"}
    picture.add_layout_image(source=landscape(choice, reach, tone), **ends, sizing="stretch", layer="below")
    _fronts(picture, tone)
    ways = {name: _ways(walks[walks["scheme"] == name]) for name in styles}
    for name, look in styles.items():
        _lines(picture, ways[name], look)
    for look in styles.values():
        _name(picture, look)
    _starts(picture, walks, tone)
    first = len(picture.data)
    last = int(walks["step"].max())
    for (name, look), (col, space) in product(styles.items(), enumerate(SPACES, start=1)):
        picture.add_trace(_heads(ways[name], space, last, look, tone), row=1, col=col)
    steps = np.linspace(0, last, FRAMES + 1).round().astype(int).tolist()
    picture.frames = [_frame([ways[name] for name in styles], step, first) for step in steps]
    lay_out(picture, steps, reach, (_span(walks, 0), _span(walks, 1)), tone)
    return picture


def _ways(rows: pd.DataFrame) -> list[dict[str, Floats]]:
    """A scheme's walks, each as columns: pandas is too slow for a thousand frames."""
    columns = ("step", "x1", "x2", "l1", "l2")
    return [{name: walk[name].to_numpy(dtype=np.float64) for name in columns} for _, walk in rows.groupby("walk", sort=True)]


def _joined(parts: Sequence[Floats]) -> Floats:
    """Several lines as one, with a gap after each."""
    return np.concatenate([np.append(part, np.nan) for part in parts]).round(4).astype(np.float32)


def _reach(walks: pd.DataFrame) -> float:
    """How far the plane is shown: all walks with a margin, in whole numbers."""
    return float(max(VIEW, ceil(walks[["x1", "x2"]].abs().to_numpy().max() + 1)))


def _span(walks: pd.DataFrame, task: int) -> tuple[float, float]:
    """From where to where a loss is shown: all walks and the front, with a margin, which stays while the walks play."""
    seen = np.concatenate([walks[SPACES[1][task]].to_numpy(), front()[1][:, task]])
    margin = 0.05 * (seen.max() - seen.min())
    return float(seen.min() - margin), float(seen.max() + margin)


def _fronts(picture: go.Figure, tone: Tones) -> None:
    """The best trade-offs, in the plane and in losses."""
    for col, places in enumerate(front(), start=1):
        picture.add_trace(
            go.Scatter(
                x=places[:, 0],
                y=places[:, 1],
                mode="lines",
                line={"color": tone.ink, "width": 5},
                opacity=0.45,
                name="Best trade-offs (Pareto)",
                legendgroup="front",
                showlegend=col == 1,
                legendrank=1,
                hovertemplate="on the Pareto front<br>%{x:.2f}, %{y:.2f}<extra></extra>",
            ),
            row=1,
            col=col,
        )


def _lines(picture: go.Figure, ways: Sequence[Mapping[str, Floats]], look: Look) -> None:
    """The whole way of a scheme's walks, in both spaces, thin."""
    for col, (x, y) in enumerate(SPACES, start=1):
        picture.add_trace(
            go.Scatter(
                x=_joined([way[x] for way in ways]),
                y=_joined([way[y] for way in ways]),
                customdata=_joined([way["step"] for way in ways]),
                mode="lines",
                line={"color": look.colour, "width": 2, "dash": look.dash},
                opacity=0.8,
                legendgroup=look.scheme,
                showlegend=False,
                hovertemplate=_words(look.title, x, y),
            ),
            row=1,
            col=col,
        )


def _name(picture: go.Figure, look: Look) -> None:
    """A scheme's line in the legend."""
    picture.add_trace(
        go.Scatter(
            x=[None],
            y=[None],
            mode="lines+markers",
            line={"color": look.colour, "width": 2.5, "dash": look.dash},
            marker={"symbol": look.symbol, "size": 10, "color": look.colour},
            name=look.title,
            legendgroup=look.scheme,
        ),
        row=1,
        col=1,
    )


def _starts(picture: go.Figure, walks: pd.DataFrame, tone: Tones) -> None:
    firsts = walks[walks["step"] == 0].drop_duplicates(["x1", "x2"])
    for col, (x, y) in enumerate(SPACES, start=1):
        picture.add_trace(
            go.Scatter(
                x=firsts[x],
                y=firsts[y],
                mode="markers+text" if col == 1 else "markers",
                text=["start"] * len(firsts),
                textposition="top center",
                textfont={"size": TYPE.small, "color": tone.soft_ink},
                marker={"symbol": "circle-open", "size": 12, "color": tone.ink, "line": {"width": 2}},
                showlegend=False,
                hovertemplate="start<br>%{x:.2f}, %{y:.2f}<extra></extra>",
            ),
            row=1,
            col=col,
        )


def _heads(ways: Sequence[Mapping[str, Floats]], space: tuple[str, str], step: int, look: Look, tone: Tones) -> go.Scatter:
    """What moves: the last places of each walk, bright, with the scheme's marker at the end."""
    return go.Scatter(
        **_tails(ways, space, step),
        mode="lines+markers",
        line={"color": look.colour, "width": 4},
        marker={"symbol": look.symbol, "color": look.colour, "opacity": 1, "line": {"width": 1.5, "color": tone.card}},
        legendgroup=look.scheme,
        showlegend=False,
        hoverinfo="skip",
    )


def _tails(ways: Sequence[Mapping[str, Floats]], space: tuple[str, str], step: int) -> dict[str, Any]:
    ends = [int(np.searchsorted(way["step"], step, side="right")) for way in ways]
    cuts = [slice(max(0, end - TAIL), end) for end in ends]
    x, y = (_joined([way[name][cut] for way, cut in zip(ways, cuts, strict=True)]) for name in space)
    sizes = [size for cut in cuts for size in (*[0] * (cut.stop - cut.start - 1), 13, 0)]
    return {"x": x, "y": y, "marker_size": sizes}


def _frame(ways: Sequence[Sequence[Mapping[str, Floats]]], step: int, first: int) -> go.Frame:
    parts = [go.Scatter(**_tails(of_scheme, space, step)) for of_scheme, space in product(ways, SPACES)]
    return go.Frame(data=parts, traces=list(range(first, first + len(parts))), name=str(step))


def _words(title: str, x: str, y: str) -> str:
    names = {"x1": "x₁", "x2": "x₂", "l1": "ℓ₁", "l2": "ℓ₂"}
    return f"<b>{title}</b>, step %{{customdata:,}}<br>{names[x]} %{{x:.3f}}, {names[y]} %{{y:.3f}}<extra></extra>"
