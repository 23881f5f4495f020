"""Widgets from declarations: a knob says what it is, and this file finds the widget. Nothing is declared twice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from mtl_core.config import load_yaml

Knob = Mapping[str, Any]
ROW_PX = 560  # a card's inner width on a small laptop
SIGN_PX, CHOICE_PX = 8, 26  # a letter, and the padding around a choice
WIDEST_SLIDER = 64


def knobs(declared: Sequence[Knob], values: Mapping[str, Any], *, key: str, columns: int = 2) -> dict[str, Any]:
    """Widgets for all declared knobs, in columns; what the visitor chose, by name (the unchecked value)."""
    chosen: dict[str, Any] = {}
    for start in range(0, len(declared), columns):
        row = declared[start : start + columns]
        for cell, knob in zip(st.columns(columns, gap="medium"), row, strict=False):
            with cell:
                value = values.get(knob["name"], knob["default"])
                chosen[knob["name"]] = widget(knob, value, key=f"{key}.{knob['name']}", room=ROW_PX // columns)
    return chosen


def widget(knob: Knob, value: Any, *, key: str, room: int = ROW_PX) -> Any:
    """The widget for one knob, showing ``value``, in ``room`` pixels; returns what it says now."""
    if knob["choices"] is not None:
        return _choice(knob, value, key, room)
    makers = {"bool": _switch, "int": _number, "float": _number, "list": _numbers, "str": _text}
    return (_free if knob["words"] else makers[knob["type"]])(knob, value, key)


def _choice(knob: Knob, value: Any, key: str, room: int) -> Any:
    options = [None, *knob["choices"]] if knob["optional"] else list(knob["choices"])
    if sum(len(_shown(option)) * SIGN_PX + CHOICE_PX for option in options) <= room:
        return st.segmented_control(
            knob["title"], options, default=value, required=True, format_func=_shown, key=key, help=knob["help"]
        )
    return st.selectbox(knob["title"], options, index=options.index(value), format_func=_shown, key=key, help=knob["help"])


def _switch(knob: Knob, value: Any, key: str) -> bool:
    return st.toggle(knob["title"], value=bool(value), key=key, help=knob["help"])


def _number(knob: Knob, value: Any, key: str) -> Any:
    kind: Any = int if knob["type"] == "int" else float
    low, high = (None if knob[bound] is None else kind(knob[bound]) for bound in ("minimum", "maximum"))
    step = 1 if kind is int else _step(knob, value)
    if low is not None and knob["exclusive_minimum"] and kind is int:
        low += step
    shown = None if value is None else kind(value)
    if high is not None and knob["exclusive_maximum"] and (shown is None or shown <= high - step):
        high -= step
    is_short = low is not None and high is not None and high - low <= (WIDEST_SLIDER if kind is int else 2)
    if is_short and shown is not None and not knob["optional"]:
        return st.slider(knob["title"], low, high, shown, step, key=key, help=knob["help"])
    words = "automatic" if knob["optional"] else None
    form = None if kind is int else "%g"
    return st.number_input(knob["title"], low, high, shown, step, format=form, key=key, help=knob["help"], placeholder=words)


def _step(knob: Knob, value: Any) -> float:
    """A step in keeping with the knob's usual size: 0.002 moves by 0.001."""
    if knob["minimum"] is not None and knob["maximum"] is not None and knob["maximum"] - knob["minimum"] <= 2:
        return 0.01
    usual = abs(float(value or knob["default"] or 0.001))
    return float(10.0 ** math.floor(math.log10(usual)))


def _numbers(knob: Knob, value: Any, key: str) -> Any:
    """A list as text, ``0.5, 0.5``. An unreadable list is returned as it is, so that the check names it."""
    shown = "" if value is None else ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    text = st.text_input(
        knob["title"],
        shown,
        max_chars=300,
        key=key,
        help=f"{knob['help']} Separate by commas.".strip(),
        placeholder="for example 1, 0.5",
    )
    if not text.strip():
        return None if knob["optional"] else []
    return _read(f"[{text.strip().strip('[]()')}]", text)


def _text(knob: Knob, value: Any, key: str) -> Any:
    text = st.text_input(knob["title"], "" if value is None else str(value), max_chars=200, key=key, help=knob["help"])
    return None if knob["optional"] and not text.strip() else text.strip()


def _free(knob: Knob, value: Any, key: str) -> Any:
    """For what is a number or a word (``auto``): choose or type."""
    options = list(dict.fromkeys([str(value), str(knob["default"]), *knob["words"], "1", "5", "10", "50", "100"]))
    text = st.selectbox(
        knob["title"], options, index=0, key=key, help=f"{knob['help']} Choose, or type a number.", accept_new_options=True
    )
    return _read(str(text)[:40], text)


def _read(text: str, otherwise: Any) -> Any:
    try:
        return load_yaml(text)
    except ValueError:
        return otherwise


def _shown(option: Any) -> str:
    return "automatic" if option is None else str(option).replace("_", " ")
