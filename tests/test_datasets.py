"""Data sets: every one on the shelf keeps the contract; the pictures and labels of each say the same."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from mtl_core.batches import Examples
from mtl_core.datasets import DATASETS, Dataset
from mtl_core.datasets._digits import base_digits, base_split
from mtl_core.datasets._photos import N_TILES, TILE, photo_atlas, tile_split
from mtl_core.datasets._scenes import CONTRAST, LUMA, tight_boxes
from mtl_core.datasets._shift import shift
from mtl_core.datasets.digit_scenes import DigitScenes
from mtl_core.datasets.multi_digits import MultiDigits
from mtl_core.datasets.teacher import Teacher
from mtl_core.records import SPLITS, Split
from mtl_core.tasks.angle import Angle
from mtl_core.tasks.box import Box
from mtl_core.tasks.classification import Classification
from mtl_core.tasks.mask import Mask
from mtl_core.tasks.regression import Regression

CPU = torch.device("cpu")
SMALL: dict[str, dict[str, Any]] = {
    "digit_scenes": {"scenes": 300, "held_out": 100},
    "multi_digits": {"pairs": 300, "held_out": 100},
    "teacher": {"n_tasks": 3, "labels": [300, 20, 5], "train": 300},
}


def build(name: str, **knobs: Any) -> Dataset:
    dataset, checked = DATASETS.parse({"name": name, **SMALL.get(name, {}), **knobs})
    return dataset(checked)


def scenes(**knobs: Any) -> DigitScenes:
    return cast(DigitScenes, build("digit_scenes", **knobs))


def same(one: Examples, other: Examples) -> bool:
    return torch.equal(one.inputs, other.inputs) and all(
        torch.equal(values, other.targets[task]) for task, values in one.targets.items()
    )


# --- every data set on the shelf


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", DATASETS.names())
def test_contract(name: str, split: Split) -> None:
    """Shapes, types, ranges and sizes are what the data set and its tasks say."""
    dataset = build(name)
    examples = dataset.load(split, seed=0, device=CPU)
    assert len(examples) == dataset.sizes()[split]
    assert examples.inputs.shape == (len(examples), *dataset.input_shape)
    assert examples.inputs.dtype == torch.float32
    assert torch.isfinite(examples.inputs).all()
    assert examples.inputs.std() > 0.1
    if len(dataset.input_shape) == 3:
        assert examples.inputs.min() >= 0
        assert examples.inputs.max() <= 1
    assert list(examples.targets) == [task.name for task in dataset.tasks()]
    for task in dataset.tasks():
        targets = examples.targets[task.name]
        assert len(targets) == len(examples)
        assert torch.isfinite(targets.float()).all()
        if isinstance(task, Classification):
            assert targets.dtype == torch.int64
            assert set(targets.tolist()) == set(range(len(task.classes)))
        elif isinstance(task, Box):
            assert targets.dtype == torch.float32
            assert (targets[:, :2] >= 0).all()
            assert (targets[:, 2:] > targets[:, :2]).all()
            assert (targets[:, 2:] <= dataset.input_shape[1]).all()
        elif isinstance(task, Mask):
            assert targets.dtype == torch.bool
            assert targets.shape[1:] == task.image
        elif isinstance(task, Angle):
            assert targets.dtype == torch.float32
            assert (targets.abs() <= 180).all()
        elif isinstance(task, Regression):
            assert targets.shape == (len(examples), task.dims)
    for task_name, mask in examples.labelled.items():
        assert task_name in examples.targets
        assert mask.dtype == torch.bool
        assert mask.shape == (len(examples),)
        assert mask.any()


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_task_can_score_its_own_targets(name: str) -> None:
    dataset = build(name)
    examples = dataset.load("test", seed=0, device=CPU).take(slice(0, 16))
    for task in dataset.tasks():
        features = (8, 4, 4) if len(dataset.input_shape) == 3 else (8,)
        outputs = task.head(features)(torch.randn(16, *features))
        assert torch.isfinite(task.loss(outputs, examples.targets[task.name])).all()
        assert len(task.preview(examples.targets[task.name])) == 16


@pytest.mark.parametrize("name", DATASETS.names())
def test_the_seed_decides_everything_and_the_splits_differ(name: str) -> None:
    dataset, twin = build(name), build(name)
    torch.manual_seed(1)
    first = dataset.load("train", seed=0, device=CPU)
    torch.manual_seed(2)
    assert same(first, twin.load("train", seed=0, device=CPU))
    assert not same(first, dataset.load("train", seed=1, device=CPU))
    held_out = [dataset.load(split, seed=0, device=CPU).inputs[:50] for split in ("validation", "test")]
    assert not torch.equal(held_out[0], held_out[1])
    assert not torch.equal(first.inputs[:50], held_out[0])


@pytest.mark.parametrize("name", DATASETS.names())
def test_describe_is_json_with_licence_source_and_tasks(name: str) -> None:
    described = json.loads(json.dumps(DATASETS[name].describe()))
    assert described["licence"]
    assert described["source"]
    offered = [task["name"] for task in described["tasks"]]
    assert described["default_tasks"]
    assert set(described["default_tasks"]) <= set(offered)
    for knob in described["knobs"]:
        assert knob["help"].endswith(".")
        assert knob["type"] in ("int", "float", "bool", "str", "list")


@pytest.mark.parametrize("name", [name for name in DATASETS.names() if DATASETS[name].describe()["can_augment"]])
def test_augmentation_is_seeded_and_leaves_its_input_alone(name: str) -> None:
    dataset = build(name)
    examples = dataset.load("train", seed=0, device=CPU).take(slice(0, 64))
    before = examples.inputs.clone()
    targets = {task: values.clone() for task, values in examples.targets.items()}

    def varied(strength: float, seed: int) -> Examples:
        return dataset.augment(examples, strength=strength, generator=torch.Generator().manual_seed(seed))

    assert same(varied(0.0, 0), examples)
    assert same(varied(0.5, 0), varied(0.5, 0))
    assert not same(varied(0.5, 0), varied(0.5, 1))
    assert torch.equal(examples.inputs, before)
    assert all(torch.equal(examples.targets[task], values) for task, values in targets.items())
    little, much = ((varied(strength, 3).inputs - before).abs().mean() for strength in (0.05, 1.0))
    assert 0 < little < much
    assert varied(1.0, 0).labelled.keys() == examples.labelled.keys()
    if len(dataset.input_shape) == 3:
        assert varied(1.0, 0).inputs.min() >= 0
        assert varied(1.0, 0).inputs.max() <= 1


# --- no leak


@pytest.mark.parametrize("seed", [0, 7])
def test_base_digits_are_dealt_once_and_every_split_has_every_class(seed: int) -> None:
    parts = {split: base_split(split, seed) for split in SPLITS}
    everything = torch.cat(list(parts.values()))
    assert sorted(everything.tolist()) == list(range(1797))
    assert [round(len(parts[split]) / 1797, 2) for split in SPLITS] == [0.6, 0.2, 0.2]
    _, labels = base_digits()
    for part in parts.values():
        assert labels[part].bincount(minlength=10).min() > 30
    assert not torch.equal(base_split("test", seed), base_split("test", seed + 1))


def test_scenes_and_pairs_use_the_digits_and_tiles_of_their_split_alone() -> None:
    dataset = scenes(scenes=2000, held_out=1000)
    pairs = cast(MultiDigits, build("multi_digits", pairs=2000, held_out=1000))
    for split in SPLITS:
        allowed = set(base_split(split, 5).tolist())
        recipe = dataset.recipe(split, seed=5)
        assert set(recipe.base.tolist()) <= allowed
        assert set(pairs.pairs(split, seed=5).flatten().tolist()) <= allowed
        tiles = tile_split(split, 5)[recipe.photo]  # [N, K, 2]
        low, high = recipe.corner[:, None], (recipe.corner + recipe.side[:, None])[:, None]
        reach = 0.5 - 1e-3  # pixels: a lookup mixes neighbours; a little for rounding
        is_within = ((low - reach >= tiles) & (high + reach <= tiles + TILE)).all(dim=2)
        assert is_within.any(dim=1).all()


def test_tiles_of_the_splits_share_no_pixel() -> None:
    corners = torch.cat([tile_split(split, 3).reshape(-1, 2) for split in SPLITS])
    assert len(corners) == 2 * sum(N_TILES.values()) == len({tuple(corner) for corner in corners.tolist()})
    assert (corners[:, 0] % (photo_atlas().shape[2] // 2) % TILE == 0).all()
    assert (corners[:, 1] % TILE == 0).all()
    assert (corners[:, 1] + TILE <= photo_atlas().shape[1]).all()
    assert (corners[:, 0] + TILE <= photo_atlas().shape[2]).all()


# --- scenes


def loop_box(mask: Tensor) -> list[float]:
    """The tight box, pixel by pixel."""
    hits = [(row, column) for row in range(len(mask)) for column in range(mask.shape[1]) if mask[row, column]]
    rows, columns = [row for row, _ in hits], [column for _, column in hits]
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


@pytest.mark.parametrize("size", [32, 48])
def test_boxes_are_tight_around_masks_that_lie_inside(size: int) -> None:
    examples = scenes(size=size, scenes=200, max_turn=180.0).load("train", seed=0, device=CPU)
    masks, boxes = examples.targets["mask"], examples.targets["box"]
    for mask, box in zip(masks, boxes, strict=True):
        assert box.tolist() == loop_box(mask)
    edge = torch.cat([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], dim=1)
    assert edge.float().mean() < 1e-3  # no digit is cut: hardly one of them even touches the frame
    assert masks.sum(dim=(1, 2)).min() > 20 * (size / 32) ** 2


def test_tight_boxes_by_hand() -> None:
    masks = torch.zeros(3, 4, 6, dtype=torch.bool)
    masks[0, 1, 2] = True
    masks[1] = True
    boxes = tight_boxes(masks)
    assert boxes.tolist() == [[2, 1, 3, 2], [0, 0, 6, 4], [0, 0, 0, 0]]


def test_an_unturned_digit_is_the_base_digit() -> None:
    """Reading the picture's mask back on the 8 × 8 grid gives the base digit's ink: upright, not mirrored, in place."""
    dataset = scenes(size=48, max_turn=0.0, min_scale=0.85, max_scale=0.85)
    recipe = dataset.recipe("test", seed=0)
    examples = dataset.load("test", seed=0, device=CPU)
    images, labels = base_digits()
    assert torch.equal(examples.targets["digit"], labels[recipe.base])
    assert (examples.targets["angle"] == 0).all()
    cells = (torch.arange(8) - 3.5) / 8 * 0.85
    for n in range(20):
        x = ((recipe.centre[n, 0] + cells) * 48).long().clamp(0, 47)  # cells without ink may lie outside
        y = ((recipe.centre[n, 1] + cells) * 48).long().clamp(0, 47)
        read = examples.targets["mask"][n][y][:, x].float()
        agreement = torch.corrcoef(torch.stack([read.flatten(), images[recipe.base[n]].flatten()]))[0, 1]
        assert agreement > 0.7


def test_turns_go_counter_clockwise() -> None:
    """Turning a one by 90° counter-clockwise takes its top to the left."""
    dataset = scenes(max_turn=180.0, scenes=2000)
    recipe = dataset.recipe("train", seed=0)
    masks = dataset.load("train", seed=0, device=CPU).targets["mask"].float()
    images, _ = base_digits()
    at = (torch.arange(8) - 3.5) / 8
    ink = images[recipe.base]
    weights = ink / ink.sum(dim=(1, 2), keepdim=True)
    x0, y0 = (weights.sum(dim=1) * at).sum(dim=1), (weights.sum(dim=2) * at).sum(dim=1)
    radians = torch.deg2rad(recipe.turn)
    x = recipe.centre[:, 0] + recipe.scale * (x0 * radians.cos() + y0 * radians.sin())
    y = recipe.centre[:, 1] + recipe.scale * (-x0 * radians.sin() + y0 * radians.cos())
    share = masks / masks.sum(dim=(1, 2), keepdim=True)
    pixels = (torch.arange(32) + 0.5) / 32
    torch.testing.assert_close((share.sum(dim=1) * pixels).sum(dim=1), x, rtol=0, atol=0.03)
    torch.testing.assert_close((share.sum(dim=2) * pixels).sum(dim=1), y, rtol=0, atol=0.03)


def test_digits_stand_out_from_what_they_cover() -> None:
    examples = scenes(scenes=1000).load("train", seed=0, device=CPU)
    brightness = (examples.inputs * torch.tensor(LUMA)[None, :, None, None]).sum(dim=1)
    masks = examples.targets["mask"].float()
    digit = (brightness * masks).sum(dim=(1, 2)) / masks.sum(dim=(1, 2))
    x1, y1, x2, y2 = examples.targets["box"].long().T[:, :, None, None]
    rows, columns = torch.arange(32)[None, :, None], torch.arange(32)[None, None, :]
    around = ((columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2)).float() * (1 - masks)
    ground = (brightness * around).sum(dim=(1, 2)) / around.sum(dim=(1, 2)).clamp(min=1)
    # soft edges lie on both sides of the mask, and a photograph is not even: some of the contrast is lost there
    assert (digit - ground).abs().quantile(0.02) > CONTRAST / 3
    assert (digit - ground).abs().median() > CONTRAST * 0.6


def test_places_sizes_and_turns_spread_over_their_ranges() -> None:
    recipe = scenes(scenes=4000).recipe("train", seed=0)
    boxes = scenes(scenes=4000).load("train", seed=0, device=CPU).targets["box"]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centres.amin(dim=0).max() <= 9
    assert centres.amax(dim=0).min() >= 23
    assert recipe.turn.abs().max() <= 30
    assert recipe.turn.std() == pytest.approx(30 / 3**0.5, rel=0.05)
    assert recipe.photo.float().mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"min_scale": 0.8, "max_scale": 0.5}, "lower min_scale or raise max_scale"),
        ({"box_loss": "smooth_l1", "box_l1": 1.0}, "set box_l1 to 0"),
        ({"size": 33}, "size: input should be 32 or 48"),
        ({"max_turn": 181}, "less than or equal to 180"),
        ({"max_turn": float("nan")}, "max_turn"),
        ({"box_loss": "iuo"}, "box_loss"),
        ({"scenes": 10}, "greater than or equal to 64"),
        ({"scene": 100}, "Did you mean 'scenes'"),
    ],
)
def test_scenes_refuse(knobs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DATASETS.parse({"name": "digit_scenes", **knobs})


# --- augmentation keeps labels true


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_augmented_boxes_and_masks_move_with_the_picture(strength: float) -> None:
    dataset = scenes()
    examples = dataset.load("train", seed=0, device=CPU)
    varied = dataset.augment(examples, strength=strength, generator=torch.Generator().manual_seed(0))
    boxes, masks = varied.targets["box"], varied.targets["mask"]
    assert torch.equal(boxes, tight_boxes(masks))
    assert torch.equal(masks.sum(dim=(1, 2)), examples.targets["mask"].sum(dim=(1, 2)))  # not a pixel of a digit is lost
    offsets = boxes - examples.targets["box"]
    assert torch.equal(offsets[:, :2], offsets[:, 2:])
    assert 0 < offsets.abs().max() <= 8 * strength + 1e-6 or strength == 0.1
    for task in ("digit", "angle", "photo"):
        assert torch.equal(varied.targets[task], examples.targets[task])
    # undoing the move gives the picture back, up to the light
    back = shift(varied.inputs, -offsets[:, :2].long(), outside="edge")
    inner = examples.targets["mask"][:, None].expand_as(back)
    now, before = back[inner], examples.inputs[inner]
    assert torch.corrcoef(torch.stack([now, before]))[0, 1] > 0.8


def test_augmentation_moves_alike_whichever_tasks_are_kept_if_it_knows_the_place() -> None:
    dataset = scenes()
    examples = dataset.load("train", seed=0, device=CPU)
    pictures = [
        dataset.augment(examples.only(tasks), strength=1.0, generator=torch.Generator().manual_seed(4)).inputs
        for tasks in (["digit", "box"], ["mask"], ["photo", "mask", "box"])
    ]
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])
    alone = dataset.augment(examples.only(["digit"]), strength=1.0, generator=torch.Generator().manual_seed(4))
    assert list(alone.targets) == ["digit"]


def test_shift_by_hand() -> None:
    image = torch.tensor([[[[1.0, 2, 3], [4, 5, 6]]]])
    assert shift(image, torch.tensor([[1, 0]]), outside="edge").tolist() == [[[[1, 1, 2], [4, 4, 5]]]]
    assert shift(image, torch.tensor([[-1, 1]]), outside="zero").tolist() == [[[[0, 0, 0], [2, 3, 0]]]]
    assert shift(image, torch.tensor([[9, 9]]), outside="zero").sum() == 0
    both = shift(image.repeat(2, 2, 1, 1), torch.tensor([[0, 0], [1, 0]]), outside="edge")
    assert both[0, 1].tolist() == image[0, 0].tolist()
    assert both[1, 0].tolist() == [[1, 1, 2], [4, 4, 5]]
    for layout in (torch.contiguous_format, torch.channels_last):
        images = torch.rand(2, 3, 4, 5).contiguous(memory_format=layout)
        assert shift(images, torch.tensor([[1, 0], [0, 2]]), outside="edge").is_contiguous(memory_format=layout)


# --- two digits


@pytest.mark.parametrize("canvas", [10, 12])
def test_pairs_are_overlaid_by_the_brighter_ink(canvas: int) -> None:
    dataset = cast(MultiDigits, build("multi_digits", canvas=canvas))
    examples = dataset.load("validation", seed=0, device=CPU)
    images, labels = base_digits()
    rest = canvas - 8
    for n, (left, right) in enumerate(dataset.pairs("validation", seed=0)[:20].tolist()):
        picture = torch.zeros(canvas, canvas)
        picture[:8, :8] = images[left]
        picture[rest:, rest:] = torch.maximum(picture[rest:, rest:], images[right])
        assert torch.equal(examples.inputs[n, 0], picture)
        assert examples.targets["left"][n] == labels[left]
        assert examples.targets["right"][n] == labels[right]


# --- teachers


def teacher(**knobs: Any) -> Teacher:
    dataset, checked = DATASETS.parse({"name": "teacher", **knobs})
    return cast(Teacher, dataset(checked))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 1.0])
def test_hidden_weights_correlate_by_rho(rho: float) -> None:
    dataset = teacher(rho=rho, inputs=500, hidden=100, n_tasks=3)
    flat = torch.stack([dataset.hidden_weights(name, 0).flatten() for name in "abc"])
    correlation = torch.corrcoef(flat)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert correlation[a, b].item() == pytest.approx(rho, abs=0.02)
    assert flat.std() == pytest.approx(2 / 500**0.5, rel=0.02)


def test_test_targets_are_clean_and_the_others_are_noisy() -> None:
    quiet, loud = teacher(noise=0.0, train=20_000), teacher(noise=0.5, train=20_000)
    for split, spread in (("train", 0.5), ("validation", 0.5), ("test", 0.0)):
        clean, noisy = (dataset.load(split, seed=0, device=CPU) for dataset in (quiet, loud))
        assert torch.equal(clean.inputs, noisy.inputs)
        difference = noisy.targets["b"] - clean.targets["b"]
        assert difference.std().item() == pytest.approx(spread, rel=0.1)
    assert quiet.load("train", seed=0, device=CPU).targets["a"].std().item() == pytest.approx(1, rel=0.05)
    assert quiet.load("train", seed=0, device=CPU).targets["a"].mean().item() == pytest.approx(0, abs=0.05)


def test_scales_multiply_targets_or_losses() -> None:
    plain, loud = teacher(), teacher(target_scale=[1, 10], loss_scale=3)
    a, b = (dataset.load("test", seed=0, device=CPU) for dataset in (plain, loud))
    assert torch.equal(a.targets["a"], b.targets["a"])
    torch.testing.assert_close(10 * a.targets["b"], b.targets["b"])
    outputs, targets = torch.ones(2, 1), torch.zeros(2, 1)
    assert [task.loss(outputs, targets).tolist() for task in loud.tasks()] == [[3, 3], [3, 3]]


def test_missing_labels_are_masked_nested_and_hidden() -> None:
    few, more = (teacher(labels=[n, 2000]).load("train", seed=0, device=CPU) for n in (16, 64))
    assert "b" not in few.labelled
    assert few.n_labelled("a") == 16
    assert few.n_labelled("b") == 2000
    assert (more.labelled["a"] | ~few.labelled["a"]).all()  # the first 16 are among the 64
    assert torch.equal(few.targets["a"][few.labelled["a"]], more.targets["a"][few.labelled["a"]])
    assert (few.targets["a"][~few.labelled["a"]] == 0).all()
    full = teacher().load("train", seed=0, device=CPU)
    assert torch.equal(full.targets["a"][few.labelled["a"]], few.targets["a"][few.labelled["a"]])
    for split in ("validation", "test"):
        assert not teacher(labels=16).load(cast(Split, split), seed=0, device=CPU).labelled
    both = teacher(labels=16).load("train", seed=0, device=CPU).labelled
    assert not torch.equal(both["a"], both["b"])


def test_one_teacher_does_not_depend_on_how_many_others_there_are() -> None:
    two, five = (teacher(n_tasks=n).load("train", seed=0, device=CPU) for n in (2, 5))
    assert torch.equal(two.inputs, five.inputs)
    assert torch.equal(two.targets["b"], five.targets["b"])
    assert list(five.targets) == ["a", "b", "c", "d", "e"]
    assert teacher(n_tasks=5).default_tasks == ("a", "b", "c", "d", "e")
    assert Teacher.default_tasks == ("a", "b")


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"n_tasks": 3, "loss_scale": [1, 2]}, "loss_scale has 2 entries for 3 tasks: give one per task"),
        ({"target_scale": []}, "target_scale has 0 entries"),
        ({"labels": [32, 5000]}, "lower it, or raise train"),
        ({"labels": [0, 5]}, "labels.0: input should be greater than or equal to 1"),
        ({"labels": True}, "labels"),
        ({"labels": [1.5, 2]}, "labels"),
        ({"loss_scale": [1, -1]}, "greater than 0"),
        ({"loss_scale": float("inf")}, "loss_scale"),
        ({"rho": 1.1}, "rho"),
        ({"rho": -0.1}, "rho"),
        ({"n_tasks": 11}, "less than or equal to 10"),
        ({"n_tasks": 1}, "greater than or equal to 2"),
    ],
)
def test_teacher_refuses(knobs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        teacher(**knobs)
