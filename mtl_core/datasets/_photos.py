"""The two photographs that come with scikit-learn, cut into tiles that belong to one split each."""

from __future__ import annotations

from functools import cache

import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn import functional

from mtl_core.chance import stream
from mtl_core.records import Split

TITLES = ("temple", "flower")  # china.jpg, flower.jpg
ROWS, COLUMNS = 4, 6  # tiles of a photograph
TILE = 53  # pixels of a tile's side, at half the photograph's resolution
N_TILES: dict[Split, int] = {"train": 14, "validation": 5, "test": 5}

SOURCE = (
    "Photographs china.jpg and flower.jpg, as scikit-learn ships them (load_sample_images), from Flickr: "
    "https://www.flickr.com/photos/danielbuechele/6061409035 and https://www.flickr.com/photos/vultilion/6056698931."
)
LICENCE = (
    "Photographs: Creative Commons Attribution 2.0 (CC BY 2.0), danielbuechele and vultilion on Flickr "
    "(by scikit-learn's own README of the pictures)."
)


@cache
def photo_atlas() -> Tensor:
    """Both photographs at half size beside each other, RGB in 0..1, float32 [3, 213, 640]. Not to be written to."""
    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255 for photo in load_sample_images().images]
    return torch.cat([functional.avg_pool2d(photo, 2) for photo in photos], dim=2)


def tile_split(split: Split, seed: int) -> Tensor:
    """Upper left corners (x, y) in the atlas of the tiles that a split may cut from, float32 [2, K, 2]: K per photograph."""
    corners = []
    for photo in range(len(TITLES)):
        order = torch.randperm(ROWS * COLUMNS, generator=stream(seed, "photos", "split", photo))
        first = {"train": 0, "validation": N_TILES["train"], "test": N_TILES["train"] + N_TILES["validation"]}[split]
        chosen = order[first : first + N_TILES[split]]
        x = chosen % COLUMNS * TILE + photo * (photo_atlas().shape[2] // len(TITLES))
        y = chosen // COLUMNS * TILE
        corners.append(torch.stack([x, y], dim=1).float())
    return torch.stack(corners)
