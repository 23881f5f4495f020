"""The list of commands, and how a slip is told: one sentence on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from mtl_core.cli import compare, export, runs, shelves, sweep, toy, train, weigh, worker
from mtl_core.cli.say import note

SLIP = 2
PROGRAM = "python -m mtl_core"

app = typer.Typer(
    help="See what tasks do to each other inside one network: train, look up, export.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(train.train)
app.command()(sweep.sweep)
app.command()(shelves.shelves)
app.command()(runs.runs)
app.command()(runs.show)
app.command()(export.export)
app.command("import")(export.bring)
app.command()(worker.worker)
app.command()(weigh.weigh)
app.command()(compare.compare)
app.command("delta-m")(compare.delta_m)
app.command()(toy.toy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 for success, 1 for a run that did not end well, 2 for a slip in the request."""
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # as in a worker: see jobs.launch.environment
    try:
        code = typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as slip:
        note(f"error: {slip.format_message()} (see {PROGRAM} --help)")
        return SLIP
    except (KeyError, IndexError):
        raise  # ours, not the user's
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: say no more, not even at exit
        return 1
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename:
            note(f"error: there is no file {error.filename}: check its name and the folder you are in")
        else:
            note(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
        return SLIP
    except (ValueError, LookupError) as slip:
        note(f"error: {slip}")
        return SLIP
    return int(code or 0)
