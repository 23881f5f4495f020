"""Affinities leave with the other tables of a run, in every format, and with the run when it is recorded for Home."""

import json

import numpy as np
import pandas as pd
import pytest

from mtl_core.cli.export import export
from mtl_core.config import RunConfig
from mtl_core.records import Affinity
from mtl_core.store import Store

TASKS = ["digit", "box"]


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "runs")) as opened:
        yield opened


def affine(store, n=3):
    """A run with nothing but affinities; its last one has a value that does not exist."""
    spec = {"tasks": [{"name": name} for name in TASKS], "shared_stages": ["conv 1"]}
    run_id = store.enqueue(RunConfig(tasks=TASKS), spec=spec)
    with store.writer(run_id) as writer:
        for step in range(n):
            last = np.nan if step == n - 1 else 0.25
            writer.append(Affinity(step, step / 10, step / 100, np.array([[0.5, -0.125], [last, 1]], np.float32)))
    return run_id


def read(path):
    if path.suffix == ".csv":
        return pd.read_csv(path)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.DataFrame(json.loads(path.read_text(), parse_constant=lambda token: pytest.fail(f"{token} is no JSON")))


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_affinities_are_exported(store, tmp_path, form, capsys):
    run_id = affine(store)
    export(run_id, tmp_path / "out", form=form, store=store.url)
    path = tmp_path / "out" / f"{run_id}.affinity.{form}"
    assert str(path) in capsys.readouterr().out.splitlines()
    rows = read(path).set_index(["step", "task", "other"])
    assert len(rows) == 3 * 4
    assert rows.loc[(1, "digit", "box"), ["epoch", "time", "affinity"]].tolist() == pytest.approx([0.1, 0.01, -0.125])
    assert rows.loc[(1, "box", "digit"), "affinity"] == 0.25
    assert pd.isna(rows.loc[(2, "box", "digit"), "affinity"])


def test_a_run_without_affinities_has_no_such_table(store, tmp_path, capsys):
    run_id = affine(store, n=0)
    export(run_id, tmp_path / "out", store=store.url)
    assert "affinity" not in capsys.readouterr().out


def test_many_affinities_leave_part_by_part(store, tmp_path):
    run_id = affine(store, n=1203)
    export(run_id, tmp_path / "out", store=store.url)
    assert pd.read_csv(tmp_path / "out" / f"{run_id}.affinity.csv")["step"].nunique() == 1203
