"""Tasks: losses and scores by hand and against other people's code, on the shapes and values that trunks really give."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mtl_core.tasks import Task
from mtl_core.tasks.angle import Angle, angle_error
from mtl_core.tasks.box import Box, box_iou
from mtl_core.tasks.classification import Classification
from mtl_core.tasks.mask import Mask
from mtl_core.tasks.regression import Regression

FEATURES = [(96, 4, 4), (512, 1, 1), (16, 6, 6), (8, 5, 3), (24, 16, 16), (32,), (1,)]


def every_task(size: int = 32) -> dict[str, Task]:
    image = (size, size)
    boxes = {f"box {loss}": Box("box", title="Box", image=image, loss=loss) for loss in ("iou", "giou", "ciou", "smooth_l1")}
    masks = {f"mask {loss}": Mask("mask", title="Mask", image=image, loss=loss) for loss in ("bce", "dice", "bce_dice")}
    return {
        "classification": Classification("digit", title="Digit", classes=["0", "1", "2"]),
        "classification by place": Classification("left", title="Left", classes=["0", "1", "2"], is_anywhere=False),
        **boxes,
        "box with l1": Box("box", title="Box", image=image, loss="giou", l1=2.5),
        **masks,
        "angle": Angle("angle", title="Turn"),
        "regression": Regression("a", title="A", dims=1),
        "regression of three": Regression("a", title="A", dims=3, scale=10),
    }


def some_targets(task: Task, n: int, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    if isinstance(task, Classification):
        return torch.randint(len(task.classes), (n,), generator=chance)
    if isinstance(task, Box):
        corner = torch.rand(n, 2, generator=chance) * 16
        return torch.cat([corner, corner + 1 + torch.rand(n, 2, generator=chance) * 15], dim=1)
    if isinstance(task, Mask):
        return torch.rand(n, *task.image, generator=chance) < 0.3
    if isinstance(task, Angle):
        return torch.rand(n, generator=chance) * 360 - 180
    assert isinstance(task, Regression)
    return torch.randn(n, task.dims, generator=chance)


TASKS = [pytest.param(name, id=name) for name in every_task()]


@pytest.mark.parametrize("features", FEATURES, ids=str)
@pytest.mark.parametrize("name", TASKS)
def test_contract(name: str, features: tuple[int, ...]) -> None:
    """Any head on any features: one loss per sample, finite and not negative, gradients everywhere, predictions like targets."""
    torch.manual_seed(0)
    task = every_task()[name]
    head = task.head(features)
    outputs = head(torch.randn(5, *features))
    targets = some_targets(task, 5)
    losses = task.loss(outputs, targets)
    assert losses.shape == (5,)
    assert torch.isfinite(losses).all()
    assert (losses >= 0).all()
    losses.mean().backward()
    gradients = [parameter.grad for parameter in head.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients if gradient is not None)
    predictions = task.predict(outputs.detach())
    assert predictions.shape == targets.shape
    assert predictions.dtype == targets.dtype or isinstance(task, Mask)
    assert task.headline(outputs.detach(), targets).shape == ()


@pytest.mark.parametrize("name", TASKS)
def test_each_sample_counts_alone(name: str) -> None:
    """A sample's loss does not depend on its neighbours in the batch, so leaving unlabelled ones out is exact."""
    torch.manual_seed(0)
    task = every_task()[name]
    outputs = task.head((96, 4, 4))(torch.randn(6, 96, 4, 4)).detach()
    targets = some_targets(task, 6)
    torch.testing.assert_close(task.loss(outputs, targets)[2:4], task.loss(outputs[2:4], targets[2:4]))


@pytest.mark.parametrize("name", TASKS)
def test_descending_the_loss_improves_the_headline(name: str) -> None:
    torch.manual_seed(0)
    task = every_task(8 if name.startswith("mask") else 32)[name]
    targets = some_targets(task, 8)
    outputs = task.head((16, 4, 4))(torch.randn(8, 16, 4, 4)).detach()
    if isinstance(task, Box):
        outputs += torch.tensor([0.0, 0, 3, 3])  # plain IoU needs boxes that touch
    outputs.requires_grad_()
    optimizer = torch.optim.Adam([outputs], lr=0.1)
    first = task.loss(outputs, targets).mean()
    for _ in range(300):
        optimizer.zero_grad()
        task.loss(outputs, targets).mean().backward()
        optimizer.step()
    last = task.loss(outputs, targets).mean()
    headline = float(task.headline(outputs.detach(), targets))
    assert last < 0.1 * first
    assert headline < 2 if isinstance(task, Angle) else headline > 0.9


@pytest.mark.parametrize("name", TASKS)
def test_headline_agrees_with_the_scorer_and_scorers_add_up_over_batches(name: str) -> None:
    torch.manual_seed(0)
    task = every_task()[name]
    outputs = task.head((96, 4, 4))(torch.randn(12, 96, 4, 4)).detach()
    targets = some_targets(task, 12)
    predictions = task.predict(outputs)
    whole, parts = task.scorers(), task.scorers()
    assert list(whole) == [metric.name for metric in task.metrics]
    for metric in task.metrics:
        whole[metric.name].update(predictions, targets)
        for some in (slice(0, 5), slice(5, 12)):
            parts[metric.name].update(predictions[some], targets[some])
        torch.testing.assert_close(whole[metric.name].compute(), parts[metric.name].compute())
    torch.testing.assert_close(task.headline(outputs, targets), whole[task.metrics[0].name].compute())


@pytest.mark.parametrize("name", TASKS)
def test_half_precision_outputs_are_scored_in_full(name: str) -> None:
    """Mixed precision gives bfloat16 outputs; losses near zero need more digits than that."""
    torch.manual_seed(0)
    task = every_task()[name]
    outputs = task.head((96, 4, 4))(torch.randn(4, 96, 4, 4)).detach()
    targets = some_targets(task, 4)
    halves = outputs.bfloat16()
    assert task.loss(halves, targets).dtype == torch.float32
    torch.testing.assert_close(task.loss(halves, targets), task.loss(halves.float(), targets))
    assert task.loss(outputs.double(), targets).dtype == torch.float64


@pytest.mark.parametrize("name", TASKS)
def test_spec_is_json_and_preview_is_an_array(name: str) -> None:
    task = every_task()[name]
    spec = json.loads(json.dumps(task.spec()))
    assert spec["kind"] == task.kind
    assert [metric["name"] for metric in spec["metrics"]] == [metric.name for metric in task.metrics]
    array = task.preview(some_targets(task, 3))
    assert len(array) == 3


@pytest.mark.parametrize("value", [0.0, 1e4, -1e4, 1e38])
@pytest.mark.parametrize("name", TASKS)
def test_extreme_outputs_give_losses_or_honest_infinities_never_nan(name: str, value: float) -> None:
    task = every_task()[name]
    outputs = torch.full_like(task.head((8,))(torch.randn(2, 8)), value).requires_grad_()
    losses = task.loss(outputs, some_targets(task, 2))
    assert not losses.isnan().any()
    losses.sum().backward()
    assert outputs.grad is not None
    assert not outputs.grad.isnan().any()


class NoWaiting(TorchDispatchMode):
    """Fails on operations whose result the host must wait for on a GPU: reading a number, picking by a mask."""

    waits = ("_local_scalar_dense", "nonzero", "masked_select", "equal.", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in self.waits), func
        if "aten.index" in str(func):
            assert not any(index is not None and index.dtype == torch.bool for index in args[1]), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", TASKS)
def test_a_step_never_waits_for_the_device(name: str) -> None:
    task = every_task()[name]
    outputs = torch.randn(4, *task.head((8,))(torch.randn(4, 8)).shape[1:], requires_grad=True)
    targets = some_targets(task, 4)
    with NoWaiting():
        task.loss(outputs, targets).mean().backward()
        task.headline(outputs.detach(), targets)
        task.predict(outputs.detach())
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NoWaiting():
        outputs.detach().sum().item()
    with pytest.raises(AssertionError, match="index"), NoWaiting():
        outputs.detach()[outputs.detach() > 0]


def test_heads_refuse_other_features() -> None:
    for task in every_task().values():
        with pytest.raises(ValueError, match=r"feature map \(C, H, W\) or a vector"):
            task.head((3, 4))


# --- boxes


def outputs_for(boxes: Tensor, size: float = 32.0) -> Tensor:
    """Outputs that stand for these boxes."""
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return torch.logit(torch.cat([centre / size, (sides / size - 1e-3) / (1 - 1e-3)], dim=1).double()).float()


def test_iou_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [2, 3, 5, 9]])
    others = torch.tensor([[5.0, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4], [2, 3, 5, 9]])
    torch.testing.assert_close(box_iou(boxes, others), torch.tensor([50 / 150, 0, 4 / 100, 1]))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("iou", 1 - 1 / 3),
        ("giou", 1 - 1 / 3),  # the hull is the union
        ("ciou", 1 - 1 / 3 + 25 / (15**2 + 10**2)),  # centres 5 apart, hull 15 × 10, same shape
        ("smooth_l1", 2 * (5 / 32 - 0.05) / 4 / 0.1),  # two coordinates 5 pixels off
    ],
)
def test_box_losses_by_hand(loss: Any, expected: float) -> None:
    task = Box("box", title="Box", image=(32, 32), loss=loss)
    outputs = outputs_for(torch.tensor([[1.0, 1, 11, 11]]))
    torch.testing.assert_close(task.predict(outputs), torch.tensor([[1.0, 1, 11, 11]]))
    assert task.loss(outputs, torch.tensor([[6.0, 1, 16, 11]])).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ["giou", "ciou"])
def test_box_losses_and_gradients_against_torchvision(loss: Any) -> None:
    from torchvision import ops

    theirs = {"giou": ops.generalized_box_iou_loss, "ciou": ops.complete_box_iou_loss}[loss]
    task = Box("box", title="Box", image=(32, 32), loss=loss)
    outputs = (2 * torch.randn(500, 4, generator=torch.Generator().manual_seed(3))).double().requires_grad_()
    targets = some_targets(task, 500).double()
    ours = task.loss(outputs, targets)
    expected = theirs(task.predict(outputs), targets)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
    (a,), (b,) = torch.autograd.grad(ours.sum(), outputs), torch.autograd.grad(expected.sum(), outputs)
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4), st.sampled_from(["iou", "giou", "ciou", "smooth_l1"]))
def test_predicted_boxes_are_boxes_and_their_losses_bounded(numbers: list[float], loss: Any) -> None:
    task = Box("box", title="Box", image=(48, 32), loss=loss)
    outputs = torch.tensor([numbers])
    box = task.predict(outputs)[0]
    assert box[0] < box[2]
    assert box[1] < box[3]
    assert 0 <= task.loss(outputs, torch.tensor([[3.0, 4, 20, 30]])).item() < 11
    assert -1e-6 <= task.loss(outputs, task.predict(outputs)).item() < 1e-2


def test_giou_pulls_boxes_that_do_not_touch_and_plain_iou_does_not() -> None:
    far = torch.tensor([[0.0, 0, 4, 4]])
    choices: dict[Any, bool] = {"iou": False, "giou": True, "ciou": True, "smooth_l1": True}
    for loss, pulls in choices.items():
        outputs = outputs_for(far).requires_grad_()
        Box("box", title="Box", image=(32, 32), loss=loss).loss(outputs, torch.tensor([[20.0, 20, 30, 30]])).sum().backward()
        assert outputs.grad is not None
        assert bool((outputs.grad[0, :2] < 0).all()) is pulls


def test_box_rows_are_width_then_height() -> None:
    task = Box("box", title="Box", image=(20, 40))
    torch.testing.assert_close(task.predict(torch.zeros(1, 4)), torch.tensor([[9.99, 4.995, 30.01, 15.005]]))


def test_share_of_boxes_found() -> None:
    scorer = Box("box", title="Box", image=(32, 32)).scorers()["found"]
    truth = torch.tensor([[0.0, 0, 10, 10]] * 4)
    scorer.update(torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5.01], [0, 0, 10, 4], [20, 20, 30, 30]]), truth)
    assert scorer.compute() == 0.5
    scorer.reset()
    scorer.update(truth, truth)
    assert scorer.compute() == 1


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [({"loss": "iuo"}, "choose one of iou, giou, ciou, smooth_l1"), ({"loss": "smooth_l1", "l1": 1.0}, "set box_l1 to 0")],
)
def test_box_refuses(choice: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Box("box", title="Box", image=(32, 32), **choice)


# --- masks


def test_mask_losses_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3)], [-math.log(3), 0.0]]])  # probabilities 1/2 3/4 / 1/4 1/2
    truth = torch.tensor([[[True, True], [False, False]]])
    bce = (2 * math.log(2) + 2 * math.log(4 / 3)) / 4
    dice = 1 - 2 * (1 / 2 + 3 / 4) / ((1 / 4 + 9 / 16 + 1 / 16 + 1 / 4) + 2)
    expectations: dict[Any, float] = {"bce": bce, "dice": dice, "bce_dice": bce + dice}
    for loss, expected in expectations.items():
        task = Mask("mask", title="Mask", image=(2, 2), loss=loss)
        assert task.loss(logits, truth).item() == pytest.approx(expected, rel=1e-6)


def test_mask_iou_by_hand_and_empty_pictures() -> None:
    task = Mask("mask", title="Mask", image=(1, 4))
    logits = torch.tensor([[[5.0, 5, -5, -5]]])
    truth = torch.tensor([[[True, False, True, False]]])
    assert task.headline(logits, truth) == pytest.approx(1 / 3)
    pixels = task.scorers()["pixels"]
    pixels.update(task.predict(logits), truth)
    assert pixels.compute() == 0.5
    nothing = torch.zeros(1, 1, 4, dtype=torch.bool)
    assert task.headline(torch.full((1, 1, 4), -5.0), nothing) == 0
    assert Mask("mask", title="Mask", image=(1, 4), loss="dice").loss(torch.full((1, 1, 4), -200.0), nothing) == 1


def test_mask_preview_is_probability_in_bytes() -> None:
    task = Mask("mask", title="Mask", image=(1, 3))
    array = task.preview(torch.tensor([[[0.0, 0.5, 1.0]]]))
    assert array.dtype == "uint8"
    assert array.tolist() == [[[0, 128, 255]]]
    assert task.preview(torch.tensor([[[True, False, True]]])).tolist() == [[[255, 0, 255]]]


def test_each_place_of_the_features_writes_its_own_corner_of_the_mask() -> None:
    torch.manual_seed(0)
    head = Mask("mask", title="Mask", image=(32, 32)).head((8, 4, 4))
    features = torch.zeros(1, 8, 4, 4)
    before = head(features)
    features[..., 0, 0] = 5
    changed = (head(features) - before)[0].abs() > 0
    assert changed[:8, :8].all()
    assert not changed[16:].any()
    assert not changed[:, 16:].any()


def test_mask_refuses_an_unknown_loss() -> None:
    unknown: Any = "focal"
    with pytest.raises(ValueError, match="choose one of bce, dice, bce_dice"):
        Mask("mask", title="Mask", image=(2, 2), loss=unknown)


# --- angles


@pytest.mark.parametrize(
    ("first", "second", "apart"), [(179, -179, 2), (0, 360, 0), (-180, 180, 0), (10, 350, 20), (90, -90, 180), (-170, 100, 90)]
)
def test_angles_are_compared_the_short_way_round(first: float, second: float, apart: float) -> None:
    a, b = torch.tensor([float(first)]), torch.tensor([float(second)])
    torch.testing.assert_close(angle_error(a, b), torch.tensor([float(apart)]))
    torch.testing.assert_close(angle_error(b, a), torch.tensor([float(apart)]))


def test_angle_loss_is_one_minus_the_cosine_whatever_the_length() -> None:
    task = Angle("angle", title="Turn")
    for degrees, length in itertools.product((0, 1, 90, 179, -120), (0.05, 1, 40)):
        radians = math.radians(degrees + 25)
        outputs = length * torch.tensor([[math.sin(radians), math.cos(radians)]])
        loss = task.loss(outputs, torch.tensor([25.0])).item()
        assert loss == pytest.approx(1 - math.cos(math.radians(degrees)), rel=1e-3, abs=1e-9)
    assert task.loss(torch.tensor([[0.0, 0.0]]), torch.tensor([77.0])).item() == pytest.approx(0.5)


@settings(max_examples=100, deadline=None)
@given(st.floats(-180, 180))
def test_angle_prediction_undoes_the_target(degrees: float) -> None:
    task = Angle("angle", title="Turn")
    radians = math.radians(degrees)
    outputs = torch.tensor([[math.sin(radians), math.cos(radians)]])
    targets = torch.tensor([degrees])
    assert task.loss(outputs, targets).item() < 1e-9
    assert angle_error(task.predict(outputs), targets).item() < 1e-3


def test_share_of_near_angles() -> None:
    scorer = Angle("angle", title="Turn").scorers()["near"]
    scorer.update(torch.tensor([0.0, 14.0, 16.0, -179.0]), torch.tensor([0.0, 0.0, 0.0, 179.0]))
    assert scorer.compute() == 0.75


# --- classes and numbers


def test_classification_by_hand() -> None:
    task = Classification("digit", title="Digit", classes=["a", "b"])
    outputs = torch.tensor([[0.0, math.log(3)], [2.0, 2.0], [9.0, -9.0], [-9.0, 9.0]])
    targets = torch.tensor([1, 0, 0, 0])
    expected = torch.tensor([math.log(4 / 3), math.log(2), 0, 18])
    torch.testing.assert_close(task.loss(outputs, targets), expected, rtol=1e-6, atol=1e-6)
    assert task.headline(outputs, targets) == 0.75
    f1 = task.scorers()["f1"]
    f1.update(task.predict(outputs), targets)  # a: 2 found of 3, none wrong; b: 1 found of 1, 1 wrong
    assert f1.compute() == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert task.spec()["classes"] == ["a", "b"]
    with pytest.raises(ValueError, match="at least two"):
        Classification("digit", title="Digit", classes=["a"])


def test_a_class_that_shows_anywhere_is_read_the_same_everywhere() -> None:
    torch.manual_seed(0)
    corner, middle = torch.zeros(1, 4, 6, 6), torch.zeros(1, 4, 6, 6)
    corner[:, :, 0, 0] = middle[:, :, 3, 2] = torch.rand(4)
    anywhere = Classification("digit", title="Digit", classes=["a", "b"]).head((4, 6, 6))
    by_place = Classification("left", title="Left", classes=["a", "b"], is_anywhere=False).head((4, 6, 6))
    torch.testing.assert_close(anywhere(corner), anywhere(middle))
    assert not torch.allclose(by_place(corner), by_place(middle))


def test_regression_by_hand() -> None:
    task = Regression("a", title="A", dims=2, scale=10)
    outputs = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    targets = torch.tensor([[1.0, 2.0], [4.0, 2.0]])
    torch.testing.assert_close(task.loss(outputs, targets), torch.tensor([20.0, 5.0]))
    # first number: 1 − (1/2) / (9/4); the second does not vary and counts 0
    assert task.headline(outputs, targets).item() == pytest.approx((1 - 2 / 9) / 2)
    scorer = task.scorers()["mae"]
    scorer.update(outputs, targets)
    assert scorer.compute() == 0.75
    single = torch.tensor([[1.0, 2.0]])
    assert task.headline(single, single) == 0


@pytest.mark.parametrize("choice", [{"dims": 0}, {"scale": 0}, {"scale": -1}, {"scale": math.inf}, {"scale": math.nan}])
def test_regression_refuses(choice: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"give it (at least one|a number above 0)"):
        Regression("a", title="A", **choice)
