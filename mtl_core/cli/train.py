"""``train``: one run here and now, in this process, by the code that a worker uses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mtl_core.cli.runs import brief, show_test
from mtl_core.cli.say import AsJson, StoreUrl, answer, json_line, note
from mtl_core.config import MAX_YAML_BYTES, RunConfig

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mtl_core.records import RunOutput

ENDED_WELL = ("finished", "stopped")


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG.yaml", show_default=False, help="A config; - reads standard input.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY.KEY=VALUE", show_default=False, help="Changes to it, as in training.lr=0.01."),
    ] = None,
    *,
    as_json: AsJson = False,
    store: StoreUrl = None,
) -> int:
    """Train one run and say how it ended. Ctrl-C stops it in good order; a second one at once."""
    chosen = read_config(config).with_overrides(overrides or ())
    from mtl_core import jobs
    from mtl_core.compute import choose_device
    from mtl_core.plan import check
    from mtl_core.store import Store

    check(chosen)
    choose_device(chosen.training.device)
    kept = Store.open(store)
    with _progress() as progress:
        bar = _Bar(progress, chosen.training.steps)
        run = jobs.run_here(kept, chosen, on_item=bar)
    if as_json:
        answer(json_line(brief(run)))
    else:
        show_test(run)
        answer(f"{run.state}: run {run.id}")
    if run.state in ENDED_WELL:
        return 0
    note(f"{run.state}: {run.reason}")
    return 1


def read_config(name: str) -> RunConfig:
    """The config in that file, or on standard input."""
    return RunConfig.from_yaml(read_source(name))


def read_source(name: str) -> bytes:
    """What stands in that file, or on standard input (-). Reads no more than a config may be long."""
    if name == "-":
        return sys.stdin.buffer.read(MAX_YAML_BYTES + 1)
    with open(name, "rb") as file:
        return file.read(MAX_YAML_BYTES + 1)


class _Bar:
    """Moves a progress bar by what the trainer yields."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self.progress = progress
        self.bar: TaskID = progress.add_task("training", total=steps)

    def __call__(self, item: RunOutput) -> None:
        from mtl_core.records import Scalars

        if isinstance(item, Scalars) and item.split == "train":
            self.progress.update(self.bar, completed=int(item.steps[-1]))


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
