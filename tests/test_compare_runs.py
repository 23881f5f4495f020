"""The list of runs on Compare: the table behind it, the rules of labelling, and the section under Streamlit's own test runner."""

import math
import os
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtl_core.comparing import compare
from mtl_core.config import RunConfig
from mtl_core.frames import run_table
from mtl_core.jobs import NotAllowed, labelling
from mtl_core.jobs.desk import Desk
from mtl_core.jobs.identity import identify
from mtl_core.store import EndedRun, Label, Store
from mtl_core.store.run import new_id
from mtl_core.sweeps import Sweep
from mtl_core.ui.compare import columns as compare_columns
from mtl_core.ui.compare import filters as compare_filters
from mtl_core.ui.compare.table import choose_again

ROOT = Path(__file__).resolve().parents[1]
NASTY = "<b>*bold*</b> “quotes” $x$ 漢字"
TASKS = {
    "digit": {"title": "Digit", "metrics": [{"name": "accuracy", "title": "Accuracy", "higher_is_better": True, "unit": ""}]},
    "angle": {"title": "Angle", "metrics": [{"name": "error", "title": "Error", "higher_is_better": False, "unit": "°"}]},
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MTL_EXPLORER_STORE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


@pytest.fixture
def store(home):
    """The store of the page, whose supervisor's place is taken by this test, so that nothing is started."""
    with Store.open() as opened:
        lock = Desk.of(opened).try_lock()
        Desk.of(opened).sign(lock, identity=identify())
        yield opened
        os.close(lock)


def config(scheme="equal", depth=1, seed=0, **weighting):
    architecture = {"name": "hard_sharing", "depth": depth}
    weighting = {"name": scheme, **weighting}
    parts = {"dataset": {"name": "teacher"}, "architecture": architecture, "weighting": weighting, "training": {"seed": seed}}
    return RunConfig.from_mapping(parts)


def ended(store, accuracy=None, error=None, *, state="finished", ago=0.0, owner="", **choices):
    """A run that has ended, with a final test if numbers are given."""
    now = time.time() - ago
    test = {"digit": {"accuracy": accuracy}, "angle": {"error": error}}
    spec = {
        "tasks": [{"name": name, "kind": "regression", **task} for name, task in TASKS.items()],
        "shared_stages": ["layer 1"],
    }
    run = EndedRun(
        *(new_id(now), config(**choices), spec, state, "", now, now, now, 9, 1.0, 2.5),
        result=None if accuracy is None else {"test": test, "seconds": 2.5},
    )
    return store.add_ended(run, [], origin="made for a test", owner=owner)


def table_of(store, **shelf):
    return run_table.tabulate(store.listing(**shelf), sweeps={one.id: one.name for one in store.sweeps()})


def visit(**params):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.switch_page("pages/compare.py")
    for key, value in params.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, [error.stack_trace for error in app.exception]
    return app


def html(app):
    return " ".join(part.proto.body for part in app.get("html"))


def boxes(app):
    return " ".join(box.value for box in [*app.error, *app.warning]).replace("\\", "")


def runs_param(app):
    value = app.query_params.get("runs", "")
    return [one for one in (value[0] if isinstance(value, list) else value).split(",") if one]


# The table


def test_a_row_says_what_a_run_is_made_of(store):
    ended(store, 0.9, 12.0, scheme="cagrad", c=0.25, seed=7)
    table = table_of(store)
    row = table.frame.iloc[0]
    assert (row["scheme"], row["family"], row["depth"], row["seed"], row["state"]) == (
        "cagrad c 0.25",
        "cagrad",
        1,
        7,
        "finished",
    )
    assert (row["digit|accuracy"], row["angle|error"], row["seconds"]) == (0.9, 12.0, 2.5)
    assert [(one.task_title, one.is_share, one.unit) for one in table.results] == [("Digit", True, ""), ("Angle", False, "°")]


def test_an_empty_store_and_runs_without_numbers_make_tables(store):
    assert len(table_of(store)) == 0
    assert run_table.gather(table_of(store), "settings")[1] == []
    store.enqueue(config())
    ended(store, state="failed")
    ended(store, math.nan, math.inf)
    table = table_of(store)
    assert len(table) == 3
    assert table.results == ()
    assert sum(len(ids) for ids in run_table.gather(table, "scheme")[1]) == 3


def test_filters_narrow_and_drop_results_that_nobody_has(store):
    tested, untested = ended(store, 0.9, 1.0, scheme="mgda"), ended(store, state="stopped")
    store.label(untested, tags=["to show"], note=NASTY)
    table = table_of(store)
    assert run_table.narrow(table, family=["mgda"]).ids == [tested]
    assert run_table.narrow(table, words="MGDA depth").ids == [tested]
    assert run_table.narrow(table, words="漢字 TO").ids == [untested]
    assert run_table.narrow(table, words="[.*").ids == []
    assert run_table.narrow(table, words=tested[4:]).ids == [tested]
    assert run_table.narrow(table, words=f"depth {tested[-4:]}").ids == [], "a short word is not looked for in ids"
    assert run_table.narrow(table, tags=["to show", "else"], state=["stopped"]).ids == [untested]
    assert run_table.narrow(table, state=["stopped"]).results == ()
    assert run_table.narrow(table, sweep="none of that name").ids == []


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("column", [*sorted(set(compare_columns.TITLES) - {"results", "age", "watch"}), "digit|accuracy"])
def test_every_column_sorts(store, column, is_descending):
    store.enqueue(config(seed=3))
    ended(store, 0.5, 1.0, scheme="mgda", seed=1, ago=50)
    last = ended(store, 0.7, 2.0, seed=2, ago=20)
    store.label(last, tags=["a"], note="x")
    table = run_table.arrange(table_of(store), column, is_descending=is_descending)
    assert sorted(table.ids) == sorted(one.id for one in store.listing())
    if column == "digit|accuracy":
        assert list(table.frame[column])[:2] == ([0.7, 0.5] if is_descending else [0.5, 0.7])
    if column == "seed":
        assert list(table.frame[column]) == ([3, 2, 1] if is_descending else [1, 2, 3])


def test_groups_of_seeds_are_those_of_a_comparison(store):
    ids = [ended(store, value, 10 * value, scheme="mgda", seed=seed) for seed, value in enumerate((0.5, 0.6, 0.9))]
    ids += [ended(store, 0.1, 1.0, scheme="mgda", seed=2, ago=900)]  # an older one of a seed that is there already
    ids += [ended(store, 0.8, 2.0, seed=0), ended(store, state="failed", seed=1)]
    frame, members = run_table.gather(table_of(store), "settings")
    found = compare(store.runs_named(ids))
    assert sorted(map(sorted, members)) == sorted(sorted(run.id for run in group.runs) for group in found.groups)
    row = frame[frame["name"] == "mgda, depth 1"].iloc[0]
    group = next(group for group in found.groups if group.scheme == "mgda")
    mine = group.intervals["digit", "accuracy"]
    assert row["digit|accuracy"] == pytest.approx(mine.mean)
    assert row["± digit|accuracy"] == pytest.approx(mine.margin)
    assert (row["runs"], row["seeds"], row["states"]) == (4, 3, "4 finished")
    other = frame[frame["name"] == "equal, depth 1"].iloc[0]
    assert other["states"] == "1 finished, 1 failed"
    assert math.isnan(other["± digit|accuracy"])


@pytest.mark.parametrize("by", run_table.BY)
def test_every_run_is_in_a_group(store, by):
    ids = [ended(store, 0.5, 1.0, scheme=scheme, seed=seed) for scheme in ("equal", "mgda") for seed in (0, 1)]
    store.label(ids[0], tags=["a", "b"])
    store.add_sweep(Sweep.from_mapping({"name": "s", "base": config().to_mapping(), "vary": {"training.seed": [0, 1]}}))
    table = table_of(store)
    frame, members = run_table.gather(table, by, sweeps={one.id: one.name for one in store.sweeps()})
    assert len(frame) == len(members)
    assert frame["name"].ne("").all()
    assert {one for some in members for one in some} == set(table.ids)
    if by == "tag":
        assert dict(zip(frame["name"], frame["runs"], strict=True)) == {"a": 1, "b": 1, "without a tag": len(table) - 1}


def test_groups_sort_by_their_own_numbers(store):
    for scheme, values in (("equal", (0.1, 0.9)), ("mgda", (0.6, 0.7))):
        for seed, value in enumerate(values):
            ended(store, value, 1.0, scheme=scheme, seed=seed)
    groups = run_table.gather(table_of(store), "scheme")
    frame, members = run_table.arrange_groups(*groups, "digit|accuracy", is_descending=True)
    assert list(frame["name"]) == ["mgda", "equal"]
    schemes = {one.id: one.scheme for one in store.listing()}
    assert [{schemes[one] for one in some} for some in members] == [{"mgda"}, {"equal"}]


# What stays chosen


@pytest.mark.parametrize(
    ("before", "listed", "ticked", "after"),
    [
        ([], ["a", "b"], ["b"], ["b"]),
        (["x", "a"], ["a", "b"], [], ["x"]),
        (["a", "x"], ["a", "b"], ["a", "b"], ["a", "x", "b"]),
        (["s"], ["n"], ["n"], ["s", "n"]),
        (["s"], ["a", "b"], ["a"], ["a", "c"]),
        (["s", "c"], ["a", "b", "c"], ["a", "b"], ["a", "b"]),
        (["s", "z"], ["a", "b", "c"], [], ["z"]),
        (["z", "s"], ["b"], [], ["z", "a", "c"]),
    ],
)
def test_ticking_changes_what_is_listed_and_nothing_else(before, listed, ticked, after):
    assert choose_again(before, {"s": ["a", "b", "c"]}, listed, ticked) == after


# Rules of labelling


def test_a_change_of_labels_can_be_undone_exactly(store):
    ids = [ended(store, seed=seed) for seed in range(3)]
    store.label(ids[0], tags=["old", "both"], note=NASTY, archived=True)
    before = store.labels()
    undo = labelling.tag(store, ids, add=["both", "new"], remove=["old"])
    assert store.labels()[ids[0]].tags == ("both", "new")
    labelling.put_back(store, undo)
    assert {run_id: label for run_id, label in store.labels().items() if label != Label()} == before
    undo = labelling.throw_away(store, ids)
    assert [one.id for one in store.listing()] == []
    assert len(store.listing(deleted=True)) == 3
    labelling.put_back(store, undo)
    assert {run_id: label for run_id, label in store.labels().items() if label != Label()} == before
    undo = labelling.annotate(store, ids[1], "a note")
    labelling.put_back(store, undo)
    assert store.labels().get(ids[1], Label()) == Label()


def test_what_goes_on_is_not_thrown_away_and_is_named(store):
    queued, done = store.enqueue(replace_name(config(), "still waiting")), ended(store)
    with pytest.raises(ValueError, match="still waiting is still queued: stop first"):
        labelling.throw_away(store, [done, queued])
    assert len(store.listing()) == 2, "all or none"


def replace_name(one, name):
    return RunConfig.from_mapping({**one.to_mapping(), "name": name})


def test_only_what_was_thrown_away_is_deleted_for_good(store):
    kept, gone = ended(store, seed=0), ended(store, seed=1)
    labelling.throw_away(store, [gone])
    with pytest.raises(ValueError, match="not thrown away"):
        labelling.delete_for_good(store, [gone, kept])
    labelling.delete_for_good(store, [gone])
    assert [run.id for run in store.runs()] == [kept]
    assert not store.run_folder(gone).exists()
    with pytest.raises(LookupError):
        labelling.throw_away(store, [gone])


def test_a_sentence_names_three_runs_at_most(store):
    ids = [store.enqueue(replace_name(config(seed=n), f"run {n}")) for n in range(5)]
    with pytest.raises(ValueError, match=r"^run 0, run 1, run 2 and 2 more are still queued"):
        labelling.throw_away(store, ids)


DEEDS = {
    "tag": lambda store, ids, owner: labelling.tag(store, ids, add=["x"], owner=owner),
    "annotate": lambda store, ids, owner: labelling.annotate(store, ids[0], "x", owner=owner),
    "rename": lambda store, ids, owner: labelling.rename(store, ids[0], "x", owner=owner),
    "put_aside": lambda store, ids, owner: labelling.put_aside(store, ids, owner=owner),
    "take_out": lambda store, ids, owner: labelling.take_out(store, ids, owner=owner),
    "throw_away": lambda store, ids, owner: labelling.throw_away(store, ids, owner=owner),
    "delete_for_good": lambda store, ids, owner: labelling.delete_for_good(store, ids, owner=owner),
    "put_back": lambda store, ids, owner: labelling.put_back(store, dict.fromkeys(ids, Label(note="x")), owner=owner),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_in_class_mode_everyone_changes_their_own_runs_alone(store, monkeypatch, deed):
    theirs = ended(store, owner="them")
    store.label(theirs, deleted=True)
    before = store.labels(), store.runs_named([theirs])
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    with pytest.raises(NotAllowed, match="someone else's run"):
        DEEDS[deed](store, [theirs], "me")
    assert (store.labels(), store.runs_named([theirs])) == before
    DEEDS[deed](store, [theirs], "them")
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    with pytest.raises((NotAllowed, LookupError)):
        DEEDS[deed](store, [theirs], "them")


# The section


def test_before_the_first_run_the_section_says_what_to_do(home):
    app = visit()
    assert "Start a run or a sweep on Train" in html(app)


def test_choosing_all_is_in_the_link_and_leads_to_the_results(store):
    ids = [ended(store, 0.5 + seed / 10, 1.0, seed=seed) for seed in range(3)]
    app = visit()
    assert "<b>3 runs</b> listed" in html(app)
    app.button(key="runs-all").click().run()
    assert runs_param(app) == ids[::-1]
    assert app.button(key="runs-compare").label == "Compare 3 runs"
    app.button(key="runs-compare").click().run()
    assert not app.exception
    assert app.session_state["section"] == "Results"


def test_what_is_filtered_out_stays_chosen(store):
    one, other = ended(store, 0.5, 1.0), ended(store, 0.6, 2.0, scheme="mgda")
    app = visit(runs=f"{one},{other}", **{"table.scheme": "mgda"})
    assert "<b>1</b> of <b>2 runs</b> listed" in html(app)
    assert "<b>2</b> chosen, 1 of them not in this list" in html(app)
    app.button(key="runs-clear").click().run()
    assert "<b>2</b> chosen." in html(app)
    app.button(key="runs-none").click().run()
    assert runs_param(app) == []
    assert not app.exception


def test_the_chosen_runs_can_be_listed_alone(store):
    ids = [ended(store, 0.5, 1.0, seed=seed) for seed in range(3)]
    app = visit(runs=",".join(ids[:2]), **{"table.chosen": "true"})
    assert "<b>2</b> of <b>3 runs</b> listed. <b>2</b> chosen." in html(app)
    app.toggle(key="table.chosen").set_value(False).run()
    assert "<b>3 runs</b> listed. <b>2</b> chosen." in html(app)
    app.toggle(key="table.chosen").set_value(True).run()
    app.button(key="runs-none").click().run()
    assert "switch off Chosen only" in html(app)
    app.toggle(key="table.chosen").set_value(False).run()
    assert "<b>3 runs</b> listed." in html(app)
    assert not app.exception


def test_a_filter_that_fits_nothing_says_so(store):
    ended(store)
    app = visit(**{"table.search": "nothing of that kind"})
    assert "No runs here" in html(app)
    assert not app.dataframe
    for shelf in ("Archived", "Deleted"):
        assert "they appear here" in html(visit(**{"table.shelf": shelf}))


@pytest.mark.parametrize("key", [*compare_filters.AMONG, compare_filters.TAGS])
def test_a_filter_in_a_link_counts_though_no_run_has_its_value(store, key):
    """The link of somebody whose last such run is deleted by now must not show all the others instead."""
    ended(store)
    app = visit(**{key: "<b>gone</b>"})
    assert app.multiselect(key=key).value == ["<b>gone</b>"]
    assert "No runs here" in html(app)
    app.button(key="runs-clear").click().run()
    assert "<b>1 run</b> listed" in html(app)
    assert not app.exception


def test_delete_and_undo(store):
    ids = [ended(store, seed=seed) for seed in range(3)]
    store.label(ids[1], tags=["x"], note=NASTY)
    before = store.labels()
    app = visit(runs=",".join(ids[:2]))
    app.button(key="runs-Delete").click().run()
    assert "2 runs deleted." in html(app)
    assert [one.id for one in store.listing()] == [ids[2]]
    assert runs_param(app) == []
    app.button(key="runs-undo").click().run()
    assert len(store.listing()) == 3
    assert runs_param(app) == ids[:2]
    assert {run_id: label for run_id, label in store.labels().items() if label != Label()} == before
    assert not app.exception
    assert not boxes(app)


def test_a_live_run_is_not_deleted_and_named(store):
    run_id = store.enqueue(replace_name(config(), NASTY))
    app = visit(runs=run_id)
    app.button(key="runs-Delete").click().run()
    assert "漢字 is still queued: stop first" in boxes(app)
    assert runs_param(app) == [run_id]


def test_the_bin_restores_and_deletes_for_good(store):
    ids = [ended(store, seed=seed) for seed in range(2)]
    store.label_runs(ids, deleted=True)
    app = visit(runs=ids[0], **{"table.shelf": "Deleted"})
    app.button(key="runs-Restore").click().run()
    assert [one.id for one in store.listing()] == ids[:1]
    app = visit(runs=ids[1], **{"table.shelf": "Deleted"})
    next(each for each in app.button if str(each.key).startswith("runs-forever-yes")).click().run()
    assert [run.id for run in store.runs_named(ids)] == ids[:1]
    assert runs_param(app) == []
    assert not app.exception


def test_rename_note_and_tags(store):
    run_id = ended(store)
    app = visit(runs=run_id)
    _field(app.text_input, "runs-name").set_value(NASTY)
    _submit(app, "Save", 1)
    assert store.run(run_id).name == NASTY
    _field(app.text_area, "runs-text").set_value("why " * 20)
    _submit(app, "Save", 0)
    _field(app.multiselect, "runs-add").set_value(["first", "second tag"])
    _submit(app, "Apply", 0)
    assert (store.labels()[run_id].tags, store.labels()[run_id].note) == (("first", "second tag"), ("why " * 20).strip())
    _field(app.multiselect, "runs-remove").set_value(["first"])
    _submit(app, "Apply", 0)
    assert store.labels()[run_id].tags == ("second tag",)
    app.button(key="runs-undo").click().run()
    assert store.labels()[run_id].tags == ("first", "second tag")


def _field(fields, start):
    return next(field for field in fields if str(field.key).startswith(start))


def _submit(app, label, place):
    [each for each in app.button if each.label == label][place].click().run()
    assert not app.exception
    assert not boxes(app)


def test_a_whole_sweep_keeps_its_id(store):
    sweep_id = store.add_sweep(
        Sweep.from_mapping({"name": NASTY, "base": config().to_mapping(), "vary": {"training.seed": [0, 1]}})
    )
    app = visit(**{"table.sweep": NASTY})
    app.button(key="runs-sweep").click().run()
    assert runs_param(app) == [sweep_id]
    assert not app.exception
    n = len(store.members(sweep_id))
    assert f"<b>{n}</b> chosen." in html(app)


@pytest.mark.parametrize("by", run_table.BY)
def test_groups_on_the_page(store, by):
    for seed in range(3):
        ended(store, 0.5 + seed / 10, 1.0, seed=seed)
    app = visit(**{"table.group": f"By {by}", "table.sort": "Digit"})
    assert len(app.dataframe) == 1
    assert list(app.dataframe[0].value["runs"]) == [3]


def test_columns_are_remembered_and_a_link_goes_first(store):
    ended(store)
    app = visit()
    assert "note" not in app.dataframe[0].value
    app.multiselect(key="table.columns").set_value(["Name", "Note", "Duration"]).run()
    assert list(app.dataframe[0].value) == ["name", "note", "seconds"]
    assert list(visit().dataframe[0].value) == ["name", "note", "seconds"]
    assert list(visit(**{"table.columns": ["Name", "Seed"]}).dataframe[0].value) == ["name", "seed"]
    store.put("ui.columns", {"nonsense": 1})
    assert "state" in visit().dataframe[0].value


@pytest.mark.parametrize(
    "link",
    [
        {"table.sort": "nothing", "table.group": "By wat", "table.shelf": "<b>", "table.columns": "x"},
        {"table.state": "wat", "table.scheme": "'; drop table runs", "table.tags": "", "table.sweep": "0"},
        {"table.search": "x" * 3000},
        {"runs": ",".join(["../../etc/passwd"] * 50)},
    ],
)
def test_a_hostile_link_gives_the_list(store, link):
    ended(store)
    app = visit(**link)
    assert "listed" in html(app)


def test_a_demonstration_can_be_compared_not_changed(store, monkeypatch):
    run_id = ended(store)
    monkeypatch.setenv("MTL_EXPLORER_MODE", "demo")
    app = visit(runs=run_id)
    assert "can be compared, not changed" in html(app)
    assert app.button(key="runs-Delete").disabled
    assert app.button(key="runs-Archive").disabled
    app.multiselect(key="table.columns").set_value(["Name"]).run()
    assert not app.exception
    assert not boxes(app)


def test_someone_elses_run_is_a_sentence_in_class_mode(store, monkeypatch):
    run_id = ended(store, owner="them")
    monkeypatch.setenv("MTL_EXPLORER_MODE", "class")
    app = visit(runs=run_id)
    app.button(key="runs-Archive").click().run()
    assert "someone else's run" in boxes(app)
    assert not store.labels()


def test_sweeps_of_one_name_are_told_apart(store):
    first, second = (
        store.add_sweep(Sweep.from_mapping({"name": "s", "base": config().to_mapping(), "vary": {"training.seed": seeds}}))
        for seeds in ([0, 1], [2, 3])
    )
    titles = compare_filters.sweep_titles(store.sweeps())
    assert titles == {first: f"s #{first[:6]}", second: f"s #{second[:6]}"}


def test_a_thousand_runs_are_one_group_of_a_thousand_seeds(store):
    base = config().to_mapping()
    store.add_sweep(
        Sweep.from_mapping({"name": "many", "base": base, "baselines": False, "vary": {"training.seed": list(range(1000))}})
    )
    table = run_table.arrange(table_of(store), "seed", is_descending=True)
    assert table.frame["seed"].head(3).tolist() == [999, 998, 997]
    groups, ids = run_table.gather(run_table.narrow(table, words="equal"), "settings")
    assert max(map(len, ids)) == 1000
    assert len(groups) == len(ids)
