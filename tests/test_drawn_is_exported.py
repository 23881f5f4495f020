"""Nothing that is drawn differs from what is exported: every number of a figure, worked out again from the exported files alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from contrasts import compared, fair

from mtl_core import run_here
from mtl_core.cli.app import main
from mtl_core.config import RunConfig
from mtl_core.exchange.compare_files import write
from mtl_core.exchange.compare_tables import write_curves
from mtl_core.figures import FIGURES, View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames import N_NOW, RunFrames
from mtl_core.frames.compared import Compared
from mtl_core.store import Store

SMOOTH = 7.0
T2 = 4.302652729911275  # 97.5 % of Student's t with two degrees of freedom
CONFIG = {  # odd batches, and a task with few labels: halves that weigh unequally
    "dataset": {"name": "teacher", "n_tasks": 3, "labels": [2000, 1200, 2000]},
    "weighting": {"name": "cagrad"},
    "training": {"steps": 90, "batch_size": 27, "validate_every": 9},
    "measure": {"every": 2, "affinity_every": 15},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that was really trained, and its tables as ``export`` writes them."""
    home = tmp_path_factory.mktemp("trained")
    with Store.open(str(home / "store")) as store:
        run = run_here(store, RunConfig.from_mapping(CONFIG))
        assert run.state == "finished"
        assert main(["export", run.id, str(home / "out"), "--store", str(home / "store")]) == 0
        tables = {path.name.split(".")[1]: pd.read_csv(path) for path in (home / "out").glob("*.csv")}
        assert set(tables) == {"curves", "changes", "gramian", "affinity"}
        yield store, run, {name: table.fillna({"task": ""}) if "task" in table else table for name, table in tables.items()}


@pytest.fixture(scope="module")
def gradients(trained: Any) -> dict[str, np.ndarray]:
    """From the exported inner products: steps [N], Gramian by halves [N, S, 2, T, 2, T] and its share per half [N, 2, T]."""
    _, run, tables = trained
    tasks, stages = [task["name"] for task in run.spec["tasks"]], run.spec["shared_stages"]
    table, changes = tables["gramian"], tables["changes"]
    steps = np.unique(table["step"])
    halves = np.full((len(steps), len(stages), 2, len(tasks), 2, len(tasks)), np.nan)
    n, s = np.searchsorted(steps, table["step"]), table["stage"].map(stages.index).to_numpy()
    i, j = (table[name].map(tasks.index).to_numpy() for name in ("task", "other"))
    h, k = (table[name].map("ab".index).to_numpy() for name in ("half", "other_half"))
    halves[n, s, h, i, k, j] = halves[n, s, k, j, h, i] = table["inner"]
    assert not np.isnan(halves).any(), "each pair of half-batches is in the table"
    counts = changes[["labelled_a", "labelled_b"]].to_numpy().reshape(len(steps), len(tasks), 2).transpose(0, 2, 1)
    assert (counts[:, 0] != counts[:, 1]).any()
    return {"steps": steps, "halves": halves, "shares": counts / counts.sum(axis=1, keepdims=True)}


def whole(gradients: dict[str, np.ndarray]) -> np.ndarray:
    """Inner products [N, S, T, T] of whole-batch gradients: each is the mean of its halves, by their labels."""
    return np.einsum("nhi,nshikj,nkj->nsij", gradients["shares"], gradients["halves"], gradients["shares"])


def across(halves: np.ndarray) -> np.ndarray:
    """Cosines [..., T, T] between a gradient of one half and one of the other, the mean of both ways."""
    lengths = np.sqrt(np.einsum("...hihi->...hi", halves))
    one = halves[..., 0, :, 1, :] / (lengths[..., 0, :, None] * lengths[..., 1, None, :])
    return (one + np.swapaxes(one, -1, -2)) / 2


def cosine(gram: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("...ii->...i", gram))
    return gram / (lengths[..., :, None] * lengths[..., None, :])


def smoothed(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The exponential average, number by number."""
    found, total, weight = [], 0.0, 0.0
    gaps = np.diff(steps, prepend=2 * steps[0] - steps[1])
    for value, gap in zip(values, gaps, strict=True):
        kept = np.exp(-gap / SMOOTH)
        total, weight = total * kept + value * (1 - kept), weight * kept + (1 - kept)
        found.append(total / weight)
    return np.array(found)


def tidy_of(trained: Any, name: str, **how: Any) -> pd.DataFrame:
    store, run, _ = trained
    tables = RunFrames(store, run.id, run.spec, **{"smooth": SMOOTH, **how})
    tidy: pd.DataFrame = FIGURES[name].tidy(tables.table(FIGURES[name].source), run.spec)
    assert len(tidy)
    return tidy.astype({column: "str" for column in tidy.columns if tidy[column].dtype == "category"})


def curve_of(trained: Any, split: str, task: str, name: str) -> pd.DataFrame:
    table = trained[2]["curves"]
    mine = table[(table["split"] == split) & (table["task"] == task) & (table["name"] == name)]
    return mine.dropna(subset="value")


@pytest.mark.parametrize("figure", ["losses", "metrics", "weights"])
def test_curves(trained: Any, figure: str) -> None:
    tidy = tidy_of(trained, figure)
    keys = [key for key in ("split", "task", "metric") if key in tidy]
    n_series = 0
    for found, mine in tidy.groupby(keys):
        who = dict(zip(keys, found, strict=True))
        split = who.get("split", "train")
        rows = curve_of(trained, split, who["task"], who.get("metric", {"losses": "loss", "weights": "weight"}.get(figure, "")))
        assert list(mine["step"]) == list(rows["step"])
        values = rows["value"].to_numpy()
        drawn = smoothed(values, rows["step"].to_numpy()) if split == "train" else values
        np.testing.assert_allclose(mine["value"], drawn, rtol=1e-5, atol=1e-7)
        if split == "train":
            np.testing.assert_array_equal(mine[["low", "high"]].to_numpy(np.float32).T, np.float32([values, values]))
        n_series += 1
    known = trained[2]["curves"].dropna(subset="value").query("task != '' and split != 'test'")
    of_figure = {"losses": ("loss",), "metrics": ("r2", "mae"), "weights": ("weight",)}[figure]
    assert n_series == known[known["name"].isin(of_figure)].groupby(["split", "task", "name"]).ngroups > 0


@pytest.mark.parametrize("points", [20, 44])
def test_levels_of_detail(trained: Any, points: int) -> None:
    """Fewer numbers than steps: each stands for the exported rows since the one before it."""
    for (task,), mine in tidy_of(trained, "losses", points=points, smooth=0.0).query("split == 'train'").groupby(["task"]):
        rows = curve_of(trained, "train", task, "loss")
        assert len(mine) <= points // 2 < len(rows)
        buckets = rows["value"].groupby(np.searchsorted(mine["step"].to_numpy(), rows["step"].to_numpy()))
        assert sorted(buckets.groups) == list(range(len(mine)))
        np.testing.assert_array_equal(mine["low"].to_numpy(np.float32), buckets.min().to_numpy(np.float32))
        np.testing.assert_array_equal(mine["high"].to_numpy(np.float32), buckets.max().to_numpy(np.float32))
        np.testing.assert_allclose(mine["value"], buckets.mean(), rtol=1e-5)


def by_pair(trained: Any, matrices: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    tasks = [task["name"] for task in trained[1].spec["tasks"]]
    return {(tasks[i], tasks[j]): matrices[..., i, j] for i in range(len(tasks)) for j in range(i, len(tasks))}


def test_cosines_over_time(trained: Any, gradients: dict[str, np.ndarray]) -> None:
    raw = by_pair(trained, across(gradients["halves"].sum(axis=1)))
    plain = by_pair(trained, cosine(whole(gradients).sum(axis=1)))
    tidy = tidy_of(trained, "cosine_curves")
    pairs = dict(list(tidy[tidy["task"] != tidy["other"]].groupby(["task", "other"])))
    assert len(pairs) == 3
    for pair, mine in pairs.items():
        assert list(mine["step"]) == list(gradients["steps"])
        np.testing.assert_allclose(mine["cross"], raw[pair], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(mine["cosine"], plain[pair], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(mine["value"], smoothed(raw[pair], gradients["steps"]), rtol=1e-6, atol=1e-8)


def test_cosines_now(trained: Any, gradients: dict[str, np.ndarray]) -> None:
    raw = by_pair(trained, across(gradients["halves"].sum(axis=1))[-N_NOW:])
    tidy = tidy_of(trained, "cosine_matrix").set_index(["task", "other"])
    assert len(tidy) == 9
    for (task, other), values in raw.items():
        for pair in ((task, other), (other, task)):
            assert tidy.loc[pair, "cross"] == pytest.approx(values.mean(), rel=1e-6)
            assert tidy.loc[pair, "below"] == pytest.approx((values < 0).mean())


def test_conflict_by_stage(trained: Any, gradients: dict[str, np.ndarray]) -> None:
    cross, plain = across(gradients["halves"]), cosine(whole(gradients))
    i, j = np.triu_indices(3, 1)
    tidy = tidy_of(trained, "conflict_by_stage")
    for s, stage in enumerate(trained[1].spec["shared_stages"]):
        mine = tidy[tidy["stage"] == stage]
        assert list(mine["step"]) == list(gradients["steps"]), "no more measurements than there are columns"
        np.testing.assert_allclose(mine["cross"], cross[:, s, i, j].mean(axis=-1), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(mine["cosine"], plain[:, s, i, j].mean(axis=-1), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(mine["floor"], np.einsum("nii->n", cross[:, s]) / 3, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(mine["below"], (cross[:, s, i, j] < 0).mean(axis=-1))


def test_lengths_and_what_follows_from_them(trained: Any, gradients: dict[str, np.ndarray]) -> None:
    gram = whole(gradients).sum(axis=1)
    lengths = np.sqrt(np.einsum("nii->ni", gram))
    tasks = [task["name"] for task in trained[1].spec["tasks"]]
    for task, mine in tidy_of(trained, "gradient_norms").groupby("task"):
        np.testing.assert_allclose(mine["norm"], lengths[:, tasks.index(task)], rtol=1e-6)
        np.testing.assert_allclose(mine["value"], smoothed(lengths[:, tasks.index(task)], gradients["steps"]), rtol=1e-6)
    for (task, other), mine in tidy_of(trained, "magnitude_similarity").groupby(["task", "other"]):
        a, b = lengths[:, tasks.index(task)], lengths[:, tasks.index(other)]
        np.testing.assert_allclose(mine["similarity"], 2 * a * b / (a**2 + b**2), rtol=1e-6)
    spectrum = np.sqrt(np.linalg.eigvalsh(gram))
    mine = tidy_of(trained, "condition_number").query("name == 'as they are'")
    np.testing.assert_allclose(mine["raw"], spectrum[:, -1] / spectrum[:, 0], rtol=1e-4)


def test_who_pays(trained: Any) -> None:
    table = trained[2]["changes"]
    for task, mine in tidy_of(trained, "who_pays").groupby("task"):
        rows = table[table["task"] == task]
        percent = (100 * rows["change"] / rows["loss"]).to_numpy()
        np.testing.assert_allclose(mine["percent"], percent, rtol=1e-6)
        np.testing.assert_allclose(mine["value"], smoothed(percent, rows["step"].to_numpy()), rtol=1e-6, atol=1e-8)


def test_affinities(trained: Any) -> None:
    table = trained[2]["affinity"].set_index(["task", "other", "step"])["affinity"]
    tidy = tidy_of(trained, "affinity_curves")
    assert tidy["step"].nunique() == 6
    assert len(tidy) == 6 * len(tidy.groupby(["task", "other"]))
    for row in tidy.itertuples():
        assert row.affinity == pytest.approx(table[row.task, row.other, row.step], rel=1e-6)


# Several runs side by side


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A fair comparison, its curves and its results as they are written, and each run's own tables."""
    home: Path = tmp_path_factory.mktemp("several")
    with Store.open(str(home / "store")) as store:
        fair(store)
        found = Compared(store, compared(store).comparison, points=400)
        curves = pd.read_csv(write_curves(store, found.comparison, home / "curves.zip", "csv"), compression="zip")
        write(store, found.comparison, csv=home / "results.csv")
        yield found, curves.fillna({"task": ""}), pd.read_csv(home / "results.csv").set_index("group")


def contrast_of(several: Any, name: str, choice: str) -> pd.DataFrame:
    kind, found = CONTRASTS[name], several[0]
    assert choice in kind.choices(found.spec)
    tidy: pd.DataFrame = kind.tidy(found.table(kind.source, choice), found.spec, View(choice=choice))
    assert len(tidy)
    return tidy


@pytest.mark.parametrize("choice", ["train|loss|a", "validation|loss|b", "validation|mae|a", "train|weight|b"])
def test_bands_over_seeds(several: Any, choice: str) -> None:
    (split, name, task), curves = choice.split("|"), several[1]
    rows = curves[(curves["split"] == split) & (curves["name"] == name) & (curves["task"] == task)]
    tidy = contrast_of(several, "group_curves", choice)
    assert tidy["group"].nunique() == rows["group"].nunique() == 7
    for group, mine in tidy.groupby("group", observed=True):
        seeds = rows[rows["group"] == group].pivot(index="step", columns="seed", values="value")
        assert list(mine["step"]) == list(seeds.index)
        margin = T2 * seeds.std(axis=1, ddof=1) / np.sqrt(3)
        np.testing.assert_allclose(mine["value"], seeds.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(mine["high"], seeds.mean(axis=1) + margin, rtol=1e-5)
        np.testing.assert_allclose(mine["low"], seeds.mean(axis=1) - margin, rtol=1e-5, atol=1e-7)


TITLES = {
    "a|r2": "Task A: R²",
    "a|mae": "Task A: Mean absolute error",
    "b|r2": "Task B: R²",
    "b|mae": "Task B: Mean absolute error",
}


@pytest.mark.parametrize("metric", TITLES)
def test_results(several: Any, metric: str) -> None:
    """What is drawn, what is written, and what the runs say."""
    found, _, results = several
    task, name = metric.split("|")
    tidy = contrast_of(several, "task_results", metric)
    for group in found.comparison.groups:
        mine = tidy[tidy["group"] == group.name]
        tested = np.array([run.result["test"][task][name] for run in group.runs])
        assert sorted(mine["value"]) == pytest.approx(sorted(tested), rel=1e-12)
        margin = T2 * tested.std(ddof=1) / np.sqrt(len(tested))
        for column, value in (("", tested.mean()), (", low", tested.mean() - margin), (", high", tested.mean() + margin)):
            assert results.loc[group.name, TITLES[metric] + column] == pytest.approx(value, rel=1e-9)
            assert list(mine[column.strip(", ") or "mean"]) == pytest.approx([value] * 3, rel=1e-9)


def test_deltas(several: Any) -> None:
    found, _, results = several
    base = results.loc["single task"]
    scale = {title: 1 if metric.endswith("r2") else -1 for metric, title in TITLES.items()}
    for group in found.comparison.groups:
        row = results.loc[group.name]
        gains = {title: 100 * sign * (row[title] - base[title]) / abs(base[title]) for title, sign in scale.items()}
        assert row["Δm (%)"] == pytest.approx(-np.mean(list(gains.values())), abs=1e-9)
        of_task = [np.mean([gain for title, gain in gains.items() if title.startswith(task)]) for task in ("Task A", "Task B")]
        assert row["Δp (%)"] == pytest.approx(np.mean(of_task), abs=1e-9)
        weighed = contrast_of(several, "weighed_delta", "a").query("group == @group.name").set_index("weight")["delta_p"]
        for weight, value in weighed.items():
            assert value == pytest.approx(weight * of_task[0] + (1 - weight) * of_task[1], abs=1e-9)


@pytest.mark.parametrize(("choice", "column"), [("delta_m", "Δm (%)"), ("delta_p", "Δp (%)"), ("rank", "Mean rank")])
def test_cells_of_the_heat_map(several: Any, choice: str, column: str) -> None:
    results = several[2]
    tidy = contrast_of(several, "heat_map", choice)
    for scheme, depth in itertools.product(("equal", "mgda"), (1, 2)):
        (cell,) = tidy[(tidy["row"] == scheme) & (tidy["column"].astype(str) == str(depth))]["value"]
        assert cell == pytest.approx(results.loc[f"{scheme}, depth {depth}", column], abs=1e-9)


def test_points_of_the_front(several: Any) -> None:
    results = several[2]
    for row in contrast_of(several, "front", "a|r2\nb|mae").to_dict("records"):
        for axis, title in (("x", "Task A: R²"), ("y", "Task B: Mean absolute error")):
            for end in ("", " low", " high"):
                assert row[axis + end] == pytest.approx(results.loc[row["group"], title + end.replace(" ", ", ")], rel=1e-9)


def test_conflict_of_groups(several: Any, tmp_path: Path) -> None:
    """From the runs' own tables: the cosine across halves of the pair, and its band over seeds."""
    found = several[0]
    tidy = contrast_of(several, "group_cosines", "a|b").query("side == 'the pair'")
    assert tidy["group"].nunique() == 6, "separate networks have no conflict"
    for group in found.comparison.groups:
        mine = tidy[tidy["group"] == group.name]
        seeds = []
        for run in group.runs if len(mine) else ():
            assert main(["export", run.id, str(tmp_path), "--store", found.store.url.removeprefix("sqlite:///")]) == 0
            table = pd.read_csv(tmp_path / f"{run.id}.gramian.csv")
            summed = table.groupby(["step", "task", "half", "other", "other_half"])["inner"].sum()
            length = {key: np.sqrt(summed.xs((*key, *key), level=(1, 2, 3, 4))) for key in itertools.product("ab", "ab")}
            parts = [
                summed.xs(("a", half, "b", other), level=(1, 2, 3, 4))
                if ("a", half, "b", other) in {key[1:] for key in summed.index}
                else summed.xs(("b", other, "a", half), level=(1, 2, 3, 4))
                for half, other in (("a", "b"), ("b", "a"))
            ]
            pairs = zip(parts, (("a", "b"), ("b", "a")), strict=True)
            seeds.append(sum(part / (length["a", half] * length["b", other]) for part, (half, other) in pairs) / 2)
        if seeds:
            mean, spread = np.mean(seeds, axis=0), np.std(seeds, axis=0, ddof=1)
            np.testing.assert_allclose(mine["value"], mean, rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(mine["high"], np.minimum(mean + T2 * spread / np.sqrt(3), 1), rtol=1e-5)
