"""Named streams of chance: every random thing comes from the run's seed and from its own name.

Two streams never share numbers, so that adding a random choice in one place changes no other place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, *labels: object) -> int:
    """A 63-bit seed from the run's seed and the stream's name; the same on every machine.

    >>> derive_seed(0, "order") == derive_seed(0, "order"), derive_seed(0, "order") == derive_seed(1, "order")
    (True, False)
    """
    text = "/".join([str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(seed: int, *labels: object) -> torch.Generator:
    """A CPU generator of its own for that name (CPU: the same numbers whatever the device)."""
    return torch.Generator().manual_seed(derive_seed(seed, *labels))


@contextmanager
def seeded(seed: int, *labels: object) -> Iterator[None]:
    """Make torch's global generator the named stream inside the block (layer initialisation reads only that one)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, *labels))
        yield
