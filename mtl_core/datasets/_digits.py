"""The handwritten digits that come with scikit-learn, split once per seed before anything is made of them."""

from __future__ import annotations

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from mtl_core.chance import stream
from mtl_core.records import Split

SHARES: dict[Split, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}

SOURCE = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, "
    "https://doi.org/10.24432/C50P49: the 1797 digits of its test set, as scikit-learn ships them."
)
LICENCE = "Digits: Creative Commons Attribution 4.0 (CC BY 4.0), E. Alpaydin and C. Kaynak."


@cache
def base_digits() -> tuple[Tensor, Tensor]:
    """All base digits: ink in 0..1, float32 [1797, 8, 8], and class, int64 [1797]. Not to be written to."""
    bunch = load_digits()
    return torch.from_numpy(bunch.images).float() / 16, torch.from_numpy(bunch.target).long()


def base_split(split: Split, seed: int) -> Tensor:
    """Which base digits a split may use, int64: each class is dealt 60 / 20 / 20, so every split has all of them."""
    _, labels = base_digits()
    order = torch.randperm(len(labels), generator=stream(seed, "digits", "split"))
    parts = []
    for digit in range(10):
        members = order[labels[order] == digit]
        first = round(len(members) * SHARES["train"])
        second = first + round(len(members) * SHARES["validation"])
        parts.append({"train": members[:first], "validation": members[first:second], "test": members[second:]}[split])
    return torch.cat(parts)


def draw(pool: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """``n`` members of the pool, with replacement."""
    return pool[torch.randint(len(pool), (n,), generator=generator)]
