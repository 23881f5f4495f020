"""What one can do with the ticked runs: tag, note, rename, put aside, delete, and take it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st

from mtl_core.frames.run_table import RunTable
from mtl_core.jobs import labelling
from mtl_core.jobs.modes import is_for_looking
from mtl_core.store import Label, Store
from mtl_core.store.labels import LONGEST_NOTE, LONGEST_TAG
from mtl_core.ui import errors, visitor
from mtl_core.ui.compare import state
from mtl_core.ui.compare import table as compare_table

DONE, SAID, TURN = "runs.done", "runs.said", "runs.turn"  # session keys: what was done last, what was refused, how often
LONGEST_NAME = 80


@dataclass(frozen=True)
class Done:
    """What was done last, in words, and what takes it back: labels as they were, a name, and what was compared."""

    words: str
    labels: Mapping[str, Label] | None = None
    name: tuple[str, str] | None = None
    compared: tuple[str, ...] | None = None


def buttons(store: Store, table: RunTable, ids: Sequence[str], tags: Sequence[str], *, shelf: str) -> None:
    """One row of actions on the ticked runs ``ids`` of the table; those that do not apply now are switched off.

    Args:
        tags: all that are in use, on offer.
    """
    ticked = table.frame[table.frame["id"].isin(list(ids))]
    is_off = not ids or is_for_looking(store)
    run_id, name, note = ticked[["id", "name", "note"]].iloc[0] if len(ids) == 1 else ("", "", "")
    _tags(store, ids, tags, sorted({tag for some in ticked["tags"] for tag in some}), is_off=is_off)
    _note(store, str(run_id), str(note), is_off=is_off or not run_id)
    _rename(store, str(run_id), str(name), is_off=is_off or not run_id)
    if shelf == "Current":
        _button("Archive", ":material/archive:", _archive, store, ids, is_off=is_off, help="Puts them aside, as they are.")
    else:
        words = "Unarchive" if shelf == "Archived" else "Restore"
        _button(words, ":material/unarchive:", _take_out, store, ids, is_off=is_off, help="Back among the current runs.")
    if shelf == "Deleted":
        _delete_for_good(store, ids, is_off=is_off)
    else:
        _button("Delete", ":material/delete:", _throw_away, store, ids, is_off=is_off, help="You can take it back.")


def say(words: str) -> None:
    """Tell something in the place of what was done last."""
    st.session_state[DONE] = Done(words)


def watch(ids: Sequence[str]) -> None:
    """The way to Watch, for a run that is ticked alone."""
    if len(ids) == 1:
        link = {"run": ids[0]}
        st.page_link("pages/watch.py", label="Watch", icon=":material/monitoring:", query_params=link, width="content")


def outcome(store: Store) -> None:
    """What was refused, or what was done last and a button that takes it back."""
    said = st.session_state.pop(SAID, "")
    if said:
        errors.show(said)
    done: Done | None = st.session_state.get(DONE)
    if done is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs-done"):
        st.html(f'<p class="mtl-done" role="status">{escape(done.words)}</p>', width="content")
        if done.labels is not None or done.name is not None:
            st.button("Undo", icon=":material/undo:", type="tertiary", key="runs-undo", on_click=_undo, args=(store,))
        else:  # nothing to take back: said once
            del st.session_state[DONE]


def _tags(store: Store, ids: Sequence[str], known: Sequence[str], borne: Sequence[str], *, is_off: bool) -> None:
    turn = st.session_state.get(TURN, 0)
    popover = st.popover("Tags", icon=":material/sell:", disabled=is_off, key=f"runs-tags-{turn}")
    with popover, st.form(f"runs-tags-form-{turn}", border=False):
        add = st.multiselect(
            "Add", known, accept_new_options=True, placeholder="Choose, or type a new one", key=f"runs-add-{turn}", width=340,
            select_all=False,  # Enter would take every tag that is like what was typed
        )  # fmt: skip
        words = "Choose" if borne else "They bear none"
        remove = st.multiselect("Remove", borne, placeholder=words, key=f"runs-remove-{turn}", width=340)
        st.html(f'<p class="mtl-note">A tag has at most {LONGEST_TAG} characters.</p>')
        if st.form_submit_button("Apply", type="primary") and (add or remove):
            done = f"Tags of {n_runs(len(ids))} changed."
            _act(lambda: labelling.tag(store, ids, add=add, remove=remove, owner=visitor.owner()), done)
            st.rerun()


def _note(store: Store, run_id: str, note: str, *, is_off: bool) -> None:
    turn = st.session_state.get(TURN, 0)
    with st.popover("Note", icon=":material/edit_note:", disabled=is_off, key=f"runs-note-{turn}-{run_id}"):
        if not run_id:
            return
        with st.form(f"runs-note-form-{turn}-{run_id}", border=False):
            text = st.text_area("Note", note, max_chars=LONGEST_NOTE, height=180, width=420, key=f"runs-text-{turn}-{run_id}")
            if st.form_submit_button("Save", type="primary"):
                _act(lambda: labelling.annotate(store, run_id, text or "", owner=visitor.owner()), "Note saved.")
                st.rerun()


def _rename(store: Store, run_id: str, name: str, *, is_off: bool) -> None:
    turn = st.session_state.get(TURN, 0)
    with st.popover("Rename", icon=":material/edit:", disabled=is_off, key=f"runs-rename-{turn}-{run_id}"):
        if not run_id:
            return
        with st.form(f"runs-rename-form-{turn}-{run_id}", border=False):
            text = st.text_input(
                "Name",
                name,
                max_chars=LONGEST_NAME,
                help="Empty: the name made of its choices.",
                key=f"runs-name-{turn}-{run_id}",
            )
            if st.form_submit_button("Save", type="primary"):
                _rename_now(store, run_id, text or "")
                st.rerun()


def _delete_for_good(store: Store, ids: Sequence[str], *, is_off: bool) -> None:
    turn = st.session_state.get(TURN, 0)
    with st.popover("Delete for good", icon=":material/delete_forever:", disabled=is_off, key=f"runs-forever-{turn}"):
        st.markdown(f"Delete {n_runs(len(ids))}, with records and checkpoints? There is no way back.")
        st.button("Delete for good", type="primary", key=f"runs-forever-yes-{turn}", on_click=_delete_now, args=(store, ids))


def _button(
    words: str, icon: str, act: Callable[[Store, Sequence[str]], None], store: Store, ids: Sequence[str], **options: Any
) -> None:
    is_off = options.pop("is_off")
    st.button(words, icon=icon, disabled=is_off, on_click=act, args=(store, ids), key=f"runs-{words}", **options)


def _archive(store: Store, ids: Sequence[str]) -> None:
    _act(lambda: labelling.put_aside(store, ids, owner=visitor.owner()), f"{n_runs(len(ids))} archived.")


def _take_out(store: Store, ids: Sequence[str]) -> None:
    _act(lambda: labelling.take_out(store, ids, owner=visitor.owner()), f"{n_runs(len(ids))} back among the current runs.")


def _throw_away(store: Store, ids: Sequence[str]) -> None:
    compared = state.chosen()
    _act(lambda: labelling.throw_away(store, ids, owner=visitor.owner()), f"{n_runs(len(ids))} deleted.", compared=compared)
    if SAID not in st.session_state:
        compare_table.rechoose(store, ids, ())  # they are compared no longer


def _delete_now(store: Store, ids: Sequence[str]) -> None:
    def act() -> None:
        labelling.delete_for_good(store, ids, owner=visitor.owner())

    _act(act, f"{n_runs(len(ids))} deleted for good.")
    if SAID not in st.session_state:
        compare_table.rechoose(store, ids, ())  # they are compared no longer


def _rename_now(store: Store, run_id: str, name: str) -> None:
    try:
        before = labelling.rename(store, run_id, name, owner=visitor.owner())
    except errors.EXPECTED as error:
        st.session_state[SAID] = errors.sentence(error)
    else:
        st.session_state[DONE] = Done(f"“{before}” was renamed.", name=(run_id, before))
        _next_turn()


def _act(
    act: Callable[[], Mapping[str, Label] | None],
    words: str,
    *,
    compared: tuple[str, ...] | None = None,
) -> None:
    """Do it and say so, or say why not. Forms and popovers close by it."""
    try:
        before = act()
    except errors.EXPECTED as error:
        st.session_state[SAID] = errors.sentence(error)
        return
    st.session_state[DONE] = Done(words, labels=before, compared=compared)
    _next_turn()


def _undo(store: Store) -> None:
    done: Done = st.session_state.pop(DONE)
    try:
        if done.labels is not None:
            labelling.put_back(store, done.labels, owner=visitor.owner())
        if done.name is not None:
            labelling.rename(store, *done.name, owner=visitor.owner())
    except errors.EXPECTED as error:
        st.session_state[SAID] = errors.sentence(error)
        return
    if done.compared is not None:
        state.choose(done.compared)
    st.session_state[DONE] = Done("Undone.")
    _next_turn()


def _next_turn() -> None:
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1


def n_runs(n: int) -> str:
    """A number of runs in words.

    >>> n_runs(1), n_runs(1200)
    ('1 run', '1,200 runs')
    """
    return f"{n:,} run{'' if n == 1 else 's'}"
