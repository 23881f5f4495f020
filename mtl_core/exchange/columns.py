"""What the columns of another program's curves mean: which split, which task, which quantity, at which step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtl_core.exchange.event_files import read_events
from mtl_core.records import Split

MOST_BYTES = 500_000_000
_LARGEST_STEP = 2**53
_SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
QUANTITIES = ("loss", "accuracy", "acc", "error", "f1", "iou", "miou", "mae", "mse", "rmse", "weight")
WHOLE_RUN = ("lr", "learning_rate", "total", "score")  # of the run, not of a task
_KEYS = {"step": "step", "epoch": "epoch", "time": "time", "wall time": "time", "wall_time": "time", "walltime": "time"}
_TIDY = ("split", "task", "name", "value")


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


def is_split(folder: str) -> bool:
    """Whether a folder's name says which split its numbers are of.

    >>> is_split("Validation"), is_split("run 3")
    (True, False)
    """
    return folder.lower() in _SPLIT_WORDS


def read_csv(path: Path) -> pd.DataFrame:
    """The numbers of a CSV, tidy or wide: [step, epoch, time, split, task, name, value]. Raises ValueError."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name} is over {MOST_BYTES / 1e6:.0f} MB: cut it down to the curves that you want to see")
    try:
        separator = "\t" if path.suffix == ".tsv" else ","
        table = pd.read_csv(path, sep=separator, low_memory=False, encoding="utf-8-sig", compression=None)  # no bombs
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path.name} is no CSV in UTF-8: {str(error)[:200]}") from None
    names = [str(column).strip() for column in table.columns]
    table.columns = pd.Index([_KEYS.get(name.lower(), name.lower() if name.lower() in _TIDY else name) for name in names])
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise ValueError(f"{path.name} has the column {str(twice)[:60]!r} twice: give each another name")
    if "step" not in table:
        raise ValueError(
            f"{path.name} has no column 'step': the first line must name the columns, as in step,digit/loss,box/loss"
        )
    is_tidy = {"name", "value"} <= set(table.columns)
    for key in ("step", "epoch", "time", *(["value"] if is_tidy else [])):
        if key in table:
            table[key] = _numbers(table[key], path)
    steps = table["step"]
    if steps.isna().any() or (steps < 0).any() or (steps % 1 != 0).any() or (steps >= _LARGEST_STEP).any():
        raise ValueError(f"{path.name}: steps must be whole numbers from 0 on")
    return _tidy(table, path) if is_tidy else _wide(table, path)


def _tidy(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    rows = _with_places(table)
    for key in ("split", "task", "name"):
        rows[key] = (table[key] if key in table else pd.Series("", table.index)).fillna("").astype(str).str.strip()
    rows["split"] = rows["split"].str.lower().map(lambda word: _SPLIT_WORDS.get(word or "train", ""))
    if (rows["split"] == "").any():
        raise ValueError(f"{path.name} names a split other than train, validation and test")
    return rows.assign(value=table["value"])


def _wide(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    parts = [
        _with_places(table).assign(**place_of(str(column))._asdict(), value=_numbers(table[column], path))
        for column in table.columns
        if column not in _KEYS.values()
    ]
    if not parts:
        raise ValueError(f"{path.name} has no column beside {', '.join(table.columns)}: nothing to draw")
    return pd.concat(parts, ignore_index=True)


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
    places = {tag: place_of(tag) for tag in tags.unique()}
    for n, key in enumerate(Place._fields):
        points[key] = tags.map({tag: place[n] for tag, place in places.items()})
    return points.assign(epoch=0.0, step=points["step"].astype(np.float64))[
        ["step", "epoch", "time", "split", "task", "name", "value"]
    ]


def _common(folders: list[str]) -> str:
    """The folder that holds all of these, split folders left out."""
    roots = {"/".join(part for part in folder.split("/") if part.lower() not in _SPLIT_WORDS) for folder in folders}
    return roots.pop() if len(roots) == 1 else ""
