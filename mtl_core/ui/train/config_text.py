"""The config or the sweep on the Train page as text: to copy, to keep, and to bring back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mtl_core import jobs
from mtl_core.config import MAX_YAML_BYTES, RunConfig, load_yaml
from mtl_core.plan import check
from mtl_core.store import Store
from mtl_core.sweeps import Sweep
from mtl_core.ui import errors, frame
from mtl_core.ui.links import command_line
from mtl_core.ui.train.draft_state import Draft

SWEEPS_OWN = set(Sweep.model_fields) - set(RunConfig.model_fields)  # keys that only a sweep's file has


def show(config: RunConfig) -> None:
    """The same run as YAML and as a command, to copy or to keep."""
    text = config.to_yaml()
    st.code(text, language="yaml", wrap_lines=True)
    st.download_button(
        "Download config.yaml", text, "config.yaml", "application/yaml", icon=":material/download:", on_click="ignore"
    )
    frame.note("The same run from a shell, with that file:")
    st.code("python -m mtl_core train config.yaml", language="bash")
    frame.note("Or by what differs from the defaults, without a file:")
    st.code(command_line(config), language="bash")


def show_sweep(sweep: Sweep) -> None:
    """The same sweep as YAML and as a command."""
    text = sweep.to_yaml()
    st.code(text, language="yaml", wrap_lines=True, height=360)
    st.download_button(
        "Download sweep.yaml", text, "sweep.yaml", "application/yaml", icon=":material/download:", on_click="ignore"
    )
    frame.note("The same sweep from a shell, with that file; the same command again goes on where it was:")
    st.code("python -m mtl_core sweep sweep.yaml", language="bash")


def upload(store: Store, draft: Draft) -> None:
    """A file of a run or of a sweep from the visitor; a bad one is said in sentences and the form stays as it is."""
    key = f"{draft.generation}.upload"
    file = st.file_uploader(
        "Fill the form from a YAML file",
        type=["yaml", "yml", "json"],
        key=key,
        max_upload_size=1,
        help="Of a run or of a sweep. At most 64 kB.",
    )
    if file is None:
        return
    with errors.say_errors(f"{errors.plain(file.name[:60])} was not taken; the form is as it was."):
        values = load_yaml(file.getvalue()[: MAX_YAML_BYTES + 1])
        if isinstance(values, Mapping) and not SWEEPS_OWN.isdisjoint(values):
            _take_sweep(store, draft, values)
        else:
            config = RunConfig.from_mapping(values)
            check(config)
            draft.fill(config.to_mapping())
            draft.is_sweep = False
        st.rerun()


def _take_sweep(store: Store, draft: Draft, values: Mapping[str, Any]) -> None:
    """Each of its runs is checked before anything in the form changes."""
    sweep = Sweep.from_mapping(values)
    jobs.sweep_outlook(store, sweep)
    draft.fill(RunConfig.from_mapping(sweep.base).to_mapping())
    draft.fill_sweep(sweep.model_copy(update={"base": {}}))
