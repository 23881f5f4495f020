"""Tidy tables from a real store: the numbers by hand, the windows, and runs that have nothing to say yet."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core import frames
from mtl_core.config import RunConfig
from mtl_core.frames import RunFrames
from mtl_core.records import Affinity, Column, Measurement, Preview, Scalars
from mtl_core.store import Store

TASKS = ["digit", "box"]
SPEC = {
    "tasks": [{"name": name, "title": name.title(), "kind": "classification", "metrics": []} for name in TASKS],
    "all_tasks": TASKS,
    "shared_stages": ["conv 1", "conv 2"],
    "stages": ["conv 1", "conv 2", "conv 3"],
    "input_shape": [3, 4, 4],
    "report": {
        "stages": [
            {"name": "conv 1", "is_shared": True, "n_copies": 1, "n_parameters": 10, "flops": 100, "output_shape": [8, 2, 2]},
            {"name": "conv 3", "is_shared": False, "n_copies": 2, "n_parameters": 20, "flops": 200, "output_shape": [8]},
        ],
        "heads": {
            name: {"name": name, "is_shared": False, "n_copies": 1, "n_parameters": 5, "flops": 5, "output_shape": []}
            for name in TASKS
        },
    },
}


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def run(store):
    return store.enqueue(RunConfig(tasks=TASKS), spec=SPEC)


def write(store, run, split, steps, **series):
    """Series by task__name; the epoch is a tenth of the step, the time a hundredth."""
    columns = tuple(Column(*key.split("__")) for key in series)
    steps = np.asarray(steps)
    values = np.stack([np.asarray(value, dtype=np.float32) for value in series.values()], axis=1)
    with store.writer(run) as writer:
        writer.append(Scalars(split, columns, steps, steps / 10, steps / 100, values))


def measurement(step, halves_SHTP, *, counts=((4, 4), (4, 4)), losses=(2.0, 4.0), changes=(-0.1, 0.2)):
    """A measurement of these gradients: stages × halves × tasks × parameters."""
    rows = np.asarray(halves_SHTP, dtype=np.float64).reshape(len(halves_SHTP), 4, -1)
    gramian = (rows @ rows.transpose(0, 2, 1)).astype(np.float32)
    vectors = (np.array(values, dtype=np.float32) for values in (counts, losses, (0.5, 0.5), changes))
    return Measurement(step, step / 10, step / 100, gramian, *vectors)


AGREE = [[[1, 0], [1, 0]], [[1, 0], [1, 0]]]  # a: digit, box; b: digit, box
FIGHT = [[[1, 0], [-1, 0]], [[1, 0], [-1, 0]]]


def append(store, run, *items):
    with store.writer(run) as writer:
        for item in items:
            writer.append(item)


def test_a_curve_by_hand(store, run):
    write(store, run, "train", [1, 2, 3], digit__loss=[4, 2, np.nan], box__loss=[1, 1, 1], __lr=[0.1, 0.1, 0.1])
    frame = frames.curves(store, run, "train", names=["loss"])
    assert list(frame.columns) == ["step", "epoch", "time", "split", "task", "name", "low", "high", "mean", "smooth"]
    digit = frame[frame["task"] == "digit"]
    assert digit["mean"].tolist() == pytest.approx([4, 2, np.nan], nan_ok=True)
    assert digit["epoch"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert digit["time"].tolist() == pytest.approx([0.01, 0.02, 0.03])
    assert set(frame["task"]) == {"digit", "box"}
    assert set(frame["split"]) == {"train"}
    assert set(frames.curves(store, run, "train")["name"]) == {"loss", "lr"}


def test_a_long_run_is_thin_and_keeps_its_extremes(store, run):
    values = np.random.default_rng(0).normal(size=40_000)
    values[[12_345, 30_001]] = 50, -50
    write(store, run, "train", np.arange(40_000), digit__loss=values)
    frame = frames.curves(store, run, "train", points=1000, smooth=100)
    assert len(frame) <= 500
    assert (frame["low"].min(), frame["high"].max()) == (-50, 50)
    assert frame["smooth"].abs().max() < 3, "the line is smooth, the band is not"


def test_the_smoothed_line_is_the_same_in_a_window_of_it(store, run):
    steps = np.arange(1, 3001)
    noise = 0.3 * np.random.default_rng(0).normal(size=3000)
    write(store, run, "train", steps, digit__loss=np.exp(-steps / 800) + noise)
    whole = frames.curves(store, run, "train", points=6000, smooth=40).set_index("step")["smooth"]
    part = frames.curves(store, run, "train", points=6000, smooth=40, first=1500, last=1700).set_index("step")["smooth"]
    assert (part.index.min(), part.index.max()) == (1500, 1700)
    assert part.to_numpy() == pytest.approx(whole.loc[part.index].to_numpy(), abs=0.01)
    assert whole.loc[1000:].std() < 0.5 * noise.std()


def naive_average(values, steps, time_constant):
    """The definition: weights that fall with the distance in steps, times the distance that each value stands for."""
    gaps = np.diff(steps, prepend=steps[0] - (steps[1] - steps[0] if len(steps) > 1 else time_constant))
    out = []
    for n, step in enumerate(steps):
        weights = (1 - np.exp(-gaps[: n + 1] / time_constant)) * np.exp(-(step - steps[: n + 1]) / time_constant)
        known = np.isfinite(values[: n + 1])
        out.append(np.sum(weights[known] * values[: n + 1][known]) / weights[known].sum() if known[n] else np.nan)
    return out


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(-10, 10) | st.just(np.nan)), min_size=1, max_size=40),
    st.sampled_from([0.5, 20.0, 1000.0]),
)
def test_the_moving_average_is_what_it_says(pairs, time_constant):
    steps = np.cumsum([gap for gap, _ in pairs])
    values = np.array([value for _, value in pairs])
    smooth = frames.moving_average(values[:, None], steps, time_constant)[:, 0]
    assert smooth == pytest.approx(naive_average(values, steps, time_constant), abs=1e-6, nan_ok=True)


def test_no_smoothing_changes_nothing_and_infinite_losses_stay_out():
    values = np.array([[1.0], [np.inf], [3.0]])
    assert frames.moving_average(values, np.arange(3), 0).tolist() == values.tolist()
    smooth = frames.moving_average(values, np.arange(3), 5.0)
    assert np.isnan(smooth[1, 0])
    assert 1 < smooth[2, 0] < 3


def test_the_export_holds_every_number_once(store, run):
    steps = np.arange(1, 121)
    write(store, run, "train", steps, digit__loss=steps * 0.5, box__weight=steps * 2.0)
    write(store, run, "validation", [40, 80], digit__loss=[1, 2], digit__accuracy=[0.1, 0.2])
    write(store, run, "test", [120], digit__accuracy=[0.9])
    whole = frames.export(store, run)
    assert list(whole.columns) == ["step", "epoch", "time", "split", "task", "name", "value"]
    assert len(whole) == 120 * 2 + 2 * 2 + 1
    weights = whole[(whole["task"] == "box") & (whole["split"] == "train")]
    assert weights["value"].tolist() == pytest.approx((steps * 2.0).tolist())
    assert whole[whole["split"] == "test"]["value"].tolist() == pytest.approx([0.9])
    parts = list(frames.export_parts(store, run, rows=50))
    assert len(parts) == 3 + 1 + 1
    order = ["split", "name", "task", "step"]
    by_parts = pd.concat([part.astype(dict.fromkeys(order[:3], "str")) for part in parts]).sort_values(order, ignore_index=True)
    at_once = whole.astype(dict.fromkeys(order[:3], "str")).sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(by_parts, at_once)


def test_training_and_validation_lie_in_one_table(store, run):
    write(store, run, "train", [1, 2], digit__loss=[1, 2])
    write(store, run, "validation", [2], digit__loss=[3], digit__accuracy=[0.5])
    table = RunFrames(store, run, SPEC).table("curves")
    assert table.groupby("split", observed=True).size().to_dict() == {"train": 2, "validation": 2}
    assert {table[name].dtype.name for name in ("split", "task", "name")} == {"category"}


def test_cosines_of_pairs_and_the_noise_floor_by_hand(store, run):
    disagree = [[[1, 0], [-1, 0]], [[0, 1], [0, -1]]]  # each task turns by 90° between the halves
    append(store, run, measurement(10, [FIGHT, FIGHT]), measurement(20, [disagree, disagree]))
    table = RunFrames(store, run, SPEC).table("cosines").astype({"task": "str", "other": "str"})
    rows = table.set_index(["step", "task", "other"])
    assert len(rows) == 6
    assert rows.loc[(10, "digit", "box"), ["cosine", "cross", "smooth"]].tolist() == pytest.approx([-1, -1, -1])
    assert rows.loc[(10, "digit", "digit"), "cross"] == pytest.approx(1)
    assert rows.loc[(20, "digit", "box"), ["cosine", "cross"]].tolist() == pytest.approx([-1, 0])
    assert rows.loc[(20, "box", "box"), "cross"] == pytest.approx(0)


def test_the_matrix_is_the_mean_of_the_last_measurements(store, run):
    append(store, run, *[measurement(step, [AGREE, AGREE]) for step in range(30)])
    append(store, run, *[measurement(step, [FIGHT, FIGHT]) for step in range(30, 30 + frames.N_NOW // 2)])
    rows = RunFrames(store, run, SPEC).table("matrix").set_index(["task", "other"])
    assert rows.loc[("digit", "box"), "cross"] == pytest.approx(0), "half of the last 20 agree, half fight"
    assert rows.loc[("box", "digit"), "below"] == pytest.approx(0.5)
    assert rows.loc[("digit", "digit"), ["cross", "similarity", "n"]].tolist() == pytest.approx([1, 1, 20])


def test_stages_tell_where_the_conflict_is(store, run):
    append(store, run, *[measurement(step, [AGREE, FIGHT]) for step in range(0, 1500, 10)])
    table = RunFrames(store, run, SPEC).table("stages")
    by_stage = table.groupby("stage", observed=True)
    assert len(table) <= 2 * frames.N_BINS
    assert by_stage["cross"].mean().to_dict() == pytest.approx({"conv 1": 1, "conv 2": -1})
    assert by_stage["below"].mean().to_dict() == pytest.approx({"conv 1": 0, "conv 2": 1})
    assert by_stage["floor"].mean().to_dict() == pytest.approx({"conv 1": 1, "conv 2": 1})
    assert by_stage["n"].sum().to_dict() == {"conv 1": 150, "conv 2": 150}
    first = table[table["stage"] == "conv 1"]
    assert first["step_end"].iloc[:-1].tolist() == first["step"].iloc[1:].tolist(), "no gaps between the stretches"
    assert (first["step_end"] > first["step"]).all()


def test_norms_and_costs_by_hand(store, run):
    halves = [[[3, 0], [0, 1]], [[3, 0], [0, 1]]]
    append(store, run, measurement(5, [halves, halves], losses=(2.0, 0.0), changes=(-0.1, 0.2)))
    tables = RunFrames(store, run, SPEC)
    norms = tables.table("norms").set_index("task")["norm"]
    assert norms.to_dict() == pytest.approx({"digit": 18**0.5, "box": 2**0.5}), "over both stages"
    changes = tables.table("changes").set_index("task")
    assert changes["change"].to_dict() == pytest.approx({"digit": -0.1, "box": 0.2})
    assert changes["percent"].to_dict() == pytest.approx({"digit": -5, "box": np.nan}, nan_ok=True), "no percent of a loss of 0"


def test_a_task_without_labels_in_the_batch_has_no_norm(store, run):
    append(store, run, measurement(5, [AGREE, AGREE], counts=((0, 4), (0, 4))))
    norms = RunFrames(store, run, SPEC).table("norms").set_index("task")["norm"]
    assert np.isnan(norms["digit"])
    assert norms["box"] == pytest.approx(2**0.5)


def test_the_window_holds_for_curves_and_measurements(store, run):
    write(store, run, "train", np.arange(1, 101), digit__loss=np.ones(100))
    append(store, run, *[measurement(step, [AGREE, AGREE]) for step in range(0, 100, 10)])
    window = RunFrames(store, run, SPEC, first=20, last=50)
    for source in ("curves", "cosines", "norms", "changes", "stages"):
        steps = window.table(source)["step"]
        assert (steps.min(), steps.max()) == (20, 50), source


def test_a_narrow_window_of_a_long_run_has_all_its_measurements(store, run):
    append(store, run, *[measurement(step, [AGREE, AGREE]) for step in range(0, 20_000, 10)])
    steps = RunFrames(store, run, SPEC, first=15_000, last=15_995).measured.steps
    assert steps.tolist() == list(range(15_000, 16_000, 10))
    assert 25 <= len(RunFrames(store, run, SPEC, at_most=50).measured.steps) <= 50
    assert RunFrames(store, run, SPEC, at_most=50).now.steps.tolist() == list(range(19_800, 20_000, 10)), "never thinned"
    assert RunFrames(store, run, SPEC, last=15_995).now.steps.tolist() == list(range(15_800, 16_000, 10))
    assert RunFrames(store, run, SPEC, first=19_950).now.steps.tolist() == list(range(19_950, 20_000, 10))
    assert RunFrames(store, run, SPEC, first=15_001, last=15_009).table("cosines").empty
    assert RunFrames(store, run, SPEC, first=19_985, last=50_000).measured.steps.tolist() == [19_990]


GAP = [[[1, 0], [-0.5, 1]], [[1, 0], [-0.5, 1]]]  # the hand case of the papers: cosine −.4472


def test_similarity_and_curvature_of_pairs_by_hand(store, run):
    append(store, run, measurement(10, [GAP]), measurement(20, [GAP]))
    spec = SPEC | {"shared_stages": ["conv 1"]}
    rows = RunFrames(store, run, spec, smooth=10).table("pairs").astype({"task": "str", "other": "str"})
    assert rows[["step", "task", "other"]].to_numpy().tolist() == [[10, "digit", "box"], [20, "digit", "box"]]
    assert rows["cosine"].tolist() == pytest.approx([-(0.2**0.5)] * 2)
    for name in ("similarity", "smooth_similarity"):
        assert rows[name].tolist() == pytest.approx([2 * 1.25**0.5 / 2.25] * 2)
    assert rows["curvature"].tolist() == pytest.approx([2.08] * 2)
    assert rows["smooth_curvature"].tolist() == pytest.approx([2.08] * 2)


def test_histograms_set_the_first_third_against_the_last(store, run):
    append(store, run, *[measurement(step, [AGREE, AGREE]) for step in range(4)])
    append(store, run, *[measurement(step, [FIGHT, FIGHT]) for step in range(4, 12)])
    rows = RunFrames(store, run, SPEC).table("histograms")
    rows = rows.astype({"part": "str", "task": "str", "other": "str"}).set_index(["part", "task", "other"])
    assert len(rows) == 6
    first, last = rows.loc[("first third", "digit", "box")], rows.loc[("last third", "digit", "box")]
    assert first[["low", "high", "share", "n"]].tolist() == pytest.approx([0.9, 1.0, 1, 4])
    assert last[["low", "high", "share", "n"]].tolist() == pytest.approx([-1.0, -0.9, 1, 4])
    assert rows.loc[("last third", "box", "box"), "low"] == pytest.approx(0.9), "a task with itself"


def test_shares_in_conflict_and_their_intervals_by_hand(store, run):
    append(store, run, *[measurement(step, [AGREE, AGREE] if step % 4 else [FIGHT, FIGHT]) for step in range(20)])
    rows = RunFrames(store, run, SPEC).table("fractions").astype({"side": "str"})
    tasks, floor = (rows[rows["side"] == side] for side in ("tasks", "floor"))
    assert tasks["share"].tolist() == pytest.approx([0.3, 0.2])  # three fights in the first ten steps, two in the others
    assert floor["share"].tolist() == [0, 0]
    assert tasks["step"].tolist() == pytest.approx([4.5, 14.5])
    assert tasks["n"].tolist() == [10, 10]
    # Wilson's interval of 3 in 10, as tables have it
    assert tasks[["low", "high"]].iloc[0].tolist() == pytest.approx([0.108, 0.603], abs=0.001)
    assert floor[["low", "high"]].iloc[0].tolist() == pytest.approx([0, 0.278], abs=0.001)


@pytest.mark.parametrize(
    ("gradients", "held"),
    [
        ([[1, 0], [1, 1]], [0, 0, 0]),  # no conflict
        ([[1, 0], [-0.5, 1]], [1, 0, 0]),  # cos −.45, but as long as each other
        ([[1, 0], [-9, 9]], [1, 1, 1]),  # cos −.71, Φ .16, ξ .63
        ([[1, 0], [-1, 4]], [1, 0, 0]),  # cos −.24, Φ .46
        ([[1, 0], [-0.405, 0.293]], [1, 1, 0]),  # cos −.81, Φ .80, ξ 1.6
    ],
)
def test_the_tragic_triad_by_hand(store, run, gradients, held):
    append(store, run, measurement(5, [[gradients, gradients]]))
    rows = RunFrames(store, run, SPEC | {"shared_stages": ["conv 1"]}).table("triad")
    assert rows["condition"].tolist() == ["conflict", "conflict and a gap in length", "all three"]
    assert rows["share"].tolist() == held


def test_room_and_condition_by_hand(store, run):
    append(store, run, measurement(5, [GAP]), measurement(6, [[[[1, 0], [0, 3]]] * 2]))
    spec = SPEC | {"shared_stages": ["conv 1"]}
    tables = RunFrames(store, run, spec)
    room = tables.table("stationarity").astype({"measure": "str"}).set_index(["step", "measure"])["value"]
    shortest = np.hypot(4, 6) / 13
    assert room[(5, "absolute")] == pytest.approx(shortest)
    assert room[(5, "relative")] == pytest.approx(shortest / ((1 + 1.25**0.5) / 2))
    assert room[(6, "absolute")] == pytest.approx(3 / 10**0.5)
    condition = tables.table("conditions").astype({"lengths": "str"}).set_index(["step", "lengths"])["value"]
    assert condition[(6, "as they are")] == pytest.approx(3)
    assert condition[(6, "made equally long")] == pytest.approx(1)
    assert condition[(5, "made equally long")] == pytest.approx(((1 + 0.2**0.5) / (1 - 0.2**0.5)) ** 0.5)


def affinity(step, values):
    return Affinity(step, step / 10, step / 100, np.array(values, dtype=np.float32))


def test_affinities_keep_who_steps_and_who_is_looked_at(store, run):
    append(store, run, affinity(10, [[0.5, -0.1], [0.2, 0.4]]), affinity(20, [[0.5, -0.3], [np.nan, 0.4]]))
    tables = RunFrames(store, run, SPEC)
    rows = tables.table("affinities").astype({"task": "str", "other": "str"}).set_index(["step", "task", "other"])
    assert rows.loc[(20, "digit", "box"), "affinity"] == pytest.approx(-0.3)
    assert rows.loc[(10, "box", "digit"), "affinity"] == pytest.approx(0.2)
    assert np.isnan(rows.loc[(20, "box", "digit"), "affinity"])
    assert rows.loc[(20, "box", "box"), ["epoch", "time"]].tolist() == pytest.approx([2, 0.2])
    matrix = tables.table("affinity_matrix").astype({"task": "str", "other": "str"}).set_index(["task", "other"])
    assert matrix.loc[("digit", "box"), ["affinity", "helped", "n"]].tolist() == pytest.approx([-0.2, 0, 2])
    assert matrix.loc[("box", "digit"), ["affinity", "helped"]].tolist() == pytest.approx([0.2, 1])


def test_affinities_in_a_window_and_thinned(store, run):
    append(store, run, *[affinity(step, np.eye(2)) for step in range(0, 4000, 10)])
    window = RunFrames(store, run, SPEC, first=1000, last=1095)
    assert window.table("affinities")["step"].unique().tolist() == list(range(1000, 1100, 10))
    assert RunFrames(store, run, SPEC).table("affinities")["step"].nunique() <= 150
    assert RunFrames(store, run, SPEC, first=10).table("affinities")["step"].nunique() <= 150


def test_what_if_at_a_step_of_the_window(store, run):
    append(store, run, *[measurement(step, [AGREE, FIGHT]) for step in range(0, 100, 10)])
    assert RunFrames(store, run, SPEC).table("what_if")["step"].unique().tolist() == [90]
    assert RunFrames(store, run, SPEC, what_if_step=47).table("what_if")["step"].unique().tolist() == [40]
    assert RunFrames(store, run, SPEC, last=35).table("what_if")["step"].unique().tolist() == [30]


def test_a_lone_measurement_has_a_width_on_the_stage_heat_map(store, run):
    append(store, run, measurement(0, [AGREE, FIGHT]))
    rows = RunFrames(store, run, SPEC).table("stages")
    for place in ("step", "epoch", "time"):
        assert (rows[f"{place}_end"] > rows[place]).all(), place


@pytest.mark.parametrize("source", [name for name in frames.SOURCES if name != "report"])
def test_a_run_that_has_said_nothing_gives_tables_without_rows(store, run, source):
    empty = RunFrames(store, run, SPEC, smooth=10).table(source)
    assert len(empty) == 0
    full_store_columns = set(empty.columns)
    assert full_store_columns, "the columns are there for the figure that asks"
    if source == "curves":
        assert len(frames.export(store, run)) == 0


def test_nothing_shared_means_no_conflict_and_no_error(store, run):
    spec = SPEC | {"shared_stages": []}
    append(
        store,
        run,
        Measurement(1, 0.1, 0.01, np.empty((0, 4, 4), np.float32), *(np.ones(s, np.float32) for s in ((2, 2), 2, 2, 2))),
    )
    tables = RunFrames(store, run, spec)
    assert tables.table("cosines")["cross"].isna().all()
    assert tables.table("stages").empty
    assert tables.table("changes")["change"].tolist() == [1, 1]


def test_the_blocks_of_a_network():
    rows = frames.report_frame(SPEC)
    assert rows["task"].tolist() == ["", "digit", "box", "digit", "box"]
    assert rows["stage"].tolist() == ["conv 1", "conv 3", "conv 3", "head", "head"]
    assert rows["shape"].tolist() == ["8 × 2 × 2", "8", "8", "", ""]


def test_previews_keep_missing_labels_missing(store, run):
    arrays = {
        "inputs": np.zeros((2, 4, 4, 3), np.uint8),
        "target/digit": np.array([3, 4]),
        "prediction/digit": np.array([3, 5]),
        "labelled/digit": np.array([True, False]),
        "target/box": np.ones((2, 4), np.float32),
        "prediction/box": np.zeros((2, 4), np.float32),
    }
    append(store, run, Preview(7, 0.7, 0.07, arrays))
    rows = RunFrames(store, run, SPEC).table("preview")
    assert rows["example"].tolist() == [0, 0, 1, 1]
    digit = rows[rows["task"] == "digit"]
    assert digit["target"].tolist() == [3, None]
    assert digit["prediction"].tolist() == [3, 5]
    assert rows["step"].unique().tolist() == [7]
