"""Runs brought in on a page: what a visitor may upload, what a wrong file is answered, and who may."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.exchange.archive import pack
from mtl_core.store import Store
from mtl_core.ui.compare import imports
from mtl_core.ui.home.record import RECORDED

ROOT = Path(__file__).resolve().parents[1]
CURVES = b"step,a/loss,test/a/accuracy\n1,2,\n2,1,0.5\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(ROOT)
    yield tmp_path
    left = [path.name for name in ("upload", "import") for path in (tmp_path / "tmp").glob(f"mtl-{name}-*")]
    assert left == [], "no file of a visitor is left behind"


def opened():
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page("pages/compare.py").run()
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def upload(app, *files, name=""):
    for file, content in files:
        app.file_uploader[0].upload(file, content)
    app.run()
    if name:
        app.text_input[0].set_value(name)
    press(app, "Import")
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def press(app, label):
    next(button for button in app.button if button.label == label).click()
    app.run()


def archive(tmp_path):
    place = tmp_path / "elsewhere" / "mtl.sqlite"
    place.parent.mkdir()
    place.write_bytes(RECORDED.read_bytes())
    with Store.open(str(place)) as store:
        return pack(store, store.runs()[0].id, tmp_path / "run.mtlrun").read_bytes()


def said(app):
    return " ".join(box.value for box in app.error)


def test_an_archive_comes_in_and_can_be_compared(home):
    app = upload(opened(), ("run.mtlrun", archive(home)), name="theirs")
    assert "1 run imported" in app.success[0].value
    with Store.open() as store:
        (run,) = store.runs()
        assert (run.name, run.state) == ("theirs", "finished")
    press(app, "Add to the comparison")
    assert app.query_params["runs"] == run.id
    assert not app.success


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as box:
        for name, content in members.items():
            box.writestr(name, content)
    return file.getvalue()


def test_several_files_at_once_and_one_of_them_wrong(home):
    files = (("first.csv", CURVES), ("run.mtlrun", archive(home)[:5000]), ("<img src=x>.csv", CURVES.replace(b"0.5", b"0.25")))
    app = upload(opened(), *files)
    assert "2 runs imported" in app.success[0].value
    assert len(app.error) == 1
    assert "damaged or no archive" in said(app)
    with Store.open() as store:
        assert {run.name for run in store.runs()} == {"first", "_img src_x_"}


WRONG = {
    "empty": ("run.csv", b"", "no CSV"),
    "of nothing we know": ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(500), "no CSV in UTF-8"),
    "words": ("notes.txt", b"dear diary\n", "no column 'step'"),
    "an archive cut off": ("run.mtlrun", b"PK\3\4" + bytes(100), "damaged or no archive"),
    "an archive by name": ("run.mtlrun", CURVES, "damaged or no archive"),
    "an empty zip": ("runs.zip", zipped(), "there is no run in it"),
    "a zip of strangers": ("runs.zip", zipped(**{"setup.py": b"print()", "../evil.sh": b"rm"}), "there is no run in it"),
    "a table in another wrapping": ("run.csv.gz", gzip.compress(CURVES), "no CSV in UTF-8"),
    "events of nonsense": ("events.out.tfevents.1", b"nonsense" * 90, "tfevents"),
    "markup": ("<b>x</b>.csv", b"step,<img src=x onerror=alert(1)>/loss\n1,many\n", "many"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_a_sentence_and_leaves_nothing(home, case):
    name, content, sentence = WRONG[case]
    app = upload(opened(), (name, content))
    assert len(app.error) == 1
    assert sentence in said(app).replace("\\", "")
    assert str(home) not in said(app)
    with Store.open() as store:
        assert store.runs() == []


def test_a_zip_of_runs(home):
    content = zipped(**{"one/a.csv": CURVES, "two/a.csv": CURVES.replace(b"0.5", b"0.7"), "same/b.csv": CURVES})
    app = upload(opened(), ("runs.zip", content))
    assert "2 runs imported" in app.success[0].value
    assert "is here already" in said(app)


def test_a_file_over_the_limit(home, monkeypatch):
    monkeypatch.setitem(imports.MOST_MB, "lab", 1)
    app = upload(opened(), ("run.csv", CURVES + b"\n" * 2**21))
    assert "run.csv: it has 2 MB, at most 1 are taken here" in said(app).replace("\\", "")
    with Store.open() as store:
        assert store.runs() == []


def test_a_zip_that_claims_more_than_is_taken(home, monkeypatch):
    monkeypatch.setitem(imports.MOST_UNPACKED, "lab", 10_000)
    app = upload(opened(), ("runs.zip", zipped(**{"a.csv": CURVES + b"\n" * 20_000})))
    assert "would unpack to" in said(app)


def test_in_a_class_it_is_the_visitors_own(home, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    assert imports.most_mb() <= 20
    upload(opened(), ("run.csv", CURVES))
    with Store.open() as store:
        (run,) = store.runs()
        assert run.owner


def test_a_demonstration_takes_nothing(home, monkeypatch):
    with Store.open() as store:
        store.put("there", 1)
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    app = opened()
    assert not app.file_uploader
    with Store.open() as store:
        (found,) = imports.take(store, [Upload("run.csv", CURVES)])
        assert "demonstration" in found.slip
        assert store.runs() == []


class Upload(io.BytesIO):
    """A file as a visitor's browser sends it."""

    def __init__(self, name, content):
        super().__init__(content)
        self.name, self.size = name, len(content)
