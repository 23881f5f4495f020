"""What the columns of another program's curves mean: which split, which task, which quantity, at which step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtl_core.exchange._dialect import read_table
from mtl_core.exchange.event_files import read_events
from mtl_core.exchange.spreadsheets import unquoted
from mtl_core.records import Split

MOST_BYTES = 500_000_000
_LARGEST_STEP = 2**53
_SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
QUANTITIES = ("loss", "accuracy", "acc", "error", "f1", "iou", "miou", "mae", "mse", "rmse", "weight")
WHOLE_RUN = ("lr", "learning_rate", "total", "score", "epoch")  # of the run, not of a task
_KEYS = {  # what programs call the columns that say where a row stands; of several the first counts
    "step": ("step", "_step", "global_step", "trainer/global_step", "iteration", "iter"),
    "epoch": ("epoch",),
    "time": ("time", "wall time", "wall_time", "walltime", "_runtime", "_timestamp"),
}
_NOT_TASKS = ("total", "sum", "mean", "avg", "average", "overall", "running")  # as in total_loss
_EXTREMES = ("__MIN", "__MAX")  # Weights & Biases puts such columns beside each curve of each run: "run - loss__MIN"
LONE = "all"  # the one task of a run that names none
_TIDY = ("split", "task", "name", "value")
_WHOSE = ("run", "run_id", "run_name", "run name", "experiment", "group", "seed")  # columns that tell runs apart


class Place(NamedTuple):
    """Which series a column is."""

    split: Split
    task: str
    name: str


def place_of(tag: str) -> Place:
    """Which split, task and quantity a column's name means.

    >>> place_of("validation/digit/accuracy")
    Place(split='validation', task='digit', name='accuracy')
    >>> place_of("Loss/digit"), place_of("val_loss")
    (Place(split='train', task='digit', name='loss'), Place(split='validation', task='', name='loss'))
    """
    split: Split = "train"
    rest = []
    for part in (part.strip() for part in re.split(r"[/|]", tag)):
        words = part.split("_")
        if part.lower() in _SPLIT_WORDS:
            split = _SPLIT_WORDS[part.lower()]
        elif len(words) > 1 and words[0].lower() in _SPLIT_WORDS:
            split = _SPLIT_WORDS[words[0].lower()]
            rest.append("_".join(words[1:]))
        elif part:
            rest.append(part)
    if len(rest) > 1 and rest[0].lower() in QUANTITIES and rest[-1].lower() not in QUANTITIES:
        rest = [*rest[1:], rest[0]]  # loss/digit
    name = rest[-1] if rest else "value"
    return Place(split, "/".join(rest[:-1]), name.lower() if name.lower() in (*QUANTITIES, *WHOLE_RUN) else name)


def places_of(tags: Sequence[str]) -> dict[str, Place]:
    """The same for all columns of a table, where one explains another.

    ``loss_step`` beside ``loss_epoch`` (Lightning) is the loss, as is ``epoch_loss`` (Keras); several losses that begin with a
    word each are of tasks.

    >>> places_of(["train_loss_step", "train_loss_epoch"])["train_loss_step"]
    Place(split='train', task='', name='loss')
    >>> places_of(["seg_loss", "depth_loss", "val_depth_error"])["val_depth_error"]
    Place(split='validation', task='depth', name='error')
    """
    places = {tag: place_of(tag) for tag in tags}
    for frame in (r"(.+)_step", r"(.+)_epoch", r"epoch_(.+)"):
        for tag, place in places.items():
            framed = re.fullmatch(frame, place.name)
            bare = place if framed is None else place._replace(name=framed[1])
            if bare not in places.values():
                places[tag] = bare
    lone = [place.name for place in places.values() if not place.task]
    words = {name[: -len("_loss")] for name in lone if name.lower().endswith("_loss")} - {*_NOT_TASKS, ""}
    if len(words) > 1:
        for tag, place in places.items():
            task = max((word for word in words if place.name.startswith(f"{word}_")), key=len, default="")
            if task and not place.task:
                places[tag] = place._replace(task=task, name=place.name[len(task) + 1 :])
    return places


def is_split(folder: str) -> bool:
    """Whether a folder's name says which split its numbers are of.

    >>> is_split("Validation"), is_split("run 3")
    (True, False)
    """
    return folder.lower() in _SPLIT_WORDS


def read_csv(path: Path) -> pd.DataFrame:
    """The numbers of a CSV, tidy or wide: [step, epoch, time, split, task, name, value]. Raises ValueError.

    ``attrs["left_out"]`` names the columns that hold no numbers.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name} is over {MOST_BYTES / 1e6:.0f} MB: cut it down to the curves that you want to see")
    table = _named(read_table(path), path)
    if "step" not in table:
        raise ValueError(
            f"{path.name} has no column 'step': the first line must name the columns, as in step,digit/loss,box/loss; "
            "where only epochs are known, step is the epoch times the steps in one"
        )
    is_tidy = {"name", "value"} <= set(table.columns)
    for key in ("step", "epoch", "time", *(["value"] if is_tidy else [])):
        if key in table:
            table[key] = _numbers(table[key], path)
    steps = table["step"]
    if steps.isna().any() or (steps < 0).any() or (steps % 1 != 0).any() or (steps >= _LARGEST_STEP).any():
        raise ValueError(f"{path.name}: steps must be whole numbers from 0 on")
    _check_one_run(table, path, ["step", *(key for key in _TIDY[:-1] if is_tidy and key in table)])
    return _tidy(table, path) if is_tidy else _wide(table, path)


def _check_one_run(table: pd.DataFrame, path: Path, place: list[str]) -> None:
    """Raise ValueError if several numbers stand for one place because they are of several runs, as in a comparison's curves."""
    for column in table.columns:
        if str(column).lower() in _WHOSE and table.duplicated(place).any():
            runs = table[column].dropna().astype(str).unique()
            if len(runs) > 1:
                raise _several(list(runs), path)


def _several(runs: list[str], path: Path) -> ValueError:
    return ValueError(f"{path.name} holds {len(runs)} runs ({', '.join(runs)[:80]}): give each a file of its own")


def _named(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with names of ours for the columns that say where a row stands, and without an index of pandas'."""
    table = table.loc[:, [not re.fullmatch(r"Unnamed: \d+", str(column)) for column in table.columns]]
    names = _of_one_run([unquoted(str(column).strip()) for column in table.columns], path)
    low = [name.lower() for name in names]
    for key, known in _KEYS.items():
        found = sorted((known.index(name), n) for n, name in enumerate(low) if name in known)
        for place, (rank, n) in enumerate(found):
            names[n] = key if place == 0 or rank == found[0][0] else ""
    names = [name.lower() if name.lower() in _TIDY else name for name in names]
    table = table.set_axis(pd.Index(names, dtype="str"), axis=1).loc[:, [name != "" for name in names]]
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise ValueError(f"{path.name} has the column {str(twice)[:60]!r} twice: give each another name")
    return table


def _of_one_run(names: list[str], path: Path) -> list[str]:
    """The names of a chart's data as Weights & Biases downloads it, without the run's, and "" for bounds; others as they are."""
    if not any(name.endswith(_EXTREMES) for name in names):
        return names
    runs = dict.fromkeys(name.rpartition(" - ")[0] for name in names if " - " in name)
    if len(runs) > 1:
        raise _several(list(runs), path)
    return ["" if name.endswith(_EXTREMES) else name.rpartition(" - ")[2] for name in names]


def _tidy(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    rows = _with_places(table)
    for key in ("split", "task", "name"):
        rows[key] = (
            (table[key] if key in table else pd.Series("", table.index)).fillna("").astype(str).str.strip().map(unquoted)
        )
    rows["split"] = rows["split"].str.lower().map(lambda word: _SPLIT_WORDS.get(word or "train", ""))
    if (rows["split"] == "").any():
        raise ValueError(f"{path.name} names a split other than train, validation and test")
    return rows.assign(value=table["value"])


def _wide(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    columns = [str(column) for column in table.columns if column not in _KEYS]
    if not columns:
        raise ValueError(f"{path.name} has no column beside {', '.join(table.columns)}: nothing to draw")
    texts = [column for column in columns if _is_text(table[column])]
    places = places_of([column for column in columns if column not in texts] or columns)
    known = _with_places(table)
    words = {
        key: pd.Index(dict.fromkeys([*(place[n] for place in places.values()), "", LONE]))
        for n, key in enumerate(Place._fields)
    }
    parts = []
    for column, place in places.items():  # as categories: words take an eighth of the memory
        said = {key: pd.Categorical([word], words[key]).repeat(len(table)) for key, word in place._asdict().items()}
        parts.append(known.assign(**said, value=_numbers(table[column], path)))
    rows = pd.concat(parts, ignore_index=True)
    rows.attrs["left_out"] = texts
    return rows


def _is_text(column: pd.Series) -> bool:
    """Whether there are words in it and not one number."""
    if pd.api.types.is_numeric_dtype(column) or not column.notna().any():
        return False
    return bool(pd.to_numeric(column, errors="coerce").isna().all())


def _with_places(table: pd.DataFrame) -> pd.DataFrame:
    known = {key: table[key].fillna(0.0) if key in table else 0.0 for key in ("step", "epoch", "time")}
    return pd.DataFrame(known, index=table.index)


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()]
    if len(wrong):
        value = str(wrong.iloc[0])[:40]
        raise ValueError(f"{path.name}, line {wrong.index[0] + 2}: {value!r} in column {str(column.name)[:60]!r} is no number")
    return numbers.astype(np.float64)


def read_board(path: Path) -> pd.DataFrame:
    """The numbers of TensorBoard's event files, as ``read_csv``; times are unix seconds. Raises ValueError."""
    points = pd.DataFrame(read_events(path), columns=["folder", "tag", "step", "time", "value"])
    root = _common(list(points["folder"].unique()))
    rest = points["folder"].str.slice(len(root)).str.strip("/")
    others = sorted({folder for folder in rest if folder and folder.lower() not in _SPLIT_WORDS})
    if others:
        raise ValueError(f"{path} holds several runs: name one of its folders, such as {path / root / others[0]}")
    tags = rest + "/" + points["tag"]
    places = places_of(list(tags.unique()))
    for n, key in enumerate(Place._fields):
        points[key] = tags.map({tag: place[n] for tag, place in places.items()})
    return points.assign(epoch=0.0, step=points["step"].astype(np.float64))[
        ["step", "epoch", "time", "split", "task", "name", "value"]
    ]


def _common(folders: list[str]) -> str:
    """The folder that holds all of these, split folders left out."""
    roots = {"/".join(part for part in folder.split("/") if part.lower() not in _SPLIT_WORDS) for folder in folders}
    return roots.pop() if len(roots) == 1 else ""
