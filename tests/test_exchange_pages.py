"""Runs from elsewhere on the pages, and what Watch hands out to take away."""

import io
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.exchange.archive import unpack
from mtl_core.exchange.foreign import bring_in
from mtl_core.records import SPLITS
from mtl_core.store import Store
from mtl_core.ui.home.record import RECORDED
from mtl_core.ui.watch import details

ROOT = Path(__file__).resolve().parents[1]
VIEWS = ("Overview", "Conflict", "Predictions", "What if", "Details")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def watch(run_id, view):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/watch.py")
    app.query_params["run"], app.query_params["view"] = run_id, view
    app.run()
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


@pytest.mark.parametrize("view", VIEWS)
def test_watch_shows_a_foreign_run(home, view):
    text = "step,a/loss,b/loss,val/b/accuracy\n1,2,3,\n2,1,2,0.5\n"
    (home / "theirs.csv").write_text(text)
    with Store.open() as store:
        run_id = bring_in(store, home / "theirs.csv")
    app = watch(run_id, view)
    assert not app.error
    if view == "Details":
        assert "imported from theirs.csv (CSV)" in " ".join(part.proto.body for part in app.get("html"))


@pytest.mark.parametrize("page", sorted(path.stem for path in (ROOT / "pages").glob("*.py")))
def test_every_page_opens_beside_a_foreign_run(home, page):
    with Store.open() as store:
        for n in range(2):
            (home / "theirs.csv").write_text(f"step,time,a/loss,b/loss,test/b/accuracy\n1,0,2,3,\n900,70,1,{n},0.5\n")
            bring_in(store, home / "theirs.csv", name=f"run {n}")
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, [error.stack_trace for error in app.exception]


@pytest.mark.parametrize("view", VIEWS)
def test_watch_shows_an_imported_run_as_it_was(home, view):
    place = home / "elsewhere" / "mtl.sqlite"
    place.parent.mkdir()
    place.write_bytes(RECORDED.read_bytes())
    with Store.open(str(place)) as theirs, Store.open() as ours:
        (run,) = theirs.runs()
        (home / "run.mtlrun").write_bytes(details.archive(theirs, run.id))
        unpack(ours, home / "run.mtlrun")
        app = watch(run.id, view)
        assert not app.error
        if view == "Details":
            files = {button.proto.label for button in app.get("download_button")}
            assert {"All numbers (CSV)", "Report (HTML)", "Archive (.mtlrun)"} <= files
            assert set(details.TABLES.values()) <= files
            assert details.csv(ours, run.id) == details.csv(theirs, run.id)


@pytest.mark.parametrize("form", details.TABLES)
def test_watch_hands_out_every_table(home, form):
    (home / "mtl.sqlite").write_bytes(RECORDED.read_bytes())
    with Store.open(str(home / "mtl.sqlite")) as store:
        (run,) = store.runs()
        with zipfile.ZipFile(io.BytesIO(details.tables(store, run, form))) as box:
            names = set(box.namelist())
    if form == "tensorboard":
        assert {name.rpartition("/")[0] for name in names} == {run.id, *(f"{run.id}/{split}" for split in SPLITS)}
    else:
        assert names == {f"{run.id}.yaml", *(f"{run.id}.{table}.{form}" for table in ("curves", "changes", "gramian"))}
