"""Who may import whom, as a table: imports inside functions count too. To bend the law, change the table and say why."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHELVES = {"datasets", "architectures", "trunks", "weightings", "figures", "tasks"}

# Part of mtl_core -> the parts that it may import. Trunks are a shelf inside architectures and count as a part of their own.
BASE = {"registry", "chance", "records"}
LEAF = BASE | {"tasks", "batches"}
TRAINER = LEAF | {
    "config",
    "plan",
    "forward",
    "gradients",
    "backward",
    "looks",
    "selection",
    "optimisers",
    "evaluation",
    "datasets",
    "architectures",
    "weightings",
}
MAY_IMPORT = {
    "registry": set(),
    "chance": set(),
    "records": set(),
    "palette": set(),
    "config": {"registry"},
    "tasks": BASE,
    "batches": BASE,
    "forward": LEAF | {"architectures"},
    "gradients": LEAF | {"forward"},
    "backward": LEAF | {"forward", "gradients", "weightings"},
    "looks": LEAF | {"forward", "gradients"},
    "selection": set(),
    "optimisers": BASE | {"config"},
    "evaluation": LEAF | {"architectures"},
    "datasets": LEAF,
    "architectures": LEAF | {"trunks"},
    "trunks": LEAF,
    "solvers": set(),
    "weightings": BASE | {"solvers"},
    "toy": BASE | {"weightings"},  # asks the schemes themselves, as the trainer does
    "weigh": BASE | {"config", "weightings"},
    "plan": LEAF | {"config", "datasets", "architectures", "weightings"},
    "compute": set(),
    "cadence": {"plan"},
    "trainer": TRAINER | {"cadence", "compute"},
    "checkpoints": {"trainer", "config", "registry"},
    "store": {"records", "config", "registry", "sweeps"},
    "estimate": {"store"},
    "analysis": {"solvers"},
    "branching": {"analysis"},
    "what_if": BASE | {"weightings"},
    "scores": set(),
    "comparing": {"scores", "store"},  # what it groups are the store's runs
    "sweeps": {"registry", "config"},
    "frames": {
        "store",
        "analysis",
        "comparing",
        "config",
        "records",
        "what_if",
    },  # config for what settings are called; what_if when its table is asked for: it loads the schemes and torch
    "figures": {"registry", "palette"},
    "exchange": {"registry", "config", "records", "store", "comparing", "frames", "figures", "palette"},
    "jobs": {"registry", "records", "config", "sweeps", "plan", "estimate", "trainer", "checkpoints", "store"},
}
EVERYTHING = set(MAY_IMPORT)
MAY_IMPORT["ui"] = EVERYTHING
MAY_IMPORT["cli"] = EVERYTHING
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["pages"] = {"ui"}
MAY_IMPORT["app"] = {"ui"}

# Library -> the only parts that may import it.
ONLY_IN = {
    "streamlit": {"ui", "pages", "app"},
    "sqlalchemy": {"store"},
    "sqlite3": {"store"},
    "typer": {"cli"},
    "rich": {"cli"},
    "psutil": {"jobs"},
    "pynvml": {"jobs"},
    "plotly": {"figures", "ui"},
    "altair": {"figures", "ui"},
    "pandas": {"frames", "figures", "ui", "cli", "exchange"},
    "tensorboard": {"exchange"},
    "vl_convert": {"exchange"},
    "sklearn": {"datasets"},
    "torchmetrics": {"tasks", "evaluation"},
    "yaml": {"config"},
    "torchjd": set(),
    "ray": set(),
}
# Parts that a page which many people watch needs: torch (100 MB and a second) stays out of them.
TORCH_FREE = {
    "solvers",
    "branching",
    "registry",
    "records",
    "config",
    "sweeps",
    "palette",
    "store",
    "estimate",
    "analysis",
    "scores",
    "comparing",
    "frames",
    "figures",
    "exchange",
}


def files():
    return sorted([*ROOT.glob("mtl_core/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"])


def part(module):
    """The part of the tree that a dotted module name belongs to, or None for other people's modules."""
    names = module.split(".")
    if names[0] in ("pages", "app"):
        return names[0]
    if names[0] != "mtl_core":
        return None
    if names[1:3] == ["architectures", "trunks"]:
        return "trunks"
    return names[1] if len(names) > 1 else "mtl_core"


def module_name(file):
    names = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imported(file):
    """All dotted names that a file imports anywhere in it; ``from a import b`` gives a.b where that is a module, else a."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write imports in full, not relative"
            for alias in node.names:
                path = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = path.with_suffix(".py").exists() or (path / "__init__.py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def dynamic(file):
    """Names given as text to import_module or __import__ in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            yield from (word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str))


def uses(file):
    return {*imported(file), *dynamic(file)}


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_follow_the_law(file):
    own = part(module_name(file))
    if own == "mtl_core":
        return  # the front door for notebooks knows where names live; that it loads none of them is seen at run time, below
    assert own in MAY_IMPORT, f"{file.name} is a new part of mtl_core: give it a line in the table"
    for module in uses(file):
        other = part(module)
        if other is not None:
            assert other == own or other in MAY_IMPORT[own], f"{own} may not import {other}"
            continue
        library = module.partition(".")[0]
        assert own in ONLY_IN.get(library, {own}), f"{own} may not import {library}"
        assert library not in ("torch", "torchvision") or own not in TORCH_FREE, f"{own} must stay free of torch"


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_leaves_of_a_shelf_do_not_know_each_other(file):
    name = module_name(file)
    shelf = name.rpartition(".")[0]
    if part(name) not in SHELVES or file.name == "__init__.py" or file.name.startswith("_"):
        return
    for module in uses(file):
        home, _, leaf = module.rpartition(".")
        assert home != shelf or leaf.startswith("_") or (file.parent / leaf / "__init__.py").exists(), (
            f"{name} imports its neighbour {module}: share by a function in a file that starts with an underscore"
        )


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_nobody_asks_for_a_leaf_by_its_file(file):
    """One loop, one page, no ``if scheme == …``: whoever needs a variant finds it by name on its shelf."""
    own = part(module_name(file))
    for module in uses(file):
        home = module.rpartition(".")[0]
        is_shelf = ROOT.joinpath(*module.split("."), "__init__.py").exists()
        is_leaf = part(module) in SHELVES - {"tasks"} and home.startswith("mtl_core.") and not is_shelf
        assert not is_leaf or part(module) == own, f"{own} names the leaf {module}: ask its shelf"


def test_the_table_names_parts_that_exist():
    found = {part(module_name(file)) for file in files()}
    assert set(MAY_IMPORT) <= found


def test_the_table_has_no_circle():
    done = set()

    def visit(name, path):
        assert name not in path, f"a circle of imports: {[*path, name]}"
        if name not in done:
            for other in MAY_IMPORT[name]:
                visit(other, [*path, name])
            done.add(name)

    for name in MAY_IMPORT:
        visit(name, [])


def loaded_by(*modules):
    """What is in memory of a fresh process after importing these modules."""
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_home_and_watch_need_does_not_load_torch():
    leaves = [module_name(file) for file in sorted((ROOT / "mtl_core/figures").glob("*.py"))]
    parts = ["records", "registry", "config", "store", "frames", "analysis", "comparing", "figures", "jobs"]
    loaded = loaded_by(*(f"mtl_core.{name}" for name in parts), *leaves)
    assert "mtl_core.store" in loaded
    assert not {"torch", "torchvision", "torchmetrics", "streamlit", "sklearn"} & loaded


@pytest.mark.parametrize("page", ["home", "watch", "compare"])
def test_a_page_that_many_people_watch_does_not_load_torch(page):
    own = [module for file in (ROOT / "app.py", ROOT / f"pages/{page}.py") for module in imported(file) if part(module)]
    loaded = loaded_by(*own)
    assert "streamlit" in loaded
    assert not {"torch", "torchvision", "torchmetrics", "sklearn", "scipy"} & loaded


def test_importing_the_package_loads_none_of_its_parts():
    loaded = loaded_by("mtl_core")
    assert {name for name in loaded if part(name) is not None} == {"mtl_core"}
    assert not {"torch", "numpy", "pandas", "pydantic", "sqlalchemy"} & loaded


def test_nobody_inside_uses_the_front_door():
    names = [
        module for file in files() for module in uses(file) if module == "mtl_core" and part(module_name(file)) != "mtl_core"
    ]
    assert not names, "import from the part itself: the front door hides what is loaded"


def test_starting_the_command_line_loads_nothing_heavy():
    loaded = loaded_by("mtl_core.__main__")
    assert "typer" in loaded
    assert not {"torch", "numpy", "pandas", "sqlalchemy", "streamlit", "rich"} & loaded
