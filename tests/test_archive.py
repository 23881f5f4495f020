"""A run as a file: what comes back is what went in, and a file made to harm does none."""

import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from mtl_core.config import RunConfig
from mtl_core.estimate import FACT, learn
from mtl_core.exchange import _box, archive
from mtl_core.exchange._form import Spec
from mtl_core.exchange._samples import find_slip
from mtl_core.exchange.archive import pack, unpack
from mtl_core.records import SPLITS, Affinity, Column, Event, Measurement, Preview, Scalars
from mtl_core.store import Store

TASKS = [
    {
        "name": name,
        "title": name.title(),
        "kind": "regression",
        "metrics": [{"name": "r2", "title": "R²", "higher_is_better": True, "unit": ""}],
    }
    for name in ("a", "b")
]
SPEC = {
    "tasks": TASKS,
    "all_tasks": ["a", "b"],
    "shared_stages": ["one"],
    "stages": ["one", "two"],
    "weighting": "Equal weights",
}


HEADLESS = dict.fromkeys(("n_shared", "n_total", "n_separate", "flops", "flops_shared", "flops_separate"), 1) | {
    "stages": [],
    "heads": {},
    "n_per_task": {"a": 1, "b": 1},
}


COLUMNS = (Column("a", "loss"), Column("b", "loss"), Column("", "lr"))


def rows(n=120, split="train", columns=COLUMNS):
    values = np.random.default_rng(0).normal(size=(n, len(columns))).astype(np.float32)
    values[3, 0], values[4, 1] = np.nan, np.inf
    return Scalars(split, columns, np.arange(1, n + 1), np.linspace(0, 2, n), np.linspace(0, 9, n), values)


def measured(step):
    some = np.random.default_rng(step).normal(size=(1, 4, 4)).astype(np.float32)
    two = np.float32([1, 2])
    return Measurement(step, 0.5, 1.0, some @ some.transpose(0, 2, 1), np.float32([[8, 8], [8, 7]]), two, two / 0, -two)


def make(store, *, state="finished", n=120):
    """An ended run with everything that a run may record."""
    with np.errstate(divide="ignore"):
        run_id = store.enqueue(RunConfig(name="the original", dataset={"name": "teacher"}), spec=SPEC)
        store.claim("boot:1:2", "cpu", run_id)
        with store.writer(run_id) as writer:
            writer.append(rows(n))
            writer.append(rows(1, "test", (Column("a", "r2"),)) if n == 1 else rows(5, "validation"))
            for step in range(1, n, 7):
                writer.append(measured(step))
                writer.append(Affinity(step, 0.1, 0.2, np.float32([[0, 1], [-1, np.nan]])))
                pictures = {
                    "inputs": np.zeros((2, 3), np.float32),
                    "target/a": np.array([2, 2]),
                    "prediction/a": np.array([1, 2]),
                }
                writer.append(Preview(step, 0.1, 0.2, pictures))
            writer.append(Event(7, 1.5, "learning rate <b>halved</b>"))
        result = {"test": {"a": {"r2": 0.5, "loss": float("nan")}}, "best_step": 7, "seconds": 1.25}
        store.change(run_id, state, "out of steps", result=result, step=n, epoch=2.0, seconds=9.0, error="Traceback …")
    (store.run_folder(run_id) / "checkpoint.pt").write_bytes(os.urandom(3_000_000))
    return run_id


@pytest.fixture
def packed(tmp_path):
    """A store, a run in it, and its archive without the checkpoint."""
    with Store.open(str(tmp_path / "here")) as store:
        run_id = make(store)
        yield store, run_id, pack(store, run_id, tmp_path / "run.mtlrun")


@pytest.fixture
def there(tmp_path):
    with Store.open(str(tmp_path / "there")) as store:
        yield store


def everything(store, run_id):
    """All that a store knows of a run's records, comparable by ==."""
    run = store.run(run_id)
    fields = (
        "name",
        "config",
        "spec",
        "state",
        "reason",
        "created",
        "started",
        "ended",
        "step",
        "epoch",
        "seconds",
        "device",
        "error",
        "choices",
    )
    found = {name: getattr(run, name) for name in fields}
    found["result"] = json.loads(json.dumps(run.result).replace("NaN", "null"))
    for split in SPLITS:
        scalars = store.read(run_id, split)
        found[split] = scalars and [
            scalars.columns,
            *(getattr(scalars, name).tobytes() for name in ("steps", "epochs", "times", "values")),
        ]
    for kind in (store.measurements(run_id), store.affinities(run_id)):
        found[type(kind[0]).__name__] = [
            [getattr(value, "tobytes", lambda value=value: value)() for value in vars(one).values()] for one in kind
        ]
    previews = [store.preview(run_id, step) for step in store.previews(run_id)]
    found["previews"] = [
        (one.step, one.epoch, {name: (array.dtype.str, array.tolist()) for name, array in one.arrays.items()})
        for one in previews
    ]
    return {**found, "events": store.events(run_id), "history": store.history(run_id)}


def test_what_comes_back_is_what_went_in(packed, there):
    store, run_id, path = packed
    assert unpack(there, path) == run_id
    before, after = everything(store, run_id), everything(there, run_id)
    *history, last = after.pop("history")
    assert history == before.pop("history")
    assert (last.state, last.reason) == ("finished", "imported from run.mtlrun")
    assert after == before
    assert there.read(run_id, "train").steps[-1] == 120
    curve, again = (each.curve(run_id, "train", points=40) for each in (store, there))
    assert np.array_equal(curve.low, again.low, equal_nan=True), "levels of detail are those of the original"
    assert not (there.run_folder(run_id) / "checkpoint.pt").exists()
    assert RunConfig.from_yaml((there.run_folder(run_id) / "config.yaml").read_text()) == RunConfig.from_mapping(
        before["config"]
    )
    run = there.run(run_id)
    assert (run.host, run.worker, run.owner) == ("", "", ""), "where it was trained is nobody's business"


def test_the_checkpoint_comes_along_if_asked_for(packed, there, tmp_path):
    store, run_id, _ = packed
    unpack(there, pack(store, run_id, tmp_path / "whole.mtlrun", checkpoint=True), name="mine", owner="me")
    ours, theirs = (each.run_folder(run_id) / "checkpoint.pt" for each in (store, there))
    assert theirs.read_bytes() == ours.read_bytes()
    assert (there.run(run_id).name, there.run(run_id).owner) == ("mine", "me")


def test_long_runs_come_in_parts(tmp_path, there, monkeypatch):
    monkeypatch.setattr(archive, "ROWS", 50)
    monkeypatch.setattr(archive, "MEASUREMENTS", 4)
    with Store.open(str(tmp_path / "here")) as store:
        run_id = make(store, n=333)
        unpack(there, pack(store, run_id, tmp_path / "long.mtlrun"))
        before, after = everything(store, run_id), everything(there, run_id)
        assert before.pop("history") == after.pop("history")[:-1]
        assert before == after


def test_the_same_run_gives_the_same_bytes(packed, tmp_path):
    store, run_id, path = packed
    assert pack(store, run_id, tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("where", ["there", "home"])
def test_it_comes_in_once(packed, there, where):
    store, run_id, path = packed
    target = there if where == "there" else store
    if where == "there":
        unpack(there, path)
    before = target.history(run_id)
    with pytest.raises(ValueError, match="is here already"):
        unpack(target, path)
    assert target.history(run_id) == before
    assert (target.run_folder(run_id) / "config.yaml").exists(), "nothing of the one that is here was touched"


def test_a_run_that_still_changes_is_not_packed(tmp_path):
    with Store.open(str(tmp_path)) as store:
        run_id = store.enqueue(RunConfig())
        with pytest.raises(ValueError, match="queued: stop it"):
            pack(store, run_id, tmp_path / "run.mtlrun")
        with pytest.raises(LookupError):
            pack(store, "nobody", tmp_path / "run.mtlrun")
    assert not list(tmp_path.glob("*.mtlrun*"))


def test_an_imported_run_that_was_stopped_may_go_on(tmp_path, there):
    with Store.open(str(tmp_path / "here")) as store:
        run_id = make(store, state="stopped")
        unpack(there, pack(store, run_id, tmp_path / "run.mtlrun", checkpoint=True))
    there.requeue(run_id, "resumed")
    assert there.claim("w", "cpu").id == run_id


def rewrite(path, changes, *, compression=zipfile.ZIP_DEFLATED):
    """The archive with other members: name -> content, None to leave it out."""
    with zipfile.ZipFile(path) as box:
        members = {name: box.read(name) for name in box.namelist()}
    members |= changes
    with zipfile.ZipFile(path, "w", compression) as box:
        for name, content in members.items():
            if content is not None:
                box.writestr(name, content)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def lying(shape, dtype="<f4"):
    """An array that says it is of some shape and holds two numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(8)


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def facts(path, **changes):
    with zipfile.ZipFile(path) as box:
        return json.dumps(json.loads(box.read("run.json")) | changes).encode()


VALUES = "series/train/0/values.npy"
SLIPS = {
    "no manifest": {"manifest.json": None},
    "another program's": {"manifest.json": b'{"format": "other", "version": 1}'},
    "of the future": {"manifest.json": b'{"format": "mtl-run", "version": 2}'},
    "version of words": {"manifest.json": b'{"format": "mtl-run", "version": "new"}'},
    "no config": {"config.yaml": None},
    "config of tags": {"config.yaml": b"!!python/object/apply:os.abort []"},
    "config that is none": {"config.yaml": b"[1, 2]"},
    "no run": {"run.json": None},
    "run of nothing": {"run.json": b"{}"},
    "run nested": {"run.json": b"[" * 100_000},
    "run of no text": {"run.json": b"\xff\xfe"},
    "numbers missing": {VALUES: None},
    "numbers of another length": {VALUES: npy(np.zeros((7, 3), np.float32))},
    "numbers of another kind": {VALUES: npy(np.zeros((120, 3), np.int16))},
    "pickled numbers": {VALUES: npy(np.array([Bomb()] * 120), allow_pickle=True)},
    "a pickle": {VALUES: pickle.dumps(Bomb())},
    "numbers beyond memory": {VALUES: lying((10**15, 3))},
    "numbers beyond whole numbers": {VALUES: lying((2**62, 2**62))},
    "numbers below nothing": {VALUES: lying((-1, -2))},
    "no numbers": {VALUES: b""},
    "steps that fall": {"series/train/0/steps.npy": npy(np.arange(120, 0, -1))},
    "times that are none": {"series/train/0/times.npy": npy(np.full(120, np.nan))},
    "epochs without end": {"series/train/0/epochs.npy": npy(np.full(120, np.inf))},
    "times before all time": {"measurements/0/times.npy": npy(np.full(17, -1.0))},
    "a gramian of more tasks": {"measurements/0/gramian.npy": npy(np.zeros((18, 1, 6, 6), np.float32))},
    "samples of other examples": {"previews/0/0.npy": npy(np.zeros((3, 3), np.float32))},
    "a sample that is a number": {"previews/0/1.npy": npy(np.float32(1))},
    "predictions that fit no target": {"previews/0/2.npy": npy(np.zeros((2, 2)))},
    "a path out": {"../../outside.txt": b"x"},
    "an absolute path": {"/tmp/outside.txt": b"x"},
    "a stranger": {"setup.py": b"print()"},
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_file_that_is_wrong_leaves_nothing(packed, there, tmp_path, slip):
    path = packed[2]
    rewrite(path, SLIPS[slip])
    with pytest.raises(ValueError, match=r"run\.mtlrun|config") as told:
        unpack(there, path)
    assert len(str(told.value)) < 800
    assert there.runs() == []
    assert [file.name for file in there.folder.iterdir() if file.is_dir()] == []
    assert not list(tmp_path.parent.glob("outside*"))


FACTS = {
    "another id": {"id": "../../../etc"},
    "an id of numbers": {"id": 7},
    "still running": {"state": "running"},
    "no such state": {"state": "great"},
    "time is no number": {"created": "yesterday"},
    "columns twice": {"series": {"train": {"columns": [["a", "loss"]] * 3, "parts": 1}}},
    "parts without end": {"series": {"train": {"columns": [["a", "loss"]], "parts": 10**9}}},
    "fewer parts than there are": {"measurements": 0},
    "another split": {"series": {"../train": {"columns": [["a", "loss"]], "parts": 1}}},
    "tasks of one name": {"spec": SPEC | {"tasks": [TASKS[0], TASKS[0]]}},
    "stages of one name": {"spec": SPEC | {"stages": ["one", "one"]}},
    "a metric twice": {"spec": SPEC | {"tasks": [TASKS[0], TASKS[1] | {"metrics": TASKS[1]["metrics"] * 2}]}},
    "a network without heads": {"spec": SPEC | {"report": HEADLESS}},
    "seconds of words": {"result": {"test": {}, "seconds": [1]}},
    "another config in few words": {"spec": SPEC | {"lean": {"weighting": {"name": "mgda"}}}},
    "few words that are no config": {"spec": SPEC | {"lean": ["mgda"]}},
    "a task without a name": {"spec": {"tasks": [{"title": "x"}]}},
    "no spec, yet measured": {"spec": None},
    "beyond the calendar": {"created": 1e300},
    "before all time": {"history": [{"time": -1.0, "state": "queued", "reason": ""}]},
    "a text that no server keeps": {"name": "a\0b"},
    "a text that is none": {"reason": "\ud800"},
    "a result of words": {"result": {"test": {"a": {"r2": "great"}}}},
    "history of a stranger": {"history": [{"time": 1, "state": "born", "reason": ""}]},
}


@pytest.mark.parametrize("slip", FACTS)
def test_facts_that_are_wrong_leave_nothing(packed, there, slip):
    path = packed[2]
    rewrite(path, {"run.json": facts(path, **FACTS[slip])})
    with pytest.raises(ValueError, match=r"run\.mtlrun"):
        unpack(there, path)
    assert there.runs() == []
    assert [file for file in there.folder.iterdir() if file.is_dir()] == []


GOOD = {
    "classification": np.array([1, 0]),
    "angle": np.float32([5, np.nan]),
    "box": np.zeros((2, 4), np.float32),
    "mask": np.zeros((2, 8, 8), np.uint8),
    "regression": np.zeros((2, 3), np.float32),
    "of a later version": np.zeros(2, np.float32),
}
PICTURES = np.zeros((2, 8, 8, 3), np.uint8)


def slip_of(kind, inputs=PICTURES, **arrays):
    spec = Spec.model_validate(SPEC | {"tasks": [TASKS[0] | {"kind": kind}], "input_shape": [3, 8, 8]})
    return find_slip({"inputs": inputs} | {f"{part}/a": array for part, array in arrays.items()}, spec)


@pytest.mark.parametrize("kind", GOOD)
def test_sample_predictions_have_the_form_of_their_task(kind):
    good = GOOD[kind]
    assert slip_of(kind, target=good, prediction=good, labelled=np.array([True, False])) == ""
    for bad in (good[..., None, None], good[:1], good[0]):
        assert slip_of(kind, target=bad, prediction=bad)
    assert slip_of(kind, prediction=good)
    assert slip_of(kind, target=good, prediction=good, labelled=np.array([[True, True]] * 2))
    for inputs in (PICTURES[..., :2], PICTURES.astype(float), PICTURES[:, :0], PICTURES[0]):
        assert slip_of(kind, inputs, target=good, prediction=good)


def test_a_class_is_a_whole_number_and_a_box_has_four():
    assert slip_of("box", target=np.zeros((2, 3)), prediction=np.zeros((2, 3)))
    assert slip_of("mask", target=np.zeros((2, 0, 8)), prediction=np.zeros((2, 0, 8)))
    assert slip_of("classification", target=np.array([0, 1]), prediction=np.array([0.5, np.nan]))


def test_infinity_in_its_json_is_refused(packed, there):
    path = packed[2]
    rewrite(path, {"run.json": facts(path).replace(b'"seconds": 9.0', b'"seconds": Infinity')})
    with pytest.raises(ValueError, match="finite"):
        unpack(there, path)


def test_a_bomb_is_seen_before_it_goes_off(packed, there, monkeypatch):
    path = packed[2]
    monkeypatch.setattr(_box, "MOST_BYTES", 1_000_000)
    rewrite(path, {VALUES: bytes(30_000_000)})
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match="would unpack to"):
        unpack(there, path)


def test_a_checkpoint_that_would_swell_is_refused(packed, there):
    path = packed[2]
    rewrite(path, {"checkpoint.pt": bytes(1_000_000)})
    with pytest.raises(ValueError, match="may not be compressed"):
        unpack(there, path)


def test_a_member_that_lies_about_its_size(packed, there):
    path = packed[2]
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\1\2")
    content[place + 24 : place + 28] = struct.pack("<L", 2**31)  # unpacked size, as the directory says it
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"unpack to|damaged"):
        unpack(there, path)


@pytest.mark.parametrize("member", ["run.json", VALUES])
def test_a_member_that_unpacks_to_more_than_it_says(packed, there, member):
    """zipfile itself would unpack all of it before it looks at the number."""
    path = packed[2]
    rewrite(path, {member: b" " * 200_000_000})
    content = path.read_bytes()
    for signature, size, name in ((b"PK\3\4", 22, 30), (b"PK\1\2", 24, 46)):  # where they stand in a header
        starts = [m.start() for m in re.finditer(re.escape(signature), content)]
        at = next(start for start in starts if content[start + name :].startswith(member.encode()))
        content = content[: at + size] + struct.pack("<L", 100) + content[at + size + 4 :]
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"^run\.mtlrun is damaged"):
            unpack(there, path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_long_run_comes_in_without_much_memory(tmp_path, there):
    """Zeros: an archive of a few kilobytes that somebody else chose."""
    n = 400_000
    with Store.open(str(tmp_path / "here")) as store:
        path = pack(store, make(store), tmp_path / "run.mtlrun")
    places = {name: npy(np.arange(1, n + 1, dtype=kind)) for name, kind in archive.PLACES.items()}
    numbers = np.zeros((n, 3), np.float32)
    rewrite(path, {f"series/train/0/{name}.npy": content for name, content in places.items()} | {VALUES: npy(numbers)})
    tracemalloc.start()
    try:
        run_id = unpack(there, path)
        assert tracemalloc.get_traced_memory()[1] < 6 * (numbers.nbytes + 3 * 8 * n)
    finally:
        tracemalloc.stop()
    assert there.read(run_id, "train").values.shape == (n, 3)


def test_texts_have_a_limit(packed, there, monkeypatch):
    monkeypatch.setattr(_box, "MOST_TEXT", 100)
    with pytest.raises(ValueError, match=r"run\.json is over"):
        unpack(there, packed[2])


def test_nobody_learns_the_speed_of_this_machine_from_it(packed, there):
    unpack(there, packed[2])
    learn(there)
    assert there.get(FACT) is None


def test_too_many_members(packed, there, monkeypatch):
    monkeypatch.setattr(_box, "MOST_MEMBERS", 20)
    with pytest.raises(ValueError, match="over 20 members"):
        unpack(there, packed[2])


@pytest.mark.parametrize("keep", [0, 1, 30, 0.3, 0.9, 0.999])
def test_a_file_cut_off(packed, there, keep):
    path = packed[2]
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep == int(keep) else int(len(content) * keep)])
    with pytest.raises(ValueError, match="damaged or no archive"):
        unpack(there, path)
    assert there.runs() == []


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_is_found_or_does_not_matter(packed, there, seed):
    store, run_id, path = packed
    content = bytearray(path.read_bytes())
    content[np.random.default_rng(seed).integers(len(content))] ^= 1 << seed % 8
    path.write_bytes(content)
    try:
        unpack(there, path)
    except ValueError:
        assert there.runs() == []
    else:
        before, after = everything(store, run_id), everything(there, run_id)
        assert before.pop("history") == after.pop("history")[:-1]
        assert before == after


def test_a_disk_that_fills_up_leaves_nothing(packed, there, monkeypatch):
    (there.folder / packed[1]).write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        unpack(there, packed[2])
    assert there.runs() == []
    assert (there.folder / packed[1]).read_text() == "in the way"


def test_no_archive_at_all(there, tmp_path):
    with pytest.raises(FileNotFoundError):
        unpack(there, tmp_path / "nowhere.mtlrun")
