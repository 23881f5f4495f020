"""Figures: every one on the shelf keeps its promises, the numbers in ``tidy`` are right, nothing hostile gets through."""

import io
import json
import re
from base64 import b64decode
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow
import pytest
from PIL import Image

from mtl_core import frames
from mtl_core.config import RunConfig
from mtl_core.figures import FIGURES, View
from mtl_core.figures._svg import png_uri, short, text_width, wrap
from mtl_core.figures.architecture import WIDTH
from mtl_core.figures.cosine_curves import FLOOR
from mtl_core.figures.predictions import box_iou, judge, mask_iou
from mtl_core.frames import RunFrames, report_frame
from mtl_core.palette import task_colours, task_dashes, tones
from mtl_core.plan import check
from mtl_core.records import Affinity, Column, Measurement, Preview, Scalars
from mtl_core.store import Store

SVG = "{http://www.w3.org/2000/svg}"
NAMES = FIGURES.names()
CHARTS = [name for name in NAMES if FIGURES[name].medium == "altair"]
OF_PAIRS = {"cosine_curves", "magnitude_similarity", "curvature", "affinity_curves"}
OF_CONFLICT = OF_PAIRS | {
    *("cosine_matrix", "conflict_by_stage", "conflict_fraction", "cosine_histograms", "tragic_triad", "stationarity"),
    *("condition_number", "affinity_matrix", "what_if_weights", "what_if_gains", "what_if_directions"),
}
NOT_BY_TASK = OF_CONFLICT - OF_PAIRS - {"what_if_weights"}
SCENES = ["digit", "box", "mask", "angle", "photo"]
HOSTILE = "<script>alert('1')</script>\"&\x00\x1b" + "W" * 60


def spec_of(tasks=("digit", "box", "mask", "angle"), depth=2, **choices):
    config = RunConfig(tasks=list(tasks), architecture={"name": "hard_sharing", "depth": depth}, **choices)
    return json.loads(json.dumps(check(config).describe()))


SPEC = spec_of()
TEACHER = spec_of(["a", "b"], depth=1, dataset={"name": "teacher"})


def fill(store, spec, *, n_steps=60, seed=0):
    """A run of made-up numbers of every kind."""
    rng = np.random.default_rng(seed)
    run = store.enqueue(RunConfig(), spec=spec)
    names = [task["name"] for task in spec["tasks"]]
    steps = np.arange(1, n_steps + 1)
    splits = {"train": steps, "validation": steps[9::10]}
    n_tasks, n_stages, n_examples = len(names), len(spec["shared_stages"]), 3
    with store.writer(run) as writer:
        for split, places in splits.items():
            quantities = [(name, "loss") for name in names]
            quantities += [(task["name"], metric["name"]) for task in spec["tasks"] for metric in task["metrics"]]
            quantities += [(name, "weight") for name in names] if split == "train" else []
            values = rng.uniform(0.1, 1, size=(len(places), len(quantities))).astype(np.float32)
            writer.append(Scalars(split, tuple(Column(*q) for q in quantities), places, places / 10, places / 7, values))
        for step in steps[::3]:
            rows = rng.normal(size=(n_stages, 2 * n_tasks, 30)) + 0.2
            gramian = (rows @ rows.transpose(0, 2, 1)).astype(np.float32)
            shares = [np.full(n_tasks, 0.5, np.float32) for _ in range(3)]
            writer.append(Measurement(int(step), step / 10, step / 7, gramian, np.ones((2, n_tasks), np.float32), *shares))
            affinity = rng.normal(size=(n_tasks, n_tasks)).astype(np.float32)
            writer.append(Affinity(int(step), step / 10, step / 7, affinity))
        writer.append(Preview(n_steps, n_steps / 10, n_steps / 7, preview_arrays(spec, n_examples, rng)))
    return run


def preview_arrays(spec, n, rng):
    shape = spec["input_shape"]
    is_picture = len(shape) == 3
    side = shape[-1]
    arrays = {"inputs": rng.integers(0, 255, (n, side, side, 3), np.uint8) if is_picture else rng.normal(size=(n, *shape))}
    makers = {
        "classification": lambda: rng.integers(0, 2, n),
        "box": lambda: np.sort(rng.uniform(0, side, (n, 4)).astype(np.float32)),
        "mask": lambda: rng.integers(0, 255, (n, side, side), np.uint8),
        "angle": lambda: rng.uniform(-180, 180, n).astype(np.float32),
        "regression": lambda: rng.normal(size=(n, 1)).astype(np.float32),
    }
    for task in spec["tasks"]:
        for part in ("target", "prediction"):
            arrays[f"{part}/{task['name']}"] = makers[task["kind"]]()
    return arrays


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(str(tmp_path_factory.mktemp("store"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def tables(store):
    """Tables of one run of scenes and one of the teacher, and of a run that has said nothing."""
    runs = {"scenes": (fill(store, SPEC), SPEC), "teacher": (fill(store, TEACHER), TEACHER)}
    silent = store.enqueue(RunConfig(), spec=SPEC)
    ready = {kind: RunFrames(store, run, spec, smooth=5) for kind, (run, spec) in runs.items()}
    return ready | {"silent": RunFrames(store, silent, SPEC)}


def tidy_of(name, tables):
    """Its rows for the run that it applies to."""
    kind = "scenes" if FIGURES[name].applies(SPEC) else "teacher"
    run = tables[kind]
    return FIGURES[name].tidy(run.table(FIGURES[name].source), run.spec), run.spec


def parse(svg):
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return root


@pytest.mark.parametrize("name", NAMES)
def test_contract_of_words(name):
    figure = FIGURES[name]
    assert figure.source in frames.SOURCES
    assert figure.describe()["summary"]
    for text in (figure.how_to_read, figure.when_to_worry, figure.waiting):
        assert text[0].isupper() or text[0] in "−+", text
        assert ". " not in text, "one sentence"
    for text in (figure.how_to_read, figure.when_to_worry):
        assert text.endswith(".")
    assert not figure.title.endswith(".")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_contract_of_drawing(name, theme, tables):
    figure = FIGURES[name]
    tidy, spec = tidy_of(name, tables)
    assert len(tidy) > 0
    for choice in figure.choices(spec):
        for x in ("step", "epoch", "time"):
            drawn = figure.draw(tidy, spec, View(theme=theme, x=x, choice=choice, log_y=True))
            if figure.medium == "svg":
                assert parse(drawn).get("aria-label")
                continue
            chart = drawn.to_dict()  # Altair holds it against the schema of Vega-Lite
            assert [parameter["name"] for parameter in chart.get("params", [])] == (["zoom"] if figure.zooms else [])
            assert chart["background"] == "transparent"


@pytest.mark.parametrize("name", NAMES)
def test_contract_of_emptiness(name, tables):
    """Before the first number: axes, a sentence, no exception, and the same selection as later."""
    figure = FIGURES[name]
    silent = tables["silent"]
    frame = silent.table(figure.source)
    tidy = figure.tidy(frame.iloc[:0], SPEC)
    assert len(tidy) == 0
    drawn = figure.draw(tidy, SPEC, View())
    if figure.medium == "svg":
        assert figure.waiting in "".join(parse(drawn).itertext())
        return
    chart = figure.vega(tidy, SPEC, View())
    assert chart["datasets"]["rows"]["sentence"].tolist() == [figure.waiting]
    assert bool(chart.get("params")) == figure.zooms
    assert figure.waiting in json.dumps(drawn.to_dict(), ensure_ascii=False)


def without_data(chart):
    return {key: value for key, value in chart.items() if key not in ("datasets", "data")}


@pytest.mark.parametrize("name", CHARTS)
def test_a_live_chart_changes_only_its_data(name, store, tables):
    """What makes Streamlit keep the chart and its zoom: from tick to tick the specification is the same."""
    figure = FIGURES[name]
    tidy, spec = tidy_of(name, tables)
    run = fill(store, spec, n_steps=90, seed=1)
    later = figure.tidy(RunFrames(store, run, spec).table(figure.source), spec)
    view = View(choice=list(figure.choices(spec))[-1])
    now, then = figure.vega(tidy, spec, view), figure.vega(later, spec, view)
    assert without_data(now) == without_data(then)
    assert not now["datasets"]["rows"].equals(then["datasets"]["rows"])
    drawn = figure.draw(tidy, spec, view).to_dict()
    assert without_data(json.loads(json.dumps(drawn))) == without_data(now), "vega is draw with the data set apart"


def arrow_bytes(table):
    sink = io.BytesIO()
    batch = pyarrow.Table.from_pandas(table)
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    return len(sink.getvalue())


@pytest.mark.parametrize("name", CHARTS)
def test_a_tick_of_a_long_run_is_small(name, store):
    spec = SPEC if FIGURES[name].applies(SPEC) else TEACHER
    run = RunFrames(store, fill(store, spec, n_steps=3000), spec, smooth=20)
    figure = FIGURES[name]
    tidy = figure.tidy(run.table(figure.source), spec)
    chart = figure.vega(tidy, spec, View(log_y=True))
    rows = chart["datasets"]["rows"]
    assert len(json.dumps(without_data(chart))) < 8_000
    assert arrow_bytes(rows) < 60_000
    assert not any(dtype.kind in "OU" or dtype == np.float64 for dtype in rows.dtypes if dtype.name != "category")
    series = [column for column in ("task", "other", "split", "stage", "name", "part", "title") if column in rows]
    assert rows.groupby(series, observed=True, dropna=False).size().max() <= 1500


def field_domains(chart):
    """Every scale with its domain and range, wherever it is in the specification."""
    for layer in chart["layer"]:
        for channel, definition in layer["encoding"].items():
            if isinstance(definition, dict) and definition.get("scale"):
                yield channel, definition["scale"]


@pytest.mark.parametrize("name", [name for name in CHARTS if name not in NOT_BY_TASK])
def test_tasks_have_the_colour_of_the_palette_and_a_second_channel(name, tables):
    tidy, spec = tidy_of(name, tables)
    colours = task_colours(spec, "dark")
    titles = {task["title"]: task["name"] for task in spec["tasks"]}
    chart = FIGURES[name].vega(tidy, spec, View(theme="dark"))
    seen = [scale for channel, scale in field_domains(chart) if channel == "color"]
    assert seen
    for scale in seen:
        assert scale["range"] == [colours[titles[title]] for title in scale["domain"]]
    second = {channel for channel, scale in field_domains(chart) if scale.get("domain") == seen[0]["domain"]} - {"color"}
    assert second & {"shape", "strokeDash"} or name in OF_PAIRS  # there the line is striped in two colours


def test_the_shared_window_and_the_axes(tables):
    tidy, spec = tidy_of("losses", tables)
    chart = FIGURES["losses"].vega(tidy, spec, View(x="time", x_domain=(3, 5)))
    for layer in chart["layer"]:
        assert layer["encoding"]["x"]["scale"]["domain"] == [3, 5]
        assert layer["encoding"]["x"]["field"] == "time"
        assert layer["mark"]["clip"] is True, "nothing is drawn outside the window"
        assert "padding" not in layer["encoding"]["x"]["scale"]
    whole = FIGURES["losses"].vega(tidy, spec, View(x="time"))
    assert all(layer["encoding"]["x"]["scale"]["padding"] >= 4 for layer in whole["layer"]), "no marker is cut in half"
    assert chart["layer"][0]["encoding"]["x"]["title"] == "Training time"


def curve_frame(**rows):
    """Rows of ``frames.curves`` by hand: split, task, name, step -> low, high, mean, smooth."""
    table = [
        (step, step / 10, step / 7, split, task, name, *values) for (split, task, name, step), values in rows["rows"].items()
    ]
    return pd.DataFrame(table, columns=frames.CURVES).astype(dict.fromkeys(("split", "task", "name"), "category"))


def test_losses_are_smoothed_in_training_and_plain_in_validation():
    frame = curve_frame(
        rows={
            ("train", "digit", "loss", 1): (1, 3, 2, 2.5),
            ("train", "digit", "accuracy", 1): (0, 1, 0.5, 0.5),
            ("train", "", "total", 1): (9, 9, 9, 9),
            ("train", "box", "loss", 1): (np.nan, np.nan, np.nan, np.nan),
            ("validation", "digit", "loss", 1): (4, 4, 4, 7),
        }
    )
    tidy = FIGURES["losses"].tidy(frame, SPEC)
    assert tidy["task"].tolist() == ["digit", "digit"]
    assert tidy["value"].tolist() == [2.5, 4]
    assert tidy["low"].tolist() == pytest.approx([1, np.nan], nan_ok=True)
    assert tidy["high"].tolist() == pytest.approx([3, np.nan], nan_ok=True)


def test_a_logarithmic_axis_gets_no_zero_and_no_negative_number():
    frame = curve_frame(
        rows={
            ("train", "digit", "loss", 1): (-1, 3, 2, 2),
            ("train", "digit", "loss", 2): (0, 0, 0, 0),
            ("train", "digit", "loss", 3): (1, np.inf, np.inf, np.inf),
        }
    )
    figure = FIGURES["losses"]
    rows = figure.rows(figure.tidy(frame, SPEC), SPEC, View(log_y=True))
    assert rows["low"].tolist() == pytest.approx([2, np.nan, 1], nan_ok=True), "the band ends at the line"
    assert rows["value"].tolist() == pytest.approx([2, np.nan, np.nan], nan_ok=True)
    linear = figure.rows(figure.tidy(frame, SPEC), SPEC, View())
    assert linear["low"].tolist() == [-1, 0, 1]


def test_metrics_have_a_panel_each_that_says_which_way_is_better(tables):
    figure = FIGURES["metrics"]
    panels = figure.choices(spec_of(SCENES))
    assert list(panels.values())[:4] == [
        "Accuracy (higher is better)",
        "Mean IoU (higher is better)",
        "Mask IoU (higher is better)",
        "Mean error (degrees; lower is better)",
    ]
    tidy, spec = tidy_of("metrics", tables)
    angle = next(key for key, label in panels.items() if "degrees" in label)
    rows = figure.rows(tidy, spec, View(choice=angle))
    assert set(rows["task"].dropna()) == {"Turn"}
    chart = figure.vega(tidy, spec, View(choice=angle))
    assert chart["layer"][0]["encoding"]["y"]["title"] == "Mean error (degrees; lower is better)"
    assert next(scale for channel, scale in field_domains(chart) if channel == "color")["domain"] == ["Turn"]
    unknown = figure.vega(tidy, spec, replace(View(), choice="gone with another data set"))
    assert unknown["layer"][0]["encoding"]["y"]["title"] == "Accuracy (higher is better)"
    assert len(tidy) == len(tidy.drop_duplicates(["task", "split", "metric", "step"]))


def test_accuracy_of_two_tasks_shares_a_panel():
    spec = spec_of(["digit", "photo"])
    frame = curve_frame(
        rows={
            ("validation", "digit", "accuracy", 1): (0.5, 0.5, 0.5, 0.5),
            ("validation", "photo", "accuracy", 1): (0.7, 0.7, 0.7, 0.7),
        }
    )
    figure = FIGURES["metrics"]
    rows = figure.rows(figure.tidy(frame, spec), spec, View())
    assert dict(zip(rows["task"], rows["value"], strict=True)) == pytest.approx({"Digit": 0.5, "Photograph": 0.7})


def measured(values_by_pair, steps=(1,), tasks=("digit", "box", "mask", "angle")):
    """Rows of ``frames.cosine_frame`` by hand."""
    rows = [(step, step / 10, step / 7, a, b, v, v, v) for (a, b), v in values_by_pair.items() for step in steps]
    frame = pd.DataFrame(rows, columns=["step", "epoch", "time", "task", "other", "cosine", "cross", "smooth"])
    return frame.astype(dict.fromkeys(("task", "other"), pd.CategoricalDtype(list(tasks))))


def test_the_noise_floor_spans_the_tasks():
    frame = measured({("digit", "digit"): 0.9, ("box", "box"): 0.5, ("digit", "box"): -0.3}, steps=(1, 2))
    tidy = FIGURES["cosine_curves"].tidy(frame, SPEC)
    floor, pairs = tidy[tidy["pair"] == FLOOR], tidy[tidy["pair"] != FLOOR]
    assert floor["step"].tolist() == [1, 2]
    assert floor[["low", "high", "value"]].to_numpy().tolist() == [pytest.approx([0.5, 0.9, 0.7])] * 2
    assert pairs["pair"].tolist() == ["Digit – Box"] * 2
    assert pairs["value"].tolist() == [-0.3, -0.3]


def test_of_many_pairs_the_ones_that_conflict_stand_out():
    tasks = ["digit", "box", "mask", "angle"]
    few = {(a, b): 0.1 for n, a in enumerate(tasks) for b in tasks[n:]}
    figure = FIGURES["cosine_curves"]
    assert set(figure.rows(figure.tidy(measured(few), SPEC), SPEC, View())["opacity"]) == {1}
    spec = spec_of(SCENES)
    many = {(a, b): -0.5 if (a, b) == ("box", "photo") else 0.1 for n, a in enumerate(SCENES) for b in SCENES[n:]}
    frame = measured(many, tasks=SCENES)
    rows = figure.rows(figure.tidy(frame, spec), spec, View()).set_index("pair")
    assert rows.loc["Box – Photograph", "opacity"] == 1
    assert (rows["opacity"] < 1).sum() == 6
    assert rows.loc[FLOOR, "opacity"] == 1


def test_who_pays_keeps_the_sign(tables):
    frame = pd.DataFrame(
        {"step": [1, 1], "epoch": 0.1, "time": 0.1, "task": ["digit", "box"], "change": [-1.0, 2.0], "percent": [-10.0, np.nan]}
    ).assign(smooth=lambda table: table["percent"])
    tidy = FIGURES["who_pays"].tidy(frame, SPEC)
    assert tidy[["task", "value"]].to_numpy().tolist() == [["digit", -10.0]], "what has no percent is left out"
    axis = FIGURES["who_pays"].vega(tidy, SPEC, View())["layer"][0]["encoding"]["y"]["axis"]
    assert "abs(datum.value - 0)" in axis["gridWidth"]["condition"]["test"], "zero stands out"


def test_conflict_figures_do_not_apply_where_nothing_is_shared():
    alone, separate = spec_of(["digit"]), spec_of(depth=0)
    for name in NAMES:
        shared = name in OF_CONFLICT or name in ("gradient_norms", "who_pays")
        assert FIGURES[name].applies(separate) == (not shared and name != "predicted_vs_true"), name
        assert FIGURES[name].applies(alone) == (name not in OF_CONFLICT and name != "predicted_vs_true"), name
    assert FIGURES["predicted_vs_true"].applies(TEACHER)
    assert not FIGURES["predictions"].applies(TEACHER)


OVER_TIME = [
    "losses",
    "metrics",
    "weights",
    "gradient_norms",
    "who_pays",
    "stationarity",
    "condition_number",
    "conflict_fraction",
]


@pytest.mark.parametrize("name", [*OVER_TIME, "tragic_triad", *sorted(OF_PAIRS)])
def test_a_single_measurement_is_a_dot(name, tables):
    """A line through one point is nothing: a layer of dots for series that have one number."""
    tidy, spec = tidy_of(name, tables)
    layers = FIGURES[name].vega(tidy, spec, View())["layer"]
    dots = [layer for layer in layers if any("joinaggregate" in step for step in layer.get("transform", []))]
    assert dots, name
    for layer in dots:
        scale = layer["encoding"]["y"]["scale"]
        assert scale.get("type") not in ("log", "symlog") or scale["padding"] >= 4, "the only number is an end of the axis"
        assert layer["mark"]["filled"] is True
        assert layer["encoding"]["opacity"] == {"condition": {"test": "datum.n_values == 1", "value": 1}, "value": 0}
        (counted,) = (step["groupby"] for step in layer["transform"] if "joinaggregate" in step)
        assert set(counted) <= set(FIGURES[name].vega(tidy, spec, View())["datasets"]["rows"].columns)


def test_histograms_pool_the_pairs_by_how_often_each_was_measured():
    pairs = [("digit", "box", 0.5, 4), ("digit", "mask", 1.0, 12), ("digit", "box", 0.5, 4)]
    lows = [0.0, 0.0, 0.1]
    frame = pd.DataFrame(
        [("last third", a, b, low, low + 0.1, share, n) for (a, b, share, n), low in zip(pairs, lows, strict=True)],
        columns=["part", "task", "other", "low", "high", "share", "n"],
    )
    for column in ("task", "other"):
        frame[column] = frame[column].astype(pd.CategoricalDtype(["digit", "box", "mask", "angle"]))
    figure = FIGURES["cosine_histograms"]
    tidy = figure.tidy(frame, SPEC)
    everything = tidy[tidy["panel"] == ""].set_index("low")["share"]
    assert everything.to_dict() == pytest.approx({0.0: 14 / 16, 0.1: 2 / 16})
    one = tidy[tidy["panel"] == "digit|box"].set_index("low")["share"]
    assert one.to_dict() == pytest.approx({0.0: 0.5, 0.1: 0.5})
    assert figure.choices(SPEC)["digit|box"] == "Digit – Box"
    assert len(figure.choices(SPEC)) == 1 + 6


def test_affinities_are_coloured_by_the_strongest_between_two_tasks():
    rows = [("digit", "digit", 0.9), ("digit", "box", -0.02), ("box", "digit", 0.01), ("box", "box", np.nan)]
    frame = pd.DataFrame(rows, columns=["task", "other", "affinity"]).assign(helped=0.5, n=3)
    for column in ("task", "other"):
        frame[column] = frame[column].astype(pd.CategoricalDtype(["digit", "box", "mask", "angle"]))
    tidy = FIGURES["affinity_matrix"].tidy(frame, SPEC)
    assert tidy["strength"].tolist() == pytest.approx([1, -1, 0.5])


def test_what_if_draws_a_row_per_scheme_in_their_order_and_says_why_one_is_empty():
    frame = pd.DataFrame(
        {
            "step": 7,
            "scheme": np.repeat(["taken", "mgda", "broken"], 2),
            "title": np.repeat(["The step taken (PCGrad)", "MGDA (what stands in brackets is left out)", "Broken"], 2),
            "task": pd.Categorical(["digit", "box"] * 3, ["digit", "box", "mask", "angle"]),
            "note": np.repeat(["", "", "No answer: its weights overflow here."], 2),
        }
    )
    for name in ("weight", "share", "cosine", "length", "change", "percent", "gain"):
        frame[name] = [1.0, 0.5, 0.2, 0.3, np.nan, np.nan]
    for name in ("what_if_weights", "what_if_gains", "what_if_directions"):
        figure = FIGURES[name]
        chart = figure.vega(figure.tidy(frame, SPEC), SPEC, View())
        rows = chart["datasets"]["rows"]
        assert list(dict.fromkeys(rows["title"])) == ["The step taken (PCGrad)", "MGDA", "Broken"]
        assert rows["is_taken"].astype(bool).tolist() == (rows["title"] == "The step taken (PCGrad)").tolist()
        assert all(layer["encoding"]["y"]["sort"] is None for layer in chart["layer"] if "y" in layer["encoding"])
        assert "No answer: its weights overflow here." in set(rows["note"])


def test_tasks_that_share_a_title_are_told_apart_by_name(tables):
    spec = json.loads(json.dumps(SPEC))
    for task in spec["tasks"][:2]:
        task["title"] = "Same"
    spec["tasks"][2]["title"] = "digit"  # a title that is another task's name
    tidy = FIGURES["losses"].tidy(tables["scenes"].table("curves"), spec)
    rows = FIGURES["losses"].rows(tidy, spec, View())
    assert set(rows["task"]) == {"digit", "box", "mask", "angle"}


@pytest.mark.parametrize("depth", [0, 2, 4])
@pytest.mark.parametrize("n_tasks", [1, 2, 5])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_network_is_drawn_as_it_is(depth, n_tasks, theme):
    spec = spec_of(SCENES[:n_tasks], depth)
    figure, tone = FIGURES["architecture"], tones(theme)
    root = parse(figure.draw(figure.tidy(report_frame(spec), spec), spec, View(theme=theme)))
    shared = [rect for rect in root.iter(f"{SVG}rect") if rect.get("fill") == tone.shared and rect.get("height") == "104"]
    copies = [rect for rect in root.iter(f"{SVG}rect") if rect.get("fill-opacity") == "0.16"]
    assert len(shared) == depth
    assert len(copies) == n_tasks * (4 - depth)
    colours = task_colours(spec, theme)
    assert {rect.get("fill") for rect in copies} == ({colours[name] for name in SCENES[:n_tasks]} if depth < 4 else set())
    words = "".join(root.itertext())
    assert f"{short(spec['report']['n_total'])} parameters" in words
    assert ("Nothing is shared" in words) == (depth == 0 and n_tasks > 1)
    assert str(spec["report"]["n_total"]) in root.get("aria-label").replace(",", "")


def inside(element, root):
    """Whether an element with x and width lies in the drawing."""
    _, _, width, height = map(float, root.get("viewBox").split())
    x, y = float(element.get("x")), float(element.get("y"))
    return x >= 0 and x + float(element.get("width", 0)) <= width + 1 and 0 <= y <= height


@pytest.mark.parametrize("n_layers", [1, 6, 16])
@pytest.mark.parametrize("n_tasks", [2, 5])
def test_no_text_and_no_block_is_cut_off(n_layers, n_tasks):
    choice = {"name": "hard_sharing", "trunk": "mlp", "layers": n_layers, "depth": n_layers // 2}
    names = list("abcde")[:n_tasks]
    config = RunConfig(dataset={"name": "teacher", "n_tasks": 5}, tasks=names, architecture=choice)
    spec = json.loads(json.dumps(check(config).describe()))
    spec["tasks"][0]["title"] = "A title that is far too long for the little box that it is meant to fit into"
    spec["report"]["stages"][0]["name"] = "a stage with a very long name"
    figure = FIGURES["architecture"]
    root = parse(figure.draw(report_frame(spec), spec, View()))
    assert all(inside(rect, root) for rect in root.iter(f"{SVG}rect"))
    for text in root.iter(f"{SVG}text"):
        width = 0 if text.get("transform") else text_width(text.text, float(text.get("font-size")))
        left = float(text.get("x")) - (width / 2 if text.get("text-anchor") == "middle" else 0)
        assert left >= 0, text.text
        assert left + width <= WIDTH + 1, text.text


@pytest.mark.parametrize("name", [name for name in NAMES if FIGURES[name].medium == "svg"])
def test_hostile_titles_stay_words(name, tables):
    spec = json.loads(json.dumps(SPEC))
    for task in spec["tasks"]:
        task["title"] = HOSTILE + task["name"]
        task["classes"] = [HOSTILE] * 10
    spec["report"]["stages"][0]["name"] = HOSTILE
    figure = FIGURES[name]
    frame = report_frame(spec) if figure.source == "report" else tables["scenes"].table(figure.source)
    drawn = figure.draw(figure.tidy(frame, spec), spec, View())
    root = parse(drawn)
    assert "\n\n" not in drawn, "a blank line would end the HTML block of a Markdown page"
    elements = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert elements <= {"svg", "g", "title", "text", "rect", "path", "circle", "line", "polyline", "image"}
    assert not any(key.lower().startswith("on") for element in root.iter() for key in element.attrib)
    if name != "sparkline":
        assert "<script>" in "".join(root.itertext()), "it is shown as what it is"


def test_sample_predictions_show_each_answer(tables):
    tidy, spec = tidy_of("predictions", tables)
    assert set(tidy["kind"]) == {"classification", "box", "mask", "angle"}
    root = parse(FIGURES["predictions"].draw(tidy, spec, View()))
    pictures = list(root.iter(f"{SVG}image"))
    assert len(pictures) == 3 * 2, "three inputs, each with the tint of its mask"
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert sum(word in ("✓", "✗", "·") for word in words) == 3 * 4
    for answer in tidy["answer"]:
        assert any(answer in word for word in words)


@pytest.mark.parametrize(
    ("task", "target", "prediction", "expected"),
    [
        ({"kind": "classification", "classes": ["zero", "one"]}, 1, 1, (True, "one")),
        ({"kind": "classification", "classes": ["zero", "one"]}, 0, 1, (False, "one, is zero")),
        ({"kind": "classification", "classes": ["zero"]}, 7, 0, (False, "zero, is 7")),
        ({"kind": "classification", "classes": ["zero"]}, None, 0, (None, "zero (no label)")),
        ({"kind": "box"}, [0, 0, 2, 2], [0, 0, 2, 2], (True, "IoU 1.00")),
        ({"kind": "box"}, [0, 0, 2, 2], [1, 0, 3, 2], (False, "IoU 0.33")),
        ({"kind": "box"}, None, [1, 0, 3, 2], (None, "(no label)")),
        ({"kind": "mask"}, np.array([[255, 0]]), np.array([[200, 100]]), (True, "IoU 1.00")),
        ({"kind": "mask"}, np.array([[0, 0]]), np.array([[0, 0]]), (None, "nothing there")),
        ({"kind": "angle"}, 179.0, -175.0, (True, "6° off")),
        ({"kind": "angle"}, 0.0, 90.0, (False, "90° off")),
        ({"kind": "regression"}, np.array([2.0]), np.array([2.5]), (None, "2.5 (is 2)")),
    ],
)
def test_answers_are_judged(task, target, prediction, expected):
    assert judge(task, target, prediction) == expected


def test_boxes_and_masks_that_are_nothing_overlap_by_nothing():
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    assert box_iou((2, 2, 0, 0), (0, 0, 2, 2)) == 0, "turned inside out"
    assert np.isnan(mask_iou(np.zeros((2, 2)), np.zeros((2, 2))))


def test_broken_predictions_are_drawn_without_an_error(tables):
    tidy, spec = tidy_of("predictions", tables)
    for row in tidy.index[tidy["kind"] == "box"]:
        tidy.at[row, "prediction"] = np.array([np.nan, -1e9, 1e9, np.nan])
    for row in tidy.index[tidy["kind"] == "angle"]:
        tidy.at[row, "prediction"] = np.nan
    root = parse(FIGURES["predictions"].draw(tidy, spec, View()))
    numbers = [value for element in root.iter() for key, value in element.attrib.items() if key in ("x", "y", "width", "x2")]
    assert not any(re.search("nan|inf", number) for number in numbers)


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_survive_the_way_to_the_browser(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    kind, _, content = png_uri(pixels).partition(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(b64decode(content)))), pixels)


def test_numbers_predicted_against_true(tables):
    tidy, spec = tidy_of("predicted_vs_true", tables)
    assert len(tidy) == 3 * 2
    rows = FIGURES["predicted_vs_true"].rows(tidy, spec, View())
    diagonal = rows[rows["task"].isna()]
    assert (diagonal["true"] == diagonal["predicted"]).all()
    assert [diagonal["true"].min(), diagonal["true"].max()] == pytest.approx([tidy["true"].min(), tidy["true"].max()])


def test_a_sparkline_shows_shapes_not_sizes(tables):
    tidy, _ = tidy_of("sparkline", tables)
    by_task = tidy.groupby("task")["level"]
    assert (by_task.min() == 0).all()
    assert (by_task.max() == 1).all()


def test_a_loss_that_never_moves_is_a_flat_sparkline():
    frame = curve_frame(rows={("train", "digit", "loss", step): (2, 2, 2, 2) for step in (1, 2)})
    figure = FIGURES["sparkline"]
    tidy = figure.tidy(frame, SPEC)
    assert tidy["level"].tolist() == [0, 0]
    assert parse(figure.draw(tidy, SPEC, View()))


def test_words_are_fitted():
    assert wrap("short", 12, 100) == ["short"]
    first, second = wrap("two words that are long", 12, 80)
    assert f"{first} {second}" == "two words that are long"
    assert wrap("unbreakable" * 5, 12, 50) == ["unbreakable" * 5]
    assert text_width("語" * 4, 10) >= 40


def test_dashes_of_the_palette_reach_the_lines(tables):
    tidy, spec = tidy_of("gradient_norms", tables)
    chart = FIGURES["gradient_norms"].vega(tidy, spec, View())
    scale = next(scale for channel, scale in field_domains(chart) if channel == "strokeDash")
    assert scale["range"] == [
        list(dash) for name, dash in task_dashes(spec).items() if name in ("digit", "box", "mask", "angle")
    ]
