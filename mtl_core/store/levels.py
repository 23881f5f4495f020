"""Levels of detail: a long series as low, high and mean of ever larger buckets, so that any window draws at once.

Level 0 holds every row. A row of level l stands for 4 rows of level l - 1, so for 4^l rows counted from the start of the
series: which rows meet in a bucket depends on the rows alone, never on when they were written or whether the run was resumed.
Only whole buckets are kept; the end of a series that fills none yet is read from finer levels.

Legend: N rows or buckets, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACTOR = 4
CHUNK = 256  # rows of a level in one stored block; a multiple of FACTOR
PLACES = (3, 6)  # numbers that say where a row is: in level 0, above
KINDS = (1, 4)  # numbers per column: in level 0, above

_PLACE, _NUMBER = np.dtype("<f8"), np.dtype("<f4")  # float64 holds steps up to 2^53 exactly


@dataclass(frozen=True)
class Rows:
    """Rows of one level.

    Shapes: ``places`` float64, [N, 3] in level 0 (step, epoch, time), else [N, 6] (first and last step, first and last epoch,
    first and last time of the bucket); ``numbers`` float32, [N, 1, C] in level 0, else [N, 4, C]: low, high, mean, and how
    many rows were no NaN.
    """

    places: NDArray[np.float64]
    numbers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.places)

    def part(self, start: int, end: int | None = None) -> Rows:
        """Rows ``start`` to ``end`` (not included), without a copy."""
        return Rows(self.places[start:end], self.numbers[start:end])

    @property
    def first_step(self) -> int:
        return int(self.places[0, 0])

    @property
    def last_step(self) -> int:
        return int(self.places[-1, 1 if self.places.shape[1] == PLACES[1] else 0])


@dataclass(frozen=True)
class Piece:
    """Rows ``start`` to ``end`` (not included) of one level."""

    level: int
    start: int
    end: int


def empty(level: int, n_columns: int) -> Rows:
    """No rows of a level."""
    above = int(level > 0)
    return Rows(np.empty((0, PLACES[above]), _PLACE), np.empty((0, KINDS[above], n_columns), _NUMBER))


def join(parts: list[Rows]) -> Rows:
    """Rows of one level, one after the other; at least one part."""
    return Rows(np.concatenate([rows.places for rows in parts]), np.concatenate([rows.numbers for rows in parts]))


def pack(rows: Rows) -> bytes:
    """Rows as bytes, little-endian: all places, then all numbers."""
    return rows.places.astype(_PLACE, copy=False).tobytes() + rows.numbers.astype(_NUMBER, copy=False).tobytes()


def unpack(block: bytes, level: int, n_rows: int, n_columns: int) -> Rows:
    """What ``pack`` packed, without a copy. Raises ValueError if the length is wrong."""
    above = int(level > 0)
    n_places, n_numbers = n_rows * PLACES[above], n_rows * KINDS[above] * n_columns
    expected = n_places * _PLACE.itemsize + n_numbers * _NUMBER.itemsize
    if len(block) != expected:
        raise ValueError(
            f"a block of the store has {len(block)} bytes instead of {expected}: the store is damaged; bring back a copy of it"
        )
    places = np.frombuffer(block, _PLACE, n_places).reshape(n_rows, PLACES[above])
    numbers = np.frombuffer(block, _NUMBER, n_numbers, offset=n_places * _PLACE.itemsize)
    return Rows(places, numbers.reshape(n_rows, KINDS[above], n_columns))


def as_buckets(rows: Rows) -> Rows:
    """Rows of level 0 as buckets of one row each; others as they are."""
    if rows.places.shape[1] == PLACES[1]:
        return rows
    values = rows.numbers[:, 0]
    numbers = np.stack([values, values, values, (~np.isnan(values)).astype(_NUMBER)], axis=1)
    return Rows(np.repeat(rows.places, 2, axis=1), numbers)


def merge(buckets: Rows, starts: NDArray[np.intp]) -> Rows:
    """One bucket for each run of buckets that begins at ``starts`` (rising, the first is 0).

    NaN says "nothing was measured" and is left out; a bucket of nothing but NaN is NaN. Infinite values stay. The mean is
    over rows, so buckets of unequal size count for what they hold.
    """
    ends = np.append(starts[1:], len(buckets)) - 1
    places = np.empty((len(starts), PLACES[1]), _PLACE)
    places[:, 0::2] = buckets.places[starts, 0::2]
    places[:, 1::2] = buckets.places[ends, 1::2]
    low, high, mean, count = (buckets.numbers[:, kind].astype(np.float64) for kind in range(KINDS[1]))
    merged = np.empty((len(starts), *buckets.numbers.shape[1:]), _NUMBER)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, as the mean of such a bucket should be
        merged[:, 0] = np.fmin.reduceat(low, starts, axis=0)
        merged[:, 1] = np.fmax.reduceat(high, starts, axis=0)
        total = np.add.reduceat(np.where(count > 0, mean * count, 0.0), starts, axis=0)
        merged[:, 3] = n = np.add.reduceat(count, starts, axis=0)
        merged[:, 2] = np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)  # nothing measured: no mean
    return Rows(places, merged)


def coarsen(rows: Rows) -> Rows:
    """The next level's rows for 4·N rows of this one."""
    assert len(rows) % FACTOR == 0
    return merge(as_buckets(rows), np.arange(0, len(rows), FACTOR))


def bucket_bits(first: int, end: int, most: int) -> int:
    """The smallest k such that at most ``most`` buckets of 2^k rows touch rows ``first`` to ``end`` (not included).

    >>> bucket_bits(0, 1_000_000, 750)  # 489 buckets of 2,048 rows
    11
    """
    bits = 0
    while ((end - 1) >> bits) - (first >> bits) + 1 > most:
        bits += 1
    return bits


def cover(first: int, end: int, level: int) -> list[Piece]:
    """Rows ``first`` to ``end`` (not included) of level 0 from whole buckets of ``level`` and, at both ends, finer ones.

    >>> cover(3, 22, 1)
    [Piece(level=0, start=3, end=4), Piece(level=1, start=1, end=5), Piece(level=0, start=20, end=22)]
    """
    left, right = [], []
    for finer in range(level):
        start = min(-(-first // FACTOR) * FACTOR, end)
        stop = max(end // FACTOR * FACTOR, start)
        left.append(Piece(finer, first, start))
        right.append(Piece(finer, stop, end))
        first, end = start // FACTOR, stop // FACTOR
    pieces = [*left, Piece(level, first, end), *reversed(right)]
    return [piece for piece in pieces if piece.end > piece.start]


def group_starts(pieces: list[Piece], bits: int) -> NDArray[np.intp]:
    """Where, in the joined rows of the pieces, a new bucket of 2^bits rows begins."""
    rows = np.concatenate([np.arange(piece.start, piece.end) * FACTOR**piece.level for piece in pieces])
    groups = rows >> bits
    return np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
