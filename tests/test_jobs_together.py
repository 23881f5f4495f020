"""A sweep from a notebook: handed in, waited for, compared, and not trained twice."""

import pytest
from test_jobs import end_all, processes_of

import mtl_core
from mtl_core.store import Store

TEXT = """
name: first
base: {dataset: teacher, tasks: [a, b], training: {steps: 20, batch_size: 32}, measure: {every: 0}}
vary: {weighting: [equal, dwa]}
baselines: false
"""


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        try:
            yield opened
        finally:
            end_all(opened)
        assert processes_of(opened) == []


def test_a_sweep_is_waited_for_and_compared(store):
    looks = []
    sweep_id = mtl_core.run_sweep(store, TEXT, on_look=looks.append)
    assert (looks[-1].done, looks[-1].total) == (2, 2)
    assert [run.state for run in store.runs()] == ["finished", "finished"]
    comparison = mtl_core.compare_runs(store, sweep_id)
    assert {group.scheme for group in comparison.groups} == {"equal", "dwa"}
    again = mtl_core.run_sweep(store, mtl_core.Sweep.from_yaml(TEXT))
    assert (again, len(store.runs())) == (sweep_id, 2)


def test_slips(store):
    for slip in ({"varry": {}}, "varry: {}"):
        with pytest.raises(ValueError, match="Did you mean"):
            mtl_core.run_sweep(store, slip)
    with pytest.raises(ValueError, match="no weighting is called"):
        mtl_core.run_sweep(store, "vary: {weighting: [eqal]}", wait=False)
    assert store.sweeps() == []
