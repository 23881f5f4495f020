"""A run on disk, to go on with exactly where it stood."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from mtl_core.trainer import Trainer

FORMAT = 1
SAME = ("dataset", "tasks", "architecture", "weighting", "training")  # what a checkpoint must have in common with the run


def save(path: Path, trainer: Trainer) -> None:
    """Write the trainer's state, all or nothing: a crash while writing leaves the previous file.

    Raises OSError if the disk is full.
    """
    temporary = path.with_name(path.name + ".part")
    content = {"format": FORMAT, "choices": json.dumps(_choices(trainer)), "state": trainer.state_dict()}
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path, trainer: Trainer) -> None:
    """Put the trainer where the checkpoint was taken. Nothing in the file is executed (weights_only).

    Raises ValueError, in a sentence, for a missing or damaged file and for a checkpoint of another run.
    """
    content = _read(path)
    theirs, ours = content["choices"], _choices(trainer)
    different = [key for key in SAME if theirs.get(key) != ours[key]]
    if different:
        raise ValueError(
            f"the checkpoint {path.name} belongs to another run: it differs in {', '.join(different)}. "
            "Retry the run from the start, or use the config it was made with"
        )
    try:
        trainer.load_state_dict(content["state"])
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the checkpoint {path.name} does not fit this version of the network. Retry the run from the start"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    damaged = f"the checkpoint {path.name} is damaged or not ours. Retry the run from the start"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path.name} yet. Retry the run from the start") from None
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(damaged) from error
    if not isinstance(content, dict) or not {"format", "choices", "state"} <= set(content):
        raise ValueError(damaged)
    if content["format"] != FORMAT:
        raise ValueError(f"the checkpoint {path.name} is of format {content['format']}, this version reads {FORMAT}")
    try:
        choices = json.loads(content["choices"])
    except (TypeError, ValueError) as error:
        raise ValueError(damaged) from error
    if not isinstance(choices, dict) or not isinstance(content["state"], dict):
        raise ValueError(damaged)
    return {**content, "choices": choices}


def _choices(trainer: Trainer) -> dict[str, Any]:
    config = trainer.plan.config.to_mapping()
    training = {key: value for key, value in config["training"].items() if key != "device"}  # it may go on elsewhere
    return {**{key: config.get(key) for key in SAME}, "tasks": list(trainer.names), "training": training}
