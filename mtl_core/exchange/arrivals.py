"""Whatever people bring: an archive, a table of curves, an event file, or a zip file with several of them, told apart by content."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mtl_core.exchange._box import Box
from mtl_core.exchange.archive import ENDING, unpack
from mtl_core.exchange.columns import is_split
from mtl_core.exchange.foreign import bring_in
from mtl_core.store import Store

MOST_RUNS = 400  # in one zip file
_ZIP = (b"PK\3\4", b"PK\5\6")  # how a zip file begins, and an empty one
_EVENTS = "tfevents"
LOGS = "log folder"  # a run whose event files lie in no folder of their own
_STRANGE = re.compile(r"[^\w.\- ]")  # what has no place in a file's name of ours


@dataclass(frozen=True)
class Arrival:
    """What became of one run in a file: ``run_id`` if it came in, else ``slip``, a sentence that says why not."""

    source: str
    run_id: str = ""
    slip: str = ""


def take_in(store: Store, path: str | Path, *, name: str = "", owner: str = "", most: int | None = None) -> list[Arrival]:
    """Bring in every run that a file holds, or a log folder of TensorBoard's; what is wrong with one leaves the others alone.

    A zip file may hold archives (.mtlrun), tables (.csv, .tsv) and log folders; each log folder, its folders for train and
    validation included, is one run. Nothing in a file is executed, and nothing is written under a name that it chooses.

    Args:
        name: what to call the run, if it is the only one.
        most: at most so many bytes when unpacked, checkpoints left out (1 GiB if None).

    Raises:
        ValueError: the file itself cannot be read, or holds no run.
        OSError: the same, or the store cannot be written.
    """
    path = Path(path)
    if path.is_dir() or not _is_zip(path):
        return [Arrival(path.name, bring_in(store, path, name=name, owner=owner))]
    if _is_archive(path):
        return [Arrival(path.name, unpack(store, path, name=name, owner=owner, most=most))]
    with TemporaryDirectory(prefix="mtl-import-") as folder:
        found = list(_unzip(path, Path(folder), most))
        chosen = {"name": name if len(found) == 1 else "", "owner": owner}
        return [_take_one(store, source, one, chosen, most) for source, one in found]


def _take_one(store: Store, source: str, path: Path, chosen: Mapping[str, str], most: int | None) -> Arrival:
    try:
        if path.suffix == ENDING:
            return Arrival(source, unpack(store, path, most=most, **chosen))
        return Arrival(source, bring_in(store, path, **chosen))
    except ValueError as slip:
        return Arrival(source, slip=str(slip))


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ENDING or file.read(4) in _ZIP


def _is_archive(path: Path) -> bool:
    """By its ending or by its first member, for one that was renamed."""
    if path.suffix == ENDING:
        return True
    with Box(path) as box:
        return "manifest.json" in box and "run.json" in box


def _unzip(path: Path, folder: Path, most: int | None) -> Iterator[tuple[str, Path]]:
    """Every run in a zip file, as it is called there, and the file or folder of ours that it was written to."""
    with Box(path, most=most) as box:
        runs: dict[str, list[str]] = {}
        for member in sorted(box.left):
            source = _source(member)
            if source:
                runs.setdefault(source, []).append(member)
        if not runs:
            raise ValueError(f"{path.name} holds no archives ({ENDING}), no CSV and no event files: there is no run in it")
        if len(runs) > MOST_RUNS:
            raise ValueError(f"{path.name} holds {len(runs):,} runs: bring in at most {MOST_RUNS} at once")
        for n, (source, members) in enumerate(runs.items()):
            home = folder / str(n) / _tidy(source)
            if not _is_log(members[0]):
                home.parent.mkdir()
                box.copy(members[0], home)
            for member in members if _is_log(members[0]) else ():
                target = _place(home, member)
                target.parent.mkdir(parents=True, exist_ok=True)
                box.copy(member, target)
            yield source, home


def _source(member: str) -> str:
    """Which run a member belongs to: itself, or its log folder; empty for what is none of ours."""
    folder, file = _parts(member)
    if not file or file.startswith(".") or "__MACOSX" in folder:
        return ""
    if _is_log(member):
        return "/".join(part for part in folder.split("/") if not is_split(part)) or LOGS
    return member if file.lower().endswith((ENDING, ".csv", ".tsv")) else ""


def _is_log(member: str) -> bool:
    return _EVENTS in _parts(member)[1]


def _parts(member: str) -> tuple[str, str]:
    """Folder and file, also of a name that Windows has written."""
    folder, _, file = member.replace("\\", "/").rpartition("/")
    return folder, file


def _place(home: Path, member: str) -> Path:
    """Where an event file is written: a folder that says which split it is of keeps its name."""
    folder, file = _parts(member)
    target = home.joinpath(*[part.lower() for part in folder.split("/") if is_split(part)][:1], _tidy(file))
    return target if not target.exists() else target.with_name(f"{target.name}.{len(list(target.parent.iterdir()))}")


def _tidy(name: str) -> str:
    """A name for a file of ours: the last part of theirs, without signs that a file system may take amiss."""
    return _STRANGE.sub("_", _parts(name)[1]).lstrip(".")[-80:] or "run"
