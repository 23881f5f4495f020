"""Sample predictions, drawn on the pictures: what the network sees, says, and should have said."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, radians, sin
from typing import Any

import numpy as np
import pandas as pd

from mtl_core.figures import FIGURES, Figure, Spec, View
from mtl_core.figures._parts import labels, rows_of
from mtl_core.figures._svg import png_uri, svg, tag, words
from mtl_core.palette import TYPE, Tones, task_colours, tones

WIDTH, GAP, LINE, KEY = 900.0, 14.0, 18.0, 30.0
NEAR_DEGREES, GOOD_IOU = 15.0, 0.5
LONGEST_ANSWER = 22  # characters that fit under a picture


@FIGURES.register
class Predictions(Figure):
    """A few fixed validation pictures with every task's answer on them."""

    title = "Sample predictions"
    how_to_read = (
        "Solid shapes in a task's colour are predictions, dashed white ones the truth; below each picture every answer has "
        "a ✓ or a ✗ with what would have been right."
    )
    when_to_worry = "One task is right and another wrong on the same pictures again and again, or all answers are the same."
    waiting = "Sample predictions appear with the first validation."
    source = "preview"
    medium = "svg"
    zooms = False

    @classmethod
    def applies(cls, spec: Spec) -> bool:
        return bool(spec.get("tasks")) and len(spec.get("input_shape", ())) == 3

    @classmethod
    def tidy(cls, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """[step, example, task, kind, input, target, prediction, is_right, answer]; is_right is None without a label."""
        tasks = {task["name"]: task for task in spec["tasks"]}
        known = frame[frame["task"].isin(list(tasks))].reset_index(drop=True)
        judged = [judge(tasks[row.task], row.target, row.prediction) for row in rows_of(known)]
        kinds = [tasks[task]["kind"] for task in known["task"]]
        rights = pd.Series([right for right, _ in judged], dtype="object")
        return known.assign(kind=kinds, is_right=rights, answer=[answer for _, answer in judged])

    @classmethod
    def picture(cls, data: pd.DataFrame, spec: Spec, view: View) -> str:
        tone = tones(view.theme)
        if data.empty:
            sentence = cls.waiting
            text = words(sentence, WIDTH / 2, 50, size=TYPE.title, text_anchor="middle", fill=tone.soft_ink)
            return svg(text, WIDTH, 90, label=sentence, ink=tone.ink)
        examples = list(data.groupby("example", sort=True))
        columns = min(6, max(len(examples), 4))
        side = (WIDTH - GAP * (columns - 1)) / columns
        height = side + 8 + LINE * len(spec["tasks"]) + GAP
        parts = [_key(data, spec, view)]
        for n, (_, rows) in enumerate(examples):
            x, y = (n % columns) * (side + GAP), KEY + (n // columns) * height
            parts.append(tag("g", _card(rows, spec, view, side), transform=f"translate({x:g},{y:g})"))
        total = KEY + height * -(-len(examples) // columns)
        n_right = sum(right is True for right in data["is_right"])
        label = f"{len(examples)} sample pictures, {n_right} of {sum(right is not None for right in data['is_right'])} answers right"
        return svg("".join(parts), WIDTH, total, label=label, ink=tone.ink)


def judge(task: Mapping[str, Any], target: Any, prediction: Any) -> tuple[bool | None, str]:
    """Whether a prediction is right, and its answer in words. None where the label is missing or right has no meaning."""
    said = _class_name(task, prediction) if task["kind"] == "classification" else ""
    if target is None:
        return None, f"{said} (no label)".strip()
    if task["kind"] == "classification":
        is_right = int(target) == int(prediction)
        return is_right, said if is_right else f"{said}, is {_class_name(task, target)}"
    return _judge_shape(task["kind"], target, prediction)


def _judge_shape(kind: str, target: Any, prediction: Any) -> tuple[bool | None, str]:
    if kind in ("box", "mask"):
        iou = box_iou(target, prediction) if kind == "box" else mask_iou(target, prediction)
        return (None, "nothing there") if np.isnan(iou) else (iou >= GOOD_IOU, f"IoU {iou:.2f}")
    if kind == "angle":
        off = abs((float(prediction) - float(target) + 180) % 360 - 180)
        return off <= NEAR_DEGREES, f"{off:.0f}° off"
    pairs = zip(np.atleast_1d(prediction), np.atleast_1d(target), strict=True)
    return None, ", ".join(f"{float(said):.3g} (is {float(true):.3g})" for said, true in pairs)


def box_iou(a: Any, b: Any) -> float:
    """Shared area over joint area of two boxes x1 y1 x2 y2; 0 where both are empty or turned inside out.

    >>> box_iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    joint = sum(max(0.0, c[2] - c[0]) * max(0.0, c[3] - c[1]) for c in (a, b)) - shared
    return float(shared / joint) if joint > 0 else 0.0


def mask_iou(a: Any, b: Any) -> float:
    """Shared over joint pixels of two masks (0..255, in from 128 on); NaN where both are empty."""
    inside_a, inside_b = np.asarray(a) >= 128, np.asarray(b) >= 128
    joint = int((inside_a | inside_b).sum())
    return float((inside_a & inside_b).sum() / joint) if joint else float("nan")


def _card(rows: pd.DataFrame, spec: Spec, view: View, side: float) -> str:
    """One picture with what is drawn on it, and a line of text per task."""
    tone, colours = tones(view.theme), task_colours(spec, view.theme)
    pixels = np.asarray(rows["input"].iloc[0])
    frame = {"width": side, "height": side, "preserveAspectRatio": "none", "style": "image-rendering:pixelated"}
    parts = [tag("image", href=png_uri(pixels), x=0, y=0, **frame)]
    by_kind = sorted(rows_of(rows), key=lambda row: ["mask", "box", "angle"].index(row.kind) if row.kind in _DRAWN else 3)
    for row in by_kind:
        if row.kind in _DRAWN:
            parts.append(_DRAWN[row.kind](row, colours[row.task], pixels.shape, side))
    parts.append(tag("rect", x=0.5, y=0.5, width=side - 1, height=side - 1, fill="none", stroke=tone.grid, rx=2))
    by_task = {row.task: row for row in rows_of(rows)}
    for n, (name, label) in enumerate((name, label) for name, label in labels(spec).items() if name in by_task):
        line = _line(by_task[name], label, colours[name], side, tone)
        parts.append(tag("g", line, transform=f"translate(0,{side + 8 + LINE * n:g})"))
    return "".join(parts)


def _line(row: Any, label: str, colour: str, width: float, tone: Tones) -> str:
    mark, fill = {True: ("✓", tone.right), False: ("✗", tone.wrong)}.get(row.is_right, ("·", tone.soft_ink))
    dot = tag("rect", x=0, y=4, width=8, height=8, rx=2, fill=colour)
    sign = words(mark, 13, 12.5, size=TYPE.small, font_weight=700, fill=fill)
    name = label if len(label) <= 14 else label[:13].rstrip() + "…"  # the answer needs the room
    said = f"{name}: {row.answer}"
    if len(said) > LONGEST_ANSWER and row.is_right is False:
        said = row.answer  # the colour says which task it is: what would have been right must not be cut off
    text = words(said, 27, 12.5, size=TYPE.small, width=width - 27, fill=tone.ink)
    return dot + sign + text


def _draw_box(row: Any, colour: str, shape: tuple[int, ...], side: float) -> str:
    parts = []
    if row.target is not None:
        frame = _box_frame(row.target, shape, side)
        parts.append(tag("rect", **frame, fill="none", stroke="#000000", stroke_opacity=0.45, stroke_width=3))
        parts.append(tag("rect", **frame, fill="none", stroke="#ffffff", stroke_width=1.6, stroke_dasharray="4 3"))
    frame = _box_frame(row.prediction, shape, side)
    parts.append(tag("rect", **frame, fill="none", stroke="#ffffff", stroke_opacity=0.75, stroke_width=4))
    parts.append(tag("rect", **frame, fill="none", stroke=colour, stroke_width=2.4))
    return "".join(parts)


def _box_frame(box: Any, shape: tuple[int, ...], side: float) -> dict[str, float]:
    """A box in pixels of the picture as a rectangle on the card; what lies outside the picture is cut off."""
    values = np.nan_to_num(np.asarray(box, dtype=float))
    x1, x2 = np.clip(np.sort(values[[0, 2]]) / shape[1], 0, 1) * side
    y1, y2 = np.clip(np.sort(values[[1, 3]]) / shape[0], 0, 1) * side
    return {"x": float(x1), "y": float(y1), "width": float(max(x2 - x1, 1)), "height": float(max(y2 - y1, 1))}


def _draw_mask(row: Any, colour: str, shape: tuple[int, ...], side: float) -> str:
    """The prediction as a tint that is as dense as it is sure; the truth as a light outline."""
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    guess = np.asarray(row.prediction, dtype=float)
    tint = np.zeros((*guess.shape, 4), dtype=np.uint8)
    tint[..., :3] = red, green, blue
    tint[..., 3] = np.clip(guess * 0.6, 0, 255)
    frame = {"x": 0, "y": 0, "width": side, "height": side, "preserveAspectRatio": "none", "style": "image-rendering:pixelated"}
    parts = [tag("image", href=png_uri(tint), **frame)]
    if row.target is not None:
        outline = _outline(np.asarray(row.target) >= 128, side)
        parts.append(tag("path", d=outline, fill="none", stroke="#000000", stroke_opacity=0.4, stroke_width=2.6))
        parts.append(tag("path", d=outline, fill="none", stroke="#ffffff", stroke_width=1.3, stroke_dasharray="3 2"))
    return "".join(parts)


def _outline(inside: Any, side: float) -> str:
    """The edges between pixels in and out of a mask, as a path; joined along rows and columns to keep it short."""
    padded = np.pad(inside, 1)
    steps = []
    for axis in (0, 1):
        edges = np.diff(padded.astype(np.int8), axis=axis) != 0
        edges = edges if axis == 0 else edges.T  # [line, along]
        for line, row in enumerate(edges):
            ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
            for start, end in zip(ends[::2] - 1, ends[1::2] - 1, strict=True):
                h, w = (inside.shape[0], inside.shape[1]) if axis == 0 else (inside.shape[1], inside.shape[0])
                at, a, b = line / h * side, start / w * side, end / w * side
                steps.append(f"M{a:.1f},{at:.1f}H{b:.1f}" if axis == 0 else f"M{at:.1f},{a:.1f}V{b:.1f}")
    return "".join(steps) or "M0,0"


def _draw_angle(row: Any, colour: str, shape: tuple[int, ...], side: float) -> str:
    """A dial in the corner: up is 0°, counter-clockwise is positive."""
    r = max(11.0, side * 0.11)
    x, y = side - r - 4, r + 4
    parts = [tag("circle", cx=x, cy=y, r=r, fill="#000000", fill_opacity=0.55, stroke="#ffffff", stroke_opacity=0.6)]
    if row.target is not None:
        parts.append(_needle(row.target, x, y, r, stroke="#ffffff", stroke_width=1.6, stroke_dasharray="3 2"))
    parts.append(_needle(row.prediction, x, y, r, stroke="#ffffff", stroke_width=4.2, stroke_opacity=0.75))
    parts.append(_needle(row.prediction, x, y, r, stroke=colour, stroke_width=2.6))
    return "".join(parts)


def _needle(degrees: Any, x: float, y: float, r: float, **look: Any) -> str:
    turn = radians(float(np.nan_to_num(degrees)))
    ends = {"x1": x, "y1": y, "x2": x - 0.88 * r * sin(turn), "y2": y - 0.88 * r * cos(turn)}
    return tag("line", **ends, stroke_linecap="round", **look)


_DRAWN = {"mask": _draw_mask, "box": _draw_box, "angle": _draw_angle}


def _key(tidy: pd.DataFrame, spec: Spec, view: View) -> str:
    """Which step it is, and what solid and dashed mean."""
    tone = tones(view.theme)
    step = int(tidy["step"].iloc[0])
    head = words(f"Step {step:,}", 0, 14, size=TYPE.label, font_weight=600)
    text = words("solid: predicted · dashed: true", 110, 14, size=TYPE.small, fill=tone.soft_ink)
    return head + text if any(kind in _DRAWN for kind in tidy["kind"]) else head


def _class_name(task: Mapping[str, Any], index: Any) -> str:
    names = task.get("classes") or []
    number = int(index)
    return str(names[number]) if 0 <= number < len(names) else str(number)
