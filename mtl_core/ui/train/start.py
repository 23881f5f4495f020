"""The other half of the Train page: where to start from, what it will cost, the text of it, and the Start button."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from mtl_core import jobs
from mtl_core.config import RunConfig
from mtl_core.estimate import estimate, in_words, learn
from mtl_core.plan import check
from mtl_core.store import Store
from mtl_core.ui import errors, frame, visitor
from mtl_core.ui.presets import PRESETS
from mtl_core.ui.train.draft_state import Draft

WAYS = ("One run", "Sweep")


def presets(draft: Draft) -> None:
    """Good places to start, as a row; the chosen one fills the form."""
    key = f"{draft.generation}.preset"
    as_it_is = draft.config.model_copy(update={"name": ""})
    same = next((name for name, preset in PRESETS.items() if preset.unnamed == as_it_is), None)

    def fill() -> None:
        chosen = st.session_state.get(key)
        if chosen in PRESETS:
            draft.fill(PRESETS[chosen].config.to_mapping())

    st.pills("Start from", list(PRESETS), default=same, format_func=lambda name: PRESETS[name].title, key=key, on_change=fill)
    if same:
        frame.note(PRESETS[same].look)


def describe(config: RunConfig) -> dict[str, Any]:
    """The checked plan as pages read it. Raises ValueError in sentences."""
    check(config)
    network = {
        "dataset": config.dataset,
        "tasks": config.tasks,
        "architecture": config.architecture,
        "weighting": config.weighting,
    }
    return _describe(json.dumps(network, sort_keys=True))


@st.cache_data(show_spinner=False, max_entries=256)
def _describe(network: str) -> dict[str, Any]:
    return check(RunConfig.from_mapping(json.loads(network))).describe()


def name(draft: Draft) -> str:
    """The run's name."""
    return st.text_input(
        "Name of the run",
        draft.config.name,
        max_chars=80,
        key=f"{draft.generation}.name",
        placeholder="made from its choices if left empty",
    ).strip()


def choose_way(draft: Draft) -> None:
    """One run, or many that differ."""
    key = f"{draft.generation}.way"

    def turn() -> None:
        draft.is_sweep = st.session_state[key] == WAYS[1]

    st.segmented_control(
        "What to start",
        WAYS,
        default=WAYS[draft.is_sweep],
        required=True,
        key=key,
        on_change=turn,
        label_visibility="collapsed",
    )


def fit(draft: Draft, choices: Mapping[str, Any]) -> tuple[RunConfig | None, dict[str, Any] | None]:
    """The choices as a config and its plan, or sentences that say what does not fit (then one or both are None).

    What does not fit as the base of a sweep may fit in each of its runs: then only what is no config at all is said.
    """
    config = spec = None
    values = {**choices, "name": draft.config.name if draft.is_sweep else name(draft)}
    with errors.say_errors("These choices do not fit together yet."):
        config = RunConfig.from_mapping(values)
        draft.keep(config)
        if not draft.is_sweep:
            spec = describe(config)
    if config is not None and draft.is_sweep:
        with contextlib.suppress(ValueError):
            spec = describe(config)
    return config, spec


def summary(store: Store, config: RunConfig, spec: Mapping[str, Any]) -> None:
    """What the run costs: parameters against separate networks, arithmetic, and time."""
    report = spec["report"]
    learn_quietly(store)
    device = _device(config)
    guess = estimate(store, spec, config.to_mapping(), device)
    saved = 1 - report["n_total"] / report["n_separate"] if report["n_separate"] else 0.0
    separate = (
        f"{abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} than separate networks ({_count(report['n_separate']).strip()})"
    )
    shared = f"{_count(report['n_shared']).strip()} shared. {separate}" if report["n_shared"] else "Nothing is shared."
    facts = [
        ("Parameters", _count(report["n_total"]), shared),
        (
            "Forward pass",
            f"{_count(report['flops'])}FLOP",
            f"per example; separate networks {_count(report['flops_separate'])}FLOP",
        ),
        ("Time", f"about {in_words(guess.seconds)}", guess.how),
    ]
    rows = "".join(
        f"<div><span>{escape(label)}</span><p><b>{escape(value)}</b><small>{escape(why)}</small></p></div>"
        for label, value, why in facts
    )
    st.html(f'<div class="mtl-sums">{rows}</div>')


def learn_quietly(store: Store) -> None:
    """Take in how fast past runs were; a store that may only be read keeps what it knows."""
    try:
        learn(store)
    except OSError:
        return


def start(store: Store, draft: Draft, config: RunConfig | None) -> None:
    """The button. One draft makes one run, however often it is pressed; the next visit is a new draft."""
    pressed = st.button(
        "Start training", type="primary", width="stretch", key="start", disabled=config is None, icon=":material/play_arrow:"
    )
    if not pressed or config is None:
        return
    with errors.say_errors("The run was not started."):
        run_id = jobs.submit(store, config, request=draft.request, owner=visitor.owner())
        st.session_state["train.started"] = draft.request
        st.switch_page("pages/watch.py", query_params={"run": run_id})


def renew(draft: Draft) -> None:
    """A fresh request key once the last one has made its run and the visitor is back."""
    if st.session_state.get("train.started") == draft.request and not st.session_state.get("start"):
        draft.request = uuid.uuid4().hex


def _device(config: RunConfig) -> str:
    """Where it will probably run: what it asks for, or the first GPU, or the CPU."""
    if config.training.device != "auto":
        return config.training.device if config.training.device != "cuda" else "cuda:0"
    return jobs.device_load()[0].key


def _count(number: float) -> str:
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:,.0f} "
