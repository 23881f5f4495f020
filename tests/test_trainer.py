"""The training loop: what it computes, what it says, and that it goes on exactly where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtl_core import checkpoints
from mtl_core.cadence import measure_every, validate_every
from mtl_core.config import RunConfig
from mtl_core.plan import check
from mtl_core.records import Column, Event, Measurement, Preview, RunOutput, Scalars
from mtl_core.trainer import Diverged, Trainer, train
from mtl_core.weightings import WEIGHTINGS

TWO = {"name": "teacher", "n_tasks": 2, "train": 400, "rho": 0.5}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _config(dataset: dict[str, Any] = TWO, tasks: list[str] | None = None, **parts: Any) -> RunConfig:
    training = {"steps": 60, "batch_size": 32, "lr": 0.01, **parts.pop("training", {})}
    architecture = {"name": "hard_sharing", "width": 12, **parts.pop("architecture", {})}
    values = {"dataset": dataset, "tasks": tasks or ["a", "b"], "training": training, "architecture": architecture, **parts}
    return RunConfig.from_mapping(values)


def _curve(items: list[RunOutput], split: str = "train") -> dict[Column, np.ndarray]:
    blocks = [item for item in items if isinstance(item, Scalars) and item.split == split]
    values = np.concatenate([block.values for block in blocks])
    return {column: values[:, c] for c, column in enumerate(blocks[0].columns)}


def _measurements(items: list[RunOutput]) -> list[Measurement]:
    return [item for item in items if isinstance(item, Measurement)]


def _same(left: dict[Column, np.ndarray], right: dict[Column, np.ndarray]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[c], right[c], equal_nan=True) for c in left)


def test_a_run_says_everything_once_and_in_order() -> None:
    items = list(train(_config()))
    blocks = [item for item in items if isinstance(item, Scalars)]
    assert np.concatenate([b.steps for b in blocks if b.split == "train"]).tolist() == list(range(1, 61))
    assert [b.split for b in blocks if b.split == "test"] == ["test"]
    validated = [int(b.steps[0]) for b in blocks if b.split == "validation"]
    assert validated[0] == 0
    assert validated[-1] == 60
    assert validated == sorted(set(validated))
    assert [p.step for p in items if isinstance(p, Preview)] == validated
    times = np.concatenate([b.times for b in blocks if b.split == "train"])
    assert (np.diff(times) >= 0).all()


def test_training_learns_and_the_result_is_the_test_of_the_best_validation() -> None:
    trainer = Trainer(check(_config(training={"steps": 400})))
    items = list(trainer.run())
    assert trainer.result is not None
    assert all(trainer.result["test"][task]["r2"] > 0.6 for task in "ab")
    scores = _curve(items, "validation")[Column("", "score")]
    steps = [int(b.steps[0]) for b in items if isinstance(b, Scalars) and b.split == "validation"]
    assert trainer.result["best_step"] == steps[int(np.argmin(scores))]
    assert _curve(items, "test")[Column("a", "r2")][0] == np.float32(trainer.result["test"]["a"]["r2"])


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_same_config_and_seed_give_the_same_curves_bit_for_bit(name: str) -> None:
    config = _config(weighting={"name": name})
    first, second = list(train(config)), list(train(config))
    assert _same(_curve(first), _curve(second))
    for mine, theirs in zip(_measurements(first), _measurements(second), strict=True):
        assert np.array_equal(mine.gramian, theirs.gramian)
        assert np.array_equal(mine.changes, theirs.changes)
    other = list(train(config.with_overrides(["training.seed=1"])))
    assert not _same(_curve(first), _curve(other))


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_run_is_the_uninterrupted_run(name: str, optimizer: str, tmp_path: Path) -> None:
    training = {"optimizer": optimizer, "validate_every": 10, "augment": 0.3, "patience": 30}
    config = _config(weighting={"name": name}, training=training)
    whole = list(train(config))
    path = tmp_path / "checkpoint.pt"
    broken = Trainer(check(config))
    before = []
    for item in broken.run():
        before.append(item)
        if broken.is_settled and broken.step >= 20:
            checkpoints.save(path, broken)
            break
    resumed = Trainer(check(config))
    checkpoints.load(path, resumed)
    assert resumed.step == broken.step
    after = list(resumed.run())
    assert _same(_curve(before + after), _curve(whole))
    assert _same(_curve(after, "test"), _curve(whole, "test"))
    for mine, theirs in zip(_measurements(before + after), _measurements(whole), strict=True):
        assert mine.step == theirs.step
        assert np.array_equal(mine.gramian, theirs.gramian)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_depth_0_trains_each_task_as_if_alone(optimizer: str) -> None:
    parts: dict[str, Any] = {"architecture": {"depth": 0}, "training": {"optimizer": optimizer, "weight_decay": 0.01}}
    together = _curve(list(train(_config(**parts))))
    for task in "ab":
        alone = _curve(list(train(_config(tasks=[task], **parts))))
        assert np.array_equal(together[Column(task, "loss")], alone[Column(task, "loss")])


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_measuring_changes_the_curve_by_rounding_only(name: str) -> None:
    config = _config(weighting={"name": name}, training={"steps": 12, "optimizer": "sgd"})
    without = _curve(list(train(config.with_overrides(["measure.every=0"]))))
    items = list(train(config.with_overrides(["measure.every=1"])))
    assert len(_measurements(items)) == 12
    with_it = _curve(items)
    for task in "ab":
        np.testing.assert_allclose(with_it[Column(task, "loss")], without[Column(task, "loss")], rtol=2e-3)


def test_a_measurement_is_the_gradient_of_the_halves() -> None:
    """Against a plain float64 computation on the same network and batch."""
    trainer = Trainer(
        check(_config(weighting={"name": "fixed", "weights": [0.3, 0.7]}, training={"optimizer": "sgd", "lr": 0.1}))
    )
    trainer._build()
    model = trainer.plan.architecture.create(
        trainer.plan.architecture_knobs, input_shape=trainer.plan.dataset.input_shape, tasks=trainer.tasks, seed=0
    ).double()
    batches = Trainer(trainer.plan)
    batches._build()
    batch = next(batches.batches)
    measured = next(item for item in trainer.run() if isinstance(item, Measurement))
    shared = [p for _, stage in model.shared_stages() for p in stage]
    rows = []
    for half in (slice(0, 16), slice(16, 32)):
        outputs = model(batch.inputs[half].double())
        for task in trainer.tasks:
            loss = task.loss(outputs[task.name], batch.targets[task.name][half].double()).mean()
            rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, shared, retain_graph=True)]))
    expected = torch.stack(rows) @ torch.stack(rows).T
    np.testing.assert_allclose(measured.gramian.sum(0), expected.numpy(), rtol=1e-4, atol=1e-6)
    full = (torch.stack(rows[:2]) + torch.stack(rows[2:])) / 2
    step = -0.1 * (torch.tensor([0.3, 0.7]).double() @ full)  # momentum has not yet gathered: the first SGD step is plain
    np.testing.assert_allclose(measured.changes, (full @ step).numpy(), rtol=1e-3)
    np.testing.assert_allclose(measured.weights, [0.3, 0.7], rtol=1e-6)
    assert measured.counts.tolist() == [[16, 16], [16, 16]]


def test_first_order_change_predicts_the_real_change_of_the_loss() -> None:
    trainer = Trainer(
        check(_config(training={"optimizer": "sgd", "lr": 1e-3, "momentum": 0.0, "batch_size": 400, "schedule": "constant"}))
    )
    items = list(trainer.run())
    losses = _curve(items)[Column("a", "loss")]
    first = _measurements(items)[0]
    shared_only = first.changes[0]
    assert shared_only < 0
    # the heads move too, so the loss falls by more than the shared part predicts
    assert losses[1] - losses[0] < shared_only * 0.5


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("asks", ["equal", "mgda"])
def test_missing_labels_are_masked_per_task(asks: str, optimizer: str) -> None:
    dataset = {**TWO, "labels": [400, 8]}
    training = {"batch_size": 16, "optimizer": optimizer}
    items = list(train(_config(dataset=dataset, weighting={"name": asks}, training=training)))
    curve = _curve(items)
    absent = np.isnan(curve[Column("b", "loss")])
    assert 0 < absent.sum() < 60, "with 8 labels in 400 some batches have none"
    assert np.isfinite(curve[Column("a", "loss")]).all()
    measured = _measurements(items)
    assert all(m.counts.sum(0)[0] == 16 for m in measured)
    assert any(m.counts.sum(0)[1] < 4 for m in measured)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_alternating_training_shows_one_task_at_a_time(optimizer: str) -> None:
    curve = _curve(list(train(_config(training={"order": "alternating", "optimizer": optimizer}))))
    assert np.isfinite(curve[Column("a", "loss")][0::2]).all()
    assert np.isnan(curve[Column("a", "loss")][1::2]).all()
    assert np.isfinite(curve[Column("b", "loss")][1::2]).all()


def test_alternating_refuses_a_scheme_that_balances_gradients() -> None:
    with pytest.raises(ValueError, match="nothing to balance"):
        check(_config(training={"order": "alternating"}, weighting={"name": "mgda"}))


def test_heads_at_unit_weight_keep_their_full_gradient() -> None:
    config = _config(training={"optimizer": "sgd", "steps": 1}, weighting={"name": "fixed", "weights": [0.0, 1.0]})
    moved = {}
    for heads in ("weighted", "unit"):
        trainer = Trainer(check(config.with_overrides([f"weighting.heads={heads}"])))
        trainer._build()
        start = [p.detach().clone() for p in trainer.model.own_parameters("a")]
        list(trainer.run())
        moved[heads] = any(not torch.equal(p, q) for p, q in zip(start, trainer.model.own_parameters("a"), strict=True))
    assert moved == {"weighted": False, "unit": True}


def test_heads_at_unit_weight_learn_fully_at_depth_0_too() -> None:
    weighting = {"name": "fixed", "weights": [0.0, 1.0], "heads": "unit"}
    trainer = Trainer(check(_config(training={"optimizer": "sgd", "steps": 1}, weighting=weighting, architecture={"depth": 0})))
    trainer._build()
    start = [p.detach().clone() for p in trainer.model.own_parameters("a")]
    list(trainer.run())
    assert any(not torch.equal(p, q) for p, q in zip(start, trainer.model.own_parameters("a"), strict=True))


def test_scale_multiplies_the_step_under_sgd() -> None:
    def change(scale: str) -> float:
        config = _config(training={"optimizer": "sgd", "steps": 1}, weighting={"name": "equal", "scale": scale})
        return float(_measurements(list(train(config)))[0].changes.sum())

    assert change("sum") == pytest.approx(2 * change("mean"), rel=1e-4)


def test_divergence_is_a_result_with_step_and_task() -> None:
    config = _config(training={"optimizer": "sgd", "lr": 100.0, "steps": 500})
    seen: list[RunOutput] = []
    with pytest.raises(Diverged, match="at step") as caught:
        seen.extend(train(config))
    last = [item for item in seen if isinstance(item, Scalars) and item.split == "train"][-1]
    row = last.values[list(last.steps).index(caught.value.step)]
    assert not np.isfinite(row[["a", "b"].index(caught.value.task)])
    assert last.steps[-1] == caught.value.step  # what was trained beyond it says nothing
    assert all(item.step <= caught.value.step for item in seen if isinstance(item, Measurement))


def test_early_stopping_ends_after_patience_and_says_so() -> None:
    config = _config(training={"steps": 4000, "validate_every": 5, "patience": 3, "lr": 0.05, "schedule": "constant"})
    trainer = Trainer(check(config))
    items = list(trainer.run())
    assert trainer.step < 4000
    assert any("stopped early" in item.text for item in items if isinstance(item, Event))
    assert trainer.result is not None


def test_a_run_that_was_cut_off_as_it_stopped_early_does_not_train_on(tmp_path: Path) -> None:
    config = _config(training={"steps": 4000, "validate_every": 5, "patience": 3, "lr": 0.05, "schedule": "constant"})
    cut_off, resumed = Trainer(check(config)), Trainer(check(config))
    for item in cut_off.run():
        if isinstance(item, Event):
            checkpoints.save(tmp_path / "checkpoint.pt", cut_off)
            break
    checkpoints.load(tmp_path / "checkpoint.pt", resumed)
    list(resumed.run())
    assert resumed.step == cut_off.step
    assert resumed.result is not None


def test_finish_ends_at_the_next_step_with_a_test() -> None:
    trainer = Trainer(check(_config(training={"steps": 100_000})))
    for item in trainer.run():
        if isinstance(item, Scalars) and item.split == "train":
            trainer.finish()
    assert trainer.step < 100_000
    assert trainer.result is not None


@pytest.mark.parametrize(
    "training",
    [
        {"weight_decay": 0.1},
        {"l1": 0.01},
        {"clip": 0.1},
        {"augment": 0.5},
        {"warmup": 20},
        {"schedule": "linear"},
        {"schedule": "step"},
        {"schedule": "constant"},
        {"optimizer": "adamw", "weight_decay": 0.1},
    ],
)
def test_every_training_option_changes_the_curve(training: dict[str, Any]) -> None:
    plain = _curve(list(train(_config())))[Column("a", "loss")]
    changed = _curve(list(train(_config(training=training))))[Column("a", "loss")]
    assert np.isfinite(changed).all()
    assert not np.array_equal(plain, changed)


def test_l1_makes_weights_smaller() -> None:
    def size(l1: float) -> float:
        trainer = Trainer(check(_config(training={"l1": l1, "steps": 200})))
        list(trainer.run())
        return sum(float(p.detach().abs().sum()) for p in trainer.model.parameters())

    assert size(0.01) < 0.8 * size(0.0)


def test_one_task_alone_and_schemes_that_balance() -> None:
    for name in WEIGHTINGS.names():
        curve = _curve(list(train(_config(tasks=["a"], weighting={"name": name}, training={"steps": 10}))))
        assert np.isfinite(curve[Column("a", "loss")]).all(), name


def test_measuring_automatically_stays_affordable() -> None:
    two = check(_config(training={"steps": 600}))
    every = measure_every(two)
    assert 600 / every >= 20
    long = check(_config(training={"steps": 1_000_000}))
    assert 1_000_000 / measure_every(long) <= 1000
    assert validate_every(long) >= 1_000_000 / 40
    assert measure_every(check(_config(measure={"every": 7}))) == 7
    assert 3999 / measure_every(check(_config(training={"steps": 3999}))) <= 1000


def test_measuring_automatically_meets_every_task_in_its_turn() -> None:
    items = list(train(_config(training={"order": "alternating"})))
    taken = {int(np.argmax(measured.weights)) for measured in _measurements(items)}
    assert taken == {0, 1}


class TestCheckpoints:
    """Files that do not fit end in a sentence, and a crash while writing loses nothing."""

    def _saved(self, path: Path, **parts: Any) -> None:
        trainer = Trainer(check(_config(training={"steps": 5}, **parts)))
        list(trainer.run())
        checkpoints.save(path, trainer)

    def test_another_model(self, tmp_path: Path) -> None:
        self._saved(tmp_path / "c.pt", architecture={"width": 5})
        with pytest.raises(ValueError, match="another run: it differs in architecture"):
            checkpoints.load(tmp_path / "c.pt", Trainer(check(_config())))

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no checkpoint"):
            checkpoints.load(tmp_path / "c.pt", Trainer(check(_config())))

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", b"\x80\x04\x95 pickle"])
    def test_damaged(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "c.pt").write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            checkpoints.load(tmp_path / "c.pt", Trainer(check(_config())))

    def test_cut_short(self, tmp_path: Path) -> None:
        path = tmp_path / "c.pt"
        self._saved(path)
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ValueError, match="damaged"):
            checkpoints.load(path, Trainer(check(_config())))

    def test_hostile_pickle_is_not_executed(self, tmp_path: Path) -> None:
        path = tmp_path / "c.pt"
        torch.save({"format": 1, "choices": "{}", "state": _Hostile(tmp_path / "owned")}, path)
        with pytest.raises(ValueError, match="damaged"):
            checkpoints.load(path, Trainer(check(_config())))
        assert not (tmp_path / "owned").exists()

    def test_writing_is_all_or_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "c.pt"
        self._saved(path)
        before = path.read_bytes()
        unsettled = Trainer(check(_config()))
        unsettled.is_settled = False
        with pytest.raises(AssertionError):
            checkpoints.save(path, unsettled)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_another_seed(self, tmp_path: Path) -> None:
        self._saved(tmp_path / "c.pt")
        with pytest.raises(ValueError, match="another run: it differs in training"):
            checkpoints.load(tmp_path / "c.pt", Trainer(check(_config(training={"steps": 5, "seed": 1}))))

    @pytest.mark.parametrize("changes", [{"choices": "no JSON"}, {"choices": 3}, {"choices": "[]"}, {"state": 3}])
    def test_nonsense_inside(self, changes: dict[str, Any], tmp_path: Path) -> None:
        torch.save({"format": 1, "choices": "{}", "state": {}} | changes, tmp_path / "c.pt")
        with pytest.raises(ValueError, match="damaged"):
            checkpoints.load(tmp_path / "c.pt", Trainer(check(_config())))

    def test_moments_take_the_layout_of_the_parameters(self, tmp_path: Path) -> None:
        """A run from a GPU, where convolutions lie channels_last, goes on here."""
        scenes = {"name": "digit_scenes", "scenes": 64, "held_out": 64}
        config = _config(scenes, ["digit", "box"], training={"steps": 2}, architecture={"width": 4})
        here, resumed = Trainer(check(config)), Trainer(check(config))
        list(here.run())
        state = here.state_dict()
        for moments in state["optimizer"]["state"].values():
            for name, value in moments.items():
                if value.ndim == 4:
                    moments[name] = value.contiguous(memory_format=torch.channels_last)
        resumed.load_state_dict(state)
        for one, other in zip(here.optimizer.state.items(), resumed.optimizer.state.items(), strict=True):
            assert torch.equal(one[1]["exp_avg"], other[1]["exp_avg"])
            assert other[1]["exp_avg"].stride() == other[0].stride()


class _Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))
