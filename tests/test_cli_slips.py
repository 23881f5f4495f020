"""Slips on the command line: whatever is wrong, one sentence with a remedy on stderr, exit code 2, and nothing left behind."""

import sqlite3
from pathlib import Path

import pytest

from mtl_core.cli.app import main

CONFIG = "{dataset: {name: teacher, train: 200}, weighting: {name: mgda}, training: {steps: 12, batch_size: 16, device: cpu}}"
GRADIENTS = "[[1,0],[-0.5,1]]"


def is_one_sentence(errors):
    """A slip is told in one line that starts with error:, without a traceback."""
    return errors.startswith("error: ") and errors.count("\n") == 1 and "Traceback" not in errors and len(errors) < 700


SLIPS = [
    ([], "command"),
    (["trian"], "'train'"),
    (["train"], "CONFIG.yaml"),
    (["train", "nowhere.yaml"], "no file nowhere.yaml"),
    (["train", "."], "directory"),
    (["train", "good.yaml", "training.stepz=3"], "'steps'"),
    (["train", "good.yaml", "training.steps"], "key.key=value"),
    (["train", "good.yaml", "training.steps=0"], "greater than or equal to 1"),
    (["train", "good.yaml", "weighting.name=pcgard"], "'pcgrad'"),
    (["train", "good.yaml", "weighting.c=1"], "no knob of weighting mgda"),
    (["train", "good.yaml", "dataset.name=techer"], "'teacher'"),
    (["train", "good.yaml", "architecture.depth=9"], "depth must lie in 0..2"),
    (["train", "good.yaml", "architecture.trunk=convv"], "'conv'"),
    (["train", "good.yaml", "tasks=[a,z]"], "no task"),
    (["train", "good.yaml", "tasks=[]"], "at least one"),
    (["train", "good.yaml", "weighting.name=fixed", "weighting.weights=[1,2,3]"], "one weight per task"),
    (["train", "good.yaml", "weighting.name=fixed", "weighting.weights=[-1,2]"], "the weight of a"),
    (["train", "good.yaml", "training.order=alternating"], "alternating"),
    (["train", "good.yaml", "training.device=cuda:77"], "cuda:77"),
    (["train", "bad.yaml"], "line 1"),
    (["train", "binary.yaml"], "config"),
    (["train", "/dev/zero"], "64,000"),
    (["train", "good.yaml", "--store", "mysql://x"], "mysql"),
    (["train", "good.yaml", "--store", "foreign.sqlite"], "foreign.sqlite"),
    (["train", "good.yaml", "--store", "damaged.sqlite"], "damaged.sqlite"),
    (["train", "good.yaml", "--colour"], "--colour"),
    (["runs", "--store", "damaged.sqlite"], "damaged.sqlite"),
    (["runs", "--limit", "0"], "limit"),
    (["show", "nobody"], "no store"),
    (["show", "nobody", "--store", "empty"], "store"),
    (["export", "nobody", "out", "--format", "xls"], "csv, json, parquet"),
    (["weigh", "mgad", "--gradients", GRADIENTS], "'mgda'"),
    (["weigh", "mgda"], "gradients"),
    (["weigh", "mgda", "--gradients", "[[1,"], "JSON"),
    (["weigh", "mgda", "--gradients", "[" * 100_000], "JSON"),
    (["weigh", "mgda", "--gradients", "[]"], "gradients"),
    (["weigh", "mgda", "--gradients", "[[1],[1,2]]"], "same length"),
    (["weigh", "mgda", "--gradients", '[["a"]]'], "numbers"),
    (["weigh", "mgda", "--gradients", "[[NaN]]"], "finite"),
    (["weigh", "mgda", "--gradients", GRADIENTS, "--losses", "[1]"], "losses"),
    (["weigh", "mgda", "--gradients", GRADIENTS, "--losses", "nan"], "JSON"),
    (["weigh", "mgda", "--gradients", GRADIENTS, "--seed", "-1"], "seed"),
    (["weigh", "mgda", "c=1", "--gradients", GRADIENTS], "no knob of weighting mgda"),
    (["weigh", "cagrad", "c", "--gradients", GRADIENTS], "name=value"),
    (["weigh", "cagrad", "c=-1", "--gradients", GRADIENTS], "c:"),
    (["weigh", "cagrad", "c=.nan", "--gradients", GRADIENTS], "finite"),
    (["weigh", "--batch", "nowhere.jsonl"], "nowhere.jsonl"),
    (["weigh", "mgda", "--batch", "nowhere.jsonl"], "--batch"),
]


@pytest.fixture
def slippery(tmp_path, monkeypatch):
    """A folder with a good config and all sorts of files that are something else."""
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(CONFIG)
    Path("bad.yaml").write_text("a: b: c")
    Path("binary.yaml").write_bytes(bytes(range(256)))
    Path("damaged.sqlite").write_bytes(b"SQLite format 3\0" + b"\xde\xad\xbe\xef" * 4096)
    Path("empty").mkdir()
    with sqlite3.connect("foreign.sqlite") as foreign:
        foreign.execute("CREATE TABLE cakes (name TEXT)")
    foreign.close()


@pytest.mark.parametrize(
    ("arguments", "says"), SLIPS, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else ""
)
@pytest.mark.usefixtures("slippery")
def test_a_slip_is_one_sentence_and_exit_code_two(arguments, says, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert is_one_sentence(said.err), said.err
    assert says in said.err
    assert not Path("runs").exists() or not any(Path("runs").glob("*/config.yaml")), "a slip leaves no run behind"
