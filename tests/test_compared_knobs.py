"""Knobs of a comparison: lines to a score, the settings that differ, and two configs side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from contrasts import HOSTILE, add, alike, compared, fair, many
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from mtl_core.config import RunConfig
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.figures.compared._ticks import categories, numbers
from mtl_core.frames.compared.knobs import settings_table, usual_values
from mtl_core.frames.compared.settings import ordered, setting_title, varied_settings
from mtl_core.frames.compared.side_by_side import as_yaml, side_by_side
from mtl_core.store import Store
from mtl_core.ui.compare import settings as compare_settings

LINES = CONTRASTS["parallel_coordinates"]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(str(tmp_path)) as opened:
        yield opened


def test_a_line_per_group_ends_in_its_score(store: Store) -> None:
    fair(store)
    here = compared(store)
    table = here.table("knobs", "groups\na|r2").set_index("line")
    assert list(table.columns) == ["Scheme", "Sharing depth", "Weights", "Task A: R²"]
    for group in here.comparison.groups:
        assert table.at[group.name, "Task A: R²"] == group.intervals["a", "r2"].mean
        assert table.at[group.name, "Sharing depth"] == group.depth
    assert table.at["fixed 0.2 : 0.8, depth 2", "Weights"] == "0.2 : 0.8"
    assert here.table("knobs").columns[-1] == "Δm in %, lower is better"


def test_a_line_per_run_averages_to_its_group(store: Store) -> None:
    """Δm is linear in a group's numbers, so the mean over its runs is its own."""
    fair(store)
    here = compared(store)
    runs = here.table("knobs", "runs\ndelta_m")
    assert len(runs) == 21
    of_group = runs.groupby(runs["line"].str.rpartition(", seed ")[0])["Δm in %, lower is better"].mean()
    for group in here.comparison.groups:
        assert of_group[group.name] == pytest.approx(here.comparison.delta_m[group.id].mean, abs=1e-9)
    assert here.table("knobs", "runs\nrank")["Mean rank, 1 is best"].between(1, 21).all()


def test_axes_are_those_that_are_asked_for(store: Store) -> None:
    many(store)
    table = compared(store).table("knobs", "groups\na|r2\ntraining.lr")
    assert list(table.columns) == ["line", "Learning rate", "Task A: R²"]
    assert table["Learning rate"].dtype == float


def test_a_missing_score_leaves_the_line_out(store: Store) -> None:
    fair(store)
    add(store, "pcgrad", test={"a": {"r2": 0.5}}, is_recorded=False)
    here = compared(store)
    assert len(here.table("knobs", "groups\nb|r2")) == len(here.comparison.groups) - 1


def test_the_learning_rate_stands_on_a_log_axis(store: Store) -> None:
    for lr in (0.0001, 0.001, 0.01):
        add(store, "equal", lr=lr, is_recorded=False)
    here = compared(store)
    picture = LINES.draw(here.table("knobs", "groups\na|r2"), here.spec, View())
    axis = picture.data[0].dimensions[0]
    assert axis.label == "Learning rate"
    assert list(axis.tickvals) == [-4, -3, -2]
    assert list(axis.ticktext) == ["0.0001", "0.001", "0.01"]


def test_better_is_blue(store: Store) -> None:
    """Whichever way the score runs, the scale ends in the colour of "right" where it is best."""
    fair(store)
    here = compared(store)
    up, down = (LINES.draw(here.table("knobs", f"groups\na|{name}"), here.spec, View()) for name in ("r2", "mae"))
    assert [stop[1] for stop in up.data[0].line.colorscale] == [stop[1] for stop in down.data[0].line.colorscale][::-1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_words_under_twelve_pixels(store: Store, theme: Any) -> None:
    fair(store)
    here = compared(store)
    lines = LINES.draw(here.table("knobs"), here.spec, View(theme=theme)).data[0]
    assert min(lines.tickfont.size, lines.labelfont.size) >= 12


def test_nothing_to_draw_says_what_comes() -> None:
    picture = LINES.draw(pd.DataFrame(columns=["line"]), {"groups": [], "metrics": []}, View())
    assert picture.layout.annotations[0].text == LINES.waiting


@settings(deadline=None, max_examples=150)
@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32)), min_size=1, max_size=40))
def test_an_axis_of_any_numbers(values: list[float | None]) -> None:
    axis = numbers(pd.Series(values, dtype=float))
    assert len(axis.places) == len(values)
    low, high = axis.ends
    assert low < high
    assert all(low <= place <= high for place in [*axis.places, *axis.ticks])
    assert axis.ticks == sorted(axis.ticks)
    assert len(axis.ticks) == len(axis.texts) <= 30
    assert ("–" in axis.texts) == any(value is None or not math.isfinite(value) for value in values)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=80))
def test_an_axis_of_any_names(names: list[str]) -> None:
    axis = categories(names)
    assert len({*axis.places}) == len({*names})
    assert all(axis.ends[0] < place < axis.ends[1] for place in axis.places)
    assert len(axis.texts) <= 27


def test_the_settings_that_differ(store: Store) -> None:
    fair(store)
    here = compared(store).comparison
    assert varied_settings(here) == ["weighting.name", "architecture.depth", "weighting.weights"]
    table = settings_table(here)
    assert set(table["setting"]) == {"Scheme", "Sharing depth", "Weights"}
    assert table["differs"].all()
    assert dict(zip(table["setting"], usual_values(table), strict=True)) == {
        "Scheme": None,
        "Sharing depth": "2",
        "Weights": "–",
    }
    whole = settings_table(here, everything=True)
    assert {"Learning rate", "Steps", "Data set"} <= set(whole["setting"])
    assert whole["differs"].sum() == 3


def test_an_automatic_depth_is_the_number_it_stood_for(store: Store) -> None:
    """A config without a depth shares all stages: no difference from one that says so."""
    add(store, "equal", 0, 2, is_recorded=False)
    add(store, "mgda", 0, 2, is_recorded=False)
    groups = compared(store).comparison
    run = groups.groups[0].runs[0]
    assert run.config["architecture"]["depth"] == 2
    assert varied_settings(groups) == ["weighting.name"]


def test_settings_have_names_that_people_use() -> None:
    assert setting_title("training.weight_decay") == "Weight decay (L2)"
    assert setting_title("tasks") == "Tasks"
    assert setting_title("weighting.max_norm") == "Max norm"


def test_values_stand_in_their_natural_order() -> None:
    assert ordered([True, False, 3, 20, 0.5, None]) == ["no", "0.5", "yes", "3", "20", "–"]
    assert ordered([[0.5, 0.5], [0.1, 0.9], None]) == ["0.1 : 0.9", "0.5 : 0.5", "–"]
    assert ordered([[1, "b"], ["a", 2], "x"]) == ["1 : b", "a : 2", "x"]


CONFIGS = st.fixed_dictionaries(
    {
        "name": st.text(max_size=30),
        "weighting": st.dictionaries(
            st.from_regex(r"[a-z]{1,8}", fullmatch=True),
            st.one_of(
                st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12)
            ),
            max_size=4,
        ),
        "tasks": st.one_of(st.none(), st.lists(st.text(max_size=5), max_size=3)),
    }
)


@given(st.fixed_dictionaries({"name": st.sampled_from(["", "yes", "null", "a: b", "1e5", "é", "- x", "a_b", "#"])}) | CONFIGS)
def test_a_config_written_line_by_line_is_yaml(config: dict[str, Any]) -> None:
    printable = all(mark not in str(config) and mark not in as_yaml(config) for mark in "\x85\u2028\u2029\ufeff\x7f")
    if printable and all(letter.isprintable() for letter in as_yaml(config).replace("\n", "")):
        read = yaml.safe_load(as_yaml(config))
        assert {key: read[key] for key in config if not _has_float(config[key])} == {
            key: value for key, value in config.items() if not _has_float(value)
        }


def _has_float(value: Any) -> bool:
    """YAML 1.1 reads 1e+16 as a text."""
    return isinstance(value, float) or (isinstance(value, dict) and any(isinstance(one, float) for one in value.values()))


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12))
def test_side_by_side_loses_no_line(left: list[str], right: list[str]) -> None:
    lines = side_by_side("\n".join(left), "\n".join(right))
    assert [line.left for line in lines if line.change != "right only"] == left
    assert [line.right for line in lines if line.change != "left only"] == right
    assert all((line.change == "same") == (line.left == line.right) for line in lines)


@pytest.mark.parametrize("groups_across", [True, False])
def test_tables_escape_what_runs_say(groups_across: bool) -> None:
    row = {"section": HOSTILE, "setting": HOSTILE, "key": "x", "differs": True, "g": HOSTILE, "h": "1"}
    html = compare_settings.table(pd.DataFrame([row]), {"g": HOSTILE, "h": "</table>"}, [None], groups_across=groups_across)
    html += compare_settings.two(side_by_side(HOSTILE, f"{HOSTILE} more"), HOSTILE, "<b>")
    assert "<img" not in html
    assert html.count("</table>") == 2
    assert "&lt;img src=x" in html


def test_unusual_values_are_stressed() -> None:
    rows = pd.DataFrame(
        [{"section": "Training", "setting": "Steps", "key": "k", "differs": True, "a": "1", "b": "1", "c": "2"}]
    )
    html = compare_settings.table(rows, {"a": "A", "b": "B", "c": "C"}, usual_values(rows), groups_across=True)
    assert html.count("is-other") == 1
    assert '<td class="is-other">2</td>' in html


PAGE = """
from mtl_core.store import Store
from mtl_core.comparing import compare
from mtl_core.frames.compared import Compared
from mtl_core.ui.compare import knobs as compare_knobs
store = Store.open({url!r})
compare_knobs.show(store, Compared(store, compare(store.runs(limit=1000)[::-1])))
"""


def page(store: Store) -> AppTest:
    return AppTest.from_string(PAGE.format(url=store.url), default_timeout=60)


def test_the_section_follows_its_choices(store: Store) -> None:
    fair(store)
    app = page(store).run()
    assert not app.exception
    assert app.multiselect[0].value == ["Scheme", "Sharing depth", "Weights"]
    app.selectbox(key="knobs.lines").select("A line per run").run()
    app.selectbox(key="knobs.score").select("Task B: R²").run()
    app.multiselect[0].set_value(["Weights"]).run()
    app.toggle[0].set_value(True).run()
    assert not app.exception
    app.multiselect[0].set_value([]).run()
    assert not app.exception


def test_one_group_and_no_test_are_said(store: Store) -> None:
    run = store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}}))
    app = page(store).run()
    assert not app.exception
    assert not app.selectbox
    store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}, "weighting": "mgda"}))
    app = page(store).run()
    assert not app.exception
    assert [box.label for box in app.selectbox] == ["Left", "Right"]
    assert run


def test_groups_without_any_scatter(store: Store) -> None:
    alike(store)
    app = page(store).run()
    assert not app.exception
