"""``sweep``: many runs from one file, in the background; the same command again goes on where it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtl_core.cli.say import AsJson, StoreUrl, answer, json_line, note, number, table
from mtl_core.cli.train import read_source
from mtl_core.config import get_value
from mtl_core.sweeps import DEPTH, SCHEME, SEED

if TYPE_CHECKING:
    from mtl_core.jobs import Outlook, SweepProgress
    from mtl_core.store import Run, State, Store, StoredMember

CONTROL_C = 130  # what a shell says of a program that was ended with Ctrl-C
NOT_WELL = {"failed", "interrupted", "stopped"}  # a diverged run has given its answer
HEAD = ("run", "role", "weighting", "depth", "seed", "also varied", "state", "test loss by task")


def sweep(
    file: Annotated[str, typer.Argument(metavar="SWEEP.yaml", show_default=False, help="A sweep; - reads standard input.")],
    *,
    as_json: AsJson = False,
    store: StoreUrl = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs it means and how long they take.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Hand it in and leave it to the background.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Let it rest; the same command without --pause goes on.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give it up; what is finished stays.")] = False,
) -> int:
    """Train every run of a sweep in the background and wait for it. Ctrl-C ends the waiting, not the sweep."""
    from mtl_core import jobs
    from mtl_core.store import Store
    from mtl_core.sweeps import Sweep

    if dry_run + no_wait + pause + cancel > 1:
        raise ValueError("--dry-run, --no-wait, --pause and --cancel exclude each other: take one")
    asked = Sweep.from_yaml(read_source(file))
    kept = Store.open(store)
    outlook = jobs.sweep_outlook(kept, asked)
    (note if as_json else answer)(_in_words(outlook))
    if dry_run:
        _say_plan(outlook, as_json=as_json)
        return 0
    if pause or cancel:
        sweep_id = _handed_in(kept, outlook)
        (jobs.pause_sweep if pause else jobs.cancel_sweep)(kept, sweep_id)
        _say_end(kept, jobs.sweep_progress(kept, sweep_id), as_json=as_json)
        return 0
    sweep_id = jobs.submit_sweep(kept, asked)
    has_left = False
    try:
        progress = jobs.sweep_progress(kept, sweep_id) if no_wait else _wait(kept, sweep_id)
    except KeyboardInterrupt:
        has_left = True
        progress = jobs.sweep_progress(kept, sweep_id)
    if progress.state == "cancelled":
        note("the sweep was cancelled: the same command again goes on where it was")
    elif progress.state != "finished":
        note(f"the sweep is {progress.state} in the background: the same command again waits for it")
    _say_end(kept, progress, as_json=as_json)
    if has_left:
        return CONTROL_C
    return int(progress.state == "cancelled" or (progress.state == "finished" and not NOT_WELL.isdisjoint(progress.states)))


def _handed_in(store: Store, outlook: Outlook) -> str:
    """The id of that sweep. Raises LookupError if it was never handed in."""
    from mtl_core.store.sweeps import identify

    sweep_id = identify(outlook.sweep, "")
    if all(one.id != sweep_id for one in store.sweeps()):
        raise LookupError(f"this sweep was not handed in to {store.folder} yet: nothing is to pause or to cancel there")
    return sweep_id


def _in_words(outlook: Outlook) -> str:
    from mtl_core.estimate import in_words

    done = f", {outlook.n_finished} of them finished already" if outlook.n_finished else ""
    time_left = f"; about {in_words(outlook.seconds)}" if outlook.seconds else ""
    budgets = {scheme: n for scheme, n in outlook.sweep.budgets.items() if scheme != "fixed"}  # a front has a run per mix
    apart = ", ".join(f"{scheme} {n}" for scheme, n in budgets.items())
    unequal = f"; unequal budgets: {apart}" if len(set(budgets.values())) > 1 else ""
    return f"{outlook.n_runs} {'run' if outlook.n_runs == 1 else 'runs'}{done}{time_left}{unequal}"


def _say_plan(outlook: Outlook, *, as_json: bool) -> None:
    """The runs that it means, without any being started."""
    found = [
        {
            "key": member.key,
            "role": member.role,
            **_choices(member.config.to_mapping(), None, outlook.sweep.vary),
            "seconds": outlook.expected[member.key],
        }
        for member in outlook.sweep.members()
    ]
    if as_json:
        answer(
            json_line(
                {
                    "name": outlook.sweep.name,
                    "n_runs": outlook.n_runs,
                    "n_finished": outlook.n_finished,
                    "seconds": outlook.seconds,
                    "runs": found,
                }
            )
        )
        return
    rows = [(one["role"], _scheme(one), one["depth"], one["seed"], _varied(one), number(one["seconds"])) for one in found]
    table((*HEAD[1:6], "seconds of training"), rows)


def _wait(store: Store, sweep_id: str) -> SweepProgress:
    """Wait until it has ended, with a bar of how far it is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from mtl_core import jobs
    from mtl_core.jobs.together import looks

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        for progress in looks(store, sweep_id):
            bar.update(task, completed=progress.done, total=progress.total, description=_line(progress))
    return jobs.sweep_progress(store, sweep_id)


def _line(progress: SweepProgress) -> str:
    """How far it is, in a line.

    >>> from mtl_core.jobs import SweepProgress
    >>> _line(SweepProgress("", "", "running", {"finished": 3, "running": 1, "queued": 4}, 3, 8, 75.0))
    '3 finished, 1 running, 4 queued, about 1 min 15 s left'
    """
    from mtl_core.estimate import in_words
    from mtl_core.store import STATES

    order: tuple[State, ...] = ("finished", "running", "paused", "queued", *STATES)
    words = [f"{progress.states[state]} {state}" for state in dict.fromkeys(order) if state in progress.states]
    if progress.state == "paused":
        words.append("the sweep is paused")
    elif progress.seconds_left:
        words.append(f"about {in_words(progress.seconds_left)} left")
    return ", ".join(words)


def _say_end(store: Store, progress: SweepProgress, *, as_json: bool) -> None:
    """Every run with its choices, its state and its final test."""
    found = [(member, store.run(member.run_id)) for member in store.members(progress.id)]
    vary = store.sweep(progress.id).config["vary"]
    if as_json:
        runs = [_brief(member, run, vary) for member, run in found]
        answer(json_line({"sweep": progress.id, "name": progress.name, "state": progress.state, "runs": runs}))
    else:
        rows = []
        for member, run in found:
            chosen = _choices(run.config, run.spec, vary)
            test = (run.result or {}).get("test") or {}
            losses = ", ".join(f"{task} {number(values.get('loss'))}" for task, values in test.items())
            what = (member.role, _scheme(chosen), chosen["depth"], chosen["seed"], _varied(chosen))
            rows.append((run.id, *what, run.state, losses))
        table(HEAD, rows)
        answer(f"{progress.state}: sweep {progress.id}")
    for _, run in found:
        if run.state in ("failed", "interrupted", "diverged"):
            note(f"{run.id} {run.state}: {run.reason}")


def _brief(member: StoredMember, run: Run, vary: Iterable[str]) -> dict[str, Any]:
    """A run of a sweep, JSON-ready."""
    from mtl_core.cli.runs import brief

    told = brief(run)
    keys = ("name", "state", "reason", "step", "steps", "seconds", "test", "best_step")
    chosen = _choices(run.config, run.spec, vary)
    return {"run": run.id, "key": member.key, "role": member.role, **chosen, **{key: told[key] for key in keys}}


def _choices(config: dict[str, Any], spec: dict[str, Any] | None, vary: Iterable[str]) -> dict[str, Any]:
    """What a run is made of: scheme, depth, seed, learning rate, and the value of each other setting that varies."""
    depth = config["architecture"].get("depth")
    if depth is None and spec is not None:
        depth = len(spec["shared_stages"])
    knobs = {knob: value for knob, value in config["weighting"].items() if knob != "name"}
    training = {key: config["training"][key] for key in ("seed", "lr")}
    others = {key: get_value(config, key) for key in vary if not key.startswith((SCHEME, DEPTH, SEED))}
    return {"weighting": config["weighting"]["name"], "knobs": knobs, "depth": depth, **training, "varied": others}


def _varied(chosen: dict[str, Any]) -> str:
    """The other settings that vary, in a line.

    >>> _varied({"varied": {"training.lr": 0.01, "dataset.size": 32}})
    'lr 0.01, size 32'
    """
    from mtl_core.store.alike import in_words

    return ", ".join(f"{key.rpartition('.')[2]} {in_words(value)}" for key, value in chosen["varied"].items())


def _scheme(chosen: dict[str, Any]) -> str:
    """A weighting with its knobs, in a line.

    >>> _scheme({"weighting": "cagrad", "knobs": {"c": 0.4}})
    'cagrad c=0.4'
    """
    return " ".join([chosen["weighting"], *(f"{knob}={value}" for knob, value in chosen["knobs"].items())])
