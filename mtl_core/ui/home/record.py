"""Make the recorded run that Home plays: ``python -m mtl_core.ui.home.record RUN`` copies a finished run into the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtl_core.config import RunConfig
from mtl_core.records import SPLITS
from mtl_core.store import Store

RECORDED = Path(__file__).with_name("recorded.sqlite")
PREVIEWS = 8  # kept of the samples: pictures are most of the file


def record(source: Store, run_id: str, target: Path = RECORDED) -> Path:
    """Copy all that a finished run recorded into a store of its own, in one file. Raises ValueError if it has not finished."""
    run = source.run(run_id)
    if run.state != "finished":
        raise ValueError(f"run {run_id} is {run.state}: only a finished run makes a good recording")
    for path in (target, *target.parent.glob(f"{target.name}-*")):
        path.unlink(missing_ok=True)
    with Store.open(str(target)) as store:
        copied = store.enqueue(RunConfig.from_mapping(run.config), spec=run.spec)
        store.claim("recorded", run.device, copied)
        with store.writer(copied) as writer:
            for split in SPLITS:
                rows = source.read(run_id, split)
                if rows is not None:
                    writer.append(rows)
            for measurement in source.measurements(run_id):
                writer.append(measurement)
            for affinity in source.affinities(run_id):
                writer.append(affinity)
            steps = source.previews(run_id)
            for step in steps[:: max(1, len(steps) // PREVIEWS)]:
                preview = source.preview(run_id, step)
                if preview is not None:
                    writer.append(preview)
            for event in source.events(run_id):
                writer.append(event)
        progress = {"step": run.step, "epoch": run.epoch, "seconds": run.seconds, "result": run.result}
        store.change(copied, "finished", "recorded", **progress)
        folder = store.run_folder(copied)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink()
    folder.rmdir()
    return target


def main() -> None:
    """Read the command line and copy."""
    parser = argparse.ArgumentParser(description="Copy a finished run into the package, for Home to play.")
    parser.add_argument("run", help="its id, as `python -m mtl_core runs` lists it")
    parser.add_argument("--store", help="where it lies; the default store if left out")
    options = parser.parse_args()
    try:
        with Store.open(options.store, read_only=True) as source:
            path = record(source, options.run)
    except (ValueError, LookupError, OSError) as error:
        parser.exit(2, f"{error}\n")
    print(f"{path}: {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
