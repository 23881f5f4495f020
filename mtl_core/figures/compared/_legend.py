"""Who is who, once for many panels: a line of each group's colour and dash, its name, and a word on its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from mtl_core.figures._svg import tag
from mtl_core.figures._view import Spec, View
from mtl_core.figures.compared._groups import group_colours, group_dashes, group_names

LENGTH, HEIGHT, THICK = 26, 12, 2.5  # pixels


def draw_legend(spec: Spec, view: View, said: Mapping[str, str]) -> str:
    """HTML of the groups in ``said``, name to what is said of it, in the comparison's order."""
    looks = zip(group_names(spec), group_colours(spec, view), group_dashes(spec), strict=True)
    items = [_item(name, colour, dash, said[name]) for name, colour, dash in looks if name in said]
    return f'<div class="mtl-legend">{"".join(items)}</div>'


def _item(name: str, colour: str, dash: list[int], words: str) -> str:
    dashes = " ".join(str(part) for part in dash) if dash != [1, 0] else "none"
    middle = HEIGHT / 2
    stroke = {"stroke": colour, "stroke_width": THICK, "stroke_dasharray": dashes}
    line = tag("svg", tag("line", x1=0, y1=middle, x2=LENGTH, y2=middle, **stroke), width=LENGTH, height=HEIGHT)
    return f'<span title="{escape(name)}">{line}<b>{escape(name)}</b> {escape(words)}</span>'
