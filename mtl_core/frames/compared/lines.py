"""Lines over training as a tidy table: one per group of seeds, or one per run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mtl_core.comparing import Group
from mtl_core.frames.compared._averages import Averaged
from mtl_core.frames.series import categories
from mtl_core.store import Run

if TYPE_CHECKING:
    from mtl_core.frames.compared import Compared

MOST_RUNS = 50  # more lines than that are no picture
COLUMNS = ("group", "line", "seeds", "part", "value", "low", "high", "n")
Key = int | str


class Line(NamedTuple):
    """One line: of which group, a name of its own, the words for its seeds, and its numbers."""

    group: str
    name: str
    seeds: str
    numbers: Averaged


def shown(compared: Compared) -> list[tuple[Group, list[Run]]]:
    """The groups in view with the runs of each, as many as fit into ``MOST_RUNS`` runs; the first one always does.

    Of runs that repeat a config with the same seed the one that counts in the results is taken, else the newest, unless every
    run is shown by itself. Runs that have not begun are left out.
    """
    found: list[tuple[Group, list[Run]]] = []
    room = MOST_RUNS
    for group in wanted(compared):
        runs = [run for run in group.runs if run.spec is not None]
        if not compared.apart:
            newest = {seed_of(run): run for run in sorted(runs, key=lambda run: (run.created, run.id))}
            runs = list(dict(sorted((newest | dict(group.by_seed)).items())).values())
        if found and len(runs) > room:
            break
        found.append((group, runs[:MOST_RUNS]))
        room -= len(runs)
    return found


def wanted(compared: Compared) -> list[Group]:
    """The groups that somebody asked for, all of them if nobody chose, or if the choice names none of them."""
    groups = list(compared.comparison.groups)
    return [group for group in groups if group.id in compared.only] or groups


def seed_of(run: Run) -> int:
    return int(run.config["training"]["seed"])


def said(runs: Sequence[Run]) -> str:
    """The seeds of runs in words.

    >>> from types import SimpleNamespace as Thing
    >>> run = lambda seed: Thing(config={"training": {"seed": seed}})
    >>> said([run(1)]), said([run(0), run(2)]), said([run(seed) for seed in range(9)])
    ('seed 1', 'seeds 0, 2', '9 seeds')
    """
    seeds = [str(seed_of(run)) for run in runs]
    if len(seeds) > 6:
        return f"{len(seeds)} seeds"
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds)}"


def line_frame(lines: Iterable[Line], compared: Compared, **more: Sequence[Any]) -> pd.DataFrame:
    """Lines one below the other: [step or epoch or time, group, line, seeds, part, value, low, high, n].

    Args:
        more: further columns, a text per line.
    """
    kept = list(lines)
    lengths = [len(line.numbers.places) for line in kept]

    def texts(each: Sequence[str]) -> pd.Categorical:
        names = list(dict.fromkeys(each))
        return categories(names, np.repeat([names.index(text) for text in each], lengths))

    def numbers(field: str, kind: type[np.generic] = np.float64) -> Any:
        parts = [getattr(line.numbers, field) for line in kept]
        return np.concatenate(parts).astype(kind) if parts else np.empty(0, kind)

    table: dict[str, Any] = {compared.x: numbers("places")}
    table |= {"group": texts([line.group for line in kept]), "line": texts([line.name for line in kept])}
    table |= {"seeds": texts([line.seeds for line in kept]), "part": numbers("part", np.int64)}
    table |= {field: numbers(field) for field in ("value", "low", "high")} | {"n": numbers("n", np.int64)}
    return pd.DataFrame(table | {name: texts(each) for name, each in more.items()})
