"""The config on the Train page as text: to copy, to keep, and to bring back."""

from __future__ import annotations

import streamlit as st

from mtl_core.config import MAX_YAML_BYTES, RunConfig
from mtl_core.plan import check
from mtl_core.ui import errors, frame
from mtl_core.ui.draft_state import Draft
from mtl_core.ui.links import command_line


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


def upload(draft: Draft) -> None:
    """A config file from the visitor; a bad one is said in sentences and the form stays as it is."""
    key = f"{draft.generation}.upload"
    file = st.file_uploader(
        "Fill the form from a YAML file", type=["yaml", "yml", "json"], key=key, max_upload_size=1, help="At most 64 kB."
    )
    if file is None:
        return
    with errors.say_errors(f"{errors.plain(file.name[:60])} was not taken; the form is as it was."):
        config = RunConfig.from_yaml(file.getvalue()[: MAX_YAML_BYTES + 1])
        check(config)
        draft.fill(config.to_mapping())
        st.rerun()
