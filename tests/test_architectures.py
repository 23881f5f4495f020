"""Contracts of every architecture and trunk on their shelves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mtl_core.architectures import ARCHITECTURES
from mtl_core.architectures.hard_sharing import HardSharing, HardSharingKnobs
from mtl_core.architectures.trunks import TRUNKS
from mtl_core.tasks import Shape, Task
from mtl_core.tasks.regression import Regression

PICTURE: Shape = (3, 32, 32)


def _tasks(n: int = 2) -> list[Task]:
    return [Regression(name, title=name) for name in "abcdefgh"[:n]]


def _create(trunk: str, depth: int | None, shape: Shape = PICTURE, n_tasks: int = 2) -> HardSharing:
    knobs = HardSharingKnobs(trunk=trunk, depth=depth)
    return HardSharing.create(knobs, input_shape=shape, tasks=_tasks(n_tasks), seed=0)


@pytest.mark.parametrize("trunk", TRUNKS.names())
def test_every_depth_gives_outputs_and_counts_its_parameters(trunk: str) -> None:
    n = HardSharing.n_stages(HardSharingKnobs(trunk=trunk), PICTURE)
    for depth in range(n + 1):
        model = _create(trunk, depth)
        outputs = model(torch.rand(2, *PICTURE))
        assert {name: len(output) for name, output in outputs.items()} == {"a": 2, "b": 2}
        report = HardSharing.report(HardSharingKnobs(trunk=trunk, depth=depth), input_shape=PICTURE, tasks=_tasks())
        assert report.n_total == sum(p.numel() for p in model.parameters())
        assert report.n_shared == sum(p.numel() for _, stage in model.shared_stages() for p in stage)
        for name in ("a", "b"):
            assert report.n_per_task[name] == sum(p.numel() for p in model.own_parameters(name))
        assert [stage.is_shared for stage in report.stages] == [index < depth for index in range(n)]


@pytest.mark.parametrize("trunk", TRUNKS.names())
def test_stage_shapes_are_what_the_stages_give(trunk: str) -> None:
    recipe = TRUNKS[trunk]
    features = torch.rand(2, *PICTURE)
    for stage in recipe.stages(PICTURE, width=recipe.default_width, layers=recipe.default_layers):
        features = stage.build()(features)
        assert tuple(features.shape[1:]) == stage.output_shape, stage.name


def test_separate_networks_share_nothing_and_cost_what_the_report_says() -> None:
    separate = HardSharing.report(HardSharingKnobs(depth=0), input_shape=PICTURE, tasks=_tasks(3))
    shared = HardSharing.report(HardSharingKnobs(), input_shape=PICTURE, tasks=_tasks(3))
    assert separate.n_shared == 0
    assert separate.n_total == separate.n_separate == shared.n_separate
    assert separate.flops == separate.flops_separate > shared.flops
    assert _create("conv", 0).shared_stages() == []


def test_flops_are_counted_as_two_per_multiply_add() -> None:
    report = HardSharing.report(HardSharingKnobs(trunk="mlp", width=10, layers=1), input_shape=(7,), tasks=_tasks(1))
    assert report.stages[0].flops == 2 * 7 * 10
    assert report.stages[0].n_parameters == 7 * 10 + 10


def test_a_tasks_own_layers_do_not_depend_on_its_companions() -> None:
    alone, together = _create("conv", 0, n_tasks=1), _create("conv", 0, n_tasks=3)
    for mine, theirs in zip(alone.own_parameters("a"), together.own_parameters("a"), strict=True):
        assert torch.equal(mine, theirs)


def test_seeds_and_copies_differ() -> None:
    model = _create("conv", 0)
    first, second = (next(iter(model.own_parameters(task))) for task in ("a", "b"))
    assert not torch.equal(first, second)
    other = HardSharing.create(HardSharingKnobs(trunk="conv", depth=0), input_shape=PICTURE, tasks=_tasks(), seed=1)
    assert not torch.equal(first, next(iter(other.own_parameters("a"))))


@pytest.mark.parametrize("trunk", TRUNKS.names())
def test_samples_do_not_touch_each_other(trunk: str) -> None:
    """The noise floor compares two half-batches: no layer may mix the samples of a batch."""
    model = _create(trunk, None)
    inputs = torch.rand(4, *PICTURE)

    def output(part: Tensor) -> Tensor:
        return model(part)["a"]

    torch.testing.assert_close(output(inputs)[:2], output(inputs[:2]), rtol=1e-4, atol=1e-5)


def test_only_the_tasks_asked_for_are_computed() -> None:
    model = _create("conv", 2)
    assert set(model(torch.rand(2, *PICTURE), ["b"])) == {"b"}


@pytest.mark.parametrize(
    ("knobs", "shape", "message"),
    [
        ({"trunk": "conv"}, (8,), "needs pictures"),
        ({"trunk": "resnet18"}, (8,), "needs pictures"),
        ({"trunk": "resnet18", "width": 32}, PICTURE, "width 64"),
    ],
)
def test_contradictory_choices_are_refused(knobs: dict[str, object], shape: Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HardSharing.n_stages(HardSharingKnobs.model_validate(knobs), shape)


def test_an_unknown_trunk_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'resnet18'"):
        HardSharingKnobs(trunk="resnet")


@pytest.mark.parametrize("name", ARCHITECTURES.names())
def test_contract(name: str) -> None:
    described = ARCHITECTURES[name].describe()
    assert described["title"]
    assert described["summary"].endswith((".", ":"))
    assert issubclass(ARCHITECTURES[name], nn.Module)
