"""How fast the store records a run, and whether opening a long run costs what opening a short one does.

Times are medians, with the middle half in brackets. "Open" is what a page does for the first picture: open the store, read the
run, and thin its whole training series to 1,500 points; the database's file was read before, as after a run it has been.
"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import sqlalchemy

from mtl_core.config import RunConfig
from mtl_core.records import Column, Scalars
from mtl_core.store import Store, Writer

SERIES = tuple(Column(task, name) for task in ("digit", "box", "mask") for name in ("loss", "weight"))
WIDE = tuple(Column(task, name) for task in ("digit", "box", "mask", "") for name in ("loss", "weight"))
SHORT = 1_000


def scalars(start: int, n_rows: int, columns: tuple[Column, ...], noise: np.random.Generator) -> Scalars:
    """Rows as the trainer hands them over: noisy values on a falling curve."""
    steps = np.arange(start, start + n_rows)
    values = noise.normal(1.0, 0.1, (n_rows, len(columns))) + 1 / (1 + steps[:, None] / 1000)
    return Scalars("train", columns, steps, steps / 937, steps * 0.005, values.astype(np.float32))


def record(writer: Writer, n_rows: int, *, rows_per_append: int, appends_per_flush: int) -> tuple[float, float]:
    """Seconds spent in append and in flush."""
    noise = np.random.default_rng(0)
    in_append = in_flush = 0.0
    for n, start in enumerate(range(0, n_rows, rows_per_append), 1):
        item = scalars(start, rows_per_append, WIDE if rows_per_append == 10 else SERIES, noise)
        begin = time.perf_counter()
        writer.append(item)
        middle = time.perf_counter()
        if n % appends_per_flush == 0:
            writer.flush()
        in_append, in_flush = in_append + middle - begin, in_flush + time.perf_counter() - middle
    return in_append, in_flush


def timed(deed: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each repeat."""
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        deed()
        spent.append((time.perf_counter() - begin) * 1000)
    return spent


def show(name: str, spent: list[float]) -> float:
    """Print a row; returns the median."""
    low, middle, high = statistics.quantiles(spent, n=4)
    print(f"{name:<58} {middle:8.2f} ms  [{low:.2f} … {high:.2f}]")
    return middle


def bench_writing(store: Store) -> None:
    """Small portions, as a training run flushes them."""
    print("\nwriting: 10 rows × 8 columns per append")
    for appends_per_flush in (1, 5, 50):
        n_rows = 20_000 * min(appends_per_flush, 5)
        with store.writer(store.enqueue(RunConfig())) as writer:
            in_append, in_flush = record(writer, n_rows, rows_per_append=10, appends_per_flush=appends_per_flush)
        n_flushes = n_rows / 10 / appends_per_flush
        print(
            f"  {10 * appends_per_flush:>3} rows per commit: {n_rows / (in_append + in_flush):>9,.0f} rows/s; "
            f"append {in_append / n_rows * 1e7:.1f} µs, flush {in_flush / n_flushes * 1e3:.2f} ms"
        )


def open_and_draw(url: str, run_id: str) -> None:
    with Store.open(url) as store:
        store.run(run_id)
        curve = store.curve(run_id, "train", points=1500)
    assert 2 * len(curve.steps) <= 1500


def bench_opening(store: Store, n_rows: int, repeats: int) -> None:
    """A long run against a short one, in turns."""
    runs = {}
    for rows in (SHORT, n_rows):
        runs[rows] = store.enqueue(RunConfig())
        before = store_size(store)
        with store.writer(runs[rows]) as writer:
            _, in_flush = record(writer, rows, rows_per_append=SHORT, appends_per_flush=1)
    print(
        f"\n{n_rows:,} rows × {len(SERIES)} series written in {in_flush:.1f} s, {(store_size(store) - before) / n_rows:.0f} bytes a row"
    )
    long, short = runs[n_rows], runs[SHORT]
    spent: dict[str, list[float]] = {long: [], short: []}
    open_and_draw(store.url, long)
    for _ in range(repeats):
        for run_id in spent:
            spent[run_id] += timed(partial(open_and_draw, store.url, run_id), 1)
    print(f"\nreading, {repeats} repeats in turns")
    of_short = show(f"open a run of {SHORT:,} rows, 1,500 points", spent[short])
    of_long = show(f"open a run of {n_rows:,} rows, 1,500 points (goal ≤ 300)", spent[long])
    print(f"{'ratio long / short':<58} {of_long / of_short:8.2f}")
    show("  of that the curve alone", timed(lambda: store.curve(long, "train", points=1500), repeats))
    middle = n_rows // 2
    show(
        "a window of 5,000 rows in the middle",
        timed(lambda: store.curve(long, "train", first=middle, last=middle + 5000), repeats),
    )
    show("the last 100 rows, raw", timed(lambda: store.read(long, "train", after_step=n_rows - 101), repeats))
    show("every row, raw", timed(lambda: store.read(long, "train"), max(repeats // 5, 2)))
    show("one heartbeat", heartbeats(store, short, repeats))


def heartbeats(store: Store, run_id: str, repeats: int) -> list[float]:
    store.claim("bench", "cpu", run_id)
    return timed(lambda: store.heartbeat(run_id, "bench", step=1, epoch=0.0, seconds=0.0), repeats)


def store_size(store: Store) -> int:
    return sum(path.stat().st_size for path in store.folder.iterdir() if path.suffix == ".sqlite")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the long run")
    parser.add_argument("--repeats", type=int, default=30)
    asked = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"SQLAlchemy {sqlalchemy.__version__}, SQLite {sqlite3.sqlite_version}"
    )
    with tempfile.TemporaryDirectory() as folder, Store.open(str(Path(folder))) as store:
        bench_writing(store)
        bench_opening(store, asked.rows, asked.repeats)


if __name__ == "__main__":
    main()
