"""Slips become sentences: the one place where an error turns into words on a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

EXPECTED = (ValueError, LookupError, OSError)


def sentence(error: BaseException) -> str:
    """An error as a sentence, at most 600 characters, that says what to do.

    >>> sentence(ValueError("depth must lie in 0..3, got 9: this trunk has 3 stages"))
    'Depth must lie in 0..3, got 9: this trunk has 3 stages.'
    """
    words = (
        error.strerror if isinstance(error, OSError) else error.args[0] if isinstance(error, KeyError) and error.args else None
    )
    text = str(words or error).strip() or type(error).__name__
    text = text if len(text) <= 600 else text[:599] + "…"
    return text[:1].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


def plain(text: str) -> str:
    """Text that somebody else wrote, with Markdown's and HTML's signs made harmless for st.markdown and its kin."""
    for sign in "\\`*_{}[]()#+-!|>~$:<&":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())


@contextmanager
def say_errors(headline: str = "") -> Iterator[None]:
    """Show a slip inside the block as a sentence and go on after it."""
    try:
        yield
    except EXPECTED as error:
        show(error, headline)


@contextmanager
def stop_with(headline: str) -> Iterator[None]:
    """Show a slip inside the block as a sentence and end the page there."""
    try:
        yield
    except EXPECTED as error:
        show(error, headline)
        st.stop()


def show(error: BaseException | str, headline: str = "") -> None:
    """One red box with one or two sentences."""
    words = error if isinstance(error, str) else sentence(error)
    st.error(f"**{headline}** {plain(words)}" if headline else plain(words))
