"""Shelves find their files, describe them, refuse wrong names with the nearest right one, and stop at a broken file."""

import sys
import textwrap
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from mtl_core.registry import Knobs, Shelf, Variant, describe_knobs, no_such, parse_knobs

GOOD = """
    from mtl_core.registry import Knobs, Variant
    from pydantic import Field
    from {package} import SHELF

    class {name}Knobs(Knobs):
        c: float = Field(0.4, ge=0, lt=1)

    @SHELF.register
    class {name}(Variant):
        '''Plain words.

        More of them.
        '''
        title = "{name}"
        Knobs = {name}Knobs
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch, request):
    """A real package on disk with a shelf and two leaves; more files can be put beside them before the first look."""
    package = f"shelf_{abs(hash(request.node.name))}"
    folder = tmp_path / package
    folder.mkdir()
    source = f"from mtl_core.registry import Shelf, Variant\nSHELF: Shelf[Variant] = Shelf('leaf', '{package}')\n"
    (folder / "__init__.py").write_text(source)
    for name in ("Oak", "Beech"):
        (folder / f"{name.lower()}.py").write_text(textwrap.dedent(GOOD.format(package=package, name=name)))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[module]


def load(folder):
    return __import__(folder.name).SHELF


def test_a_file_is_a_variant(shelf):
    leaves = load(shelf)
    assert leaves.names() == ["beech", "oak"]
    assert [leaf.variant_name() for leaf in leaves] == ["beech", "oak"]
    assert "oak" in leaves
    assert "pine" not in leaves
    assert 3 not in leaves
    assert leaves["oak"].describe()["summary"] == "Plain words."


def test_parse_checks_name_and_knobs(shelf):
    leaves = load(shelf)
    variant, knobs = leaves.parse({"name": "oak", "c": 0.5})
    assert variant is leaves["oak"]
    assert knobs.c == 0.5


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"name": "oka"}, "Did you mean 'oak'?"),
        ({"name": "OAK "}, "Did you mean 'oak'?"),
        ({"name": "zzz"}, "There are: beech, oak"),
        ({"name": "x" * 10_000}, "…"),
        ({}, "beech, oak"),
        ({"name": None}, "beech, oak"),
        ({"name": "oak", "d": 1}, "There are: c"),
        ({"name": "oak", "c": 1}, "less than 1"),
        ({"name": "oak", "c": -0.1}, "greater than or equal to 0"),
        ({"name": "oak", "c": float("nan")}, "finite"),
        ({"name": "oak", "c": float("inf")}, "c"),
        ({"name": "oak", "c": "much"}, "number"),
        ({"name": "oak", "c": [0.1]}, "number"),
        ({"name": "oak", "c": None}, "number"),
        ({"name": "../oak"}, "no leaf"),
        ({"name": "__init__"}, "no leaf"),
    ],
)
def test_slips_are_sentences(shelf, choice, says):
    with pytest.raises(ValueError, match="leaf") as caught:
        load(shelf).parse(choice)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("empty", "", "empty registers no leaf"),
        ("broken", "import no_such_module_anywhere", "broken does not load"),
    ],
)
def test_a_broken_file_stops_with_its_name(shelf, name, source, says):
    (shelf / f"{name}.py").write_text(source)
    with pytest.raises(RuntimeError, match=says):
        load(shelf).names()


def test_two_variants_in_a_file_stop_with_both_names(shelf):
    source = GOOD.format(package=shelf.name, name="Elm") + GOOD.format(package=shelf.name, name="Ash")
    (shelf / "elm.py").write_text(textwrap.dedent(source))
    with pytest.raises(RuntimeError, match="Elm and Ash"):
        load(shelf).names()


def test_private_files_and_packages_are_no_variants(shelf):
    (shelf / "_shared.py").write_text("raise SystemExit('must not load')")
    (shelf / "sub").mkdir()
    (shelf / "sub" / "__init__.py").write_text("raise SystemExit('must not load')")
    assert load(shelf).names() == ["beech", "oak"]


class Everything(Knobs):
    whole: int = Field(3, ge=1, le=9, title="Whole number", description="Help.")
    real: float = Field(0.5, gt=0, lt=1)
    flag: bool = True
    word: Literal["a", "b"] = "a"
    maybe: float | None = Field(None, ge=0)
    many: list[float] = Field(default_factory=lambda: [1.0])
    often: int | Literal["auto"] = "auto"
    mode: Literal["x", "y"] | None = None


def test_knobs_describe_themselves():
    described = {knob["name"]: knob for knob in describe_knobs(Everything)}
    assert described["whole"] | {"help": "Help."} == described["whole"]
    assert (described["whole"]["minimum"], described["whole"]["maximum"]) == (1, 9)
    assert described["real"]["exclusive_minimum"]
    assert described["real"]["exclusive_maximum"]
    assert described["word"]["choices"] == ["a", "b"]
    assert described["maybe"]["optional"]
    assert not described["whole"]["optional"]
    assert [described[name]["type"] for name in Everything.model_fields] == [
        *("int", "float", "bool", "str", "float", "list", "int", "str")
    ]
    assert described["often"]["words"] == ["auto"]
    assert (described["mode"]["choices"], described["mode"]["optional"], described["mode"]["words"]) == (["x", "y"], True, [])
    assert described["many"]["default"] == [1.0]


@given(
    st.dictionaries(st.sampled_from([*Everything.model_fields, "other", ""]), st.none() | st.floats() | st.text() | st.binary())
)
def test_knobs_take_anything_and_raise_only_value_errors(values):
    try:
        knobs = parse_knobs(Everything, values, "example")
    except ValueError:
        return
    assert parse_knobs(Everything, knobs.model_dump(), "example") == knobs


@given(st.text(), st.lists(st.text(max_size=8), max_size=5))
def test_no_such_always_names_a_remedy(name, known):
    sentence = no_such("thing", name, known)
    assert "Did you mean" in sentence or "There are:" in sentence


def test_shelf_of_a_missing_package_fails_loudly():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        Shelf[Variant]("leaf", "no_such_package").names()
