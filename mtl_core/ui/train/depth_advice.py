"""Beside the depth slider on Train: what a past run of the same data, tasks and trunk says about where to branch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from mtl_core.branching import suggest_depth
from mtl_core.config import RunConfig
from mtl_core.store import Run, Store
from mtl_core.ui import frame

LOOKED_AT = 50  # newest runs
ASKED = 3  # of those that fit, so many are read
MEASUREMENTS = 200  # of each
FRESH_S = 20.0


def show(store: Store, config: RunConfig, spec: Mapping[str, Any]) -> None:
    """One sentence, if there is a run to draw it from."""
    tasks = sorted(task["name"] for task in spec["tasks"])
    network = {"dataset": config.dataset, "tasks": tasks, "architecture": _without_depth(config.architecture)}
    sentence = _sentence(store, store.url, json.dumps(network, sort_keys=True))
    if sentence:
        frame.note(sentence)


@st.cache_data(show_spinner=False, ttl=FRESH_S, max_entries=64)
def _sentence(_store: Store, url: str, network: str) -> str:
    del url  # part of the key: the store itself is not
    wanted, left = json.loads(network), ASKED
    for run in _store.runs(limit=LOOKED_AT):
        if left and run.spec is not None and _network(run) == wanted:
            left -= 1
            found = of_run(_store, run)
            if found:
                return found
    return ""


def of_run(store: Store, run: Run) -> str:
    """What one run says; nothing where it cannot tell."""
    stages = list((run.spec or {})["shared_stages"])
    if len((run.spec or {})["tasks"]) < 2 or not stages or list((run.spec or {})["stages"])[: len(stages)] != stages:
        return ""
    found = store.measurements(run.id, at_most=MEASUREMENTS)
    if not found:
        return ""
    depth = suggest_depth(np.stack([one.gramian for one in found]), np.stack([one.counts for one in found]), stages).depth
    return "" if depth is None else in_words(run.name, depth, stages)


def in_words(name: str, depth: int, stages: Sequence[str]) -> str:
    """What a run says of how many of its shared stages should be shared.

    >>> in_words("mine", 1, ["layer 1"])
    'In run “mine” tasks got along in their only shared stage: nothing there speaks for less depth.'
    >>> in_words("mine", 1, ["layer 1", "layer 2"])
    'In run “mine” tasks began to fight above layer 1: try depth 1.'
    """
    if depth == len(stages):
        where = "their only shared stage" if depth == 1 else f"all {depth} shared stages"
        return f"In run “{name}” tasks got along in {where}: nothing there speaks for less depth."
    if depth == 0:
        return f"In run “{name}” tasks fought from the first stage on: try depth 0, a network for each."
    return f"In run “{name}” tasks began to fight above {stages[depth - 1]}: try depth {depth}."


def _network(run: Run) -> dict[str, Any]:
    tasks = sorted(task["name"] for task in (run.spec or {})["tasks"])
    return {"dataset": run.config["dataset"], "tasks": tasks, "architecture": _without_depth(run.config["architecture"])}


def _without_depth(architecture: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in architecture.items() if name != "depth"}
