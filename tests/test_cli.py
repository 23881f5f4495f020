"""The command line as other programs meet it: real processes, what is on which stream, exit codes, slips of every kind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtl_core.cli.app import main

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
dataset: {name: teacher, train: 200}
weighting: {name: mgda}
training: {steps: 12, batch_size: 16, device: cpu}
measure: {every: 3}
"""


def command(*arguments, stdin="", folder=ROOT, **environment):
    """Run the command line in a process of its own, from some other folder than the repository's."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-m", "mtl_core", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def strict(text):
    """Read JSON as a reader does that knows no NaN."""

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    return json.loads(text, parse_constant=refuse)


def is_one_sentence(errors):
    """A slip is told in one line that starts with error:, without a traceback."""
    return errors.startswith("error: ") and errors.count("\n") == 1 and "Traceback" not in errors and len(errors) < 700


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with one short run, and what train --json said of it."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "first.yaml").write_text(CONFIG)
    code, out, errors = command("train", "first.yaml", "training.seed=3", "--json", folder=folder)
    assert code == 0, errors
    return folder, strict(out), out, errors


def test_train_answers_one_line_of_json_and_draws_its_bar_elsewhere(trained):
    folder, answer, out, errors = trained
    assert out.count("\n") == 1
    assert answer["state"] == "finished"
    assert answer["step"] == answer["steps"] == 12
    assert answer["seconds"] > 0
    assert 0 <= answer["best_step"] <= 12
    assert set(answer["test"]) == {"a", "b"}
    assert set(answer["test"]["a"]) >= {"loss", "r2"}
    assert all(isinstance(value, float) for values in answer["test"].values() for value in values.values())
    assert "training" in errors
    assert "12/12" in errors
    assert (folder / "runs" / "mtl.sqlite").exists()


def here(capsys, *arguments):
    """Run the command line in this process."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_the_same_config_gives_the_same_test(trained, tmp_path, capsys):
    folder, answer, _, _ = trained
    tests = []
    for seed in (3, 4):
        overrides = (f"training.seed={seed}", "name=again")
        code, out, _ = here(capsys, "train", folder / "first.yaml", *overrides, "--json", "--store", tmp_path)
        assert code == 0
        assert strict(out)["name"] == "again"
        tests.append(strict(out)["test"])
    assert tests[0] == answer["test"], "in another process, into another store"
    assert tests[1] != answer["test"], "another seed, other numbers"
    assert (tmp_path / "mtl.sqlite").exists()


def test_train_in_words(trained, tmp_path, capsys):
    code, out, errors = here(capsys, "train", trained[0] / "first.yaml", "training.steps=2", "--store", tmp_path)
    assert code == 0, errors
    assert "finished: run " in out
    assert "r2" in out


def test_runs_and_show(trained, capsys):
    folder, answer, _, _ = trained
    store = str(folder / "runs")
    assert main(["runs", "--json", "--store", store]) == 0
    listed = strict(capsys.readouterr().out)
    assert answer["run"] in {run["run"] for run in listed}
    assert main(["show", answer["run"], "--json", "--store", store]) == 0
    shown = strict(capsys.readouterr().out)
    assert {key: shown[key] for key in ("run", "state", "test", "best_step")} == {
        key: answer[key] for key in ("run", "state", "test", "best_step")
    }
    assert shown["config"]["training"]["seed"] == 3
    assert [change["state"] for change in shown["history"]] == ["queued", "running", "finished"]
    assert main(["show", answer["run"], "--store", store]) == 0
    assert "weighting: {name: mgda}" in capsys.readouterr().out
    assert main(["runs", "--store", store]) == 0
    assert answer["run"] in capsys.readouterr().out
    assert main(["show", "nobody", "--store", store]) == 2
    assert is_one_sentence(capsys.readouterr().err)


def test_runs_of_an_empty_store(tmp_path, capsys):
    assert main(["runs", "--json", "--store", str(tmp_path)]) == 0
    assert strict(capsys.readouterr().out) == []
    assert main(["runs", "--store", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "no runs here yet" in said.err


def test_export_holds_every_number_in_each_format(trained, tmp_path, capsys):
    import pandas as pd

    folder, answer, _, _ = trained
    frames = {}
    for form in ("csv", "json", "parquet"):
        arguments = ["export", answer["run"], str(tmp_path / form), "--format", form, "--json", "--store", str(folder / "runs")]
        assert main(arguments) == 0
        files = strict(capsys.readouterr().out)["files"]
        assert all(Path(file).exists() for file in files)
        frames[form] = {Path(file).name.split(".")[1]: file for file in files}
    rows = list(csv.DictReader(Path(frames["csv"]["curves"]).read_text().splitlines()))
    losses = [row for row in rows if (row["split"], row["task"], row["name"]) == ("train", "a", "loss")]
    assert [int(row["step"]) for row in losses] == list(range(1, 13))
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    for form, read in (("json", pd.read_json), ("parquet", pd.read_parquet)):
        table = read(frames[form]["curves"])
        assert len(table) == len(rows)
        assert [float(row["value"]) for row in rows] == pytest.approx(list(table["value"]), rel=1e-6, nan_ok=True)
    strict(Path(frames["json"]["gramian"]).read_text())
    gramian = pd.read_csv(frames["csv"]["gramian"])
    own = gramian[(gramian["task"] == gramian["other"]) & (gramian["half"] == gramian["other_half"])]
    assert (own["inner"] >= 0).all(), "a squared length"
    assert sorted(gramian["step"].unique()) == [1, 4, 7, 10]
    assert (gramian.groupby(["step", "stage"]).size() == 10).all(), "2 tasks on 2 halves: each pair of four gradients once"
    changes = pd.read_csv(frames["csv"]["changes"])
    assert len(changes) == 4 * 2


def test_shelves_as_json(capsys):
    assert main(["shelves", "--json"]) == 0
    shelves = strict(capsys.readouterr().out)
    names = {shelf: {one["name"] for one in variants} for shelf, variants in shelves.items()}
    assert names["datasets"] >= {"digit_scenes", "multi_digits", "teacher"}
    assert names["architectures"] >= {"hard_sharing"}
    assert names["trunks"] >= {"conv", "mlp", "resnet18"}
    schemes = {"equal", "fixed", "data_size", "uncertainty", "dwa", "rlw", "mgda", "pcgrad", "cagrad"}
    assert names["weightings"] >= schemes
    cagrad = next(one for one in shelves["weightings"] if one["name"] == "cagrad")
    radius = next(knob for knob in cagrad["knobs"] if knob["name"] == "c")
    assert cagrad["title"]
    assert cagrad["paper"]["year"] == 2021
    assert cagrad["asks"] == "gramian"
    assert radius["minimum"] == 0
    assert radius["default"] == 0.4


def test_shelves_in_words(capsys):
    assert main(["shelves"]) == 0
    assert "hard_sharing" in capsys.readouterr().out


def test_a_slip_in_a_real_process_shows_no_traceback(tmp_path):
    code, out, errors = command("train", "-", "weighting.name=pcgard", "--json", stdin=CONFIG, folder=tmp_path)
    assert (code, out) == (2, "")
    assert is_one_sentence(errors)


def test_a_run_that_diverges_exits_with_one_and_says_where(trained, tmp_path, capsys):
    slips = (
        "training.optimizer=sgd",
        "training.lr=100",
        "training.steps=400",
        "weighting.name=equal",
        "training.schedule=constant",
    )
    code, out, errors = here(capsys, "train", trained[0] / "first.yaml", *slips, "--json", "--store", tmp_path)
    assert code == 1, (out, errors)
    answer = strict(out)
    assert answer["state"] == "diverged"
    assert "step" in answer["reason"]
    assert f"diverged: {answer['reason']}" in errors
    assert "Traceback" not in errors


def test_nothing_is_started_in_demo_mode(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    code, out, errors = here(capsys, "train", trained[0] / "first.yaml", "--store", tmp_path)
    assert (code, out) == (2, "")
    assert "demonstration" in errors


def test_a_reader_that_leaves_early_gets_no_complaint(trained):
    folder = trained[0]
    line = f"{sys.executable} -m mtl_core runs --json --store {folder / 'runs'} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_control_c_stops_a_run_that_keeps_what_it_has(tmp_path):
    (tmp_path / "long.yaml").write_text(CONFIG)
    arguments = ["train", "long.yaml", "training.steps=1000000", "--json", "--store", "kept"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "mtl_core", *arguments], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        from mtl_core.store import Store

        until = time.monotonic() + 60
        while time.monotonic() < until:
            runs = Store.open(str(tmp_path / "kept")).runs()
            if runs and runs[0].step > 0:
                break
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    answer = strict(out.decode())
    assert (process.returncode, answer["state"]) == (0, "stopped"), errors.decode()
    assert "Traceback" not in errors.decode()
    assert 0 < answer["step"] < 1_000_000


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("train", "shelves", "runs", "show", "export", "worker", "weigh"))
