"""Import: runs of other installations and curves of other programs, from a visitor's files into the store."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mtl_core import jobs
from mtl_core.exchange.arrivals import Arrival, take_in
from mtl_core.jobs.modes import is_for_looking
from mtl_core.store import Store
from mtl_core.ui import errors, frame, visitor
from mtl_core.ui.compare import state

ROUND = "imports.round"  # how often the form was sent: each round has an uploader of its own, so that the last one's files go
SAID = "imports.said"
MOST_MB = {"lab": 200, "class": 20}  # of a file, where the server does not allow less
MOST_UNPACKED = {"lab": 2**30, "class": 2**27}  # bytes
MOST_SLIPS = 5  # told at once, and as many links
_STRANGE = re.compile(r"[^\w.\- ]")
WORDS = (
    "Archives (.mtlrun) of another installation; curves of other programs as CSV (a row per step: step, digit/loss, "
    "val/digit/accuracy …) or TensorBoard's event files, each file one run; or a .zip with any of these, where a log folder with "
    "its folders for train and validation is one run. Nothing in a file is executed."
)


def offer(store: Store) -> None:
    """A button that opens the form; nothing where nothing may be written."""
    if is_for_looking(store):
        return
    with st.popover("Import", icon=":material/upload:", key="imports"):
        _form(store)
        _tell(store)


@st.fragment
def _form(store: Store) -> None:
    """Choosing a file redraws the form alone; what came in, the whole page, whose list is longer now."""
    frame.note(WORDS)
    n = st.session_state.setdefault(ROUND, 0)
    files = st.file_uploader(
        "Files", accept_multiple_files=True, max_upload_size=most_mb(), key=f"imports.files.{n}", label_visibility="collapsed"
    )
    name = ""
    if len(files) == 1:
        name = st.text_input("Name", max_chars=80, key=f"imports.name.{n}", placeholder="as it is called in the file")
    if st.button("Import", type="primary", disabled=not files, key=f"imports.go.{n}"):
        with st.spinner("Reading …"):
            st.session_state[SAID] = take(store, files, name.strip())
            st.session_state[ROUND] = n + 1
        st.rerun()


def most_mb() -> int:
    """The largest file that may be uploaded, in MB."""
    return max(1, min(MOST_MB.get(jobs.mode(), 1), int(st.get_option("server.maxUploadSize"))))


def take(store: Store, files: Sequence[UploadedFile], name: str = "") -> list[Arrival]:
    """Bring in what is in these files; each that is not to be had becomes a sentence. No file is left behind."""
    found: list[Arrival] = []
    most = MOST_UNPACKED.get(jobs.mode(), 0)
    for file in files:
        try:
            if is_for_looking(store):
                raise jobs.NotAllowed("this is a demonstration: nothing can be brought in")
            if file.size > most_mb() * 2**20:
                raise ValueError(f"it has {file.size / 2**20:,.0f} MB, at most {most_mb()} are taken here")
            with TemporaryDirectory(prefix="mtl-upload-") as folder:
                path = Path(folder) / tidy(file.name)
                with path.open("wb") as kept:
                    shutil.copyfileobj(file, kept)
                found += take_in(store, path, name=name if len(files) == 1 else "", owner=visitor.owner(), most=most)
        except errors.EXPECTED as error:
            found.append(Arrival(file.name, slip=errors.sentence(error) if isinstance(error, OSError) else str(error)))
    return found


def tidy(name: str) -> str:
    """A file name of ours that still says what the visitor's said.

    >>> tidy("../../etc/passwd"), tidy("logs\\\\events.out.tfevents.1"), tidy("<b>run</b>.csv"), tidy("..")
    ('passwd', 'events.out.tfevents.1', 'b_.csv', 'run')
    """
    return _STRANGE.sub("_", re.split(r"[/\\]", name)[-1]).lstrip(".")[-120:] or "run"


def _tell(store: Store) -> None:
    """What the last import brought: links to the runs, and a sentence for each file that was not to be had."""
    said: list[Arrival] = st.session_state.get(SAID, [])
    slips = [one for one in said if one.slip]
    for one in slips[:MOST_SLIPS]:
        file = one.source.rpartition("/")[2]
        errors.show(f"{one.slip if file in one.slip else f'{file}: {one.slip}'}.".replace("..", "."))
    if len(slips) > MOST_SLIPS:
        frame.note(f"{len(slips) - MOST_SLIPS} more could not be read either.")
    here = store.runs_named([one.run_id for one in said if one.run_id])
    if not here:
        return
    st.success(f"{len(here)} run{'' if len(here) == 1 else 's'} imported.", icon=":material/check:")
    for run in here[:MOST_SLIPS]:
        st.page_link("pages/watch.py", label=errors.plain(run.name), query_params={"run": run.id}, icon=":material/visibility:")
    st.button(
        "Add to the comparison",
        icon=":material/add:",
        key="imports.compare",
        on_click=_compare,
        args=([run.id for run in here],),
    )


def _compare(ids: Sequence[str]) -> None:
    state.choose((*state.chosen(), *ids))
    del st.session_state[SAID]
