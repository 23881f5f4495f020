"""A run as one file, .mtlrun: all it recorded, to keep or to hand on, and safe to bring in from a stranger.

A zip file: ``manifest.json`` (format and version), ``config.yaml``, ``run.json`` (state, history, events, tags and note, names
of what follows), numbers as ``.npy`` arrays without pickles, and, if asked for, ``checkpoint.pt``. Where the run was trained (host,
process, owner) is left out.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.config import RunConfig
from mtl_core.exchange._box import Box, Damaged
from mtl_core.exchange._form import Manifest, RunForm
from mtl_core.exchange._packed import MOST_MANIFEST, PLACES, ended_run, read_form, recorded
from mtl_core.records import SPLITS, Affinity, Measurement, RunOutput
from mtl_core.store import ENDED, Label, Run, Store
from mtl_core.store.alike import is_lean

ENDING = ".mtlrun"
VERSION = 1
CHECKPOINT = "checkpoint.pt"
ROWS, MEASUREMENTS = 50_000, 500  # so many in one part
_LARGEST = 2**32 - 2**24  # bytes of an archive: a zip file of the old kind, which every program reads
_MEASURED = ("gramian", "counts", "losses", "weights", "changes")


def pack(store: Store, run_id: str, path: str | Path, *, checkpoint: bool = False) -> Path:
    """Write a run that has ended into a file of its own, whole or not at all; the same run gives the same bytes.

    Args:
        checkpoint: take the checkpoint along, if there is one, so that a run that was stopped can go on elsewhere.

    Raises:
        LookupError: there is no such run.
        ValueError: it has not ended, or the file would be over 4 GB.
        OSError: the file cannot be written.
    """
    path, run = Path(path), store.run(run_id)
    if run.state not in ENDED:
        raise ValueError(f"run {run_id} is {run.state}: stop it, or wait until it has ended, then pack it")
    kept = store.run_folder(run_id) / CHECKPOINT
    temporary = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, allowZip64=False, compresslevel=6) as box:
            _add(box, "manifest.json", _json({"format": "mtl-run", "version": VERSION, "run": run_id}))
            _add(box, "config.yaml", RunConfig.from_mapping(run.config).to_yaml().encode())
            form = _facts(store, run) | {
                "series": _pack_series(box, store, run_id),
                "measurements": _pack_stacked(box, "measurements", measurement_parts(store, run_id), _MEASURED),
                "affinities": _pack_stacked(box, "affinities", affinity_parts(store, run_id), ("values",)),
                "previews": _pack_previews(box, store, run_id),
            }
            _add(box, "run.json", _json(form))
            if checkpoint and kept.is_file():
                if kept.stat().st_size > _LARGEST:
                    raise zipfile.LargeZipFile
                box.write(kept, CHECKPOINT, zipfile.ZIP_STORED)
        temporary.replace(path)
    except zipfile.LargeZipFile:
        raise ValueError(f"run {run_id} does not fit into an archive (4 GB): leave its checkpoint out") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def pack_all(store: Store, run_ids: Iterable[str], path: str | Path) -> Path:
    """Write the archives of several runs into one zip file, without checkpoints; those that have not ended are left out.

    ``arrivals.take_in`` brings all of them in elsewhere. Raises LookupError, OSError, and ValueError if none has ended.
    """
    path = Path(path)
    ended = [run for run in map(store.run, dict.fromkeys(run_ids)) if run.state in ENDED]
    if not ended:
        raise ValueError("none of these runs has ended: wait for one, then pack it")
    temporary = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as box, TemporaryDirectory() as folder:
            for run in ended:
                packed = pack(store, run.id, Path(folder) / f"{run.id}{ENDING}")
                _add(box, packed.name, packed.read_bytes(), zipfile.ZIP_STORED)
                packed.unlink()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def unpack(store: Store, path: str | Path, *, name: str = "", owner: str = "", most: int | None = None) -> str:
    """Bring in a run that ``pack`` wrote elsewhere, whole or not at all, and return its id. Nothing in the file is executed.

    Args:
        name: another name than the one it had.
        most: at most so many bytes when unpacked, the checkpoint left out (1 GiB if None).

    Raises:
        ValueError: the file is damaged, not ours, too large, of a newer version, or the run is here already.
        OSError: the file cannot be read, or the store not written.
    """
    path = Path(path)
    with Box(path, stored=(CHECKPOINT,), most=most) as box:
        manifest = read_form(box, "manifest.json", Manifest, MOST_MANIFEST)
        if manifest.version > VERSION:
            raise ValueError(
                f"{path.name} is of format {manifest.version}, this program reads up to {VERSION}: update MTL Explorer"
            )
        form = read_form(box, "run.json", RunForm)
        config = RunConfig.from_yaml(box.text("config.yaml"))
        run = ended_run(form, config, name)
        if not is_lean(run.spec, run.config.to_mapping()):
            raise box.damaged("run.json says another config in few words than config.yaml in full")

        def items() -> Iterator[RunOutput]:
            yield from recorded(box, form)
            strange = box.left - {CHECKPOINT}
            if strange:
                raise box.damaged(f"{min(strange)[:60]!r} does not belong in it")

        def fill(folder: Path) -> None:
            if CHECKPOINT in box:
                box.copy(CHECKPOINT, folder / CHECKPOINT)

        try:
            return store.add_ended(run, items(), origin=f"imported from {path.name}", owner=owner, fill=fill)
        except Damaged:
            raise
        except ValueError as error:
            raise ValueError(f"{path.name} was not imported: {error}") from error


def _facts(store: Store, run: Run) -> dict[str, Any]:
    names = ("id", "name", "spec", "state", "reason", "created", "started", "ended", "step", "epoch", "seconds", "device")
    facts = {name: getattr(run, name) for name in (*names, "result", "error")}
    facts["history"] = [vars(change) for change in store.history(run.id)]
    facts["events"] = [vars(event) for event in store.events(run.id)]
    said = store.labels([run.id]).get(run.id, Label())
    facts |= {"tags": said.tags, "note": said.note}
    return facts


def _pack_series(box: zipfile.ZipFile, store: Store, run_id: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for split in SPLITS:
        columns = store.columns(run_id, split)
        after, parts = -1, 0
        while columns and (rows := store.read(run_id, split, after_step=after, limit=ROWS)) is not None and len(rows.steps):
            for name in (*PLACES, "values"):
                _add_array(box, f"series/{split}/{parts}/{name}.npy", getattr(rows, name))
            after, parts = int(rows.steps[-1]), parts + 1
        if columns:
            said[split] = {"columns": [list(column) for column in columns], "parts": parts}
    return said


def measurement_parts(store: Store, run_id: str) -> Iterator[list[Measurement]]:
    """A run's measurements, some hundreds at once."""
    after = -1
    while found := store.measurements(run_id, after_step=after, limit=MEASUREMENTS):
        yield found
        after = found[-1].step


def affinity_parts(store: Store, run_id: str) -> Iterator[list[Affinity]]:
    """A run's affinities, some hundreds at once."""
    after = -1
    while found := store.affinities(run_id, after_step=after, limit=MEASUREMENTS):
        yield found
        after = found[-1].step


def _pack_stacked(
    box: zipfile.ZipFile, folder: str, parts: Iterator[Sequence[Measurement | Affinity]], names: tuple[str, ...]
) -> int:
    n = 0
    for n, part in enumerate(parts, start=1):
        for name, kind in PLACES.items():
            _add_array(box, f"{folder}/{n - 1}/{name}.npy", np.array([getattr(one, name[:-1]) for one in part], kind))
        for name in names:
            _add_array(box, f"{folder}/{n - 1}/{name}.npy", np.stack([getattr(one, name) for one in part]))
    return n


def _pack_previews(box: zipfile.ZipFile, store: Store, run_id: str) -> list[dict[str, Any]]:
    said = []
    for n, step in enumerate(store.previews(run_id)):
        preview = store.preview(run_id, step)
        if preview is None:
            continue
        for k, array in enumerate(preview.arrays.values()):
            _add_array(box, f"previews/{n}/{k}.npy", array)
        said.append({"step": preview.step, "epoch": preview.epoch, "time": preview.time, "arrays": list(preview.arrays)})
    return said


def _add_array(box: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    _add(box, name, file.getvalue())


def _add(box: zipfile.ZipFile, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> None:
    box.writestr(zipfile.ZipInfo(name), content, compression)  # without a date


def _json(value: Any) -> bytes:
    return json.dumps(_finite(value), ensure_ascii=False, indent=1, allow_nan=False).encode()


def _finite(value: Any) -> Any:
    """The same with null for what is no number: JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
