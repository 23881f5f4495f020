"""Every weighting scheme beside PyPI's LibMTL and torchjd: the same step on the same network, in the same run, in turns.

Each library runs in a process of its own (see ``_side``), the peers in their own environment (see ``_environment``). For each
scheme the processes take turns of a fraction of a second, equal weights and the scheme one after the other, in an order that
rotates; what is printed is the median of the turns' ratios, with the middle half of them in brackets. A full run takes about a
quarter of an hour on two cores; the figures mean something on a machine that does nothing else.

Legend: T tasks, P shared parameters.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks import _libmtl, _torchjd
from benchmarks._environment import REQUIREMENTS, python_of_peers
from benchmarks._goals import Flops, Row, Turns, judge, rows
from benchmarks._network import BATCH, INPUT, Network
from benchmarks._process import LIBMTL, OURS, SPIN_COUNT, TORCHJD, Crashed, Side, start_sides
from mtl_core.compute import choose_device
from mtl_core.weightings import WEIGHTINGS

HAS = {LIBMTL: _libmtl.SCHEMES, TORCHJD: _torchjd.SCHEMES}
SAME = 1e-6  # two sums of the same numbers in another order
BYTES = 4  # of a number
N_SHARED = sum(parameter.numel() for parameter in Network(1).trunk.parameters())


def take_turns(sides: dict[str, Side], row: Row, n_tasks: int, *, rounds: int, seconds: float) -> dict[str, Turns]:
    """Measure a scheme on every side that has it."""
    found: dict[str, Turns] = {}
    for name, side in sides.items():
        if name == OURS or row.scheme in HAS[name]:
            turns = found[name] = Turns()
            try:
                answer = side.build("scheme", row.scheme, n_tasks, row.knobs)
                turns.losses, turns.direction, turns.note = answer["losses"], answer["direction"], answer["note"]
            except Crashed as crash:
                turns.crash = str(crash)
    for number in range(rounds):
        names = list(found)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            turns, side = found[name], sides[name]
            if turns.crash:
                continue
            try:
                equal, scheme = side.run("equal", seconds), side.run("scheme", seconds)
                turns.equal.append(equal)
                turns.scheme.append(scheme)
            except Crashed as crash:
                turns.crash = str(crash)
    for name in found:
        sides[name].drop("scheme")
    return found


def _cell(turns: Turns | None, ours: Turns) -> str:
    """A peer's columns: ratio, milliseconds, cosine of its first direction with ours."""
    if turns is None:
        return f"{'—':>6}{'':14}"
    if turns.crash:
        return f"{'crashes':>8}{'':12}"
    cosine = float("nan")
    if turns.direction is not None and ours.direction is not None:
        cosine = float(torch.cosine_similarity(turns.direction.double(), ours.direction.double(), dim=0))
    return f"{turns.ratio().middle:6.2f}{statistics.median(turns.scheme):8.1f}{cosine:6.2f}"


def _line(row: Row, found: dict[str, Turns], memory: float | None, verdicts: Sequence[str]) -> str:
    ours = found[OURS]
    mine = f"{'crashes':>9}{'':29}"
    if not ours.crash:
        ratio = ours.ratio()
        held = "" if memory is None else f"{memory:+.1f}"
        mine = f"{ratio.middle:7.3f} [{ratio.low:5.3f}, {ratio.high:5.3f}]{statistics.median(ours.scheme):8.1f}{held:>7}"
    cells = " ".join(f"|{_cell(found.get(name), ours)}" for name in (LIBMTL, TORCHJD))
    return f"{row.scheme:28}{mine} {cells} | {'; '.join(verdicts)}"


def _notes(found: dict[str, Turns]) -> Iterator[str]:
    """What the columns do not hold: why a side crashed, and whether all saw the same losses on the first batch."""
    for name, turns in found.items():
        if turns.crash:
            yield f"{'':4}{name} crashes: {turns.crash}"
    losses = [turns.losses for name, turns in found.items() if turns.losses]
    if len({len(one) for one in losses}) == 1 and len(losses) > 1:
        apart = max(abs(one - other) for these in losses for one, other in zip(these, losses[0], strict=True))
        if apart > SAME:
            yield f"{'':4}the sides' first losses differ by {apart:.1e}"


def measure(sides: dict[str, Side], n_tasks: int, flops: Flops, options: argparse.Namespace) -> list[str]:
    """Print the table of one number of tasks; returns its verdicts."""
    print(
        f"\nT = {n_tasks}: T passes through the trunk cost {flops.ratio(n_tasks):.3f} of equal weights by count, "
        f"one pass after a look at the last stage {flops.ratio(n_tasks, 'last_stage'):.3f}"
    )
    peers = " ".join(f"|{title:>7}{'ms':>7}{'cos':>6}" for title in ("LibMTL", "torchjd"))
    print(f"{'':28}{'ratio':>7} {'middle half':>14}{'ms':>8}{'memory':>7} {peers} | goals")
    for side in sides.values():
        side.build("equal", "equal", n_tasks, {})
    base = sides[OURS].memory("equal", n_tasks, {}) if options.memory else 0
    said: list[str] = []
    ways: dict[str, list[str]] = {}
    for row in rows(n_tasks, options.schemes):
        found = take_turns(sides, row, n_tasks, rounds=options.rounds, seconds=options.seconds)
        memory = None
        if options.memory and not found[OURS].crash:
            memory = (sides[OURS].memory(row.scheme, n_tasks, row.knobs) - base) / (BYTES * N_SHARED)
        verdicts = judge(row, found, memory, flops, n_tasks)
        said += verdicts
        print(_line(row, found, memory, verdicts), flush=True)
        for note in _notes(found):
            print(note)
        if TORCHJD in found and found[TORCHJD].note:
            ways.setdefault(found[TORCHJD].note, []).append(row.scheme)
    if ways:
        print("torchjd was called in the way that is its fastest here:")
    for way, schemes in ways.items():
        print(f"{'':4}{way}: {', '.join(schemes)}")
    return said


def introduce(device: str, python: Path | None, options: argparse.Namespace) -> None:
    """Say what runs where, and what the columns mean."""
    title = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}"
    print(f"{title}, {torch.get_num_threads()} threads, GOMP_SPINCOUNT {SPIN_COUNT}, {versions}")
    print(
        f"{N_SHARED:,} shared parameters, {BATCH} inputs of {INPUT}, fused Adam; {options.rounds} turns of {options.seconds} s"
    )
    if python is not None:
        print(f"peers: {', '.join(REQUIREMENTS[:2])}; put right in LibMTL, which would not run at all:")
        for mended in _libmtl.MENDED:
            print(f"{'':4}{mended}")
    print(
        "ratio: to equal weights of the same library; cos: of its first step with ours; for schemes that draw lots it says little"
    )
    print("memory: most bytes in use, above equal weights, in gradients of the shared parameters; goal: T")


def main() -> None:
    """Measure every scheme at every number of tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 3, 8], metavar="T", help="numbers of tasks")
    parser.add_argument("--schemes", nargs="+", metavar="NAME", help="only these; name@on for a Gramian of less")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side per scheme")
    parser.add_argument("--seconds", type=float, default=0.15, help="length of a turn")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave LibMTL and torchjd out")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave the memory column out")
    parser.add_argument("--quick", action="store_true", help="two tasks, few short turns: whether it works, not how fast")
    options = parser.parse_args()
    if options.quick:
        options.tasks, options.rounds, options.seconds = [2], 3, 0.05
    begun = time.perf_counter()
    try:
        device = str(choose_device(options.device))
        for scheme in options.schemes or ():
            WEIGHTINGS[scheme.partition("@")[0]]
        python = python_of_peers() if options.peers else None
    except (ValueError, RuntimeError) as error:
        parser.error(str(error))
    introduce(device, python, options)
    verdicts: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        sides = start_sides(device, Path(folder), python)
        try:
            for n_tasks in options.tasks:
                verdicts += measure(sides, n_tasks, Flops.count(), options)
        finally:
            for side in sides.values():
                side.close()
    counts = ", ".join(f"{sum(word in verdict for verdict in verdicts)} {word}" for word in ("met", "even", "MISSED"))
    print(f"\ngoals: {counts}; took {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
