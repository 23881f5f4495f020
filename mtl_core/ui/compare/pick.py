"""A choice on the Compare page that the link holds: one of several things, each with a title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st


def one(label: str, titles: Mapping[str, str], *, key: str, width: int, default: str = "") -> str:
    """A list of titles to choose from; returns the key of the chosen one, the first one's unless ``default`` is among them."""
    named = _apart(titles)
    first = next((n for n, kept in enumerate(named.values()) if kept == default), 0)
    chosen = st.selectbox(label, list(named), index=first, key=key, bind="query-params", width=width)
    return named.get(chosen or "", next(iter(named.values()), ""))


def several(label: str, titles: Mapping[str, str], *, key: str, default: Sequence[str]) -> list[str]:
    """Some of the titles, at least one; returns their keys in the order of ``titles``."""
    named = _apart(titles)
    preset = [title for title, kept in named.items() if kept in default]
    chosen = st.multiselect(label, list(named), default=preset, key=key, bind="query-params")
    return [kept for title, kept in named.items() if title in (chosen or preset)]


def _apart(titles: Mapping[str, str]) -> dict[str, str]:
    """Title to key; where two share a title, the key stands beside it.

    >>> _apart({"a": "Loss", "b": "Loss", "c": "Rank"})
    {'Loss (a)': 'a', 'Loss (b)': 'b', 'Rank': 'c'}
    """
    words = list(titles.values())
    named = {}
    for key, title in titles.items():
        shown = title if words.count(title) == 1 else f"{title} ({' '.join(key.split())})"
        named[shown] = key
    return named
