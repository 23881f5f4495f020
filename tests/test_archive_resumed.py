"""A run that was stopped here and goes on elsewhere, from its archive: onto the same curve, and never by running what it holds."""

import os

import numpy as np
import pytest

from mtl_core.config import RunConfig
from mtl_core.exchange.archive import pack, unpack
from mtl_core.jobs.here import run_here
from mtl_core.records import Scalars
from mtl_core.store import Store

CONFIG = RunConfig.from_mapping(
    {
        "dataset": {"name": "teacher", "train": 200},
        "weighting": "cagrad",
        "training": {"steps": 400, "batch_size": 16, "device": "cpu"},
        "measure": {"every": 20},
    }
)


@pytest.fixture
def stopped(tmp_path):
    """A run that was stopped half-way, in a store."""
    with Store.open(str(tmp_path / "here")) as store:

        def look(item):
            (run,) = store.runs()
            if isinstance(item, Scalars) and item.split == "train" and item.steps[-1] >= 50 and run.command is None:
                store.ask(run.id, "stop")

        run = run_here(store, CONFIG, on_item=look)
        assert (run.state, 50 <= run.step < 400) == ("stopped", True)
        yield store, run


def test_it_goes_on_elsewhere_onto_the_same_curve(stopped, tmp_path):
    store, run = stopped
    path = pack(store, run.id, tmp_path / "half.mtlrun", checkpoint=True)
    with Store.open(str(tmp_path / "there")) as there, Store.open(str(tmp_path / "whole")) as whole:
        unpack(there, path)
        there.requeue(run.id, "resumed")
        ended = run_here(there, resume=run.id)
        unbroken = run_here(whole, CONFIG)
        assert (ended.state, ended.step) == ("finished", 400), ended.error
        mine, theirs = there.read(run.id, "train"), whole.read(unbroken.id, "train")
        assert np.array_equal(mine.steps, theirs.steps)
        assert np.array_equal(mine.values, theirs.values, equal_nan=True), "bit for bit"
        assert ended.result["test"] == unbroken.result["test"]


class Harm:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_checkpoint_made_to_harm_is_never_run(stopped, tmp_path):
    import torch

    store, run = stopped
    torch.save({"format": 1, "choices": "{}", "state": Harm(tmp_path / "harmed")}, store.run_folder(run.id) / "checkpoint.pt")
    path = pack(store, run.id, tmp_path / "half.mtlrun", checkpoint=True)
    with Store.open(str(tmp_path / "there")) as there:
        unpack(there, path)
        there.requeue(run.id, "resumed")
        ended = run_here(there, resume=run.id)
        assert ended.state == "failed"
        assert "damaged or not ours" in ended.reason + ended.error
    assert not (tmp_path / "harmed").exists()
