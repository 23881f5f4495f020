"""``export`` and ``import``: a run as files for other programs, people and installations, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtl_core.cli.runs import RunId
from mtl_core.cli.say import AsJson, StoreUrl, answer, json_line, note
from mtl_core.registry import no_such

if TYPE_CHECKING:
    from mtl_core.palette import Theme
    from mtl_core.store import Run, Store

TABLES = ("csv", "json", "parquet")
FOLDERS = (*TABLES, "tensorboard")
PICTURES = ("svg", "png")
FORMATS = (*FOLDERS, "archive", "html", *PICTURES)


def export(
    run: RunId,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            show_default=False,
            help="Where to write: a folder, made if missing, for csv, json, parquet, tensorboard; else a file.",
        ),
    ],
    *,
    form: Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="What to write.")] = "csv",
    figure: Annotated[str, typer.Option(help="For svg and png: which figure, such as losses or cosine_matrix.")] = "",
    panel: Annotated[str, typer.Option(help="For svg and png: which of the figure's panels, such as accuracy.")] = "",
    dark: Annotated[bool, typer.Option("--dark", help="For svg and png: on a dark page.")] = False,
    checkpoint: Annotated[bool, typer.Option("--checkpoint", help="For archive: with the checkpoint, to go on from.")] = False,
    as_json: AsJson = False,
    store: StoreUrl = None,
) -> None:
    """Write a run for other programs, other people or another installation.

    csv, json, parquet: all it recorded, at full resolution, as tables with its config beside them. curves: every number of
    every step. changes: each task's loss, weight, first-order change and labels at the measured steps. gramian: the inner products
    of the tasks' gradients there, by stage and half-batch. affinity: how much a step for one task alone would help each
    other one, where that was measured.

    tensorboard: the same curves as event files that TensorBoard opens. archive: everything as one file (.mtlrun) that the
    command import brings into another installation. html: a report with its figures, interactive, in one file that needs
    no network. svg, png: one figure.
    """
    if form not in FORMATS:
        raise ValueError(no_such("format", form, FORMATS))
    if bool(figure) != (form in PICTURES):
        raise ValueError(
            f"--format {form} needs --figure, such as --figure losses"
            if not figure
            else f"--figure goes with {' or '.join(PICTURES)}"
        )
    from mtl_core.store import Store

    kept = Store.open(store, read_only=True)
    chosen = kept.run(run)
    if form in TABLES:
        from mtl_core.exchange.tables import write_tables

        written = write_tables(kept, chosen, target, form)
    else:
        if form not in FOLDERS and target.is_dir():
            raise ValueError(
                f"{target} is a folder: name a file to write, such as {target / chosen.id}.{ENDINGS.get(form, form)}"
            )
        written = _write(kept, chosen, target, form, figure=figure, panel=panel, dark=dark, checkpoint=checkpoint)
    answer(json_line({"run": chosen.id, "files": written}) if as_json else "\n".join(str(path) for path in written))


ENDINGS = {"archive": "mtlrun"}


def _write(
    store: Store, run: Run, target: Path, form: str, *, figure: str, panel: str, dark: bool, checkpoint: bool
) -> list[Path]:
    """Write what is no table, and return the files."""
    if form == "archive":
        from mtl_core.exchange.archive import pack

        return [pack(store, run.id, target, checkpoint=checkpoint)]
    if form == "tensorboard":
        from mtl_core.exchange.event_files import write_events

        return write_events(store, run, target)
    if form == "html":
        from mtl_core.exchange.report import write_report

        return [write_report(store, run, target)]
    from mtl_core.exchange.pictures import write_picture

    theme: Theme = "dark" if dark else "light"
    return [write_picture(store, run, figure, target, form=form, panel=panel, theme=theme)]


def bring(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="A .mtlrun archive, a CSV, TensorBoard's event file or its folder, or a .zip with several of them.",
        ),
    ],
    *,
    name: Annotated[
        str, typer.Option(help="What to call the run here [default: what it was called].", show_default=False)
    ] = "",
    as_json: AsJson = False,
    store: StoreUrl = None,
) -> int:
    """Bring a run in: an archive of another installation, or curves of another program to stand beside yours.

    A CSV holds a row per number (step, split, task, name, value, as the command export writes it) or a row per step
    (step, taskA/loss, taskB/loss, validation/taskA/accuracy …). Nothing in a file is executed, and a file that is damaged
    leaves nothing behind. Of a .zip, each run that can be read comes in.
    """
    from mtl_core.exchange.arrivals import take_in
    from mtl_core.store import Store

    if not file.exists():
        raise FileNotFoundError(2, "no such file", str(file))
    kept = Store.open(store)
    arrived = take_in(kept, file, name=name)
    slips = [f"{one.source}: {one.slip}" for one in arrived if one.slip]
    for slip in slips:
        note(f"error: {slip}")
    runs = [kept.run(one.run_id) for one in arrived if one.run_id]
    if not runs:
        raise ValueError(f"nothing of {file} was imported")
    if as_json:
        lines = [{"run": run.id, "name": run.name, "state": run.state, "step": run.step} for run in runs]
        answer(json_line(lines[0] if len(arrived) == 1 else lines))
    else:
        for run in runs:
            answer(f"{run.id}: {run.name}, {run.state} after {run.step:,} steps")
    return int(bool(slips))
