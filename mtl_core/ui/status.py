"""A run at a glance: its state as a chip, its progress, what ended it, and lists of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

import streamlit as st

from mtl_core.estimate import in_words, remaining
from mtl_core.palette import state_colours
from mtl_core.store import UNENDED, Run
from mtl_core.ui import frame
from mtl_core.ui.errors import plain

WHAT_NOW = {
    "queued": "It starts by itself, once a worker is ready and a device has a free place.",
    "paused": "It waits with its state kept. Resume goes on at the very same step.",
    "stopped": "It was stopped. Resume goes on from its checkpoint, if it has one.",
    "failed": "It ended in an error. The traceback and the config are under Details.",
    "diverged": "A number became infinite or undefined. Try a smaller learning rate, clipping, or other weights.",
    "interrupted": "Its worker process is gone. Resume goes on from its checkpoint onto the same curve.",
}


def is_going(run: Run) -> bool:
    """Whether the run may still change by itself: it waits, trains or is paused."""
    return run.state in UNENDED


def chip(state: str) -> str:
    """The state as HTML: a coloured dot and the word."""
    colour = state_colours(frame.theme())[state]
    live = " is-live" if state == "running" else ""
    return f'<span class="mtl-chip{live}" style="--chip:{colour}"><i></i>{state}</span>'


def headline(run: Run) -> str:
    """Name, chip, progress bar and facts of a run, as HTML."""
    share = 0.0 if run.steps <= 0 else min(1.0, run.step / run.steps)
    facts = "".join(f"<span>{label} <b>{escape(value)}</b></span>" for label, value in _facts(run))
    colour = state_colours(frame.theme())[run.state]
    why = run.reason or WHAT_NOW.get(run.state, "")
    note = f'<p class="mtl-note">{escape(_sentence(why))}</p>' if why and run.state != "running" else ""
    return (
        f'<div class="mtl-status" style="--chip:{colour}"><div class="row"><h2>{escape(run.name)}</h2>{chip(run.state)}</div>'
        f'<div class="mtl-bar" role="progressbar" aria-valuenow="{share:.0%}"><i style="width:{share:.2%}"></i></div>'
        f'<div class="mtl-facts">{facts}</div>{note}</div>'
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    facts = [("Step", f"{run.step:,} of {run.steps:,}")]
    if run.epoch:
        facts.append(("Epoch", f"{run.epoch:.1f}"))
    left = remaining(run) if run.state in ("running", "paused") else None
    if left is not None:
        facts.append(("Time left", f"about {in_words(left)}"))
    if run.seconds:
        facts.append(("Trained", in_words(run.seconds)))
        facts.append(("Speed", f"{run.step / run.seconds:,.0f} steps/s"))
    if run.device:
        facts.append(("Device", run.device))
    facts.append(("Scheme", str(run.config["weighting"]["name"])))
    return facts


def links(runs: Sequence[Run], *, key: str) -> None:
    """Runs as a list of links to Watch, each with its state, age and a line of what it is made of."""
    with st.container(key=key, gap=None):
        for run in runs:
            with st.container(key=f"run-{key}-{run.id}", horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link("pages/watch.py", label=label(run), query_params={"run": run.id}, width="stretch")
                st.html(f'<span class="mtl-runline">{escape(line(run))} {chip(run.state)}</span>', width="content")


def label(run: Run) -> str:
    """A run's name as Markdown-safe text."""
    return plain(run.name or run.id)


def line(run: Run) -> str:
    """When it was made and how far it got."""
    share = f"{run.step / run.steps:.0%} · " if is_going(run) and run.steps else ""
    return f"{share}{age(run.created)}"


def age(moment: float | None) -> str:
    """How long ago a unix time was, in words.

    >>> age(None), age(time.time()), age(time.time() - 7300)
    ('–', 'just now', '2 h ago')
    """
    if moment is None:
        return "–"
    seconds = max(0.0, time.time() - moment)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")
