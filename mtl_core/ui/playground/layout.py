"""What stands around the walks of the Playground: axes, legend, Play and Pause, and a slider over the steps."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from mtl_core.palette import TYPE, Tones

FRAME_MS = 50
HEIGHT = 600


def lay_out(
    picture: go.Figure, steps: list[int], reach: float, losses: tuple[tuple[float, float], tuple[float, float]], tone: Tones
) -> None:
    """Dress the picture, whose frames stand for these steps; the plane is shown from −reach to reach, losses from low to high."""
    axes = {
        "gridcolor": tone.grid,
        "zeroline": False,
        "linecolor": tone.grid,
        "ticks": "",
        "title": {"font": {"size": TYPE.label, "color": tone.soft_ink}, "standoff": 6},
        "tickfont": {"size": TYPE.small, "color": tone.soft_ink},
    }
    picture.update_xaxes(**axes)
    picture.update_yaxes(**axes)
    picture.update_xaxes(title_text="x₁", range=[-reach, reach], showgrid=False, col=1)
    picture.update_yaxes(title_text="x₂", range=[-reach, reach], showgrid=False, col=1)
    picture.update_xaxes(title_text="First loss ℓ₁", range=losses[0], col=2)
    picture.update_yaxes(title_text="Second loss ℓ₂", range=losses[1], col=2)
    picture.update_layout(
        height=HEIGHT,
        margin={"l": 48, "r": 12, "t": 40, "b": 8},
        paper_bgcolor=tone.card,
        plot_bgcolor=tone.card,
        font={"family": TYPE.font, "size": TYPE.label, "color": tone.ink},
        hoverlabel={"bgcolor": tone.card, "bordercolor": tone.grid, "font": {"color": tone.ink, "family": TYPE.font}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        updatemenus=[_buttons(tone)],
        sliders=[_slider(steps, tone)],
    )


def _buttons(tone: Tones) -> dict[str, Any]:
    play = {"frame": {"duration": FRAME_MS, "redraw": False}, "transition": {"duration": 0}, "fromcurrent": True}
    pause = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "x": 0,
        "y": -0.17,
        "xanchor": "left",
        "yanchor": "top",
        "pad": {"t": 0, "r": 8},
        "bgcolor": tone.card,
        "bordercolor": tone.floor,
        "font": {"color": tone.ink, "size": TYPE.label},
        "buttons": [
            {"label": "▶  Play", "method": "animate", "args": [None, play]},
            {"label": "❚❚  Pause", "method": "animate", "args": [[None], pause]},
        ],
    }


def _slider(steps: list[int], tone: Tones) -> dict[str, Any]:
    at_once = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate", "transition": {"duration": 0}}
    return {
        "active": len(steps) - 1,
        "x": 0.2,
        "len": 0.8,
        "y": -0.12,
        "pad": {"t": 0, "b": 0},
        "ticklen": 0,
        "minorticklen": 0,
        "bgcolor": tone.floor,
        "activebgcolor": tone.ink,
        "bordercolor": tone.floor,
        "font": {"color": "rgba(0,0,0,0)", "size": 1},  # 100 labels under the slider: the number above it says it all
        "currentvalue": {"prefix": "Step ", "font": {"size": TYPE.label, "color": tone.ink}, "xanchor": "right"},
        "steps": [{"label": f"{step:,}", "method": "animate", "args": [[str(step)], at_once]} for step in steps],
    }
