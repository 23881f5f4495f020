"""The network, drawn: what all tasks share, where they part, and what that saves against separate networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._parts import rows_of
from mtl_core.figures._svg import short, svg, tag, text_width, words, wrap
from mtl_core.palette import TYPE, Tones, task_colours, tones

WIDTH = 760.0  # about what the card on Train is wide, so that type keeps its size
MARGIN, INPUT, HEAD, GAP = 6.0, 84.0, 172.0, 24.0  # the head column holds task titles
LANE, TOP = 56.0, 34.0
NARROW = 44.0  # a block too narrow for its numbers


@FIGURES.register
class Architecture(Figure):
    """Blocks from input to heads: shared ones in one colour, each task's own in the task's colour."""

    title = "Architecture"
    how_to_read = (
        "From left to right: dark blocks are shared by all tasks, coloured ones belong to one task; the bars compare the "
        "parameters with those of one separate network per task."
    )
    when_to_worry = (
        "A small shared block before many tasks is a bottleneck: there they compete for room as well as for direction."
    )
    waiting = "Choose tasks and an architecture; the network appears here."
    source = "report"
    medium = "svg"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return bool(spec.get("report")) and bool(spec.get("tasks"))

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[order, stage, task, is_shared, n_parameters, flops, shape], see ``frames.report_frame``."""
        return frame

    @classmethod
    def picture(cls, data: pd.DataFrame, spec: Spec, view: View) -> str:
        tone = tones(view.theme)
        if data.empty:
            sentence = cls.waiting
            text = words(sentence, WIDTH / 2, 50, size=TYPE.title, text_anchor="middle", fill=tone.soft_ink)
            return svg(text, WIDTH, 90, label=sentence, ink=tone.ink)
        plan = _layout(data, spec)
        parts = [_input(plan, spec, tone), _shared(plan, data, tone), _branches(plan, data, spec, view)]
        bars = _bars(spec, view, top=plan.bottom + 26)
        height = plan.bottom + 26 + (96 if len(spec["tasks"]) > 1 else 30)
        return svg("".join(parts) + bars, WIDTH, height, label=_description(spec), ink=tone.ink)


@dataclass(frozen=True)
class _Layout:
    """Where things are: left edges of the stages, their width, the middle of each task's lane."""

    stages: dict[int, float]
    stage_width: float
    gap: float
    head: float
    lanes: dict[str, float]
    middle: float
    bottom: float
    branch: float


def _layout(tidy: pd.DataFrame, spec: Spec) -> _Layout:
    n_stages = len(spec["report"]["stages"])
    names = [task["name"] for task in spec["tasks"]]
    n_shared = sum(bool(stage["is_shared"]) for stage in spec["report"]["stages"])
    fork = 44.0  # room for the lines to part
    room = WIDTH - 2 * MARGIN - INPUT - HEAD - fork
    gap = GAP if n_stages <= 6 else 12.0
    width = min((room - (n_stages + 1) * gap) / max(n_stages, 1), 150.0)
    gap = (room - n_stages * width) / (n_stages + 1)  # few stages stand further apart
    lane = LANE if len(names) > 1 else 84.0
    height = max(lane * len(names), 150.0)
    start = TOP + (height - lane * len(names)) / 2
    lanes = {name: start + (n + 0.5) * lane for n, name in enumerate(names)}
    x, stages, branch = MARGIN + INPUT + gap, {}, 0.0
    for order in range(n_stages + 1):
        if order == n_shared:
            branch = x - gap + 4 if order else x - gap / 2
            x += fork
        stages[order] = x
        x += width + gap
    return _Layout(stages, width, gap, stages[n_stages], lanes, TOP + height / 2, TOP + height, branch)


def _input(plan: _Layout, spec: Spec, tone: Tones) -> str:
    shape = [int(n) for n in spec["input_shape"]]
    is_picture = len(shape) == 3
    size, x = 54.0, MARGIN + 8
    sheets = "".join(
        tag(
            "rect",
            x=x + shift,
            y=plan.middle - size / 2 - shift + 5,
            width=size,
            height=size,
            rx=7,
            fill=tone.card,
            stroke=tone.floor,
            stroke_width=1.3,
        )
        for shift in ((10, 5, 0) if is_picture else (0,))
    )
    middle = x + size / 2
    low = plan.middle + 5
    if is_picture:
        sun = tag("circle", cx=middle + 11, cy=low - 11, r=5, fill=tone.floor, opacity=0.75)
        hill = f"M{x + 6:g},{low + 19:g} L{middle - 7:g},{low - 4:g} L{middle + 5:g},{low + 9:g} L{middle + 11:g},{low + 3:g} L{x + size - 6:g},{low + 19:g} Z"
        inside = sun + tag("path", d=hill, fill=tone.floor, opacity=0.55, stroke_linejoin="round")
    else:
        inside = "".join(tag("circle", cx=middle, cy=low + 13 * n, r=4, fill=tone.floor, opacity=0.8) for n in (-1, 0, 1))
    text = " × ".join(str(n) for n in ([*shape[1:], shape[0]] if is_picture else shape))
    caption = words("Input", middle, plan.middle + 50, size=TYPE.label, font_weight=600, text_anchor="middle")
    size_text = words(text, middle, plan.middle + 66, width=INPUT, text_anchor="middle", fill=tone.soft_ink)
    return sheets + inside + caption + size_text


def _shared(plan: _Layout, tidy: pd.DataFrame, tone: Tones) -> str:
    """The trunk: tall blocks on one line, up to the point where the tasks part."""
    start = MARGIN + INPUT - 10
    trunk = tag(
        "path", d=f"M{start:g},{plan.middle:g} H{plan.branch:g}", stroke=tone.shared, stroke_width=5, stroke_linecap="round"
    )
    rows = tidy[tidy["is_shared"]]
    height = 104.0
    blocks = []
    for row in rows_of(rows):
        x, y = plan.stages[row.order], plan.middle - height / 2
        box = tag("rect", x=x, y=y, width=plan.stage_width, height=height, rx=10, fill=tone.shared)
        blocks.append(box + _block_words(row, x, plan.middle, plan.stage_width, tone.on_shared))
    if len(rows):
        x = (plan.stages[rows["order"].min()] + plan.stages[rows["order"].max()] + plan.stage_width) / 2
        text = "shared by all tasks" if len(plan.lanes) > 1 else "trunk"
        blocks.append(words(text, x, plan.middle - height / 2 - 10, text_anchor="middle", fill=tone.soft_ink))
    return trunk + "".join(blocks)


def _block_words(row: Any, x: float, y: float, width: float, fill: str) -> str:
    inner, middle = width - 10, x + width / 2
    if width < NARROW:
        turned: dict[str, Any] = {"text_anchor": "middle", "fill": fill, "transform": f"rotate(-90 {middle:g} {y:g})"}
        return words(str(row.stage), middle, y + 4, width=96, font_weight=600, **turned)
    lines = [
        (str(row.stage), TYPE.label, 600),
        (_count(row.n_parameters, inner), TYPE.small, 400),
        (row.shape, TYPE.small, 400),
    ]
    heights = (-16, 4, 22)
    return "".join(
        words(text, middle, y + dy, size=size, width=inner, font_weight=weight, text_anchor="middle", fill=fill)
        for (text, size, weight), dy in zip(lines, heights, strict=True)
    )


def _branches(plan: _Layout, tidy: pd.DataFrame, spec: Spec, view: View) -> str:
    """A lane per task: its own copies of the later stages, then its head."""
    colours, tone = task_colours(spec, view.theme), tones(view.theme)
    titles = {task["name"]: task["title"] for task in spec["tasks"]}
    wires, blocks = [], []
    for task, y in plan.lanes.items():
        colour = colours[task]
        first = plan.branch + 44.0
        bend = (first - plan.branch) * 0.62
        curve = (
            f"M{plan.branch:g},{plan.middle:g} C{plan.branch + bend:g},{plan.middle:g} {first - bend:g},{y:g} {first:g},{y:g} "
            f"H{plan.head + 10:g}"
        )
        wires.append(tag("path", d=curve, fill="none", stroke=colour, stroke_width=2.6))
        for row in rows_of(tidy[(tidy["task"] == task) & (tidy["stage"] != "head")]):
            blocks.append(_copy(plan, row, y, colour, tone))
        head = tidy[(tidy["task"] == task) & (tidy["stage"] == "head")]
        n_parameters = int(head["n_parameters"].sum())
        blocks.append(_head(plan.head, y, title=titles[task], n_parameters=n_parameters, colour=colour, tone=tone))
    point = tag("circle", cx=plan.branch, cy=plan.middle, r=7, fill=tone.card, stroke=tone.shared, stroke_width=3)
    return "".join(wires) + point + "".join(blocks)


def _copy(plan: _Layout, row: Any, y: float, colour: str, tone: Tones) -> str:
    """A task's own copy of a stage."""
    x, width = plan.stages[row.order], plan.stage_width
    place = {"x": x, "y": y - 20, "width": width, "height": 40, "rx": 8}
    box = tag("rect", **place, fill=tone.card)
    hint = tag("title", escape(f"{row.stage}: {row.n_parameters:,} parameters"))
    tint = tag("rect", hint, **place, fill=colour, fill_opacity=0.16, stroke=colour, stroke_width=1.4)
    if width < NARROW:
        return box + tint
    middle: dict[str, Any] = {"width": width - 8, "text_anchor": "middle"}
    name = words(row.stage, x + width / 2, y - 3, font_weight=600, **middle)
    count = words(_count(row.n_parameters, width - 8), x + width / 2, y + 12, size=11, fill=tone.soft_ink, **middle)
    return box + tint + name + count


def _head(x: float, y: float, *, title: str, n_parameters: int, colour: str, tone: Tones) -> str:
    width = HEAD
    card = tag("rect", x=x, y=y - 22, width=width, height=44, rx=10, fill=tone.card, stroke=colour, stroke_width=2)
    flag = tag("path", d=f"M{x + 10:g},{y - 22:g} h-0 a10,10 0 0 0 -10,10 v24 a10,10 0 0 0 10,10 z", fill=colour)
    inner = width - 30
    lines = wrap(title, 1.15 * TYPE.label, inner)
    tops = (-2, 14) if len(lines) == 1 else (-9, 4, 17)
    texts = [
        words(line, x + 20, y + top, size=TYPE.label, width=inner, font_weight=600)
        for line, top in zip(lines, tops, strict=False)
    ]
    count = words(f"head, {short(n_parameters)} parameters", x + 20, y + tops[-1], size=11, width=inner, fill=tone.soft_ink)
    return card + flag + "".join(texts) + count


def _bars(spec: Spec, view: View, *, top: float) -> str:
    """Parameters of this network and of separate ones, as two bars on one scale."""
    report, tone, colours = spec["report"], tones(view.theme), task_colours(spec, view.theme)
    names = [task["name"] for task in spec["tasks"]]
    trunk = sum(stage["n_parameters"] for stage in report["stages"])
    separate = {task: trunk + report["heads"][task]["n_parameters"] for task in names}
    here = {"": report["n_shared"], **{task: report["n_per_task"][task] for task in names}}
    rows = [("This network", here, report["n_total"], report["flops"])]
    if len(names) > 1:
        rows.append(("Separate networks", separate, report["n_separate"], report["flops_separate"]))
    left, room = 152.0, 330.0
    most = max(1, *(sum(segments.values()) for _, segments, _, _ in rows))
    parts = []
    for n, (name, segments, total, flops) in enumerate(rows):
        y = top + n * 36
        parts.append(words(name, MARGIN, y + 15, size=TYPE.label, font_weight=600, width=left - MARGIN - 6))
        x = left
        for task, count in segments.items():
            width = room * count / most
            if width > 0:
                fill = colours[task] if task else tone.shared
                hint = tag("title", f"{escape(task) or 'shared'}: {count:,} parameters")
                parts.append(tag("rect", hint, x=x, y=y, width=max(width - 1.5, 0.5), height=22, rx=3, fill=fill))
            x += width
        text = f"{short(total)} parameters · {short(flops, 'FLOP')} per example"
        parts.append(words(text, x + 10, y + 15, size=TYPE.small, width=WIDTH - x - 14, fill=tone.ink))
    if len(names) > 1:
        parts.append(words(_saving(report), left, top + 88, size=TYPE.small, width=WIDTH - left - MARGIN, fill=tone.soft_ink))
    return "".join(parts)


def _saving(report: Mapping[str, Any]) -> str:
    if not report["n_shared"]:
        return "Nothing is shared: one separate network per task, the baseline to compare with."
    parameters = 1 - report["n_total"] / max(report["n_separate"], 1)
    compute = 1 - report["flops"] / max(report["flops_separate"], 1)
    return f"Sharing saves {parameters:.0%} of the parameters and {compute:.0%} of the compute of a forward pass."


def _count(n_parameters: int, width: float) -> str:
    """The number with as many words as fit."""
    for text in (f"{short(n_parameters)} parameters", f"{short(n_parameters)} par."):
        if text_width(text, TYPE.small) <= width:
            return text
    return short(n_parameters)


def _description(spec: Spec) -> str:
    report = spec["report"]
    shared = [stage["name"] for stage in report["stages"] if stage["is_shared"]]
    tasks = ", ".join(task["title"] for task in spec["tasks"])
    what = f"the stages {', '.join(shared)} are shared" if shared else "nothing is shared"
    return f"Network for {tasks}: {what} out of {len(report['stages'])} stages, {report['n_total']:,} parameters."
