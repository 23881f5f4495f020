"""The card of the Train page that says what a sweep varies: schemes, depth, learning rate, seeds, and any other setting."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from mtl_core.config import RunConfig
from mtl_core.sweeps import DEPTH, SCHEME, SEED, Sweep
from mtl_core.ui import errors, frame
from mtl_core.ui.sweeps import schemes, settings
from mtl_core.ui.sweeps import values as sweep_values
from mtl_core.ui.sweeps.links import PER, VARY
from mtl_core.ui.sweeps.settings import OWN_WIDGET, RATE, Setting
from mtl_core.ui.train import form as train_form
from mtl_core.ui.train.draft_state import Draft

MOST_COUNTED = 20  # seeds by number; more, or others, by name


def show(draft: Draft, config: RunConfig, spec: Mapping[str, Any] | None) -> Sweep | None:
    """The card. Returns the whole sweep, or None while something typed does not fit; the draft keeps what did last."""
    key = f"{draft.generation}.sweep"
    with st.container(border=True, key="card-sweep"):
        train_form.head(None, "Vary", "What takes several values. Everything else is for all runs as it stands below.")
        vary: dict[str, Any] = {}
        _schemes(vary, draft, config, spec, key)
        known = settings.offered(config, draft.sweep.model_copy(update={"vary": vary}))
        cells = st.columns([5, 4, 4], gap="medium")
        with cells[0]:
            _depths(vary, draft, spec, key)
        with cells[1]:
            are_rates = _rates(vary, draft, known, key)
        with cells[2]:
            are_seeds = _seeds(vary, draft, known, key)
        per_scheme, are_rows = _rows(vary, draft, known, key)
        _add(draft, known, key)
        facts = _search(draft, key)
    kept = Sweep.model_validate({"name": draft.sweep.name, "vary": vary, "per_scheme": per_scheme, **facts})
    draft.sweep = kept
    if not (are_rates and are_seeds and are_rows):
        return None
    return whole(kept, config)


def whole(sweep: Sweep, config: RunConfig) -> Sweep:
    """What varies together with what all runs have in common."""
    base = {key: value for key, value in config.to_mapping().items() if key != "name"}
    return sweep.model_copy(update={"base": base})


def _schemes(vary: dict[str, Any], draft: Draft, config: RunConfig, spec: Mapping[str, Any] | None, key: str) -> None:
    now = schemes.tokens(draft.sweep.vary.get(SCHEME, []))
    n_tasks = len(spec["tasks"]) if spec else 0
    options = schemes.options(config.weighting, now, n_tasks)
    own = schemes.title(options[0])
    chosen = st.multiselect(
        "Schemes",
        options,
        default=now,
        format_func=schemes.title,
        key=f"{key}.schemes",
        placeholder=f"that of the form: {own}",
        help="Each is trained with every other setting of this card, so all of them get the same budget.",
        filter_mode="contains",  # fuzzy, MGDA would find DWA as well
        select_all=False,  # and Enter would take both
    )
    if chosen:
        vary[SCHEME] = schemes.values(chosen)
    if n_tasks == 2:
        with st.container(horizontal=True, gap="small", key="sweep-fronts"):
            for name in schemes.FRONTS:
                st.button(
                    f"Add a {name} mixes",
                    key=f"{key}.{name}",
                    icon=":material/add:",
                    type="tertiary",
                    disabled=name in chosen,
                    on_click=_add_front,
                    args=(draft, config, name),
                    help="Fixed task weights from one task to the other: the trade-off that a clever scheme has to beat.",
                )


def _add_front(draft: Draft, config: RunConfig, name: str) -> None:
    now = schemes.tokens(draft.sweep.vary.get(SCHEME, [])) or schemes.options(config.weighting, (), 0)[:1]
    kept = [token for token in now if token not in schemes.FRONTS]
    vary = {**draft.sweep.vary, SCHEME: schemes.values([*kept, name])}
    rows = draft.rows
    draft.fill_sweep(draft.sweep.model_copy(update={"vary": vary}))
    draft.rows = rows


def _depths(vary: dict[str, Any], draft: Draft, spec: Mapping[str, Any] | None, key: str) -> None:
    now = draft.sweep.vary.get(DEPTH, [])
    n_stages = len(spec["stages"]) if spec else 0
    options = list(dict.fromkeys([*map(str, range(n_stages + 1)), *map(sweep_values.one, now)]))
    chosen = st.pills(
        "Sharing depths",
        options,
        selection_mode="multi",
        default=list(map(sweep_values.one, now)),
        format_func=lambda token: {"null": "all", str(n_stages): f"{n_stages}, all"}.get(token, token),
        key=f"{key}.depths.{n_stages}",
        help="How many stages are shared; 0 = separate networks. None chosen: the depth of the form.",
    )
    if chosen:
        vary[DEPTH] = sweep_values.read(", ".join(token for token in options if token in chosen))


def _rates(vary: dict[str, Any], draft: Draft, known: Mapping[str, Setting], key: str) -> bool:
    setting = known[VARY + RATE]
    now = draft.sweep.vary.get(RATE, [])
    found = _typed("Learning rates", setting, now, f"{key}.lr", "that of the form")
    if found:
        vary[RATE] = found
    elif found is None and now:
        vary[RATE] = now
    return found is not None


def _seeds(vary: dict[str, Any], draft: Draft, known: Mapping[str, Setting], key: str) -> bool:
    now = draft.sweep.seeds if SEED in draft.sweep.vary else [draft.config.training.seed]
    is_counted = now == list(range(len(now))) and len(now) <= MOST_COUNTED
    are_named = f"{key}.named"
    if st.session_state.get(are_named, not is_counted):
        found = _typed("Seeds", known[VARY + SEED], now, f"{key}.seeds", "for example 0..4, 11")
        if found == []:
            slip("Name at least one seed, as in 0, 1, 2.")
        vary[SEED] = found or now
    else:
        found = list(range(_count_seeds(len(now) if is_counted else 3, key)))
        vary[SEED] = found
    st.toggle("Name each seed", value=not is_counted, key=are_named, help="Off: so many, from 0 on.")
    return bool(found)


def _count_seeds(n: int, key: str) -> int:
    help = "Every combination is trained with each of them. From three on, chance can be told from skill."
    return int(st.number_input("Seeds", 1, MOST_COUNTED, n, key=f"{key}.n_seeds", help=help))


def _rows(vary: dict[str, Any], draft: Draft, known: Mapping[str, Setting], key: str) -> tuple[dict[str, Any], bool]:
    """The settings that were added, in their order: their values go into ``vary`` and into what is returned."""
    before = {VARY + name: values for name, values in draft.sweep.vary.items()} | {
        f"{PER}{scheme}.{knob}": values for scheme, knobs in draft.sweep.per_scheme.items() for knob, values in knobs.items()
    }
    draft.rows = list(dict.fromkeys([*draft.rows, *(row for row in before if row not in OWN_WIDGET)]))
    per_scheme: dict[str, dict[str, Any]] = {}
    are_good = True
    for row in draft.rows:
        setting = settings.named(row, known)
        cells = st.columns([12, 1], gap="small", vertical_alignment="bottom")
        with cells[1]:
            st.button(
                "", icon=":material/close:", key=f"{key}.{row}.remove", type="tertiary", help=f"Do not vary {setting.label}",
                on_click=_remove, args=(draft, row),
            )  # fmt: skip
        with cells[0]:
            values = _values(setting, before.get(row, []), known, f"{key}.{row}")
        are_good = are_good and bool(values)
        values = values or before.get(row, [])
        if not values:
            continue
        if row.startswith(VARY):
            vary[row.removeprefix(VARY)] = values
        else:
            scheme, _, knob = row.removeprefix(PER).partition(".")
            per_scheme.setdefault(scheme, {})[knob] = values
    return per_scheme, are_good


def _values(setting: Setting, now: list[Any], known: Mapping[str, Setting], key: str) -> list[Any] | None:
    """What stands in the row; None or nothing if it does not fit, which is then said."""
    strange = settings.stranger(setting.row, known)
    if setting.choices is not None:
        by_text = {sweep_values.one(value): value for value in (*setting.choices, *now)}
        chosen = st.pills(
            setting.label,
            list(by_text),
            selection_mode="multi",
            default=[sweep_values.one(value) for value in now],
            key=key,
            help=setting.help or None,
        )
        found: list[Any] | None = [value for text, value in by_text.items() if text in chosen]
    else:
        found = _typed(setting.label, setting, now, key, "values with commas between")
    if strange:
        slip(strange)
    elif found == []:
        frame.note("Choose at least one value, or take the setting out." if setting.choices else "Type at least one value.")
    return None if strange else found


def _typed(label: str, setting: Setting, now: list[Any], key: str, words: str) -> list[Any] | None:
    """A list as text. What is wrong with it is said beneath; then None."""
    text = st.text_input(
        label,
        sweep_values.write(now),
        key=key,
        placeholder=words,
        help=f"{setting.help} Values with commas between; 0..4 stands for 0, 1, 2, 3, 4.".strip(),
    )
    try:
        typed = sweep_values.read(text or "")
        found = settings.check(setting, typed)
    except ValueError as error:
        slip(str(error))
        return None
    if len(found) < len(typed):
        frame.note("What stands there twice counts once.")
    return found


def _remove(draft: Draft, row: str) -> None:
    draft.rows = [each for each in draft.rows if each != row]
    vary = {name: values for name, values in draft.sweep.vary.items() if VARY + name != row}
    per_scheme = {
        scheme: left
        for scheme, knobs in draft.sweep.per_scheme.items()
        if (left := {knob: values for knob, values in knobs.items() if f"{PER}{scheme}.{knob}" != row})
    }
    draft.sweep = draft.sweep.model_copy(update={"vary": vary, "per_scheme": per_scheme})


def _add(draft: Draft, known: Mapping[str, Setting], key: str) -> None:
    key = f"{key}.add.{len(draft.rows)}"
    options = [row for row in known if row not in OWN_WIDGET and row not in draft.rows]

    def add() -> None:
        row = st.session_state.get(key)
        if isinstance(row, str):
            draft.rows.append(row)

    st.selectbox(
        "Add a setting",
        options,
        index=None,
        format_func=lambda row: known[row].label,
        key=key,
        on_change=add,
        placeholder="Any other knob of data, network, scheme or training",
        label_visibility="collapsed",
    )


def _search(draft: Draft, key: str) -> dict[str, Any]:
    sweep = draft.sweep
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="sweep-search"):
        search = st.segmented_control(
            "Search",
            ["grid", "random"],
            default=sweep.search,
            required=True,
            key=f"{key}.search",
            help="grid: every combination. random: so many combinations per scheme, drawn without repeats, each with every seed.",
        )
        facts: dict[str, Any] = {"search": search, "trials": sweep.trials, "seed": sweep.seed}
        if search == "random":
            facts["trials"] = int(st.number_input("Trials per scheme", 1, 1000, sweep.trials, key=f"{key}.trials", width=150))
            facts["seed"] = int(st.number_input("Seed of the draw", 0, 2**31 - 1, sweep.seed, key=f"{key}.draw", width=150))
        facts["baselines"] = st.toggle(
            "Single-task baselines",
            value=sweep.baselines,
            key=f"{key}.baselines",
            help="Also train separate networks (depth 0, equal weights) with every seed: what sharing gains or costs is told by them.",
        )
    return facts


def slip(words: str) -> None:
    """What does not fit, beneath where it was typed."""
    st.html(f'<p class="mtl-slip">{escape(errors.sentence(ValueError(words)))}</p>')
