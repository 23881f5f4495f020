"""Whether the order of the groups hangs on how much each task counts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from mtl_core.comparing import Group, Interval
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.words import estimate
from mtl_core.ui import address, errors, frame
from mtl_core.ui.compare import cards, result_table

WEIGHTS = "results.weights"  # URL parameter: a weight per task, in the tasks' order
EVEN = 0.5
_MOST = 8  # sliders


def show(compared: Compared) -> None:
    """Sliders, Δp and Δm under these weights, and the figure of one task's weight."""
    tasks = {task["name"]: str(task["title"]) for task in compared.spec["tasks"]}
    if len(tasks) < 2 or not compared.comparison.delta_p:
        return
    with st.container(border=True, key="card-results-weights"):
        st.html('<div class="mtl-card-head"><h3>Δm and Δp under other task weights</h3></div>')
        _table(compared, _sliders(tasks))
        names = CONTRASTS["weighed_delta"].choices(compared.spec)
        task = st.selectbox(
            "Task whose weight grows",
            list(names),
            format_func=lambda name: names.get(name, name),
            key="results.task",
            bind="query-params",
            width=280,
        )
        view = View(theme=frame.theme(), height=340, choice=task or next(iter(names)))
        cards.picture("weighed_delta", compared, view, key="results-weighed")
        cards.legend("weighed_delta")


def read_weights(text: str, n_tasks: int) -> list[float]:
    """The weights that a link names; even ones unless it names one in 0..1 for each task, not all of them 0.

    >>> read_weights("1,0.5", 2), read_weights("1", 2), read_weights("nan,1", 2), read_weights("0,0", 2)
    ([1.0, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5])
    """
    try:
        found = [float(part) for part in text[:400].split(",")]
    except ValueError:
        found = []
    is_sound = len(found) == n_tasks and all(0 <= weight <= 1 for weight in found) and sum(found) > 0
    return found if is_sound else [EVEN] * n_tasks


def _sliders(tasks: Mapping[str, str]) -> dict[str, float]:
    """A weight per task."""
    known = dict(zip(tasks, read_weights(st.query_params.get(WEIGHTS, ""), len(tasks)), strict=True))
    keys = {task: f"{WEIGHTS}.{n}" for n, task in enumerate(tasks)}
    if address.arrived(WEIGHTS) is not None:
        st.session_state.update({keys[task]: known[task] for task in list(tasks)[:_MOST]})

    def change() -> None:
        now = [st.session_state.get(key, known[task]) for task, key in keys.items()]
        address.say_one(WEIGHTS, "" if set(now) == {EVEN} else ",".join(f"{weight:g}" for weight in now))

    found = dict(known)
    with st.container(horizontal=True, gap="medium"):
        for task, title in list(tasks.items())[:_MOST]:
            st.session_state.setdefault(keys[task], known[task])
            label = f"Weight of {errors.plain(title)}"
            found[task] = st.slider(label, 0.0, 1.0, step=0.05, key=keys[task], on_change=change, width=200)
    return found


def _table(compared: Compared, weights: Mapping[str, float]) -> None:
    """Δp and Δm of every group before and after, the best under these weights first."""
    if not sum(weights.values()) > 0:
        st.html('<p class="mtl-note">All weights are 0: raise one of them to see who is ahead.</p>')
        return
    found = compared.comparison
    even = (found.delta_p, found.delta_m)
    chosen = (found.weighed_delta(weights), found.weighed_delta_m(weights))
    common = [group for group in found.tested if all(group.id in deltas for deltas in (*even, *chosen))]
    before = sorted(common, key=lambda group: -even[0][group.id].mean)
    now = sorted(common, key=lambda group: -chosen[0][group.id].mean)
    if not now:
        return

    def words(deltas: tuple[Mapping[str, Interval], Mapping[str, Interval]], group: Group) -> tuple[str, str]:
        delta_p, delta_m = (estimate(one[group.id].mean, one[group.id].margin) for one in deltas)
        return delta_p, delta_m

    rows = [
        result_table.Weighed(group.name, words(even, group), words(chosen, group), before.index(group) + 1, place)
        for place, group in enumerate(now, 1)
    ]
    st.html(result_table.weighed_html(rows))
    leads = f"<b>{escape(now[0].name)}</b> leads with these weights"
    leads += ", as it does with equal ones." if now[0] is before[0] else f", <b>{escape(before[0].name)}</b> with equal ones."
    st.html(
        f'<p class="mtl-note">{leads} In order of Δp, the weighted mean over tasks of the mean over a task\'s metrics; in Δm each '
        "metric counts as much as its task. ± is half of a 95 % interval: a lead smaller than that may be chance. Choose weights "
        "for reasons outside of this table: weights chosen because somebody wins with them prove nothing.</p>"
    )
