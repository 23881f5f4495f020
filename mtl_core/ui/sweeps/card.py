"""A sweep at a glance: how far its runs are, which train now, which failed and why, and its buttons; and the list of sweeps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import streamlit as st

from mtl_core import jobs
from mtl_core.config import get_value
from mtl_core.estimate import in_words
from mtl_core.palette import state_colours
from mtl_core.store import Run, State, Store, StoredMember, StoredSweep
from mtl_core.sweeps import Sweep
from mtl_core.ui import errors, frame, status, visitor
from mtl_core.ui.compare import state as compare_state
from mtl_core.ui.sweeps import links as sweep_links
from mtl_core.ui.sweeps import values

TICK_S = 2.0
ORDER: tuple[State, ...] = ("finished", "running", "paused", "queued", "diverged", "failed", "interrupted", "stopped")
BROKEN: tuple[State, ...] = ("failed", "diverged", "interrupted", "stopped")
LISTED = 6  # runs named in a card, and sweeps on Home
UNDONE: set[State] = {"failed", "interrupted", "stopped"}  # a diverged run has given its answer
SAID = "sweep.said"
BUTTONS: dict[str, tuple[str, str, Literal["primary", "secondary"]]] = {
    "Pause": ("pause", "None of its runs begins; those that train come to rest with their state kept.", "secondary"),
    "Resume": ("play_arrow", "Goes on where it was.", "primary"),
    "Cancel": ("stop", "Ends its runs, waiting and training; what is finished stays.", "secondary"),
    "Hand it in again": ("replay", "What is not finished is queued again and goes on from its checkpoints.", "primary"),
}
WHAT_NOW = {
    "paused": "Resume goes on where it rests.",
    "cancelled": "What was finished stays. Handing it in again goes on where it was.",
}


@dataclass(frozen=True)
class _Look:
    """A sweep and its runs at one moment."""

    progress: jobs.SweepProgress
    members: list[StoredMember]

    @property
    def changes(self) -> tuple[str, dict[State, int]]:
        """What the rest of the page depends on."""
        return self.progress.state, dict(self.progress.states)

    @property
    def is_going(self) -> bool:
        """Whether it may still change by itself."""
        return self.progress.state == "running" or "running" in self.progress.states


def show(store: Store, sweep: StoredSweep) -> None:
    """The card of a sweep. It ticks by itself while the sweep is going; when runs finish, the whole page is drawn anew."""
    try:
        look = _look(store, sweep.id)
    except LookupError as error:  # deleted meanwhile
        errors.show(error)
        return
    seen = f"sweep.{sweep.id}.seen"
    st.session_state[seen] = look.changes

    def body() -> None:
        try:
            now = _look(store, sweep.id)
        except LookupError:
            st.rerun()
        if now.changes != st.session_state.get(seen):
            st.session_state[seen] = now.changes
            st.rerun()
        _draw(store, sweep, now)

    with st.container(border=True, key=f"card-sweep-{sweep.id}"):
        st.fragment(body, run_every=TICK_S if look.is_going else None)()


def links(store: Store) -> None:
    """The newest sweeps as a card with links to Compare; nothing if there are none."""
    found = store.sweeps()
    if not found:
        return
    with st.container(border=True, key="card-sweeps"):
        st.html('<div class="mtl-card-head"><h3>Sweeps</h3></div>')
        with st.container(key="sweeps", gap=None):
            for sweep in found[:LISTED]:
                _link(store, sweep)
        if len(found) > LISTED:
            frame.note(f"and {len(found) - LISTED} older")


def name(sweep: StoredSweep) -> str:
    """What to call it: its name, or what it varies."""
    return sweep.name or "Sweep of " + (", ".join(map(_last, sweep.config["vary"])) or "one setting")


def _look(store: Store, sweep_id: str) -> _Look:
    return _Look(jobs.sweep_progress(store, sweep_id), store.members(sweep_id))


def _draw(store: Store, sweep: StoredSweep, look: _Look) -> None:
    progress = look.progress
    head = f'<div class="row"><h2>{escape(name(sweep))}</h2>{_chip(progress)}</div>'
    facts = f'<div class="mtl-facts">{_facts(progress, look)}</div>'
    if set(progress.states) == {"finished"}:  # nothing left to follow: one row, and the page is for what came of it
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.html(f'<div class="mtl-status">{head}{facts}</div>', width="content")
            _buttons(store, sweep, look)
        return
    st.html(f'<div class="mtl-status">{head}{bar(progress)}{facts}</div>')
    with st.container(key=f"sweep-runs-{sweep.id}", gap=None):
        _running(store, sweep, look)
        _broken(store, sweep, look)
    _buttons(store, sweep, look)


def bar(progress: jobs.SweepProgress) -> str:
    """The share of each state as HTML: a segment each, told by number and word beneath."""
    colours = state_colours(frame.theme())
    told = [(state, progress.states[state]) for state in ORDER if progress.states.get(state)]
    parts = "".join(f'<i style="flex:{n};background:{colours[state]}" title="{n} {state}"></i>' for state, n in told)
    words = "".join(f'<span style="--chip:{colours[state]}"><i></i><b>{n:,}</b> {state}</span>' for state, n in told)
    aria = escape(", ".join(f"{n} {state}" for state, n in told), quote=True)
    share = f'<div class="mtl-share" role="img" aria-label="{aria}">{parts}</div>'
    return share + (f'<div class="mtl-share-words">{words}</div>' if set(progress.states) != {"finished"} else "")


def _facts(progress: jobs.SweepProgress, look: _Look) -> str:
    is_cut_short = progress.state == "cancelled"  # then "done" counts what was never finished, too
    n_done = progress.states.get("finished", 0) if is_cut_short else progress.done
    facts = [("Finished" if is_cut_short else "Done", f"{n_done:,} of {progress.total:,}")]
    if progress.state == "running" and progress.seconds_left:
        facts.append(("Time left", f"about {in_words(progress.seconds_left)}"))
    if progress.state == "paused" and "running" in progress.states:
        facts.append(("Pausing", "the runs that train come to rest"))
    trained = sum(member.seconds for member in look.members)
    if trained:
        facts.append(("Trained", in_words(trained)))
    n_baselines = sum(member.role == "baseline" for member in look.members)
    if n_baselines:
        facts.append(("Baselines", f"{n_baselines:,}"))
    shown = "".join(f"<span>{label} <b>{escape(value)}</b></span>" for label, value in facts)
    what_now = WHAT_NOW.get(progress.state, "")
    return shown + (f"<span>{escape(what_now)}</span>" if what_now else "")


def _chip(progress: jobs.SweepProgress) -> str:
    state = {"cancelled": "stopped"}.get(progress.state, progress.state)
    return status.chip(state).replace(f">{state}<", f">{progress.state}<")


def _running(store: Store, sweep: StoredSweep, look: _Look) -> None:
    """The runs that train now, as links to Watch."""
    members = [member for member in look.members if member.state in ("running", "paused")]
    for member, run in _named(store, members):
        _run_line(sweep, member, run, f"{member.step:,} of {member.steps:,} steps")
    _more(len(members), "training")


def _broken(store: Store, sweep: StoredSweep, look: _Look) -> None:
    """The runs that ended without an answer, or whose answer is that they diverged, with the reason."""
    ended = [state for state in BROKEN if state != "stopped" or look.progress.state != "cancelled"]
    members = [member for member in look.members if member.state in ended]
    for member, run in _named(store, members):
        _run_line(sweep, member, run, _how_often(store, run), why=run.reason)
    _more(len(members), "that did not finish")


def _named(store: Store, members: Sequence[StoredMember]) -> list[tuple[StoredMember, Run]]:
    """The first of them with their runs."""
    runs = {run.id: run for run in store.runs_named([member.run_id for member in members[:LISTED]])}
    return [(member, runs[member.run_id]) for member in members[:LISTED] if member.run_id in runs]


def _how_often(store: Store, run: Run) -> str:
    n = sum(change.state == "failed" for change in store.history(run.id)) if run.state == "failed" else 0
    return {0: "", 1: "", 2: "failed twice"}.get(n, f"failed {n} times")


def _run_line(sweep: StoredSweep, member: StoredMember, run: Run, words: str, *, why: str = "") -> None:
    with st.container(key=f"sweep-run-{run.id}", horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(
            "pages/watch.py", label=errors.plain(told(sweep, member, run)), query_params={"run": run.id}, width="content"
        )
        sentence = f'<span class="mtl-why">{escape(errors.sentence(ValueError(why)))}</span>' if why else ""
        st.html(f'<p class="mtl-sweep-run">{sentence}<span>{escape(words)}</span>{status.chip(run.state)}</p>', width="stretch")


def told(sweep: StoredSweep, member: StoredMember, run: Run) -> str:
    """A run by what sets it apart in its sweep."""
    parts = ["baseline" if member.role == "baseline" else str(run.config["weighting"]["name"])]
    knobs = [f"weighting.{knob}" for knobs in sweep.config["per_scheme"].values() for knob in knobs]
    for key in dict.fromkeys([*sweep.config["vary"], *knobs]):
        value = get_value(run.config, key)
        if key != "weighting" and value is not None:
            parts.append(f"{key.rpartition('.')[2]} {values.one(value)[:40]}")
    return " · ".join(parts)


def _more(n: int, words: str) -> None:
    if n > LISTED:
        frame.note(f"and {n - LISTED:,} more {words}")


def _buttons(store: Store, sweep: StoredSweep, look: _Look) -> None:
    if jobs.mode() == "demo" or store.read_only:
        return
    if jobs.mode() == "class" and sweep.owner != visitor.owner():
        frame.note("This is someone else's sweep: you can look at it, and start your own from its settings.")
        _settings(sweep)
        return
    state = look.progress.state
    is_undone = state == "finished" and not UNDONE.isdisjoint(look.progress.states)
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", width="content", key=f"sweep-buttons-{sweep.id}"
    ):
        if state == "running":
            _button("Pause", jobs.pause_sweep, store, sweep)
        if state == "paused":
            _button("Resume", jobs.resume_sweep, store, sweep)
        if state in ("running", "paused"):
            _button("Cancel", jobs.cancel_sweep, store, sweep)
        if state == "cancelled" or is_undone:
            _button("Hand it in again", _again, store, sweep)
        _settings(sweep)
        if state in ("finished", "cancelled"):
            _delete(store, sweep)
    said = st.session_state.pop(f"{SAID}.{sweep.id}", "")
    if said:
        errors.show(said)


def _button(label: str, act: Callable[..., object], store: Store, sweep: StoredSweep) -> None:
    icon, help, kind = BUTTONS[label]
    key = f"sweep-{label}-{sweep.id}"
    st.button(label, icon=f":material/{icon}:", key=key, type=kind, help=help, on_click=_try, args=(act, store, sweep.id))


def _try(act: Callable[..., object], store: Store, sweep_id: str) -> None:
    try:
        act(store, sweep_id, owner=visitor.owner())
    except errors.EXPECTED as error:
        st.session_state[f"{SAID}.{sweep_id}"] = errors.sentence(error)


def _again(store: Store, sweep_id: str, *, owner: str) -> None:
    jobs.submit_sweep(store, store.sweep(sweep_id).sweep(), owner=owner)


def _settings(sweep: StoredSweep) -> None:
    """Back to Train with the form filled: to look at what it varies, or to vary more.

    A link: the browser follows it by itself, where a button would ask for the other page amid the ticks of this one.
    """
    with contextlib.suppress(ValueError):  # settings that this version of the program cannot read
        params = sweep_links.of_stored(Sweep.model_validate(sweep.config))  # its runs need not be counted for that
        st.page_link(
            "pages/train.py",
            label="Open on Train",
            icon=":material/tune:",
            help="Fills the form with this sweep.",
            query_params=params,
            width="content",
        )


def _delete(store: Store, sweep: StoredSweep) -> None:
    with st.popover("Delete", icon=":material/delete:", type="tertiary"):
        st.markdown("Forget this sweep? Its runs stay, and can be deleted in the list of runs.")
        st.button("Delete the sweep", key=f"sweep-delete-{sweep.id}", type="primary", on_click=_forget, args=(store, sweep.id))


def _forget(store: Store, sweep_id: str) -> None:
    """Delete it. Where it was compared, its runs are compared from now on."""
    members = [member.run_id for member in store.members(sweep_id)]
    _try(jobs.delete_sweep, store, sweep_id)
    if f"{SAID}.{sweep_id}" not in st.session_state:
        chosen = compare_state.chosen()
        compare_state.choose(run_id for one in chosen for run_id in (members if one == sweep_id else [one]))


def _link(store: Store, sweep: StoredSweep) -> None:
    progress = jobs.sweep_progress(store, sweep.id)
    with st.container(key=f"sweep-line-{sweep.id}", horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link("pages/compare.py", label=errors.plain(name(sweep)), query_params={"runs": sweep.id}, width="stretch")
        words = f"{progress.done:,} of {progress.total:,} · {status.age(sweep.created)}"
        st.html(f'<span class="mtl-runline">{escape(words)} {_chip(progress)}</span>', width="content")


def _last(key: str) -> str:
    return {
        "weighting": "schemes",
        "architecture.depth": "depth",
        "training.seed": "seeds",
        "training.lr": "learning rate",
    }.get(key, key.rpartition(".")[2])
