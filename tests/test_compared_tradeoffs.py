"""Trade-offs of a comparison: the front of fixed weights, the area it covers, and cells of two settings."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contrasts import add, alike, compared, fair, hollow, many
from streamlit.testing.v1 import AppTest

from mtl_core.config import RunConfig
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.figures.compared._places import Place, place_labels
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.front import front_said
from mtl_core.frames.compared.heat import heat_settings
from mtl_core.store import Store

PAIR = "a|mae\nb|mae"  # both lower is better
FRONT, HEAT = CONTRASTS["front"], CONTRASTS["heat_map"]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(str(tmp_path)) as opened:
        yield opened


def at(store: Store, a: float, b: float, scheme: Any = "mgda", depth: int = 2, **more: Any) -> None:
    """A run whose test is this place, errors of tasks a and b."""
    add(store, scheme, depth=depth, test={"a": {"mae": a, "r2": 0.5}, "b": {"mae": b, "r2": 0.5}}, is_recorded=False, **more)


def mix(share: float) -> dict[str, Any]:
    return {"name": "fixed", "weights": [share, round(1 - share, 6)]}


def by_hand(store: Store) -> Compared:
    """Three fixed mixes at (1, 3), (2, 2), (3, 1), one that is beaten, and schemes before and behind them."""
    for n, (a, b) in enumerate([(1, 3), (2, 2), (3, 1), (2.5, 2.5)]):
        at(store, a, b, mix(0.1 + 0.2 * n))
    at(store, 1.5, 1.5, "mgda")
    at(store, 3, 3, "pcgrad")
    return compared(store)


def drawn(here: Compared, choice: str) -> Any:
    table = here.table("front", choice)
    view = View(choice=choice)
    return FRONT.rows(FRONT.tidy(table, here.spec, view), here.spec, view)


def area(line: Any) -> float:
    """What lies between the stepped line and its floor, by the trapezium rule."""
    x, above = line["x"].to_numpy(float), np.abs(line["y"] - line["floor"]).to_numpy(float)
    return float(abs(np.sum(np.diff(x) * (above[1:] + above[:-1]) / 2)))


def test_the_front_by_hand(store: Store) -> None:
    table = by_hand(store).table("front", PAIR).set_index("group")
    on = table["on the front of fixed weights"]
    assert list(on[on].index) == ["fixed 0.1 : 0.9, depth 2", "fixed 0.3 : 0.7, depth 2", "fixed 0.5 : 0.5, depth 2"]
    assert list(table.index[table["beaten by none"]]) == [
        "fixed 0.1 : 0.9, depth 2",
        "fixed 0.5 : 0.5, depth 2",
        "mgda, depth 2",
    ]
    assert table.at["mgda, depth 2", "fixed weights and it"] == "beyond, perhaps by chance"  # one seed: nobody knows
    assert table.at["pcgrad, depth 2", "fixed weights and it"] == "behind"
    assert (table["x of the reference"] == 3.2).all()  # the worst, 3, and a tenth of the range


def test_the_line_encloses_the_area_that_is_said(store: Store) -> None:
    """Up to (3.2, 3.2) the mixes dominate 0.2·1 + 1.2·1 + 2.2·0.2, which the shape drawn holds as well."""
    here = by_hand(store)
    front = here.comparison.front([metric for metric in here.comparison.scored if metric.name == "mae"])
    assert front is not None
    assert front.fixed_hypervolume == pytest.approx(0.2 + 1.2 + 0.44)
    rows = drawn(here, PAIR)
    assert area(rows[rows["part"] == "line"]) == pytest.approx(front.fixed_hypervolume)
    assert front.hypervolume == pytest.approx(0.5 * 0.2 + 1.5 * 1.7 + 0.2 * 2.2)  # mgda takes the place of (2, 2)
    said = front_said(here, PAIR)
    assert said is not None
    assert "Fixed weights alone cover 60 % of the area that all 6 groups cover" in said.area
    assert said.mixes.startswith("Only 4 mixes of fixed weights make the front")
    assert "perhaps by chance: mgda, depth 2." in said.beyond


def test_the_line_where_higher_is_better(store: Store) -> None:
    """Numbers mirrored with the direction give the mirrored shape."""
    for n, (a, b) in enumerate([(1, 3), (2, 2), (3, 1)]):
        test = {"a": {"r2": -float(a), "mae": 1.0}, "b": {"r2": -float(b), "mae": 1.0}}
        add(store, mix(0.1 + 0.2 * n), test=test, is_recorded=False)
    rows = drawn(compared(store), "a|r2\nb|r2")
    line = rows[rows["part"] == "line"]
    assert area(line) == pytest.approx(1.84)
    assert list(line["x"]) == [-3.2, -3, -3, -2, -2, -1, -1] or list(line["x"]) == [-3.2, -3, -2, -2, -1, -1, -1]


def test_clearly_beyond_needs_the_whole_cross(store: Store) -> None:
    for seed in range(3):
        at(store, 2 + 0.01 * seed, 2, mix(0.5), seed=seed)
        at(store, 1 + 0.01 * seed, 1, "mgda", seed=seed)
        at(store, 1.8 + 0.2 * seed, 1.9 + 0.05 * seed, "pcgrad", seed=seed)
    table = compared(store).table("front", PAIR).set_index("scheme")["fixed weights and it"]
    assert table.to_dict() == {"fixed": "", "mgda": "clearly beyond", "pcgrad": "beyond, perhaps by chance"}


def test_the_same_mix_is_counted_once(store: Store) -> None:
    """Equal weights, halves, and whole ones in the same proportion."""
    for n, weights in enumerate([[0.5, 0.5], [1.0, 1.0], [0.2, 0.8], [1.0, 4.0]]):
        at(store, 1 + n, 4 - n, {"name": "fixed", "weights": weights})
    at(store, 2, 2, "equal", depth=1)
    said = front_said(compared(store), PAIR)
    assert said is not None
    assert said.mixes.startswith("Only 2 mixes of fixed weights, at 2 sharing depths, make the front")


def test_nine_mixes_are_enough_and_none_is_said(store: Store) -> None:
    at(store, 1, 1, "mgda")
    alone = front_said(compared(store), PAIR)
    assert alone is not None
    assert "sweep the weights" in alone.mixes
    assert alone.beyond == ""
    for n in range(9):
        at(store, 1 + n, 9 - n, mix((n + 1) / 10))
    assert "9 mixes of fixed weights make the front." in front_said(compared(store), PAIR).sentences


def test_groups_without_both_metrics_are_counted(store: Store) -> None:
    fair(store)
    add(store, "pcgrad", test={"a": {"r2": 0.5}}, is_recorded=False)
    said = front_said(compared(store), "")
    assert said is not None
    assert said.left_out == "1 group without both numbers cannot be drawn."


@pytest.mark.parametrize("fill", [alike, hollow, many])
def test_poor_groups_have_a_front_or_none(store: Store, fill: Any) -> None:
    fill(store)
    here = compared(store)
    for choice in FRONT.choices(here.spec):
        table, said = here.table("front", choice), front_said(here, choice)
        assert table.empty == (said is None)
        assert np.isfinite(table["x"].astype(float)).all()


def test_axes_say_which_way_is_better(store: Store) -> None:
    here = by_hand(store)
    assert FRONT.axes(here.spec, View(choice="a|r2\nb|mae")) == (
        "Task A: R² → better",
        "Task B: Mean absolute error (axis backwards) → better",
    )
    chart = json.loads(
        json.dumps(
            FRONT.vega(FRONT.tidy(here.table("front", PAIR), here.spec, View()), here.spec, View(choice=PAIR)), default=str
        )
    )
    assert chart["layer"][-1]["encoding"]["x"]["scale"]["reverse"] is True


def test_fixed_weights_are_hollow_in_the_picture_and_in_its_legend(store: Store) -> None:
    here = by_hand(store)
    chart = FRONT.vega(FRONT.tidy(here.table("front", PAIR), here.spec, View()), here.spec, View(choice=PAIR))
    (markers,) = [layer["encoding"] for layer in chart["layer"] if "shape" in layer["encoding"]]
    assert markers["fill"]["legend"] == markers["stroke"]["legend"] == markers["shape"]["legend"], "so that they become one"
    strokes = [layer["encoding"]["stroke"] for layer in chart["layer"] if "stroke" in layer["encoding"]]
    assert all(stroke == markers["stroke"] for stroke in strokes), "a layer without the legend would take it from the others"
    scale = markers["fill"]["scale"]
    hollow = {name for name, inside in zip(scale["domain"], scale["range"], strict=True) if inside == "transparent"}
    table = here.table("front", PAIR)
    assert hollow == set(table.loc[table["fixed weights"], "group"])
    assert hollow < set(scale["domain"])


def test_names_never_cover_each_other() -> None:
    chance = np.random.default_rng(0)
    points = [Place(*chance.random(2)) for _ in range(60)]
    names = [f"group {n}" * (n % 3) for n in range(60)]
    sides = place_labels(points, names, (0, 1), (0, 1))
    assert all(bool(side) <= bool(name) for side, name in zip(sides, names, strict=True))
    assert 5 < sum(map(bool, sides)) < 40
    assert place_labels([Place(0, 0)] * 5, ["same"] * 5, (0, 0), (0, 0)).count("") == 1, "four sides"


def test_cells_are_means_over_seeds(store: Store) -> None:
    fair(store)
    here = compared(store)
    table = here.table("heat", "a|r2").set_index(["row", "column"])
    group = next(group for group in here.comparison.groups if group.scheme == "mgda" and group.depth == 1)
    assert table.at[("mgda", "1"), "value"] == group.intervals["a", "r2"].mean
    assert table.at[("mgda", "1"), "low"] == group.intervals["a", "r2"].low
    assert (table.at[("mgda", "0"), "text"], table.at[("mgda", "0"), "settings"]) == ("–", 0)
    assert table.at[("fixed", "2"), "settings"] == 2
    fixed = [group.intervals["a", "r2"].mean for group in here.comparison.groups if group.scheme == "fixed"]
    assert table.at[("fixed", "2"), "value"] == pytest.approx(sum(fixed) / 2)
    assert [table.at[("fixed", "2"), end] for end in ("low", "high")] == [min(fixed), max(fixed)]
    assert table["shade"].min() == 0
    assert table["shade"].max() == 1
    assert table["is best"].sum() == 1


def test_the_baseline_is_the_middle_of_the_colours(store: Store) -> None:
    fair(store)
    table = compared(store).table("heat", "delta_m").set_index(["row", "column"])
    assert table.at[("equal", "0"), "value"] == pytest.approx(0, abs=1e-9)
    assert table.at[("equal", "0"), "shade"] == pytest.approx(0, abs=1e-9)
    known = table.dropna(subset="value")
    assert (np.sign(known["shade"].round(9)) == -np.sign(known["value"].round(9))).all()  # Δm: lower is better
    assert known["shade"].abs().max() == 1


def test_what_cannot_be_told_from_the_best_is_marked(store: Store) -> None:
    for seed in range(3):
        at(store, 1 + 0.1 * seed, 1, "mgda", seed=seed)
        at(store, 1.1 + 0.1 * seed, 1, "pcgrad", seed=seed)
        at(store, 9 + 0.1 * seed, 1, "equal", seed=seed)
    table = compared(store).table("heat", "a|mae").set_index("row")
    assert table.index[table["is best"]].tolist() == ["mgda"]
    assert table["like the best"].to_dict() == {"equal": False, "mgda": False, "pcgrad": True}


def test_any_two_settings(store: Store) -> None:
    many(store)
    here = compared(store)
    sides = heat_settings(here.comparison)
    assert sides["training.lr"] == "Learning rate"
    table = here.table("heat", "a|r2\ntraining.lr\nweighting.name")
    rows = list(dict.fromkeys(table["row"]))
    assert rows == sorted(rows, key=float)
    assert len(rows) == 60
    assert table["settings"].max() == 1
    assert here.table("heat", "a|r2\nwat\nwat").equals(here.table("heat", "a|r2"))
    assert here.table("heat", "wat").empty


def test_cells_of_one_number_have_no_best_colour_of_nan(store: Store) -> None:
    alike(store)
    table = compared(store).table("heat", "a|r2")
    assert not table.loc[table["settings"] > 0, "shade"].isna().any()
    assert math.isnan(table.loc[table["settings"] == 0, "shade"].iloc[0])


PAGE = """
from mtl_core.store import Store
from mtl_core.comparing import compare
from mtl_core.frames.compared import Compared
from mtl_core.ui.compare import {section} as section
store = Store.open({url!r})
section.show(store, Compared(store, compare(store.runs(limit=1000)[::-1])))
"""


def page(store: Store, section: str) -> AppTest:
    return AppTest.from_string(PAGE.format(section=section, url=store.url), default_timeout=60)


def test_the_section_follows_its_choices(store: Store) -> None:
    fair(store)
    app = page(store, "tradeoffs").run()
    assert not app.exception
    pair, measure, rows, _ = app.selectbox
    assert pair.value == "Task A: R² and Task B: R²"
    assert measure.value == "Δm in %, lower is better"
    pair.select("Task A: Mean absolute error and Task B: R²").run()
    rows.select("Weights").run()
    assert not app.exception
    assert app.selectbox(key="tradeoffs.pair").value == "Task A: Mean absolute error and Task B: R²"


def test_the_section_without_a_test_says_so(store: Store) -> None:
    store.enqueue(RunConfig.from_mapping({"dataset": {"name": "teacher"}}))
    app = page(store, "tradeoffs").run()
    assert not app.exception
    assert not app.selectbox
