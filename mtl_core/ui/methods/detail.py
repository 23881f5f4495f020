"""One scheme in full: sentence, formula, when to take it, where code and paper part, its knobs, its paper, its source."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from mtl_core.ui.methods.list import HEADS, extras, own_first
from mtl_core.weightings import WEIGHTINGS, Weighting

SCALES = {"sum": "a sum over tasks: equal weights are 1 each", "mean": "a mean over tasks: equal weights are 1/T each"}
HEADS_SAID = {"weighted": "follow their task's weight", "unit": "always count fully"}
KINDS = {"bool": "true or false", "list": "one number per task", "str": "a word"}
EXTRAS_SAID = {
    "looks again": "After each step it runs the same batch forward once more.",
    "looks ahead": "It asks what each weight would do to the validation loss.",
}


def detail(name: str) -> None:
    """The card of the chosen scheme."""
    scheme = WEIGHTINGS[name]
    facts = scheme.describe()
    with st.container(border=True, key="card-methods-detail"):
        st.html(
            f'<div class="mtl-card-head"><h3>{escape(scheme.title)}</h3><span><code>{escape(facts["name"])}</code></span></div>'
            f'<p class="mtl-lead">{escape(facts["summary"])}</p>'
        )
        st.latex(facts["formula"])
        if body := more(facts["doc"]):
            st.html("".join(f'<p class="mtl-body">{escape(part)}</p>' for part in body))
        cases = {"It helps": facts["helps"], "It hurts": facts["hurts"]}
        cells = "".join(f"<div><b>{head}</b><p>{escape(text)}</p></div>" for head, text in cases.items())
        st.html(f'<div class="mtl-two">{cells}</div>')
        if facts["departs"]:
            st.html(f'<div class="mtl-departs"><b>Where paper and code disagree</b><p>{escape(facts["departs"])}</p></div>')
        st.html(_facts(scheme, facts))
        st.html(_knobs(own_first(facts["knobs"])))
        with st.expander(f"Its source: `mtl_core/weightings/{facts['name']}.py`", key=f"methods.source.{facts['name']}"):
            st.code(source(scheme), language="python")


def source(scheme: type[Weighting]) -> str:
    """The text of the file that holds the scheme."""
    return inspect.getsource(sys.modules[scheme.__module__])


def more(doc: str) -> list[str]:
    """What the docstring says between its first line and its example, by paragraph.

    >>> more("First line.\\n\\nIn more words,\\nover two lines.\\n\\n>>> 1 + 1\\n2")
    ['In more words, over two lines.']
    """
    text = doc.partition("\n")[2].partition(">>>")[0]
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _facts(scheme: type[Weighting], facts: Mapping[str, Any]) -> str:
    paper, passes = facts["paper"], str(facts["backward_passes"])
    cost = {"1": "One backward pass through the trunk.", "T": "One trunk backward pass per task (T)."}.get(
        passes, f"Backward passes through the trunk: {passes}, where T counts the tasks."
    )
    link = f'<a href="{escape(paper["link"], quote=True)}" target="_blank" rel="noopener">{escape(paper["title"])}</a>'
    rows = {
        "Question": HEADS[facts["asks"]][0] + ".",
        "Cost per step": " ".join([cost, *(EXTRAS_SAID[extra] for extra in extras(scheme))]),
        "Scale": f"Published as {SCALES[facts['scale']]}.",
        "Heads": f"Each task's own layers {HEADS_SAID[facts['heads']]}.",
    }
    cells = "".join(f"<span>{name}</span><p>{escape(text)}</p>" for name, text in rows.items())
    cells += f"<span>Paper</span><p>{escape(paper['authors'])} ({paper['year']}). {link}</p>"
    return f'<div class="mtl-factlist">{cells}</div>'


def _knobs(knobs: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(knob['name'])}</code></td><td>{escape(knob['help'])}</td>"
        f"<td>{escape(shown(knob['default']))}</td><td>{escape(bounds(knob))}</td></tr>"
        for knob in knobs
    )
    head = "<tr><th>Knob</th><th>Meaning</th><th>Default</th><th>Bounds</th></tr>"
    return f'<table class="mtl-table"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def bounds(knob: Mapping[str, Any]) -> str:
    """What a knob may be, in signs.

    >>> bounds({"choices": None, "minimum": 0.0, "maximum": 10, "exclusive_minimum": True, "exclusive_maximum": False, "type": "float"})
    '> 0, ≤ 10'
    """
    if knob["choices"]:
        return ", ".join(map(shown, knob["choices"]))
    low, high = knob["minimum"], knob["maximum"]
    said = [f"{'>' if knob['exclusive_minimum'] else '≥'} {shown(low)}"] if low is not None else []
    said += [f"{'<' if knob['exclusive_maximum'] else '≤'} {shown(high)}"] if high is not None else []
    return ", ".join(said) or KINDS.get(knob["type"], "any")


def shown(value: Any) -> str:
    """A default or a bound in few signs.

    >>> shown(None), shown(0.4), shown(1e6), shown("published")
    ('automatic', '0.4', '1,000,000', 'published')
    """
    if value is None:
        return "automatic"
    if isinstance(value, float):
        return f"{value:,.15g}" if 1e4 <= abs(value) < 1e15 else f"{value:g}"
    return str(value)
