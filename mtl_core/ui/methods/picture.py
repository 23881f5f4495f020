"""The live picture: gradients that a person moves, every scheme's step between them, and who gains and who pays."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

import streamlit as st

from mtl_core.figures import Answer, draw_arrows, draw_gains, gains_in_words
from mtl_core.palette import task_colours
from mtl_core.registry import parse_knobs, without_defaults
from mtl_core.ui import errors, forms, frame, live
from mtl_core.ui.links import to_params
from mtl_core.ui.methods.answers import answers
from mtl_core.ui.methods.list import own_first
from mtl_core.ui.methods.scene import LARGEST_LOSS, LONGEST, MAX_SEED, MOST_TASKS, PRESETS, Pull, Scene, command
from mtl_core.ui.methods.state import KEY, Memory, slider_value
from mtl_core.weightings import WEIGHTINGS

WITHOUT_EFFECT = {"heads", "on"}  # two arrows have no heads and no representation


@st.fragment
def picture() -> None:
    """The whole card. A fragment: a slider redraws this and nothing else."""
    memory: Memory = st.session_state[KEY]
    with st.container(border=True, key="card-methods-picture"):
        st.html('<div class="mtl-card-head"><h3>Pull the arrows</h3><span>every scheme answers at once</span></div>')
        scene = _sliders(memory, memory.scene)
        arrows = st.container()
        scene = replace(scene, weighting={"name": scene.scheme, **_knobs(memory, scene)})
        memory.keep(scene)
        found = answers(scene)
        look: dict[str, Any] = {"chosen": scene.scheme, "same_length": scene.same_length, "theme": frame.theme()}
        with arrows:
            live.inline_html(f'<div class="mtl-svg mtl-arrows">{draw_arrows(scene.gradients, found, **look)}</div>')
            _say(scene, next(answer for answer in found if answer.name == scene.scheme))
            _read_arrows()
        st.code(command(scene).replace(" --", " \\\n  --"), language="sh", wrap_lines=True)
    with st.container(border=True, key="card-methods-gains"):
        st.html('<div class="mtl-card-head"><h3>Who gains, who pays</h3><span>what one step does to each loss</span></div>')
        live.inline_html(f'<div class="mtl-svg">{draw_gains(scene.gradients, found, **look)}</div>')
        _read_gains(scene)


def _sliders(memory: Memory, scene: Scene) -> Scene:
    st.session_state.setdefault("methods.n_tasks", scene.n_tasks)  # Streamlit forgets widgets while another page is open
    st.session_state.setdefault("methods.same_length", scene.same_length)
    with st.container(horizontal=True, vertical_alignment="center", key="methods-presets"):
        for name in PRESETS:
            st.button(
                name,
                type="primary" if scene.preset == name else "secondary",
                key=f"methods.preset.{name}",
                on_click=_preset,
                args=(memory, name),
            )
        n_tasks = st.segmented_control(
            "Tasks",
            range(2, MOST_TASKS + 1),
            required=True,
            key="methods.n_tasks",
            format_func=lambda n: f"{n} tasks",
            label_visibility="collapsed",
        )
        st.button(
            "Roll again",
            icon=":material/casino:",
            key="methods.roll",
            help=f"New dice for the schemes that draw at random. This is draw {scene.seed}.",
            on_click=_roll,
            args=(memory,),
        )
        same_length = st.toggle(
            "Same length",
            key="methods.same_length",
            help="On: all steps are drawn with one length, only directions count. Off: as long as they are at a learning rate "
            "of 1, on the gradients' scale.",
        )
    n_tasks = n_tasks or scene.n_tasks
    colours = list(task_colours({"all_tasks": range(MOST_TASKS)}, frame.theme()).values())
    with st.container(key="halves-methods-sliders"):
        cells = st.columns(n_tasks, gap="medium")
    pulls = list(scene.pulls)
    for n, cell in enumerate(cells):
        with cell:
            pulls[n] = _task(scene, n, colours[n])
    return replace(scene, pulls=tuple(pulls), n_tasks=int(n_tasks), same_length=same_length)


def _task(scene: Scene, n: int, colour: str) -> Pull:
    st.html(f'<div class="mtl-task" style="--tile:{colour}"><i>{n + 1}</i>task {n + 1}</div>')
    ranges = {
        "length": (0.0, LONGEST, 0.05, "length %.2f"),
        "angle": (-180.0, 180.0, 1.0, "angle %.0f°"),
        "loss": (0.0, LARGEST_LOSS, 0.1, "loss %.2f"),
    }
    values = {}
    for part, (low, high, step, form) in ranges.items():
        key = f"methods.{part}.{n}"
        st.session_state.setdefault(key, slider_value(scene, part, n))
        values[part] = st.slider(
            f"{part} of task {n + 1}", low, high, step=step, format=form, key=key, label_visibility="collapsed"
        )
    return Pull(**values)


def _knobs(memory: Memory, scene: Scene) -> dict[str, Any]:
    """The highlighted scheme's knobs, to turn here; what does not pass its check is a sentence and stays as it was."""
    scheme = WEIGHTINGS[scene.scheme]
    shown = [knob for knob in own_first(scheme.describe()["knobs"]) if knob["name"] not in WITHOUT_EFFECT]
    with st.expander(
        f"Turn the knobs of {errors.plain(scheme.title)}", key=f"methods.knobs.{memory.generation}.{scene.scheme}"
    ):
        turned = forms.knobs(shown, scene.knobs, key=f"methods.{memory.generation}.{scene.scheme}", columns=3)
        kept = {name: value for name, value in scene.knobs.items() if name not in turned}
        with errors.say_errors():
            checked = parse_knobs(scheme.Knobs, {**kept, **turned}, f"weighting {scene.scheme}").model_dump(mode="json")
            return without_defaults(scheme.Knobs, {name: checked[name] for name in (*kept, *turned)})
    return scene.knobs


def _say(scene: Scene, answer: Answer) -> None:
    """The highlighted scheme's answer in words, and the way to a run with it."""
    words = gains_in_words(scene.gradients, answer)
    with st.container(horizontal=True, vertical_alignment="center", key="methods-said"):
        st.html(f'<p class="mtl-said"><b>{escape(answer.title)}.</b> {escape(words)}{_weights(answer)}</p>')
        st.page_link(
            "pages/train.py",
            label="Try it on Train",
            icon=":material/arrow_forward:",
            query_params=to_params(scene.config()),
            width="content",
        )


def _weights(answer: Answer) -> str:
    if answer.step is None:
        return ""
    if answer.weights is None:
        return " <span>Its step is no mix of the gradients.</span>"
    return f" <span>Weights: {escape(', '.join(f'{weight:.3g}' for weight in answer.weights))}.</span>"


def _read_arrows() -> None:
    st.html(
        '<div class="mtl-read"><p><b>How to read it.</b> Thick arrows are the gradients of the tasks, uphill; thin ones the '
        "steps, which the optimiser subtracts. In the shaded cone no task gets worse.</p><p><b>Mind.</b> Everybody answers "
        "as at the first step: what a scheme learns or remembers later is not in the picture.</p></div>"
    )


def _read_gains(scene: Scene) -> None:
    what = (
        "A bar as long as there is room is the most that a step of this length could do for the task."
        if scene.same_length
        else "The bars show d · g: how fast the loss falls per unit of learning rate, on one scale for all."
    )
    st.html(
        f'<div class="mtl-read"><p><b>How to read it.</b> A bar to the right: the loss falls. To the left, hollow: the task '
        f"pays. {what}</p><p><b>Mind.</b> To first order only: a long step may end elsewhere.</p></div>"
    )


def _preset(memory: Memory, name: str) -> None:
    memory.show(memory.scene.with_preset(name))


def _roll(memory: Memory) -> None:
    memory.keep(replace(memory.scene, seed=(memory.scene.seed + 1) % (MAX_SEED + 1)))
