"""The benchmark of schemes measures the same step on every side, survives a library that crashes, and judges as it says; that of
Compare makes up runs that compare like real ones."""

import sys

import pytest
import torch

from benchmarks._goals import Flops, Row, Turns, judge, rows
from benchmarks._network import Network
from benchmarks._ours import Ours
from benchmarks._process import OURS, TORCHJD, Crashed, Side
from benchmarks._runs import MEASUREMENTS, N_SEEDS, TASKS, make_runs
from benchmarks._side import Case, peak
from benchmarks._torchjd import Aggregated, OfParts, Scalarized
from mtl_core import trainer
from mtl_core.comparing import compare
from mtl_core.store import Store
from mtl_core.weightings import WEIGHTINGS

CPU = torch.device("cpu")
MEGABYTE = 1 << 20


@pytest.mark.parametrize("scheme", ["equal", "uncertainty", "gls", "mgda", "imtl_g", "modo"])
def test_first_step_is_that_of_torchjd(scheme, monkeypatch):
    monkeypatch.setattr(trainer, "FLUSH_SECONDS", trainer.FLUSH_SECONDS)  # the benchmark sets it; here it comes back
    losses, direction = Ours(scheme, 3, CPU).first()
    if scheme == "modo":
        theirs = OfParts(scheme, 3, {}, CPU, 1)
    elif WEIGHTINGS[scheme].asks == "losses":
        theirs = Scalarized(scheme, 3, {}, CPU)
    else:
        theirs = Aggregated(scheme, 3, {}, CPU, "passes one by one")
    their_losses, their_direction = theirs.first()
    torch.testing.assert_close(losses, their_losses)
    cosine = torch.cosine_similarity(direction.double(), their_direction.double(), dim=0)
    assert cosine == pytest.approx(1, abs=1e-3)


def test_a_crash_says_why_and_the_next_order_finds_a_new_process(tmp_path):
    script = """
import json, sys
for line in sys.stdin:
    if json.loads(line)["do"] == "run":
        raise ValueError("not for two tasks")
    print("{}", flush=True)
"""
    side = Side([sys.executable, "-c", script], "cpu", tmp_path)
    for _ in range(2):
        with pytest.raises(Crashed, match="ValueError: not for two tasks"):
            side.run("scheme", 0.1)
    side.close()


def test_rows_cover_the_shelf_and_nothing_twice():
    found = [row.scheme for row in rows(3, None)]
    assert found[0] == "equal"
    assert len(found) == len(set(found))
    assert set(WEIGHTINGS.names()) == {scheme for scheme in found if "@" not in scheme}
    assert {"mgda@representation", "mgda@last_stage"} <= set(found)
    assert "mgda@parameters" not in found  # that is mgda
    assert not [row.scheme for row in rows(2, None) if "@" in row.scheme]


def test_the_limit_is_one_trunk_pass_per_task():
    flops = Flops(forward=1, backward=2, last_stage=1, head=0)
    assert [flops.ratio(n) for n in (1, 2, 8)] == pytest.approx([1, 5 / 3, 17 / 3])
    assert flops.ratio(3, "last_stage") == pytest.approx(2)
    assert flops.ratio(3, "representation") == 1
    counted = Flops.count()
    assert counted.forward < counted.backward < 2 * counted.forward  # the first layer passes nothing on to the inputs
    assert 0.5e6 < sum(parameter.numel() for parameter in Network(1).trunk.parameters()) < 0.6e6


@pytest.mark.parametrize(("ours", "word"), [([2.2, 2.2, 2.2], "met"), ([2.2, 2.6, 2.7], "even"), ([2.6, 2.7, 2.8], "MISSED")])
def test_verdict(ours, word):
    row = Row("pcgrad", {}, "gramian", "parameters")
    flops = Flops(forward=1, backward=2, last_stage=1, head=0)  # a limit of 7/3, so a goal of 2.45
    found = {OURS: Turns([1.0] * 3, ours), TORCHJD: Turns(crash="ValueError: no")}
    assert judge(row, found, None, flops, 3) == [f"≤ 2.45 {word}"]


def test_memory_is_the_highest_level_not_the_sum():
    class Holding(Case):
        def __init__(self):
            self.held = torch.zeros(2 * MEGABYTE, dtype=torch.uint8)

        def step(self):
            return torch.zeros(3 * MEGABYTE, dtype=torch.uint8)[:1].clone()

    assert peak(Holding, CPU) / MEGABYTE == pytest.approx(5, abs=0.1)


def test_made_up_runs_compare_like_real_ones(tmp_path):
    with Store.open(str(tmp_path)) as store:
        made = make_runs(store, 2 * N_SEEDS + 1, 80)
        assert [run.id for run in store.listing()] == made.run_ids[::-1]
        assert {run.state for run in store.listing()} == {"finished"}
        assert {tuple(run.scores) for run in store.listing()} == {TASKS}
        comparison = compare(store.runs_named(made.run_ids))
        assert [len(group.by_seed) for group in comparison.groups] == [N_SEEDS, N_SEEDS, 1]
        assert comparison.groups[0].is_single_task
        assert set(comparison.delta_m) == {group.id for group in comparison.groups}
        alone, shared = made.run_ids[0], made.run_ids[-1]
        assert [store.last_step(shared, split) for split in ("train", "validation", "test")] == [80, 80, 80]
        assert (store.n_measurements(alone), store.n_measurements(shared)) == (0, MEASUREMENTS)
