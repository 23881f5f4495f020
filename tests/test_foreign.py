"""Curves of other programs: what a column means, what is refused, and TensorBoard both ways, read by TensorBoard itself."""

import io
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mtl_core import compare_runs, frames
from mtl_core.cli.app import main
from mtl_core.config import RunConfig
from mtl_core.estimate import FACT, learn
from mtl_core.exchange.columns import place_of
from mtl_core.exchange.event_files import read_events, write_events
from mtl_core.exchange.foreign import bring_in
from mtl_core.exchange.spreadsheets import as_csv, quoted, unquoted
from mtl_core.figures import FIGURES, View
from mtl_core.frames.compared.curves import export_compared
from mtl_core.records import Column, Scalars
from mtl_core.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "store")) as opened:
        yield opened


@pytest.fixture
def own(store):
    """A finished run of our own, with gaps and an infinite loss."""
    tasks = [
        {
            "name": "a",
            "title": "A",
            "kind": "regression",
            "metrics": [{"name": "r2", "title": "R²", "higher_is_better": True, "unit": ""}],
        }
    ]
    spec = {"tasks": tasks, "all_tasks": ["a"], "shared_stages": [], "stages": []}
    run_id = store.enqueue(RunConfig(dataset={"name": "teacher"}, name="mine"), spec=spec)
    store.claim("w", "cpu", run_id)
    columns = (Column("a", "loss"), Column("a", "r2"), Column("", "lr"))
    values = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    values[3:5, 1], values[29, 0] = np.nan, np.inf
    with store.writer(run_id) as writer:
        for split, rows in (("train", 30), ("validation", 4), ("test", 1)):
            steps = np.arange(1, rows + 1) * (30 // rows)
            writer.append(Scalars(split, columns, steps, steps / 10, steps / 7, values[:rows]))
    store.change(run_id, "finished", "", step=30)
    return run_id


def series(store, run_id):
    """(split, task, name) -> [(step, value)], NaN left out."""
    table = frames.export(store, run_id).dropna(subset="value")
    groups = table.groupby(["split", "task", "name"], observed=True)
    return {key: list(zip(part["step"], part["value"], strict=True)) for key, part in groups}


def file(tmp_path, text, name="run.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


@pytest.mark.parametrize(
    ("tag", "place"),
    [
        ("digit/loss", ("train", "digit", "loss")),
        ("train/digit/loss", ("train", "digit", "loss")),
        ("val/box/iou", ("validation", "box", "iou")),
        ("digit/validation/accuracy", ("validation", "digit", "accuracy")),
        ("test_loss", ("test", "", "loss")),
        ("Loss/train", ("train", "", "loss")),
        ("loss/digit", ("train", "digit", "loss")),
        ("lr", ("train", "", "lr")),
        ("group/digit/Loss", ("train", "group/digit", "loss")),
        ("validation", ("validation", "", "value")),
        ("///", ("train", "", "value")),
        ("a b/macro F1", ("train", "a b", "macro F1")),
    ],
)
def test_what_a_name_means(tag, place):
    assert tuple(place_of(tag)) == place


def test_our_own_export_comes_back(store, own, tmp_path):
    path = tmp_path / "mine.csv"
    frames.export(store, own).to_csv(path, index=False)
    run = store.run(bring_in(store, path, name="theirs"))
    assert (run.state, run.name, run.step) == ("finished", "theirs", 30)
    assert series(store, run.id) == series(store, own)
    assert store.read(run.id, "train").times == pytest.approx(store.read(own, "train").times)
    assert store.history(run.id)[-1].reason == "imported from mine.csv (CSV)"
    assert run.spec["origin"] == {"kind": "CSV", "file": "mine.csv"}
    assert run.choices == "a · foreign · foreign"
    assert run.result["test"]["a"].keys() == {"loss", "r2"}


FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "'=1")


def test_no_words_in_a_csv_are_a_formula_and_they_come_back_as_they_were(store, tmp_path):
    names = ",".join(f'"{name}/loss"' for name in FORMULAS[:4])
    run = store.run(bring_in(store, file(tmp_path, f"step,{names}\n1,-1,2,3,4\n"), name="=1+1"))
    csv = as_csv(frames.export(store, run.id))
    cells = [cell for line in csv.splitlines() for cell in line.split(",")]
    assert [cell for cell in cells if cell[0] in "=+-@"] == ["-1.0"], "numbers stay numbers"
    again = bring_in(store, file(tmp_path, csv.replace("-1.0", "-9.0"), "again.csv"))
    assert store.run(again).spec["tasks"] == run.spec["tasks"]
    assert [task["name"][0] for task in run.spec["tasks"]] == ["=", "+", "-", "@"]
    assert main(["export", run.id, str(tmp_path / "out"), "--store", str(tmp_path / "store")]) == 0
    assert (tmp_path / "out" / f"{run.id}.curves.csv").read_text() == csv
    found = compare_runs(store, [run.id])
    for part in export_compared(store, found.groups):
        assert set(pd.read_csv(io.StringIO(as_csv(part)))["run_name"]) == {"'=1+1"}


@pytest.mark.parametrize("words", [*FORMULAS, "-0.5", "plain", "", "'", "-", None, 3.0])
def test_a_word_that_is_quoted_is_read_back(words):
    assert words in ("-0.5", None, 3.0) or unquoted(quoted(words)) == words
    assert (quoted(words) == words) == (words not in (*FORMULAS, "-"))


def test_a_wide_table(store, tmp_path):
    text = "step,epoch,digit/loss,box/loss,val/digit/accuracy,lr\n0,0,2.5,1,,0.1\n10,1,1.5,,0.5,0.1\n20,2,1e-3,0.5,0.75,0.01\n"
    run_id = bring_in(store, file(tmp_path, text))
    found = series(store, run_id)
    assert found[("train", "digit", "loss")] == [(0, 2.5), (10, 1.5), (20, pytest.approx(1e-3))]
    assert found[("train", "box", "loss")] == [(0, 1.0), (20, 0.5)]
    assert found[("validation", "digit", "accuracy")] == [(10, 0.5), (20, 0.75)]
    assert found[("train", "", "lr")][0] == (0, pytest.approx(0.1))
    run = store.run(run_id)
    assert [task["name"] for task in run.spec["tasks"]] == ["digit", "box"]
    assert [metric["name"] for metric in run.spec["tasks"][0]["metrics"]] == ["accuracy"]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_run_that_names_no_task_counts_as_one(store, tmp_path, suffix):
    mark = "\t" if suffix == "tsv" else ","
    text = "\ufeff" + "Step,Loss,val_loss,lr\n1,3,4,0.1\n2,2,3,0.1\n".replace(",", mark)
    run_id = bring_in(store, file(tmp_path, text, f"lone.{suffix}"))
    assert series(store, run_id).keys() == {("train", "all", "loss"), ("validation", "all", "loss"), ("train", "", "lr")}


def test_what_tensorboard_downloads(store, tmp_path):
    run_id = bring_in(store, file(tmp_path, "Wall time,Step,Value\n1700000000.5,5,0.25\n1700000002.5,6,0.5\n"))
    assert series(store, run_id) == {("train", "all", "value"): [(5, 0.25), (6, 0.5)]}
    assert (store.run(run_id).created, store.run(run_id).ended) == (1700000000.5, 1700000002.5)


PLAIN = {("train", "a", "loss"): [(1, 2.5), (2, 1234.5)], ("train", "b", "loss"): [(1, 3.0), (2, 1000.0)]}
DIALECTS = {
    "semicolons": "step;a/loss;b/loss\n1;2.5;3\n2;1234.5;1000\n",
    "decimal commas": "step;a/loss;b/loss\n1;2,5;3,0\n2;1.234,5;1.000\n",
    "tabs": "step\ta/loss\tb/loss\n1\t2.5\t3\n2\t1234.5\t1e3\n",
    "tabs and decimal commas": "step\ta/loss\tb/loss\n1\t2,5\t3\n2\t1234,5\t1e3\n",
    "Excel's first line": "sep=;\r\nstep;a/loss;b/loss\r\n1;2,5;3\r\n2;1234,5;1000\r\n",
    "commas in quotes": '"step";"a/loss";"b/loss"\n"1";"2,5";"3"\n"2";"1234,5";"1000"\n',
    "a mark at the start, lines of old Macs": "\ufeffstep;a/loss;b/loss\r1;2,5;3\r2;1234,5;1000\r",
    "an index of pandas'": ",step,a/loss,b/loss\n0,1,2.5,3\n1,2,1234.5,1000\n",
    "a comma at the end of each line": "step,a/loss,b/loss,\n1,2.5,3,\n2,1234.5,1000,\n",
    "empty lines": "\n\nstep,a/loss,b/loss\n\n1,2.5,3\n\n2,1234.5,1000\n",
    "words in a column": "step,host,a/loss,b/loss\n1,one,2.5,3\n2,two,1234.5,1000\n",
    "the iteration": "Iteration,a/loss,b/loss\n1,2.5,3\n2,1234.5,1000\n",
    "steps and time twice": "_step,_runtime,_timestamp,a/loss,b/loss\n1,1.5,1700000000,2.5,3\n2,2.5,1700000001,1234.5,1000\n",
    "losses of tasks": "global_step,train_a_loss,train_b_loss\n1,2.5,3\n2,1234.5,1000\n",
    "a chart of Weights & Biases": '"Step","fast-fox-1 - a/loss","fast-fox-1 - a/loss__MIN","fast-fox-1 - a/loss__MAX","fast-fox-1 - b/loss"\n'
    '"1","2.5","2","3","3"\n"2","1234.5","1","9","1000"\n',
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tables_are_written_in_many_ways(store, tmp_path, dialect):
    (tmp_path / "run.csv").write_bytes(DIALECTS[dialect].encode())
    run_id = bring_in(store, tmp_path / "run.csv")
    assert series(store, run_id) == PLAIN
    told = [event.text for event in store.events(run_id) if "left out" in event.text]
    assert told == (["columns without numbers were left out: host"] if dialect == "words in a column" else [])


def test_what_lightning_writes(store, tmp_path):
    text = "epoch,step,train_loss_step,train_loss_epoch,val_loss,val_acc\n0,49,1.5,,,\n0,99,,,0.75,0.5\n0,99,,1.0,,\n1,149,0.5,,,\n"
    assert series(store, bring_in(store, file(tmp_path, text))) == {
        ("train", "all", "loss"): [(49, 1.5), (149, 0.5)],
        ("train", "all", "loss_epoch"): [(99, 1.0)],
        ("validation", "all", "loss"): [(99, 0.75)],
        ("validation", "all", "acc"): [(99, 0.5)],
    }


def test_a_point_is_a_point_where_no_decimals_have_commas(store, tmp_path):
    found = series(store, bring_in(store, file(tmp_path, "step;a/loss\n1;1.234\n2;2\n")))
    assert found[("train", "a", "loss")] == [(1, pytest.approx(1.234)), (2, 2.0)]


def test_of_two_numbers_for_a_step_the_last_counts(store, tmp_path):
    run_id = bring_in(store, file(tmp_path, "step,a/loss\n2,1\n1,5\n2,3\n"))
    assert series(store, run_id) == {("train", "a", "loss"): [(1, 5.0), (2, 3.0)]}


def test_a_run_that_says_which_one_it_is_comes_in(store, tmp_path):
    found = series(store, bring_in(store, file(tmp_path, "run,step,a/loss\nx,1,2\nx,1,3\nx,2,2\n")))
    assert found == {("train", "a", "loss"): [(1, 3.0), (2, 2.0)]}
    parts = "step,task,name,value,group\n1,a,loss,2,heads\n1,b,loss,3,trunk\n"  # nothing stands twice in one place
    assert len(series(store, bring_in(store, file(tmp_path, parts)))) == 2


def test_the_same_curves_come_in_once(store, tmp_path):
    path = file(tmp_path, "step,a/loss\n1,1\n")
    bring_in(store, path)
    with pytest.raises(ValueError, match="is here already"):
        bring_in(store, path, name="again")
    bring_in(store, file(tmp_path, "step,a/loss\n1,2\n"))
    assert len(store.runs()) == 2


SLIPS = {
    "empty": ("", "no CSV"),
    "no step": ("epoch,loss\n1,2\n", "no column 'step'"),
    "words": ("step,a/loss\n1,2\n2,many\n", "line 3: 'many' in column 'a/loss'"),
    "words as steps": ("step,a/loss\none,2\n", "'one' in column 'step'"),
    "steps below zero": ("step,a/loss\n-1,2\n", "whole numbers"),
    "half steps": ("step,a/loss\n0.5,2\n", "whole numbers"),
    "steps missing": ("step,a/loss\n,2\n", "whole numbers"),
    "steps beyond counting": ("step,a/loss\n1e300,2\n", "whole numbers"),
    "endless steps": ("step,a/loss\ninf,2\n", "whole numbers"),
    "only steps": ("step\n1\n", "no column beside"),
    "no rows": ("step,a/loss\n", "no numbers"),
    "nothing but gaps": ("step,a/loss\n1,\n", "no numbers"),
    "ragged": ("step,a/loss\n1,2\n1,2,3,4\n", "no CSV"),
    "twice": ("step,Step,a/loss\n1,1,2\n", "twice"),
    "a strange split": ("step,split,task,name,value\n1,holdout,a,loss,2\n", "split"),
    "too many tasks": ("step," + ",".join(f"t{n}/loss" for n in range(101)) + "\n" + ",".join(["1"] * 102), "101 tasks"),
    "endless time": ("step,time,a/loss\n1,inf,2\n", "from 0 on"),
    "time before all": ("step,time,a/loss\n1,-5,2\n", "from 0 on"),
    "time after all": ("step,time,a/loss\n1,1e300,2\n", "from 0 on"),
    "epochs below zero": ("step,epoch,a/loss\n1,-5,2\n", "from 0 on"),
    "several runs": ("Step,x - loss,x - loss__MIN,y - loss,y - loss__MIN\n1,2,2,3,3\n", r"2 runs \(x, y\)"),
    "runs one below the other": ("run,step,a/loss\nx,1,2\nx,2,2\ny,1,3\n", r"2 runs \(x, y\)"),
    "seeds one below the other": ("step,task,name,value,seed\n1,a,loss,2,0\n1,a,loss,3,1\n", r"2 runs \(0, 1\)"),
    "more cells than names": ("step,a/loss\n1,2,3\n2,3,4\n", "2 columns in its first line, and has 3 cells"),
    "thousands": ('step,a/loss\n1,"1,234.5"\n2,1\n', "line 2: '1,234.5' in column 'a/loss' is no number"),
    "words below Excel's first line": ("sep=;\nstep;a/loss\n1;2\n2;many\n", "line 4: 'many'"),
    "binary": ("\x00\x01\x02", "no c"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_are_told_in_a_sentence_and_leave_nothing(store, tmp_path, slip):
    text, sentence = SLIPS[slip]
    with pytest.raises(ValueError, match=sentence) as told:
        bring_in(store, file(tmp_path, text))
    assert "run.csv" in str(told.value)
    assert store.runs() == []
    assert [each for each in store.folder.iterdir() if each.is_dir()] == []


def test_nobody_learns_the_speed_of_this_machine_from_it(store, tmp_path):
    bring_in(store, file(tmp_path, "step,time,a/loss\n1,1,2\n500,90,2\n"))
    learn(store)
    assert store.get(FACT) is None


def test_other_encodings_are_refused(store, tmp_path):
    (tmp_path / "run.csv").write_bytes("step,größe/loss\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8"):
        bring_in(store, tmp_path / "run.csv")


@pytest.mark.parametrize("figure", sorted(figure.variant_name() for figure in FIGURES))
def test_every_figure_that_applies_draws_a_foreign_run(store, tmp_path, figure):
    run = store.run(bring_in(store, file(tmp_path, "step,<b>a</b>/loss,b/loss,val/b/accuracy\n1,2,3,\n2,1,2,0.5\n")))
    drawn = FIGURES[figure]
    if drawn.applies(run.spec):
        tables = frames.RunFrames(store, run.id, run.spec)
        for panel in drawn.choices(run.spec):
            drawn.draw(drawn.tidy(tables.table(drawn.source), run.spec), run.spec, View(choice=panel))
    else:
        assert figure not in ("losses", "metrics")


# TensorBoard


def accumulated(folder):
    """Every scalar as TensorBoard itself reads it: (split, tag) -> [(step, value)]."""
    found = {}
    for split in sorted(path for path in folder.iterdir() if path.is_dir()):
        reader = EventAccumulator(str(split), size_guidance={"scalars": 0})
        reader.Reload()
        for tag in reader.Tags()["scalars"]:
            found[split.name, tag] = [(event.step, event.value) for event in reader.Scalars(tag)]
    return found


def test_tensorboard_reads_what_we_write(store, own, tmp_path):
    run = store.run(own)
    written = write_events(store, run, tmp_path / "board")
    assert all(path.exists() for path in written)
    ours = {(split, f"{task}/{name}" if task else name): points for (split, task, name), points in series(store, own).items()}
    assert accumulated(tmp_path / "board" / own) == ours
    reader = EventAccumulator(str(tmp_path / "board" / own / "train"))
    reader.Reload()
    times = [event.wall_time - run.started for event in reader.Scalars("a/loss")]
    assert times == pytest.approx(list(store.read(own, "train").times), abs=1e-5)


def test_what_we_write_for_tensorboard_comes_back(store, own, tmp_path):
    write_events(store, store.run(own), tmp_path / "board")
    run_id = bring_in(store, tmp_path / "board")
    assert series(store, run_id) == series(store, own)
    assert store.run(run_id).spec["origin"]["kind"] == "TensorBoard"
    assert store.run(run_id).created == pytest.approx(store.run(own).started + 1 / 7, abs=1e-3)


def test_what_torch_writes_for_tensorboard_is_read(store, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own
        from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "logs" / "first")) as writer:
        for step in range(5):
            writer.add_scalar("Loss/train", 1 / (step + 1), step)
            writer.add_scalar("Loss/validation", 2.0, step, new_style=True)
            writer.add_text("notes", "no number", step)
            writer.add_histogram("weights", np.arange(9.0), step)
    found = series(store, bring_in(store, tmp_path / "logs"))
    assert found[("train", "all", "loss")] == [(n, pytest.approx(1 / (n + 1))) for n in range(5)]
    assert found[("validation", "all", "loss")] == [(n, 2.0) for n in range(5)]
    assert len(found) == 2


def writer_of(folder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter(str(folder), **options)


def test_a_run_that_began_again_counts_as_tensorboard_counts_it(store, tmp_path):
    for first, last, more in ((0, 10, {}), (3, 6, {"purge_step": 3, "filename_suffix": ".again"})):
        with writer_of(tmp_path / "logs" / "train", **more) as writer:
            for step in range(first, last):
                writer.add_scalar("a/loss", step + 100 * first, step)
    ours = series(store, bring_in(store, tmp_path / "logs"))
    assert [step for step, _ in ours["train", "a", "loss"]] == [0, 1, 2, 3, 4, 5]
    assert {("train", "a/loss"): ours["train", "a", "loss"]} == accumulated(tmp_path / "logs")


def test_what_keras_writes_for_tensorboard(store, tmp_path):
    for split in ("train", "validation"):
        with writer_of(tmp_path / "logs" / split) as writer:
            for name in ("epoch_loss", "epoch_accuracy"):
                writer.add_scalar(name, 0.5, 1, new_style=True)
    assert series(store, bring_in(store, tmp_path / "logs")) == {
        (split, "all", name): [(1, 0.5)] for split in ("train", "validation") for name in ("loss", "accuracy")
    }


def test_steps_below_zero_in_event_files(store, tmp_path):
    with writer_of(tmp_path / "logs") as writer:
        writer.add_scalar("a/loss", 1, -1)
    with pytest.raises(ValueError, match="logs: steps must be whole numbers from 0 on"):
        bring_in(store, tmp_path / "logs")


def test_a_folder_of_several_runs_is_not_mixed(store, own, tmp_path):
    write_events(store, store.run(own), tmp_path / "board" / "one")
    write_events(store, store.run(own), tmp_path / "board" / "two")
    with pytest.raises(ValueError, match="several runs: name one of its folders"):
        bring_in(store, tmp_path / "board")


def test_an_event_file_cut_off_is_read_to_there(store, own, tmp_path):
    write_events(store, store.run(own), tmp_path)
    (path,) = (tmp_path / own / "train").iterdir()
    whole = list(read_events(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = list(read_events(path))
    assert 0 < len(part) < len(whole)
    assert part == whole[: len(part)]


@pytest.mark.parametrize("content", [b"", b"nonsense" * 50, bytes(1000), b"\xff" * 1000])
def test_an_event_file_of_nonsense(store, tmp_path, content):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="tfevents"):
        bring_in(store, path)
    assert store.runs() == []


def test_a_folder_without_event_files(store, tmp_path):
    with pytest.raises(ValueError, match="no event files"):
        bring_in(store, tmp_path)


# The command line


def test_out_and_in_on_the_command_line(store, own, tmp_path, capsys):
    url = ["--store", str(tmp_path / "store")]
    assert main(["export", own, str(tmp_path / "board"), "--format", "tensorboard", "--json", *url]) == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 4
    assert main(["export", own, str(tmp_path / "run.mtlrun"), "--format", "archive", *url]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run.mtlrun")
    there = ["--store", str(tmp_path / "there")]
    for source, name in (("run.mtlrun", "from a file"), ("board", "from a board")):
        assert main(["import", str(tmp_path / source), "--name", name, "--json", *there]) == 0
        assert json.loads(capsys.readouterr().out)["name"] == name
    assert main(["import", str(tmp_path / "run.mtlrun"), *there]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: run.mtlrun was not imported: this run is here already")
    assert main(["import", str(tmp_path / "nowhere.csv"), *there]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert len(pd.DataFrame(Store.open(str(tmp_path / "there")).runs())) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "archiv"], "Did you mean 'archive'"),
        (["--format", "svg"], "needs --figure"),
        (["--format", "csv", "--figure", "losses"], "--figure goes with svg or png"),
    ],
)
def test_slips_in_export(own, tmp_path, capsys, arguments, sentence):
    assert main(["export", own, str(tmp_path / "x"), *arguments, "--store", str(tmp_path / "store")]) == 2
    assert sentence in capsys.readouterr().err
