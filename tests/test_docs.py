"""What the README says is true: its tree, its commands, its examples of adding a thing, its tables.

``python tests/test_docs.py`` writes what follows from the code anew: the tree, from the first docstring line of each file, and
the table of weightings, from what each scheme says of itself.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = {
    "benchmarks/": "speed figures: make bench",
    "docs/": "pictures and notes",
    "tests/": "contracts, properties, real processes, a real browser",
    ".streamlit/": "theme and server settings",
    "Makefile": "run, test, bench",
    "pyproject.toml": "settings of ruff, mypy and pytest",
    "requirements.txt": "what running needs; beside it what tests (-dev) and a cluster (-cluster) need",
}
COLUMN = 30
LONGEST = 92
SCHEMES = re.compile(
    r"(?<=<!-- weightings: written by tests/test_docs.py -->\n\n).*?(?=\n<!-- end of weightings -->)", re.DOTALL
)
LOOKS_AT = {"losses": "losses", "gramian": "Gramian", "gradients": "gradients"}


def summary(file):
    """The first docstring line of a file, cut at the end of a clause where it is long."""
    line = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0].rstrip(".")
    while len(line) > LONGEST:
        cut = max(line.rfind(mark) for mark in (". ", ": ", "; ", ", ", " ("))
        if cut <= 0:
            return line[: LONGEST - 1] + "…"
        line = line[:cut]
    return line.replace("``", "")


def tree():
    """The repository's Python as lines of text, then the rest of the top level."""
    lines = [_line(0, "app.py", summary(ROOT / "app.py"))]
    for top in ("pages", "mtl_core"):
        lines += _folder(ROOT / top, 0)
    lines += [_line(0, name, text) for name, text in OTHERS.items()]
    return "\n".join(lines) + "\n"


def _folder(folder, depth):
    head = folder / "__init__.py"
    yield _line(depth, folder.name + "/", summary(head) if head.exists() else "one thin file per page")
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py":
            yield _line(depth + 1, file.name, summary(file))
    for sub in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob("*.py"))):
        yield from _folder(sub, depth + 1)


def _line(depth, name, text):
    return f"{'  ' * depth + name:{COLUMN}}{text}".rstrip()


def table():
    """All weightings as a Markdown table: what each looks at, does and costs, when it helps, and its paper."""
    from mtl_core.weightings import WEIGHTINGS

    rows = [("Scheme", "Looks at", "What it does", "It helps", "Backward passes", "Paper"), ("---",) * 6]
    for scheme in sorted(WEIGHTINGS, key=lambda each: (list(LOOKS_AT).index(each.asks), each.variant_name())):
        said = scheme.describe()
        paper = f"[{said['paper']['authors'].partition(',')[0]} {said['paper']['year']}]({said['paper']['link']})"
        cost = {"T": "one per task"}.get(said["backward_passes"], said["backward_passes"])
        rows.append((f"`{said['name']}`", LOOKS_AT[scheme.asks], said["summary"], said["helps"], cost, paper))
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def blocks(language):
    """The fenced blocks of the README in that language, with the text before each."""
    text = README.read_text(encoding="utf-8")
    return [(text[: found.start()], found[2]) for found in BLOCK.finditer(text) if found[1] == language]


def run(command, folder, **more):
    """Run a shell command there, with the tests' own Python first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::DeprecationWarning:mtl_core", **more}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_tree_is_the_tree():
    shown = blocks("")[-1][1]
    assert shown == tree(), "the tree has changed: python tests/test_docs.py writes it anew"


def test_every_file_says_what_it_is():
    nameless = [str(file) for file in ROOT.glob("mtl_core/**/*.py") if not summary(file)]
    assert not nameless


def test_links_to_files_lead_somewhere():
    text = README.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_config_is_valid():
    from mtl_core.config import RunConfig
    from mtl_core.plan import check

    config = RunConfig.from_yaml(blocks("yaml")[0][1])
    assert check(config).task_names == ("digit", "box")


def test_the_commands_run(tmp_path):
    (tmp_path / "first.yaml").write_text(blocks("yaml")[0][1])
    commands = [line for _, block in blocks("sh") for line in block.splitlines() if "mtl_core" in line]
    assert len(commands) >= 9
    run_id = "RUN"
    for command in commands:
        done = run(command.replace("RUN", run_id), tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout, command
        if command.endswith("--json"):
            answer = json.loads(done.stdout)
            run_id = answer.get("run", run_id)
    assert len(list((tmp_path / "exported").glob("*.parquet"))) == 3


def test_examples_of_adding_a_thing_work_as_they_stand(tmp_path):
    """Each example goes where the text says into a copy of the package, and a run is trained with all of them."""
    shutil.copytree(ROOT / "mtl_core", tmp_path / "mtl_core", ignore=shutil.ignore_patterns("__pycache__"))
    examples = blocks("python")
    assert len(examples) == 4
    for before, block in examples:
        lines = [line for line in block.splitlines() if line and not line.startswith(("import", "from"))]
        assert len(lines) <= 12, "an example of adding something fits in a dozen lines"
        path = re.findall(r"`(mtl_core/[\w/]+\.py)`", before)[-1]
        assert not (tmp_path / path).exists(), path
        (tmp_path / path).write_text(block)
    command = "python -m mtl_core train - training.steps=5 --json --store runs"
    config = "{dataset: {name: sums}, architecture: {name: hard_sharing, trunk: deep, depth: 2}, weighting: {name: root}}"
    done = run(f"echo '{config}' | {command}", tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["test"]) == {"sum", "difference"}
    shelves = json.loads(run("python -m mtl_core shelves --json", tmp_path, PYTHONPATH=str(tmp_path)).stdout)
    assert "root" in {one["name"] for one in shelves["weightings"]}
    draw = """
from mtl_core.figures import FIGURES, View
from mtl_core.frames import RunFrames, curves
from mtl_core.store import Store
store = Store.open("runs")
run = store.runs()[0]
figure = FIGURES["total"]
tidy = figure.tidy(curves(store, run.id, "train"), run.spec)
assert len(tidy) == 5, tidy
figure.draw(tidy, run.spec, View()).to_dict()
"""
    (tmp_path / "draw.py").write_text(draw)
    done = run("python draw.py", tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_the_table_of_weightings_follows_from_the_shelf():
    from mtl_core.weightings import WEIGHTINGS

    (shown,) = SCHEMES.findall(README.read_text(encoding="utf-8"))
    assert shown == table(), "a scheme has changed: python tests/test_docs.py writes the table anew"
    assert sorted(re.findall(r"^\| `(\w+)` \|", shown, re.MULTILINE)) == WEIGHTINGS.names()
    assert {row.count(" | ") for row in shown.splitlines()} == {5}


def test_every_weighting_links_its_paper():
    from mtl_core.weightings import WEIGHTINGS

    for scheme in WEIGHTINGS:
        assert re.fullmatch(r"https://\S+", scheme.paper.link), scheme
        assert 1950 < scheme.paper.year < 2100


def test_environment_variables_in_code_and_readme_are_the_same():
    used = set()
    for file in ROOT.glob("mtl_core/**/*.py"):
        used |= set(re.findall(r"\bMTL_EXPLORER_\w+\b", file.read_text(encoding="utf-8")))
    told = set(re.findall(r"`(MTL_EXPLORER_\w+)`", README.read_text(encoding="utf-8")))
    assert told == used


def test_make_targets_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = set(re.findall(r"(?:^|`)make (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"run", "test", "bench"} <= told
    assert [target for target in told if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_changelog_begins_with_what_comes_next():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


@pytest.mark.parametrize("name", ["run", "test", "bench"])
def test_make_knows_what_to_do(name):
    done = run(f"make --dry-run {name}", ROOT)
    assert done.returncode == 0, done.stderr
    assert "python" in done.stdout


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    old = blocks("")[-1][1]
    text = README.read_text(encoding="utf-8").replace(f"```\n{old}```", f"```\n{tree()}```")
    README.write_text(SCHEMES.sub(lambda _: table(), text), encoding="utf-8")
