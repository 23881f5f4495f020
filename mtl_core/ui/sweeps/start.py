"""What a sweep on the Train page means before it starts: how many runs, how long, which are there already; and its button."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import streamlit as st

from mtl_core import jobs
from mtl_core.estimate import in_words
from mtl_core.store import Store
from mtl_core.sweeps import Sweep
from mtl_core.ui import errors, frame, visitor
from mtl_core.ui.sweeps import schemes
from mtl_core.ui.train.draft_state import Draft

FRESH_S = 5.0  # other runs end meanwhile
SHOWN = 12  # schemes told by name


def name(draft: Draft) -> None:
    """The sweep's name."""
    text = st.text_input(
        "Name of the sweep", draft.sweep.name, max_chars=80, key=f"{draft.generation}.sweep.name", placeholder="may stay empty"
    )
    draft.sweep = draft.sweep.model_copy(update={"name": text.strip()})


def summary(store: Store, sweep: Sweep | None) -> dict[str, Any] | None:
    """Runs, baselines and time, or a sentence that says what does not fit; None then, and where nothing may be started."""
    if sweep is None:
        frame.note("Something in the form does not fit yet. Mend what is marked in it; then the number of runs stands here.")
        return None
    with errors.say_errors("This sweep cannot be started yet."):
        ahead = look_ahead(store, sweep)
        _numbers(ahead)
        if ahead["refusal"]:
            st.warning(errors.plain(errors.sentence(ValueError(ahead["refusal"]))), icon=":material/front_hand:")
            return None
        return ahead
    return None


def look_ahead(store: Store, sweep: Sweep) -> dict[str, Any]:
    """What handing it in means, from memory if it was asked a moment ago. Raises ValueError naming a run that cannot be."""
    content = json.dumps(sweep.model_dump(mode="json"), sort_keys=True)
    return _look_ahead(store, store.url, content, visitor.owner(), jobs.mode())


@st.cache_data(show_spinner="Counting the runs and judging their time …", ttl=FRESH_S, max_entries=64)
def _look_ahead(_store: Store, url: str, content: str, owner: str, mode: str) -> dict[str, Any]:
    del url, mode  # parts of the key
    ahead = jobs.sweep_outlook(_store, Sweep.from_mapping(json.loads(content)), owner=owner)
    members = ahead.sweep.members()
    return {
        "n_runs": ahead.n_runs,
        "n_finished": ahead.n_finished,
        "n_here": ahead.n_here,
        "seconds": ahead.seconds,
        "refusal": ahead.refusal,
        "n_baselines": sum(member.role == "baseline" for member in members),
        "per_scheme": ahead.sweep.budgets,
    }


def _numbers(ahead: dict[str, Any]) -> None:
    n_new = ahead["n_runs"] - ahead["n_here"]
    here = (
        f"{n_new:,} new; {ahead['n_here']:,} are here already and are not trained twice"
        if ahead["n_here"]
        else "all of them new"
    )
    if ahead["n_here"] == ahead["n_runs"]:
        here = "all are here already: none is trained twice"
    baselines = (
        f"{_runs(ahead['n_baselines'])}: separate networks, equal weights" if ahead["n_baselines"] else "none: no Δm without"
    )
    time = f"about {in_words(ahead['seconds'])}" if ahead["n_finished"] < ahead["n_runs"] else "none"
    facts = [
        ("Runs", f"{ahead['n_runs']:,}", here),
        ("Each scheme", *_schemes(ahead["per_scheme"])),
        ("Baselines", f"{ahead['n_baselines']:,}", baselines),
        ("Time", time, "on this machine, one after the other or side by side as its places allow; until the last one ends"),
    ]
    rows = "".join(
        f"<div><span>{escape(label)}</span><p><b>{escape(value)}</b><small>{escape(why)}</small></p></div>"
        for label, value, why in facts
    )
    st.html(f'<div class="mtl-sums">{rows}</div>')


def _schemes(per_scheme: dict[str, int]) -> tuple[str, str]:
    """How many runs a scheme has, and which schemes; fixed weights may have more, one for each mix."""
    sizes = set(per_scheme.values())
    many = f"{min(sizes):,}" if len(sizes) == 1 else f"{min(sizes):,} to {max(sizes):,}"
    told = [f"{schemes.title(scheme)}{'' if len(sizes) == 1 else f' {n:,}'}" for scheme, n in list(per_scheme.items())[:SHOWN]]
    more = f" and {len(per_scheme) - SHOWN} more" if len(per_scheme) > SHOWN else ""
    return f"{many} run{'' if sizes == {1} else 's'}", ", ".join(told) + more


def start(store: Store, sweep: Sweep | None, ahead: dict[str, Any] | None) -> None:
    """The button. The same sweep is queued once, however often it is pressed."""
    is_shut = sweep is None or ahead is None
    pressed = st.button(
        "Start sweep", type="primary", width="stretch", key="start-sweep", disabled=is_shut, icon=":material/play_arrow:"
    )
    if not pressed or sweep is None or ahead is None:
        return
    with errors.say_errors("The sweep was not started."):
        with st.spinner(f"Queueing {_runs(ahead['n_runs'])} …"):
            sweep_id = jobs.submit_sweep(store, sweep, owner=visitor.owner())
        st.switch_page("pages/compare.py", query_params={"runs": sweep_id})


def _runs(n: int) -> str:
    return f"{n:,} run" if n == 1 else f"{n:,} runs"
