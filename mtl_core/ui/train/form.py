"""The sections of the Train page: data and tasks, architecture, weighting, training. Each returns its part of the config."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtl_core.architectures import ARCHITECTURES
from mtl_core.architectures.trunks import TRUNKS
from mtl_core.config import Measure, RunConfig, Training
from mtl_core.datasets import DATASETS
from mtl_core.figures import FIGURES, View
from mtl_core.frames import report_frame
from mtl_core.registry import Shelf, describe_knobs, without_defaults
from mtl_core.ui import forms, frame, live
from mtl_core.ui.train.draft_state import Draft
from mtl_core.weightings import WEIGHTINGS

FOLDED = {"scale", "heads"}  # knobs that every scheme has: folded away below its own


def data(draft: Draft) -> tuple[dict[str, Any], list[str] | None]:
    """Data set, its dials, and the tasks to learn from it."""
    with st.container(border=True, key="card-data"):
        head(1, "Data and tasks", "What the network sees, and what it has to say about it.")
        choice = draft.config.dataset
        name = _variant("Data set", DATASETS, choice["name"], draft, "dataset")
        facts = DATASETS[name].describe()
        frame.note(facts["summary"])
        values = draft.recall("dataset", name)
        with st.expander("Dials of the data set", key=f"{draft.generation}.dials.{name}"):
            knobs = forms.knobs(facts["knobs"], values, key=f"{draft.generation}.dataset.{name}")
            frame.note(f"Source: {facts['source']} Licence: {facts['licence']}")
        return {"name": name, **without_defaults(DATASETS[name].Knobs, knobs)}, _tasks(draft, name, knobs)


def _tasks(draft: Draft, name: str, knobs: Mapping[str, Any]) -> list[str] | None:
    try:
        dataset = DATASETS[name](DATASETS.parse({"name": name, **knobs})[1])
    except ValueError:  # said where the whole config is checked
        return draft.config.tasks
    titles = {task.name: task.title for task in dataset.tasks()}
    wished = draft.config.tasks if draft.config.tasks and name == draft.config.dataset["name"] else dataset.default_tasks
    chosen = st.pills(
        "Tasks",
        list(titles),
        selection_mode="multi",
        default=[task for task in wished if task in titles],
        format_func=titles.__getitem__,
        key=f"{draft.generation}.tasks.{name}.{','.join(titles)}",
        help="Each gets its own head and its own loss. One alone is single-task training.",
    )
    order = dict.fromkeys([*(task for task in wished if task in titles), *titles])  # fixed weights go by the order given
    wanted = [task for task in order if task in chosen]
    return None if wanted == list(dataset.default_tasks) else wanted


def architecture(draft: Draft, dataset: Mapping[str, Any]) -> tuple[dict[str, Any], DeltaGenerator]:
    """How much is shared, and of what trunk; and the place in the card where the diagram goes once all is known."""
    with st.container(border=True, key="card-architecture"):
        head(2, "Architecture", "Which layers all tasks share, and which each has for itself.")
        name = draft.config.architecture["name"]
        if len(ARCHITECTURES.names()) > 1:
            name = _variant("Architecture", ARCHITECTURES, name, draft, "architecture")
        values = draft.recall("architecture", name)
        declared = {knob["name"]: knob for knob in ARCHITECTURES[name].describe()["knobs"]}
        if "trunk" in declared:
            declared["trunk"] = {**declared["trunk"], "choices": ["auto", *TRUNKS.names()]}
        depth = declared.pop("depth", None)
        key = f"{draft.generation}.architecture.{name}"
        chosen = forms.knobs(list(declared.values()), values, key=key, columns=3)
        n_stages = _n_stages(dataset, {"name": name, **chosen})
        if depth is not None and n_stages is not None:
            chosen["depth"] = _depth(depth, values.get("depth"), n_stages, f"{key}.depth.{n_stages}")
        place = st.container()
    return {"name": name, **without_defaults(ARCHITECTURES[name].Knobs, chosen)}, place


def _n_stages(dataset: Mapping[str, Any], architecture: Mapping[str, Any]) -> int | None:
    """The largest depth; None where the choices do not fit, which the check of the whole config puts into words."""
    try:
        kind, knobs = DATASETS.parse(dataset)
        network, network_knobs = ARCHITECTURES.parse(architecture)
        return network.n_stages(network_knobs, kind(knobs).input_shape)
    except ValueError:
        return None


def _depth(knob: Mapping[str, Any], value: Any, n_stages: int, key: str) -> int | None:
    start = n_stages if value is None else min(int(value), n_stages)
    depth = st.slider(
        "Sharing depth", 0, n_stages, start, 1, key=key, help=knob["help"], format=f"%d of {n_stages} stages shared"
    )
    return None if depth == n_stages else depth


def diagram(spec: Mapping[str, Any]) -> None:
    """The network as a drawing: what is shared, what each task has for itself."""
    figure = FIGURES["architecture"]
    svg = figure.draw(figure.tidy(report_frame(spec), spec), spec, View(theme=frame.theme()))
    live.inline_html(f'<div class="mtl-svg">{svg}</div>')


def weighting(draft: Draft) -> dict[str, Any]:
    """The scheme, its formula, and its knobs."""
    with st.container(border=True, key="card-weighting"):
        head(3, "Weighting", "How much each task pulls at the shared layers.")
        choice = draft.config.weighting
        name = _variant("Scheme", WEIGHTINGS, choice["name"], draft, "weighting")
        facts = WEIGHTINGS[name].describe()
        values = draft.recall("weighting", name)
        frame.note(facts["summary"])
        st.latex(facts["formula"])
        own = [knob for knob in facts["knobs"] if knob["name"] not in FOLDED]
        key = f"{draft.generation}.weighting.{name}"
        knobs = forms.knobs(own, values, key=key)
        with st.expander("When it helps, where it comes from, and its scale", key=f"{key}.about"):
            _about(facts)
            knobs |= forms.knobs([knob for knob in facts["knobs"] if knob["name"] in FOLDED], values, key=key)
        return {"name": name, **without_defaults(WEIGHTINGS[name].Knobs, knobs)}


def _about(facts: Mapping[str, Any]) -> None:
    paper = facts["paper"]
    usual = {"1": "one backward pass per step", "T": "one trunk backward pass per task and step"}
    passes = usual.get(facts["backward_passes"], f"{facts['backward_passes']} backward passes through the trunk per step")
    link = f'<a href="{escape(paper["link"], quote=True)}" target="_blank" rel="noopener">{escape(paper["title"])}</a>'
    lines = [f"<b>Helps when</b> {escape(facts['helps'])}", f"<b>Hurts when</b> {escape(facts['hurts'])}"]
    lines += [f"<b>Costs</b> {passes}", f"<b>Paper</b> {escape(paper['authors'])} ({paper['year']}). {link}"]
    lines += [f"<b>Differs here</b> {escape(facts['departs'])}"] if facts["departs"] else []
    st.html("".join(f'<p class="mtl-note">{line}</p>' for line in lines))


def training(draft: Draft) -> tuple[dict[str, Any], dict[str, Any]]:
    """Optimiser, schedule, regularisation, device and measuring: folded away, with defaults that work."""
    with st.container(border=True, key="card-training"):
        head(4, "Training", _in_short(draft.config))
        first = {"steps", "batch_size", "lr", "seed"}
        values, declared = draft.config.training.model_dump(), describe_knobs(Training)
        key = f"{draft.generation}.training"
        chosen = forms.knobs([knob for knob in declared if knob["name"] in first], values, key=key, columns=4)
        with st.expander("Optimiser, schedule, regularisation, device", key=f"{key}.more"):
            chosen |= forms.knobs([knob for knob in declared if knob["name"] not in first], values, key=key, columns=3)
            measure = forms.knobs(
                describe_knobs(Measure), draft.config.measure.model_dump(), key=f"{draft.generation}.measure", columns=3
            )
    return chosen, measure


def _in_short(config: RunConfig) -> str:
    training = config.training
    return f"{training.optimizer}, {training.schedule} learning rate, {training.order} steps, on {training.device}."


def _variant(title: str, shelf: Shelf[Any], name: str, draft: Draft, part: str) -> str:
    names = shelf.names()
    chosen = st.selectbox(
        title, names, index=names.index(name), format_func=lambda each: shelf[each].title, key=f"{draft.generation}.{part}"
    )
    return str(chosen)


def head(number: int | None, title: str, sentence: str) -> None:
    """The head of a section."""
    step = "" if number is None else f'<span class="mtl-step">{number}</span>'
    st.html(f'<div class="mtl-card-head"><h3>{step}{escape(title)}</h3><span>{escape(sentence)}</span></div>')
