"""Adding a scheme is one file: dropped into the shelf of a copy, it is listed, weighs, trains, is tested and stands on every page."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("mtl_core", "pages", "tests", ".streamlit", "app.py", "README.md", "pyproject.toml")
SCHEME = '''\
"""Even pull: every task pulls equally hard."""

import torch

from mtl_core.weightings import WEIGHTINGS, GramianKnobs, Paper, Weighting


@WEIGHTINGS.register
class EvenPull(Weighting):
    """Every task pulls equally hard, however long its gradient is.

    >>> import torch
    >>> from mtl_core.weightings import Setting
    >>> scheme = EvenPull(EvenPull.Knobs(), Setting(("a", "b"), (10, 10)))
    >>> scheme.weights(torch.tensor([[4.0, 0.0], [0.0, 0.25]]), torch.ones(2))  # one over lengths of 2 and 1/2
    tensor([0.5000, 2.0000])
    """

    title, asks = "Even pull", "gramian"
    paper = Paper("Somebody", 2026, "A scheme that came as one file", "https://example.org/even-pull")
    formula = r"w_i = 1 / \\lVert g_i \\rVert"
    published_scale, published_heads = "sum", "unit"
    helps, hurts = "When gradients differ in length.", "When a gradient is short because its task is done."
    Knobs = GramianKnobs

    def weights(self, gram_TT, losses_T):
        length_T = gram_TT.diagonal().sqrt()
        return torch.where(length_T > 0, 1.0 / length_T, 0.0)  # a task that does not pull counts nothing
'''
CONFIG = "{dataset: {name: teacher}, weighting: {name: even_pull}, training: {steps: 8}, measure: {every: 4}}"
PAGES = """
from streamlit.testing.v1 import AppTest

app = AppTest.from_file("app.py", default_timeout=120).run()
app.switch_page("pages/train.py").run()
assert not app.exception, app.exception
schemes = next(box for box in app.selectbox if str(box.key).endswith(".weighting"))
assert "Even pull" in schemes.options
schemes.set_value("even_pull").run()
assert not app.exception, app.exception
assert app.query_params["weighting"] in ("even_pull", ["even_pull"])
assert not app.button(key="start").disabled

app.switch_page("pages/methods.py")
app.query_params.clear()
app.query_params["weighting"] = "even_pull"
app.run()
assert not app.exception, app.exception
assert app.radio(key="methods.list.gramian").value == "even_pull"
assert any("w_i = 1 /" in formula.value for formula in app.get("latex"))
assert any("class EvenPull" in code.value for code in app.code)
assert any("gains" in part.proto.body and "<b>Even pull.</b>" in part.proto.body for part in app.get("html"))
print("both pages know it")
"""

pytestmark = [pytest.mark.alone, pytest.mark.slow]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository with one more file."""
    folder = tmp_path_factory.mktemp("with_a_new_scheme")
    for name in COPIED:  # compiled files too, which saves compiling them again
        copy_of = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy_of(ROOT / name, folder / name)
    (folder / "mtl_core/weightings/even_pull.py").write_text(SCHEME)
    return folder


def python(folder, *arguments, text=""):
    """Run Python in the copy, which must go well; what it prints."""
    env = {**os.environ, "PYTHONPATH": str(folder), "MTL_EXPLORER_STORE": str(folder / "runs")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, input=text, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_shelf_lists_it(copy):
    shelves = json.loads(python(copy, "-m", "mtl_core", "shelves", "--json"))
    (said,) = [scheme for scheme in shelves["weightings"] if scheme["name"] == "even_pull"]
    assert said["title"] == "Even pull"
    assert said["backward_passes"] == "T"
    assert {knob["name"] for knob in said["knobs"]} == {"scale", "heads", "on"}


def test_it_weighs(copy):
    requests = [{"scheme": "even_pull", "gradients": [[2, 0], [0, 0.5]], "knobs": knobs} for knobs in ({}, {"scale": "mean"})]
    printed = python(copy, "-m", "mtl_core", "weigh", "--batch", "-", text="\n".join(map(json.dumps, requests)))
    answers = [json.loads(line) for line in printed.splitlines()]
    assert answers[0] == {"weights": [0.5, 2.0], "direction": [1.0, 1.0]}
    assert answers[1] == {"weights": [0.25, 1.0], "direction": [0.5, 0.5]}


def test_it_trains(copy):
    answer = json.loads(python(copy, "-m", "mtl_core", "train", "-", "--json", text=CONFIG))
    assert answer["state"] == "finished"
    assert all(scores["loss"] < 1e6 for scores in answer["test"].values())


def test_train_offers_it_and_methods_explains_it(copy):
    assert "both pages know it" in python(copy, "-c", PAGES)


def test_the_readme_gets_its_row(copy):
    python(copy, "tests/test_docs.py")
    readme = (copy / "README.md").read_text()
    (row,) = re.findall(r"^\| `even_pull` \|.*$", readme, re.MULTILINE)
    assert "Every task pulls equally hard, however long its gradient is." in row
    assert "[Somebody 2026](https://example.org/even-pull)" in row
    assert "    even_pull.py              Even pull: every task pulls equally hard\n" in readme


def test_the_contract_tests_take_it_in_and_it_passes(copy):
    options = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    printed = python(
        copy, "-m", "pytest", "tests/test_weightings.py", "mtl_core/weightings/even_pull.py", "-k", "even_pull", *options
    )
    (passed,) = re.findall(r"(\d+) passed", printed)
    own = re.findall(r"^@every_scheme$", (ROOT / "tests/test_weightings.py").read_text(), re.MULTILINE)
    assert int(passed) > len(own) > 0
    assert "failed" not in printed


def test_nothing_of_it_stays_here():
    assert not (ROOT / "mtl_core/weightings/even_pull.py").exists()
    assert "even_pull" not in (ROOT / "README.md").read_text()
