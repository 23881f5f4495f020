"""The landscape of losses as a picture: bands of equal loss, bluer where it is lower.

A picture, not a contour chart: Plotly forgets contours while it plays frames without redrawing all, and redrawing all is slow.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mtl_core.palette import Tones
from mtl_core.toy.problem import Floats, surface
from mtl_core.ui.playground.choice import Choice

PIXELS = 720
BANDS = 18
DEPTH = 0.6  # how much of the palette's blue the lowest band takes: walks must stay the brightest


def landscape(choice: Choice, reach: float, tone: Tones) -> Image.Image:
    """The chosen loss over −reach … reach in both directions; x₂ grows upwards."""
    _, l1, l2 = surface(reach=reach)
    heights = {"sum": choice.scale * l1 + l2, "first": l1, "second": l2}[choice.surface]
    bands = _bands(heights)
    paint = np.linspace(_rgb(tone.diverging[4]) * DEPTH + _rgb(tone.card) * (1 - DEPTH), _rgb(tone.card), BANDS)
    picture = paint[bands]
    is_edge = np.zeros(bands.shape, dtype=bool)
    is_edge[:-1] |= bands[:-1] != bands[1:]
    is_edge[:, :-1] |= bands[:, :-1] != bands[:, 1:]
    picture[is_edge] = _rgb(tone.grid)
    return Image.fromarray(picture.round().astype(np.uint8)[::-1])


def _bands(heights: Floats) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
    """[PIXELS, PIXELS]: the number of each pixel's band, from the lowest; the highest hundredth shares the last."""
    fine = np.asarray(Image.fromarray(heights.astype(np.float32)).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC))
    low, high = float(heights.min()), float(np.percentile(heights, 99))
    bands: np.ndarray[tuple[int, int], np.dtype[np.intp]] = np.clip((fine - low) / (high - low) * BANDS, 0, BANDS - 1).astype(
        np.intp
    )
    return bands


def _rgb(colour: str) -> Floats:
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)], dtype=np.float64)
