"""Gradients and Gramians against plain float64 computation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtl_core.forward import Passed
from mtl_core.gradients import SharedParameters, TaskGradients, collect, gramian, products


def _network() -> tuple[nn.ModuleList, nn.ModuleDict]:
    torch.manual_seed(3)
    trunk = nn.ModuleList([nn.Sequential(nn.Linear(5, 7), nn.Tanh()), nn.Sequential(nn.Linear(7, 4), nn.Tanh())])
    return trunk.double(), nn.ModuleDict({"a": nn.Linear(4, 1), "b": nn.Linear(4, 2)}).double()


def _pass(trunk: nn.ModuleList, heads: nn.ModuleDict, inputs: Tensor, counts: list[float] | None = None) -> Passed:
    features = inputs
    for stage in trunk:
        features = stage(features)
    losses = [heads["a"](features).square().mean(), (heads["b"](features) - 1).square().mean()]
    return Passed(features, losses, torch.tensor(counts or [len(inputs)] * 2, dtype=torch.float64), [])


def _losses(trunk: nn.ModuleList, heads: nn.ModuleDict, inputs: Tensor) -> list[Tensor]:
    return _pass(trunk, heads, inputs).losses


def _collect(trunk: nn.ModuleList, heads: nn.ModuleDict, parts: list[Tensor]) -> tuple[TaskGradients, SharedParameters]:
    shared = SharedParameters([(str(i), list(stage.parameters())) for i, stage in enumerate(trunk)])
    own = {name: list(head.parameters()) for name, head in heads.items()}
    return collect([_pass(trunk, heads, part) for part in parts], shared, own), shared


def test_rows_are_the_gradients_that_backward_gives() -> None:
    trunk, heads = _network()
    inputs = torch.randn(6, 5, dtype=torch.float64)
    found, shared = _collect(trunk, heads, [inputs])
    for t, name in enumerate(heads):
        trunk.zero_grad()
        heads.zero_grad()
        _losses(trunk, heads, inputs)[t].backward()
        expected = torch.cat([parameter.grad.reshape(-1) for parameter in shared.parameters])
        torch.testing.assert_close(found.rows[t], expected, rtol=1e-12, atol=1e-15)
        for mine, parameter in zip(found.own[name], heads[name].parameters(), strict=True):
            torch.testing.assert_close(mine, parameter.grad, rtol=1e-12, atol=1e-15)


def test_halves_of_unequal_size_average_to_the_full_batch() -> None:
    trunk, heads = _network()
    inputs = torch.randn(7, 5, dtype=torch.float64)
    whole, _ = _collect(trunk, heads, [inputs])
    halves, _ = _collect(trunk, heads, [inputs[:3], inputs[3:]])
    torch.testing.assert_close(halves.merged(), whole.rows, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(halves.losses_T(), whole.losses_T())
    for name in heads:
        for mine, theirs in zip(halves.own[name], whole.own[name], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-15)


def test_gramian_of_stages_adds_up_to_the_whole() -> None:
    trunk, heads = _network()
    found, shared = _collect(trunk, heads, [torch.randn(4, 5).double(), torch.randn(4, 5).double()])
    by_stage = gramian(found.rows, shared.slices)
    assert by_stage.shape == (2, 4, 4)
    torch.testing.assert_close(by_stage.sum(0), found.rows @ found.rows.T)


def test_full_gramian_is_read_off_the_halves() -> None:
    trunk, heads = _network()
    found, shared = _collect(trunk, heads, [torch.randn(2, 5).double(), torch.randn(5, 5).double()])
    shares = found.shares_HT
    mix = torch.cat([torch.diag(shares[0]), torch.diag(shares[1])], dim=1)  # [T, 2T]
    full = found.merged()
    torch.testing.assert_close(mix @ gramian(found.rows, shared.slices).sum(0) @ mix.T, full @ full.T)


def test_a_task_without_labels_pulls_nowhere() -> None:
    trunk, heads = _network()
    shared = SharedParameters([("all", list(trunk.parameters()))])
    passed = _pass(trunk, heads, torch.randn(4, 5).double(), counts=[4.0, 0.0])
    losses = passed.losses
    passed = passed._replace(losses=[losses[0], losses[1] * 0])
    found = collect([passed], shared, {name: list(h.parameters()) for name, h in heads.items()})
    assert found.rows[1].abs().max() == 0
    assert found.losses_T().tolist() == [losses[0].item(), 0.0]


def test_set_grad_keeps_the_layout_of_the_parameters() -> None:
    convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    shared = SharedParameters([("conv", list(convolution.parameters()))])
    direction = torch.arange(float(shared.n))
    shared.set_grad(direction)
    assert convolution.weight.grad is not None
    assert convolution.weight.grad.stride() == convolution.weight.stride()
    assert torch.equal(torch.cat([p.grad.reshape(-1) for p in shared.parameters]), direction)


def test_products_of_long_rows_are_those_of_the_plain_matrix_product() -> None:
    for width in (3, 8192, 20_000, 50_001):
        rows = torch.randn(4, width + 10, dtype=torch.float64)
        first, second = rows[:2, 5:-5], rows[1:, 5:-5]
        torch.testing.assert_close(products(first, second), first @ second.T)
