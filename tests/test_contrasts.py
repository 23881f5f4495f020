"""Figures of a comparison: every one on the shelf keeps its promises, on fair comparisons, poor ones and hostile ones."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import pytest
from contrasts import CASES, HOSTILE, compared

from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import SOURCES, Compared
from mtl_core.store import Store

NAMES = CONTRASTS.names()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Any:
    opened = {}
    for case, fill in CASES.items():
        opened[case] = Store.open(str(tmp_path_factory.mktemp("store")))
        fill(opened[case])
    yield opened
    for store in opened.values():
        store.close()


@pytest.fixture(scope="module")
def cases(stores: dict[str, Store]) -> dict[str, Compared]:
    return {case: compared(store) for case, store in stores.items()}


def views(name: str, compared: Compared, **more: Any) -> list[View]:
    """A view for its first choice and its last."""
    choices = list(CONTRASTS[name].choices(compared.spec)) or [""]
    return [View(choice=choice, **more) for choice in dict.fromkeys([choices[0], choices[-1]])]


def draw(name: str, compared: Compared, view: View) -> tuple[pd.DataFrame, Any]:
    """Its numbers, and the drawing as JSON."""
    figure = CONTRASTS[name]
    tidy = figure.tidy(compared.table(figure.source, view.choice), compared.spec, view)
    drawn = figure.draw(tidy, compared.spec, view)
    return tidy, json.loads(drawn.to_json())


@pytest.mark.parametrize("name", NAMES)
def test_its_words(name: str) -> None:
    figure = CONTRASTS[name]
    assert figure.source in SOURCES
    assert figure.describe()["summary"]
    for text in (figure.how_to_read, figure.may_say):
        assert text[0].isupper()
        assert text.endswith(".")
    assert ". " not in figure.how_to_read, "one sentence"
    assert figure.may_say.count(". ") <= 1, "one sentence or two"
    assert figure.waiting
    assert not figure.title.endswith(".")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_it_draws_whatever_is_compared(name: str, case: str, cases: dict[str, Compared]) -> None:
    """On one group, one seed, sixty groups, numbers that are none and runs that have said nothing: a valid drawing."""
    here = cases[case]
    for view in views(name, here):
        tidy, drawn = draw(name, here, view)
        assert isinstance(tidy, pd.DataFrame)
        assert "NaN" not in json.dumps(drawn)
        if CONTRASTS[name].medium == "altair":
            assert set(drawn["config"]) >= {"axis", "legend"}
            sent = CONTRASTS[name].vega(tidy, here.spec, view)  # what the page sends: the same, without its data
            assert set(sent["datasets"]) == {"rows"}


@pytest.mark.parametrize("name", NAMES)
def test_it_knows_dark(name: str, cases: dict[str, Compared]) -> None:
    light, dark = (draw(name, cases["fair"], views(name, cases["fair"], theme=theme)[0])[1] for theme in ("light", "dark"))
    assert light != dark


@pytest.mark.parametrize("name", NAMES)
def test_it_draws_what_it_applies_to(name: str, cases: dict[str, Compared]) -> None:
    """On a fair comparison every figure that applies has numbers, and they go into the CSV."""
    here = cases["fair"]
    if CONTRASTS[name].applies(here.spec):
        figure = CONTRASTS[name]
        rows = [figure.tidy(here.table(figure.source, view.choice), here.spec, view) for view in views(name, here)]
        assert any(len(tidy) for tidy in rows)
        assert all(tidy.to_csv(index=False) for tidy in rows)


@pytest.mark.parametrize("name", NAMES)
def test_without_rows_it_says_what_it_waits_for(name: str, cases: dict[str, Compared]) -> None:
    here, figure = cases["fair"], CONTRASTS[name]
    for view in views(name, here):
        empty = figure.tidy(here.table(figure.source, view.choice), here.spec, view).iloc[:0]
        drawn = json.loads(figure.draw(empty, here.spec, view).to_json())
        assert figure.waiting in json.dumps(drawn, ensure_ascii=False)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_titles_stay_text(name: str, cases: dict[str, Compared]) -> None:
    """They reach the browser as data or as JSON strings, never inside an expression that Vega or Plotly would run or render."""
    here, figure = cases["hostile"], CONTRASTS[name]
    for view in views(name, here):
        _, drawn = draw(name, here, view)
        if figure.medium == "plotly":
            texts = json.dumps({key: value for key, value in drawn.items() if key != "datasets"}, ensure_ascii=False)
            assert "<img" not in texts, "Plotly renders HTML in texts: escape it"
        else:
            for code in expressions(drawn):
                assert HOSTILE not in code.replace("\\", ""), code


def expressions(node: Any, key: str = "") -> list[str]:
    """Every text of a Vega-Lite specification that is run as an expression."""
    if isinstance(node, dict):
        return [code for inner, value in node.items() if inner != "datasets" for code in expressions(value, inner)]
    if isinstance(node, list):
        return [code for value in node for code in expressions(value, key)]
    is_code = isinstance(node, str) and (
        key in ("expr", "calculate", "labelExpr", "test", "filter") or re.match("datum\\b", node)
    )
    return [node] if is_code else []


@pytest.mark.parametrize("case", ["fair", "many", "hollow"])
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_table_can_be_written_out(source: str, case: str, cases: dict[str, Compared]) -> None:
    frame = cases[case].table(source)
    assert all(isinstance(column, str) for column in frame.columns)
    assert frame.to_csv(index=False)
