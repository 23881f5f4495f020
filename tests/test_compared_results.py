"""Results of a comparison: the table and its files, equal budgets, other task weights, and the section on the page."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contrasts import HOSTILE, STEPS, add, compared, fair, hostile, tasks_of, waiting
from streamlit.testing.v1 import AppTest

from mtl_core.exchange.arrivals import take_in
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.equal import AT_STEPS, AT_TIME, common_place
from mtl_core.frames.compared.result_texts import as_latex, as_markdown
from mtl_core.frames.compared.results import DELTA_P, RANK, ResultTable, result_frame, result_table, verdict_frame
from mtl_core.records import Column
from mtl_core.store import Store
from mtl_core.sweeps import Sweep
from mtl_core.ui.compare.result_table import results_html, verdicts_html

ROOT = Path(__file__).parent.parent


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(str(tmp_path / "runs")) as opened:
        yield opened


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Store.open(str(tmp_path_factory.mktemp("fair"))) as opened:
        fair(opened)
        yield compared(opened)


def clear(store: Store) -> Compared:
    """A baseline, a group clearly ahead of it in a and behind in b, and one that nobody can tell from the baseline."""
    for seed, noise in enumerate((-0.01, 0.0, 0.01)):
        for scheme, depth, a, b in (("equal", 0, 0.5, 0.8), ("mgda", 2, 0.7, 0.6), ("pcgrad", 2, 0.505, 0.795)):
            test = {"a": {"r2": a + noise, "mae": 1 - a + noise}, "b": {"r2": b + noise, "mae": 1 - b + noise}}
            add(store, scheme, seed, depth, test=test)
    return compared(store)


def cells(table: ResultTable, key: str) -> dict[str, tuple[bool, bool]]:
    return {row.name: (row.cells[key].is_best, row.cells[key].is_alike) for row in table.rows}


def test_the_best_stands_out_and_what_cannot_be_told_from_it_is_grey(store: Store) -> None:
    table = result_table(clear(store))
    single, mgda, pcgrad = "single task", "mgda, depth 2", "pcgrad, depth 2"
    assert cells(table, "a|r2") == {single: (False, False), mgda: (True, False), pcgrad: (False, False)}
    assert cells(table, "b|r2") == {single: (True, False), mgda: (False, False), pcgrad: (False, True)}
    assert cells(table, "a|mae")[mgda] == (True, False)  # lower is better
    assert [column.key for column in table.columns][-4:] == ["delta_m", "delta_p", "rank", "seconds"]
    assert [row.is_baseline for row in table.rows] == [True, False, False]
    assert not any(best or alike for best, alike in cells(table, "seconds").values())


def test_one_seed_cannot_be_told_from_anything(store: Store) -> None:
    clear(store)
    add(store, "rlw", 0, 2, test={"a": {"r2": 0.9, "mae": 0.1}, "b": {"r2": 0.1, "mae": 0.9}})
    table = result_table(compared(store))
    found = cells(table, "a|r2")
    assert found["rlw, depth 2"] == (True, False)
    assert all(alike for name, (_, alike) in found.items() if name != "rlw, depth 2")


def test_the_baseline_is_a_point_for_the_others(store: Store) -> None:
    """Δp of the baseline is 0 by definition: a group is told apart from it where its own interval leaves 0 out."""
    found = clear(store)
    table = result_table(found)
    for row in table.rows[1:]:
        value = row.cells[DELTA_P].value
        assert value.low is not None
        assert value.high is not None
    ahead = cells(table, DELTA_P)
    assert sum(best for best, _ in ahead.values()) == 1


def test_a_single_seed_that_equals_the_baseline_is_no_baseline(store: Store) -> None:
    """Its Δm is exactly 0, yet nobody knows how far chance would move it."""
    for seed in range(3):
        for scheme, depth, a in (("equal", 0, 0.5), ("mgda", 2, 0.8)):
            add(store, scheme, seed, depth, test={"a": {"r2": a + seed / 1000, "mae": 1 - a + seed / 1000}})
    add(store, "rlw", 0, 2, test={"a": {"r2": 0.501, "mae": 0.501}})
    table = result_table(compared(store))
    assert table.rows[2].cells["delta_m"].value.mean == 0
    assert cells(table, "delta_m") == {
        "single task": (False, False),
        "mgda, depth 2": (True, False),
        "rlw, depth 2": (False, True),
    }


def test_sorting_puts_the_best_first_and_those_without_a_number_last(store: Store) -> None:
    clear(store)
    add(store, "rlw", 0, 2, test={"a": {"r2": 0.9}})
    table = result_table(compared(store))
    assert table.sorted_by("a|r2").rows[0].name == "rlw, depth 2"
    assert [row.name for row in table.sorted_by("b|mae").rows] == [
        *("single task", "pcgrad, depth 2", "mgda, depth 2", "rlw, depth 2")
    ]
    assert table.sorted_by("nonsense") == table


def test_two_tasks_with_one_title_keep_their_columns(store: Store) -> None:
    add(store, "equal", titles=("Same", "Same"))
    table = result_table(compared(store))
    assert [column.name for column in table.columns][:4] == [
        *("a: R²", "a: Mean absolute error", "b: R²", "b: Mean absolute error")
    ]


def test_the_csv_is_the_comparison_at_full_precision(ready: Compared) -> None:
    table = result_table(ready, with_losses=True)
    back = pd.read_csv(io.StringIO(result_frame(table).to_csv(index=False))).set_index("group")
    assert list(back.index) == [group.name for group in ready.comparison.tested]
    for group in ready.comparison.tested:
        for metric in ready.comparison.metrics:
            said, told = group.intervals[metric.key], back.loc[group.name]
            ends = [told[metric.label], told[f"{metric.label}, low"], told[f"{metric.label}, high"], told[f"{metric.label}, n"]]
            assert ends == [said.mean, said.low, said.high, said.n]
        assert back.loc[group.name, "Δp (%)"] == ready.comparison.delta_p[group.id].mean
    assert {f"{RANK}, low", "Mean rank, low"}.isdisjoint(back.columns)


def test_texts_for_papers(store: Store) -> None:
    hostile(store)
    found = compared(store)
    table = result_table(found)
    lines = as_markdown(table).splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, "as many cells in each line"
    assert "<img" not in as_markdown(table).replace("\\<", "")
    latex = as_latex(table)
    assert latex.count(r"\\") == len(table.rows) + 1
    assert {line.count(" & ") for line in latex.splitlines() if " & " in line} == {len(table.columns) + 1}
    assert not re.search(r"(?<!\\)[%#&_](?! )", latex)


class Reader(HTMLParser):
    """Every element of a page, and whether each row of its table has as many columns."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.widths: list[int] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"class", "scope", "title", "colspan"}
        if tag == "tr":
            self.widths.append(0)
        if tag in ("td", "th"):
            self.widths[-1] += int(dict(attrs).get("colspan") or 1)


def test_the_tables_escape_what_others_wrote(store: Store) -> None:
    hostile(store)
    found = compared(store)
    for html in (results_html(result_table(found)), verdicts_html(found.comparison.verdicts(found.comparison.groups[0]))):
        read = Reader(html)
        assert read.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "small", "b", "i", "span"}
        assert len(set(read.widths)) == 1
        assert HOSTILE not in html


def test_grey_is_never_by_colour_alone(store: Store) -> None:
    html = results_html(result_table(clear(store)))
    for grey in re.findall(r'<td class="is-alike">(.*?)</td>', html):
        assert "≈" in grey or grey == "–"


def test_the_csv_of_the_paired_tests_says_what_the_page_says(ready: Compared) -> None:
    verdicts = ready.comparison.verdicts(ready.comparison.groups[0])
    frame = verdict_frame(verdicts)
    assert len(frame) == (len(ready.comparison.tested) - 1) * len(ready.comparison.scored)
    assert frame["verdict"].tolist() == [one.words for one in verdicts]


def test_equal_steps_and_equal_time(store: Store) -> None:
    """The slow group trains four times as long for the same steps: at equal time it stands at a quarter of them."""
    for seed in range(2):
        add(store, "equal", seed, 2, seconds=1.0)
        add(store, "mgda", seed, 2, seconds=4.0)
        add(store, "rlw", seed, 2, seconds=2.0, steps=2 * STEPS)
    found = compared(store)
    common = common_place(found)
    assert (common.step, common.seconds, common.times_compare) == (STEPS, 1.0, True)
    frame = found.table("equal", "a|r2").set_index(["at", "group"])
    assert frame.loc[AT_STEPS, "step"].to_dict() == dict.fromkeys(
        ("equal, depth 2, steps 60", *frame.loc[AT_STEPS].index[1:]), 60.0
    )
    slow = next(group for group in found.comparison.groups if group.scheme == "mgda")
    row = frame.loc[(AT_TIME, slow.name)]
    assert (row["step"], row["seconds"], row["seeds"]) == (10.0, pytest.approx(4 * 10 / 60), 2)
    stored = []
    for run in slow.by_seed.values():
        series = store.read(run.id, "validation")
        assert series is not None
        stored.append(series.values[list(series.steps).index(10), series.columns.index(Column("a", "r2"))])
    assert row["mean"] == pytest.approx(np.mean(stored, dtype=np.float64))


def test_times_of_different_devices_do_not_compare(store: Store) -> None:
    add(store, "equal", 0, 2)
    add(store, "mgda", 0, 2, device="cuda:0")
    assert not common_place(compared(store)).times_compare


def test_times_of_two_devices_of_one_kind_compare(store: Store) -> None:
    for seed in range(3):
        for n, (scheme, depth) in enumerate((("equal", 0), ("equal", 2), ("mgda", 2))):
            run = store.run(add(store, scheme, seed, depth, device=f"cuda:{n % 2}"))
            store.change(run.id, "finished", spec={**(run.spec or {}), "device": "One Kind of GPU"})
    found = compared(store)
    assert common_place(found).times_compare
    assert not found.comparison.warnings


def test_a_run_from_elsewhere_that_counts_in_other_units_holds_nobody_back(store: Store, tmp_path: Path) -> None:
    add(store, "equal", 0, 2)
    before = common_place(compared(store))
    curves = tmp_path / "epochs.csv"
    curves.write_text("step,validation/a/r2,test/a/r2\n1,0.1,\n2,0.2,\n3,0.3,0.3\n")
    take_in(store, curves)
    found = compared(store)
    assert len(found.comparison.tested) == 2
    assert common_place(found).step == before.step == STEPS


def test_without_validations_there_is_nothing_in_common(store: Store) -> None:
    add(store, "equal", 0, 2, is_recorded=False)
    found = compared(store)
    assert (common_place(found).step, common_place(found).seconds) == (None, None)
    assert found.table("equal").empty


def test_a_task_weights_lead_changes_where_lines_cross() -> None:
    frame = pd.DataFrame(
        [("one", "a", 10.0), ("one", "b", 0.0), ("two", "a", 0.0), ("two", "b", 5.0), ("last", "a", 1.0), ("last", "b", 1.0)],
        columns=["group", "task", "gain"],
    )
    spec = {"tasks": [{"name": "a", "title": "A"}, {"name": "b", "title": "B"}], "groups": []}
    tidy = CONTRASTS["weighed_delta"].tidy(frame, spec, View(choice="a"))
    flip = tidy[tidy["flip"]]["weight"].unique()
    assert flip == pytest.approx([1 / 3])  # 10 w = 5 (1 − w)
    leads = tidy[tidy["leads"]].set_index("weight")["group"]
    assert leads[leads.index < 0.3].unique().tolist() == ["two"]
    assert leads[leads.index > 0.4].unique().tolist() == ["one"]
    assert set(tidy[tidy["label"] != ""]["label"]) == {"one", "two"}
    middle = tidy[(tidy["group"] == "last") & (tidy["weight"] == 0.5)]
    assert middle["delta_p"].tolist() == [1.0]


def test_the_figure_of_weights_agrees_with_the_comparison(ready: Compared) -> None:
    tidy = CONTRASTS["weighed_delta"].tidy(ready.table("gains"), ready.spec, View(choice="b"))
    for weight in (0.0, 0.25, 1.0):
        said = ready.comparison.weighed_delta({"a": 1 - weight, "b": weight})
        drawn = tidy[tidy["weight"] == weight].set_index("group")["delta_p"]
        for group in ready.comparison.tested:
            assert drawn[group.name] == pytest.approx(said[group.id].mean)


def test_the_best_is_on_top(ready: Compared) -> None:
    for key, sign in (("a|r2", -1), ("a|mae", 1)):
        view = View(choice=key)
        tidy = CONTRASTS["task_results"].tidy(ready.table("seeds"), ready.spec, view)
        means = tidy.drop_duplicates("group")["mean"]
        assert (means * sign).is_monotonic_increasing
        assert CONTRASTS["task_results"].rows(tidy, ready.spec, view)["once"].sum() == len(ready.comparison.tested)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    with Store.open(str(tmp_path)) as opened:
        yield opened


def visit(store: Store, **params: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/compare.py")
    app.query_params["section"] = "Results"
    app.query_params["runs"] = ",".join(run.id for run in store.runs())
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [one.value for one in app.exception]
    return app


def said(app: AppTest) -> str:
    return " ".join(str(one.proto.body) for one in app.get("html"))


def test_the_section_shows_every_part(home: Store) -> None:
    clear(home)
    words = said(visit(home))
    for heading in (
        "Test results",
        "seed by seed",
        "Seed by seed against one group",
        "equal training time",
        "other task weights",
    ):
        assert heading in words
    assert "Every run has reached step <b>60</b>" in words
    assert "12 comparisons" not in words
    assert "8 comparisons are made here" in words


def test_a_run_that_was_thrown_away_is_gone_from_its_sweep_on_the_page(home: Store) -> None:
    vary = {"weighting": ["equal", "mgda"], "training.seed": [0, 1]}
    sweep_id = home.add_sweep(Sweep.from_mapping({"base": {"dataset": "teacher"}, "vary": vary, "baselines": False}))
    for member in home.members(sweep_id):
        home.claim("somebody", "cpu", member.run_id)
        test = {task: {"r2": 0.5, "mae": 0.5} for task in "ab"}
        spec = {"tasks": tasks_of(), "all_tasks": ["a", "b"], "stages": [], "shared_stages": []}
        home.change(member.run_id, "finished", spec=spec, result={"test": test, "best_step": 1, "seconds": 1.0})
    before, gone = said(visit(home, runs=sweep_id)), [run for run in home.runs() if run.config["weighting"]["name"] == "mgda"]
    for run in gone:
        home.label(run.id, deleted=True)
    after = said(visit(home, runs=sweep_id))
    assert "mgda, depth 0" in before
    assert "mgda, depth 0" not in after
    assert "equal" in after


def test_the_section_says_what_was_done_to_the_gradients(home: Store) -> None:
    clear(home)
    assert "How they were trained" not in said(visit(home))  # runs of before it was written down
    for run in home.runs():
        facts = ("sum", "weighted") if run.config["weighting"]["name"] == "equal" else ("mean", "unit")
        home.change(run.id, "finished", spec={**(run.spec or {}), **dict(zip(("scale", "heads"), facts, strict=True))})
    words = said(visit(home))
    assert "The step is a sum over tasks (equal), a mean over tasks (pcgrad, mgda)" in words
    assert "gradients are not clipped." in words


@pytest.mark.parametrize("fill", [waiting, hostile, lambda store: add(store, "mgda")], ids=["waiting", "hostile", "one run"])
def test_the_section_survives(home: Store, fill: Any) -> None:
    fill(home)
    assert "<img src=x" not in said(visit(home))


@pytest.mark.parametrize(
    "params",
    [
        {"results.weights": "1,0"},
        {"results.weights": "0,0"},
        {"results.weights": "nan,-1"},
        {"results.sort": "nonsense", "results.reference": "<script>", "results.metrics": "a|b", "results.budget": "?"},
    ],
    ids=["one task", "no task", "no numbers", "nonsense"],
)
def test_links_good_and_bad(home: Store, params: dict[str, str]) -> None:
    clear(home)
    words = said(visit(home, **params))
    assert "leads with these weights" in words
    if params.get("results.weights") == "1,0":
        assert "<b>mgda, depth 2</b> leads with these weights, <b>" in words
    else:
        assert "as it does with equal ones" in words


def test_back_takes_the_task_weights_along(home: Store) -> None:
    clear(home)
    app = visit(home, **{"results.weights": "1,0"})
    for told, weights in (("0.2,0.9", [0.2, 0.9]), ("", [0.5, 0.5])):  # the address bar, as the Back button changes it
        app.query_params["results.weights"] = told
        app.run()
        assert [slider.value for slider in app.slider] == weights
    app.slider[0].set_value(1.0).run()
    assert app.query_params["results.weights"] in ("1,0.5", ["1,0.5"])
    assert [slider.value for slider in app.slider] == [1.0, 0.5]
    assert not app.exception
