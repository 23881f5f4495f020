"""Levels of detail: whatever is written, in whatever portions, a curve shows every low and every high."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_core.config import RunConfig
from mtl_core.records import Column, Scalars
from mtl_core.store import Curve, Store, levels

NASTY = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3.4e38, -3.4e38, 1.0, np.float32(0.1)]
COLUMNS = (Column("", "total"), Column("a", "loss"), Column("b", "accuracy"))
slow_files = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def portions(n_rows: int, sizes: list[int]) -> list[slice]:
    slices, start = [], 0
    while start < n_rows:
        size = sizes[len(slices) % len(sizes)]
        slices.append(slice(start, start + size))
        start += size
    return slices


def rows_of(seed: int, n_rows: int) -> Scalars:
    """Values with nasty ones among them, steps with gaps."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, len(COLUMNS))).astype(np.float32)
    is_nasty = rng.random(values.shape) < rng.choice([0.0, 0.05, 0.9])
    values[is_nasty] = rng.choice(np.array(NASTY, np.float32), is_nasty.sum())
    values[:, 2] = np.where(rng.random(n_rows) < 0.7, np.nan, values[:, 2])  # a metric that is seldom there
    steps = np.cumsum(rng.integers(1, 4, n_rows)).astype(np.int64)
    return Scalars("train", COLUMNS, steps, steps / 7.0, steps * 0.01, values)


def part(rows: Scalars, window: slice) -> Scalars:
    return Scalars(rows.split, rows.columns, rows.steps[window], rows.epochs[window], rows.times[window], rows.values[window])


def record(store: Store, run_id: str, rows: Scalars, sizes: list[int], *, reopen: bool = False) -> None:
    writer = store.writer(run_id)
    for n, window in enumerate(portions(len(rows.steps), sizes)):
        writer.append(part(rows, window))
        if n % 3 != 2:
            writer.flush()
        if reopen and n % 5 == 4:
            writer.close()
            writer = store.writer(run_id)
    writer.close()


def brute_force(rows: Scalars, first: int | None, last: int | None, points: int) -> list[tuple]:
    """Low, high and mean of each bucket of 2^k rows, the slow way, in float64."""
    inside = [n for n, step in enumerate(rows.steps) if (first is None or step >= first) and (last is None or step <= last)]
    k = 0
    while len({n >> k for n in inside}) > points // 2:
        k += 1
    buckets: dict[int, list[int]] = {}
    for n in inside:
        buckets.setdefault(n >> k, []).append(n)
    found = []
    for members in buckets.values():
        columns = []
        for values in rows.values[members].T.astype(np.float64):
            here = values[~np.isnan(values)]
            with np.errstate(invalid="ignore"):
                columns.append((here.min(), here.max(), here.mean()) if len(here) else (np.nan,) * 3)
        found.append((rows.steps[members[0]], rows.steps[members[-1]], rows.times[members[-1]], columns))
    return found


def assert_same(curve: Curve, expected: list[tuple], points: int) -> None:
    assert len(curve.steps) == len(expected)
    assert 2 * len(curve.steps) <= points
    for m, (first_step, last_step, time, columns) in enumerate(expected):
        assert (curve.first_steps[m], curve.steps[m], curve.times[m]) == (first_step, last_step, time)
        low, high, mean = np.array(columns).T
        np.testing.assert_array_equal(curve.low[m], low.astype(np.float32))
        np.testing.assert_array_equal(curve.high[m], high.astype(np.float32))
        largest = max((abs(value) for value in (*low, *high) if np.isfinite(value)), default=0)
        np.testing.assert_allclose(curve.mean[m], mean, rtol=1e-6, atol=1e-6 * largest + 1e-44)  # 1e-44: float32 ends there


def assert_identical(one: Curve, other: Curve) -> None:
    for name in ("first_steps", "steps", "epochs", "times", "low", "high", "mean"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert (one.columns, one.rows_per_bucket, one.n_rows) == (other.columns, other.rows_per_bucket, other.n_rows)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


@given(
    seed=st.integers(0, 10_000),
    n_rows=st.one_of(st.integers(1, 40), st.integers(1, 1300), st.sampled_from([255, 256, 257, 1023, 1024, 1025, 2048])),
    sizes=st.lists(st.one_of(st.integers(1, 9), st.integers(1, 700)), min_size=1, max_size=5),
    windows=st.lists(st.tuples(st.integers(-5, 7000), st.integers(-5, 7000)), max_size=2),
    points=st.one_of(st.integers(2, 9), st.integers(2, 2000)),
)
@slow_files
def test_a_curve_is_what_the_slow_way_finds(*, store, seed, n_rows, sizes, windows, points):
    sizes = sizes if n_rows < 500 else [size + 20 for size in sizes]
    rows = rows_of(seed, n_rows)
    run_id = store.enqueue(RunConfig())
    record(store, run_id, rows, sizes, reopen=seed % 2 == 0)
    for first, last in [(None, None), (None, 100), (100, None), *windows]:
        curve = store.curve(run_id, "train", first=first, last=last, points=points)
        assert_same(curve, brute_force(rows, first, last, points), points)
    back = store.read(run_id, "train")
    assert back.values.tobytes() == rows.values.tobytes()
    assert back.steps.tolist() == rows.steps.tolist()


@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(2, 1500),
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=3),
    sizes=st.lists(st.integers(30, 500), min_size=1, max_size=4),
)
@slow_files
def test_a_resumed_run_has_the_very_levels_of_one_that_was_never_cut(store, seed, n_rows, cuts, sizes):
    rows = rows_of(seed, n_rows)
    whole, resumed = store.enqueue(RunConfig()), store.enqueue(RunConfig())
    record(store, whole, rows, [173])
    start = 0
    for cut in cuts:
        record(store, resumed, part(rows, slice(start, None)), sizes)
        start = int(cut * n_rows)
        with store.writer(resumed) as writer:
            writer.truncate(int(rows.steps[start - 1]) if start else -1)
        assert store.last_step(resumed, "train") == (rows.steps[start - 1] if start else -1)
    record(store, resumed, part(rows, slice(start, None)), [sizes[0] + 1])
    for points in (2, 30, 500, 10_000):
        assert_identical(store.curve(whole, "train", points=points), store.curve(resumed, "train", points=points))
    window = {"first": int(rows.steps[n_rows // 3]), "last": int(rows.steps[-1]) - 1, "points": 40}
    assert_identical(store.curve(whole, "train", **window), store.curve(resumed, "train", **window))


@given(first=st.integers(0, 10**7), length=st.integers(1, 10**7), level=st.integers(0, 12))
def test_the_cover_has_each_row_once_and_few_pieces(first, length, level):
    end = first + length
    pieces = levels.cover(first, end, level)
    row = first
    for piece in pieces:
        assert piece.start * 4**piece.level == row
        row = piece.end * 4**piece.level
        assert piece.level == level or piece.end - piece.start < 4
    assert row == end


@given(first=st.integers(0, 10**7), length=st.integers(1, 10**7), most=st.integers(1, 5000))
def test_buckets_are_as_fine_as_the_screen_allows(first, length, most):
    def count(bits):
        return (first + length - 1 >> bits) - (first >> bits) + 1

    bits = levels.bucket_bits(first, first + length, most)
    assert count(bits) <= most
    assert bits == 0 or count(bits - 1) > most


def test_a_mean_by_hand(store):
    run_id = store.enqueue(RunConfig())
    values = np.array([1, 3, np.nan, 5, np.nan, np.nan, np.nan, np.nan, 10, -np.inf], np.float32)[:, None]
    steps = np.arange(10)
    with store.writer(run_id) as writer:
        writer.append(Scalars("train", COLUMNS[:1], steps, steps / 1.0, steps / 1.0, values))
    curve = store.curve(run_id, "train", points=6)
    assert curve.rows_per_bucket == 4
    assert curve.steps.tolist() == [3, 7, 9]
    np.testing.assert_array_equal(curve.low[:, 0], [1, np.nan, -np.inf])
    np.testing.assert_array_equal(curve.high[:, 0], [5, np.nan, 10])
    np.testing.assert_array_equal(curve.mean[:, 0], [3, np.nan, -np.inf])


def test_nothing_written_is_invisible_while_the_run_goes_on(store):
    run_id = store.enqueue(RunConfig())
    with store.writer(run_id) as writer:
        for step in range(600):
            value = np.array([[step]], np.float32)
            at = np.array([step])
            writer.append(Scalars("train", COLUMNS[:1], at, at / 1.0, at / 1.0, value))
            writer.flush()
            if step % 37 == 0 or step in (254, 255, 256):
                curve = store.curve(run_id, "train", points=20)
                assert (curve.n_rows, curve.steps[-1], curve.high.max(), curve.low.min()) == (step + 1, step, step, 0)


def test_an_empty_run_has_an_empty_curve(store):
    run_id = store.enqueue(RunConfig())
    curve = store.curve(run_id, "validation")
    assert (curve.columns, curve.n_rows, curve.low.shape) == ((), 0, (0, 0))
    record(store, run_id, rows_of(1, 10), [3])
    curve = store.curve(run_id, "train", first=1000)
    assert (curve.columns, curve.n_rows, curve.mean.shape) == (COLUMNS, 0, (0, 3))


@pytest.mark.parametrize("points", [-1, 0, 1, 10**9])
def test_points_out_of_range(store, points):
    with pytest.raises(ValueError, match=r"points must lie in 2\.\."):
        store.curve(store.enqueue(RunConfig()), "train", points=points)


def test_a_split_that_does_not_exist(store):
    with pytest.raises(ValueError, match="Did you mean 'train'"):
        store.curve(store.enqueue(RunConfig()), "trian")


@pytest.mark.parametrize("length", [0, 1, 100, 1000])
def test_a_block_of_the_wrong_length_is_damage(length):
    with pytest.raises(ValueError, match="damaged"):
        levels.unpack(b"x" * length, 1, 3, 2)
