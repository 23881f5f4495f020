"""What a front is drawn from: points with their crosses and names, and the corners of the stepped line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from mtl_core.figures.compared._places import Ends, Place, place_labels

_ENDS = ("x", "x low", "x high", "y", "y low", "y high")
STRONG, FAINT = 0.95, 0.5  # opacity of what somebody looks for, and of the rest
CROSS = 0.6  # as much of it for crosses, which many groups have


def front_points(tidy: pd.DataFrame, up: Sequence[bool]) -> pd.DataFrame:
    """A row per group.

    Args:
        tidy: as ``frames.compared.front.front_table`` makes it.
        up: for both metrics whether higher is better.
    """
    signs = [1.0 if is_up else -1.0 for is_up in up]
    numbers = tidy[list(_ENDS)].astype(float)
    places = [Place(signs[0] * x, signs[1] * y) for x, y in zip(numbers["x"], numbers["y"], strict=True)]
    wide, high = (
        _extent(numbers[[name for name in _ENDS if name[0] == axis]], sign) for axis, sign in zip("xy", signs, strict=True)
    )
    is_base = tidy["baseline"].astype(bool)
    is_named = tidy["beaten by none"].astype(bool) | tidy["on the front of fixed weights"].astype(bool) | is_base
    names = [str(name) if is_on else "" for name, is_on in zip(tidy["group"], is_named, strict=True)]
    return pd.DataFrame(
        {
            "part": "point",
            "group": tidy["group"].astype(str),
            **{name.replace(" ", "_"): numbers[name] for name in _ENDS},
            "is_fixed": tidy["fixed weights"].astype(bool),
            "is_line": is_base & (is_base.sum() == 1),
            "strength": np.where(is_named, STRONG, FAINT),
            "cross": np.where(is_named, CROSS * STRONG, CROSS * FAINT),
            "label": names,
            "side": place_labels(places, names, wide, high),
            "where": tidy["fixed weights and it"],
            "seeds": tidy["seeds"].astype(int),
        }
    )


def front_line(tidy: pd.DataFrame, up: Sequence[bool]) -> pd.DataFrame:
    """The corners of what fixed weights reach, from the reference's x to the reference's y; empty without fixed weights."""
    on = tidy[tidy["on the front of fixed weights"].astype(bool)].drop_duplicates(["x", "y"])
    if on.empty:
        return pd.DataFrame()
    ordered = on.sort_values("x", ascending=up[0])
    points = [(float(x), float(y)) for x, y in zip(ordered["x"], ordered["y"], strict=True)]
    reference = [float(value) for value in on[["x of the reference", "y of the reference"]].iloc[0]]
    corners = [(reference[0], points[0][1]), points[0]]
    for (x, _), (right, height) in pairwise(points):
        corners += [(x, height), (right, height)]
    corners.append((points[-1][0], reference[1]))
    rows = [{"x": x, "y": y, "floor": reference[1], "order": n} for n, (x, y) in enumerate(corners)]
    return pd.DataFrame(rows).assign(part="line", group="")


def _extent(ends: pd.DataFrame, sign: float) -> Ends:
    """From where to where the numbers go, turned so that better is larger."""
    low, high = sign * float(np.nanmin(ends)), sign * float(np.nanmax(ends))
    return min(low, high), max(low, high)
