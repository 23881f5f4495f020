"""What the Compare page compares: ids of runs and sweeps and the baseline, all of it in the URL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import streamlit as st

from mtl_core.comparing import Comparison, compare
from mtl_core.comparing.named import runs_of
from mtl_core.store import Run, Store, StoredSweep
from mtl_core.ui import errors

RUNS = "runs"  # URL parameter and session key of what is compared
LISTED = "table.rows"  # session key of the list of runs: its widget, and the runs of each of its rows
BASELINE = "baseline"  # URL parameter: the id of a run; its group is everybody's baseline
MOST_RUNS = 400
_SHOWN = 3  # ids named in a sentence


@dataclass
class Choice:
    """What is compared. ``ids`` are those of the link, of runs and of whole sweeps."""

    ids: tuple[str, ...] = ()
    runs: list[Run] = field(default_factory=list)
    sweeps: list[StoredSweep] = field(default_factory=list)
    slips: list[str] = field(default_factory=list)


def chosen() -> tuple[str, ...]:
    """The ids in the link, each once; those of the last visit if the link names none."""
    if RUNS not in st.query_params and LISTED in st.session_state and st.session_state[LISTED][0] in st.session_state:
        st.session_state[RUNS] = ()  # the list was here a moment ago: the visitor went Back to before the first choice
    if RUNS in st.query_params:
        st.session_state[RUNS] = tuple(dict.fromkeys(part.strip() for part in st.query_params[RUNS].split(",") if part.strip()))
    found: tuple[str, ...] = st.session_state.get(RUNS, ())
    if found and RUNS not in st.query_params:
        st.query_params[RUNS] = ",".join(found)
    return found


def choose(ids: Iterable[str]) -> None:
    """Compare these from now on (ids of runs and sweeps)."""
    st.session_state[RUNS] = tuple(dict.fromkeys(ids))
    if st.session_state[RUNS]:
        st.query_params[RUNS] = ",".join(st.session_state[RUNS])
    else:
        st.query_params.pop(RUNS, None)


def load(store: Store) -> Choice:
    """The runs that are chosen, those of sweeps included, and a sentence for each id that is not here."""
    ids = chosen()
    sweeps = {sweep.id: sweep for sweep in store.sweeps()} if ids else {}
    wanted: dict[str, None] = {}
    for one in ids:
        wanted |= dict.fromkeys(runs_of(store, one) if one in sweeps else [one])
    choice = Choice(ids, store.runs_named(list(wanted)[:MOST_RUNS]), [sweeps[one] for one in ids if one in sweeps])
    if len(wanted) > MOST_RUNS:
        choice.slips.append(f"{len(wanted):,} runs are chosen; the first {MOST_RUNS} are compared")
    here = {run.id for run in choice.runs}
    missing = [one for one in list(wanted)[:MOST_RUNS] if one not in here]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        named = ", ".join(one[:40] for one in missing[:_SHOWN])
        choice.slips.append(
            f"the link names runs that are not here ({named}{more}): they were deleted, or lie in another store"
        )
    return choice


def comparison(choice: Choice) -> Comparison | None:
    """The runs side by side, against the baseline that the link names; None where nothing is chosen."""
    if not choice.runs:
        return None
    baseline = st.query_params.get(BASELINE) or None
    try:
        return compare(choice.runs, baseline=baseline)
    except ValueError as error:
        choice.slips.append(errors.sentence(error))
        return compare(choice.runs)
