"""``runs`` and ``show``: what the store holds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtl_core.cli.say import AsJson, StoreUrl, answer, json_line, note, number, table

if TYPE_CHECKING:
    from mtl_core.store import Run

RunId = Annotated[str, typer.Argument(metavar="RUN", show_default=False, help="A run's id, as the command runs lists them.")]


def runs(
    *,
    as_json: AsJson = False,
    store: StoreUrl = None,
    search: Annotated[str, typer.Option(help="Only runs whose name, choices, tags or note hold these words.")] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Those in the bin instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
) -> None:
    """List the runs, newest first."""
    from mtl_core.store import Store

    found = Store.open(store).runs(search=search, deleted=deleted, limit=limit)
    if as_json:
        answer(json_line([brief(run) for run in found]))
    elif not found and deleted:
        note("the bin is empty")
    elif not found:
        note("no runs here yet: start one with the command train, or on the Train page")
    else:
        columns = ("run", "name", "state", "step", "dataset", "weighting", "created")
        rows = [(run.id, run.name, run.state, f"{run.step}/{run.steps}", *_choices(run), _when(run.created)) for run in found]
        table(columns, rows)


def show(run: RunId, *, as_json: AsJson = False, store: StoreUrl = None) -> None:
    """Show one run: its state and why, its config, its test results."""
    from mtl_core.config import RunConfig
    from mtl_core.store import Store

    kept = Store.open(store, read_only=True)
    chosen = kept.run(run)
    changes = [asdict(change) for change in kept.history(run)]
    if as_json:
        more = {"config": chosen.config, "spec": chosen.spec, "error": chosen.error, "history": changes}
        answer(json_line({**brief(chosen), **more}))
        return
    facts = [("state", chosen.state), ("why", chosen.reason), ("step", f"{chosen.step}/{chosen.steps}")]
    facts += [("trained", f"{number(chosen.seconds)} s"), ("on", chosen.device), ("by", chosen.owner)]
    table(("run", chosen.id), [fact for fact in facts if fact[1]])
    answer("\n" + RunConfig.from_mapping(chosen.config).to_yaml())
    show_test(chosen)
    table(("when", "state", "why"), [(_when(one["time"]), one["state"], one["reason"]) for one in changes])
    if chosen.error:
        answer("\n" + chosen.error)


def brief(run: Run) -> dict[str, Any]:
    """A run without its config, its history and its traceback, JSON-ready."""
    ended = run.result or {}
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "reason": run.reason,
        "step": run.step,
        "steps": run.steps,
        "epoch": run.epoch,
        "seconds": ended.get("seconds", run.seconds),
        "test": ended.get("test"),
        "best_step": ended.get("best_step"),
        "device": run.device,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
    }


def show_test(run: Run) -> None:
    """The final test, a row per task and measure; nothing if there was none."""
    test = (run.result or {}).get("test") or {}
    rows = [(task, name, number(value)) for task, values in test.items() for name, value in values.items()]
    if rows:
        table(("task", "test", "value"), rows)
        answer("")


def _choices(run: Run) -> tuple[str, str]:
    return str(run.config["dataset"]["name"]), str(run.config["weighting"]["name"])


def _when(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
