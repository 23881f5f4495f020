"""The package as a notebook uses it: names at its front door, figures as charts, and what the README shows."""

import json
import re
import subprocess
import sys
from pathlib import Path

import altair as alt
import pytest
from contrasts import fair

import mtl_core
from mtl_core import frames
from mtl_core.cli.app import main
from mtl_core.exchange.report import report
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.store import Store
from mtl_core.ui.home.record import RECORDED

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    place = tmp_path_factory.mktemp("recorded") / "mtl.sqlite"
    place.write_bytes(RECORDED.read_bytes())
    with Store.open(str(place), read_only=True) as store:
        yield store, store.runs()[0].id


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A fair comparison, and one that is not."""
    with Store.open(str(tmp_path_factory.mktemp("several"))) as store:
        fair(store)
        yield store, mtl_core.compare_runs(store, [run.id for run in store.runs()])


@pytest.mark.parametrize("name", mtl_core.__all__)
def test_every_name_at_the_front_door_is_there_and_described(name):
    assert name in dir(mtl_core)
    assert (getattr(mtl_core, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", ["trane", "__path_", "_homes"])
def test_another_name_is_refused(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(mtl_core, name)


def test_a_figure_is_an_altair_chart(recorded):
    store, run_id = recorded
    chart = mtl_core.figure(store, run_id, "losses", x="time", theme="dark", log_y=True, width=500)
    assert isinstance(chart, alt.LayerChart)
    assert chart.to_dict()["width"] == 500


def test_a_drawing_shows_itself(recorded):
    drawing = mtl_core.figure(*recorded, "architecture")
    assert drawing._repr_svg_().startswith("<svg")


def test_slips(recorded):
    store, run_id = recorded
    with pytest.raises(ValueError, match="Did you mean 'losses'"):
        mtl_core.figure(store, run_id, "loses")
    with pytest.raises(ValueError, match="panel of metrics"):
        mtl_core.figure(store, run_id, "metrics", panel="beauty")
    for ask in (mtl_core.figure, mtl_core.numbers):
        with pytest.raises(LookupError):
            ask(store, "nobody")


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "tensorboard"])
def test_a_run_goes_out_as_on_the_command_line(recorded, tmp_path, form):
    store, run_id = recorded
    written = mtl_core.export(store, run_id, tmp_path / "notebook", form)
    place = store.url.removeprefix("sqlite:///")
    assert main(["export", run_id, str(tmp_path / "line"), "--format", form, "--store", place]) == 0
    assert len(written) == 4
    for path in written:
        assert path.read_bytes() == (tmp_path / "line" / path.relative_to(tmp_path / "notebook")).read_bytes()
    with pytest.raises(ValueError, match="Did you mean 'csv'"):
        mtl_core.export(store, run_id, tmp_path, "cvs")


def test_a_report_of_a_run_is_a_file(recorded, tmp_path):
    assert mtl_core.run_report(*recorded, tmp_path / "report.html").read_text(encoding="utf-8") == report(
        recorded[0], recorded[0].run(recorded[1])
    )


def test_numbers_are_the_export(recorded):
    store, run_id = recorded
    assert mtl_core.numbers(store, run_id).equals(frames.export(store, run_id))


def test_runs_side_by_side(several):
    store, comparison = several
    assert len(comparison.groups) == 7
    table = mtl_core.comparison_table(store, comparison).set_index("group")
    assert table.loc["single task", "Δm (%)"] == pytest.approx(0, abs=1e-9)
    one = store.runs()[0].id
    assert len(mtl_core.compare_runs(store, one).groups) == 1, "one id as it is"
    other = next(group for group in comparison.groups if group.scheme == "mgda").runs[0].id
    chosen = mtl_core.compare_runs(store, [one], baseline=other)
    assert chosen.group(chosen.chosen).scheme == "mgda", "the baseline need not be named twice"


@pytest.mark.parametrize("name", CONTRASTS.names())
def test_a_figure_of_several_runs_shows_itself(several, name):
    if not CONTRASTS[name].applies(Compared(*several).spec):
        pytest.skip("nothing to show for these runs")
    chart = mtl_core.comparison_figure(*several, name, theme="dark", width=500)
    assert hasattr(chart, "_repr_mimebundle_")
    assert json.loads(chart.to_json())


def test_slips_with_several_runs(several):
    store, comparison = several
    with pytest.raises(LookupError):
        mtl_core.compare_runs(store, ["nobody"])
    with pytest.raises(ValueError, match="nothing to compare"):
        mtl_core.compare_runs(store, [])
    with pytest.raises(ValueError, match="Did you mean 'front'"):
        mtl_core.comparison_figure(store, comparison, "frnt")
    with pytest.raises(ValueError, match="panel of"):
        mtl_core.comparison_figure(store, comparison, "task_results", choice="beauty")


def test_a_report_of_several_runs_is_a_file(several, tmp_path):
    store, _ = several
    few = mtl_core.compare_runs(store, [run.id for run in store.runs()[:2]])
    path = mtl_core.comparison_report(store, few, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_what_the_readme_shows_runs(tmp_path):
    (block,) = re.findall(r"^```py\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    code = block + "\nprint(run.state, type(chart).__name__, len(table), loss, copy == run.id)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    state, chart, rows, loss, is_same = done.stdout.split()[-5:]
    assert (state, chart, is_same) == ("finished", "LayerChart", "True")
    assert int(rows) > 50 * 4
    assert 0 < float(loss) < 100
    assert (tmp_path / "first.mtlrun").exists()
