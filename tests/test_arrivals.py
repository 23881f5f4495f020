"""Whatever people bring, told apart by content: zip files of archives, of tables, of log folders, and what strangers put there."""

import json
import zipfile

import numpy as np
import pytest

from mtl_core import frames
from mtl_core.cli.app import main
from mtl_core.config import RunConfig
from mtl_core.exchange import _box, arrivals
from mtl_core.exchange.archive import pack, pack_all, unpack
from mtl_core.exchange.arrivals import take_in
from mtl_core.exchange.event_files import write_events
from mtl_core.records import Column, Scalars
from mtl_core.store import Store

CURVES = "step,a/loss,test/a/accuracy\n1,2,\n2,1,0.5\n"


@pytest.fixture
def here(tmp_path):
    with Store.open(str(tmp_path / "here")) as store:
        yield store


@pytest.fixture
def there(tmp_path):
    with Store.open(str(tmp_path / "there")) as store:
        yield store


def make(store, seed=0, *, state="finished"):
    run_id = store.enqueue(RunConfig(dataset={"name": "teacher"}, name=f"run {seed}", training={"seed": seed}))
    store.claim("w", "cpu", run_id)
    values = np.random.default_rng(seed).normal(size=(30, 2)).astype(np.float32)
    with store.writer(run_id) as writer:
        for split, n in (("train", 30), ("validation", 3), ("test", 1)):
            steps = np.arange(1, n + 1) * (30 // n)
            writer.append(Scalars(split, (Column("a", "loss"), Column("a", "r2")), steps, steps / 10, steps / 7, values[:n]))
    if state != "running":
        store.change(run_id, state, "", step=30)
    return run_id


def series(store, run_id):
    table = frames.export(store, run_id)
    return list(zip(table["split"], table["task"], table["name"], table["step"], table["value"], strict=True))


def zip_up(path, folder):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for file in sorted(folder.rglob("*")):
            box.write(file, file.relative_to(folder))
    return path


def members(path, **content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for name, text in content.items():
            box.writestr(name, text)
    return path


def test_many_runs_go_out_in_one_file_and_come_in_again(here, there, tmp_path):
    ids = [make(here, seed) for seed in range(3)]
    going = make(here, 9, state="running")
    path = pack_all(here, [*ids, going, ids[0]], tmp_path / "runs.zip")
    found = take_in(there, path, owner="me")
    assert sorted(one.run_id for one in found) == sorted(ids)
    for run_id in ids:
        assert series(there, run_id) == series(here, run_id)
        assert (there.run(run_id).owner, there.run(run_id).name) == ("me", here.run(run_id).name)
    again = take_in(there, path)
    assert all("is here already" in one.slip and not one.run_id for one in again)
    assert not list(tmp_path.glob("*.part"))


def test_none_that_has_ended(here, tmp_path):
    going = make(here, state="running")
    with pytest.raises(ValueError, match="none of these runs has ended"):
        pack_all(here, [going], tmp_path / "runs.zip")
    with pytest.raises(LookupError):
        pack_all(here, ["nobody"], tmp_path / "runs.zip")
    assert not list(tmp_path.glob("runs.zip*"))


def test_tags_and_note_travel_with_a_run(here, there, tmp_path):
    run_id = make(here)
    here.label(run_id, tags=["to show", "größte", '"<b>"'], note="first\nsecond & <script>", archived=True)
    unpack(there, pack(here, run_id, tmp_path / "run.mtlrun"))
    label = there.labels([run_id])[run_id]
    assert (label.tags, label.note) == (("to show", "größte", '"<b>"'), "first\nsecond & <script>")
    assert not label.is_archived, "that it was put aside is a matter of the other list"


@pytest.mark.parametrize("change", [{"tags": ["x" * 41]}, {"tags": ["t"] * 101}, {"tags": "words"}, {"note": "n" * 5000}])
def test_tags_that_nobody_could_have_given_leave_nothing(here, there, tmp_path, change):
    path = pack(here, make(here), tmp_path / "run.mtlrun")
    with zipfile.ZipFile(path) as box:
        content = {name: box.read(name) for name in box.namelist()}
    content["run.json"] = json.dumps(json.loads(content["run.json"]) | change)
    members(path, **content)
    with pytest.raises(ValueError, match=r"run\.mtlrun"):
        unpack(there, path)
    assert there.runs() == []
    assert [each for each in there.folder.iterdir() if each.is_dir()] == []


def test_an_archive_of_before_there_were_tags(here, there, tmp_path):
    run_id = make(here)
    path = pack(here, run_id, tmp_path / "run.mtlrun")
    with zipfile.ZipFile(path) as box:
        content = {name: box.read(name) for name in box.namelist()}
    facts = json.loads(content["run.json"])
    del facts["tags"], facts["note"]
    members(path, **content | {"run.json": json.dumps(facts)})
    assert unpack(there, path) == run_id
    assert there.labels([run_id]) == {}


def test_log_folders_are_runs_and_their_splits_are_not(here, there, tmp_path):
    ids = [make(here, seed) for seed in range(2)]
    for run_id in ids:
        write_events(here, here.run(run_id), tmp_path / "logs")
    found = take_in(there, zip_up(tmp_path / "logs.zip", tmp_path / "logs"))
    assert [one.source for one in found] == sorted(ids)
    for one in found:
        assert series(there, one.run_id) == series(here, one.source)
        assert there.run(one.run_id).name == one.source


def test_a_log_folder_written_in_two_goes_is_one_run(here, there, tmp_path):
    run_id = make(here)
    write_events(here, here.run(run_id), tmp_path / "logs")
    home = tmp_path / "logs" / run_id
    (first,) = (home / "train").iterdir()
    (home / "Train").mkdir()
    first.rename(home / "Train" / first.name)
    (home / "train" / first.name).write_bytes((home / "Train" / first.name).read_bytes())
    (one,) = take_in(there, zip_up(tmp_path / "logs.zip", home), name="both")
    assert (one.source, there.run(one.run_id).name) == (arrivals.LOGS, "both")
    assert series(there, one.run_id) == series(here, run_id)


def test_names_in_a_zip_file_are_never_paths(there, tmp_path):
    names = ("../../out.csv", "/tmp/mtl-out.csv", "a/../../b.csv", "..\\c.csv", "C:\\d.csv", "ä ö/<img>.csv", ".hidden.csv")
    content = {name: CURVES.replace("0.5", f"0.{n + 1}1") for n, name in enumerate(names)}
    inside = {"__MACOSX/._a.csv": "junk", "notes.txt": "x", "folder/": "", "train.csv/x.csv": CURVES}
    found = take_in(there, members(tmp_path / "runs.zip", **content, **inside))
    assert all(one.run_id for one in found), found
    assert len(found) == len(names), "the hidden one is left out"
    assert "out" in {there.run(one.run_id).name for one in found}
    assert not list(tmp_path.parent.rglob("out.csv"))
    assert not list(tmp_path.rglob("*.csv"))


def test_one_bad_run_leaves_the_others_alone(there, tmp_path):
    found = take_in(there, members(tmp_path / "runs.zip", **{"a.csv": CURVES, "b.csv": "step\n", "c.mtlrun": b"PK\3\4junk"}))
    assert [bool(one.run_id) for one in found] == [True, False, False]
    assert "no column beside" in found[1].slip
    assert "damaged or no archive" in found[2].slip
    assert len(there.runs()) == 1


SLIPS = {
    "nothing in it": ({}, "there is no run in it"),
    "strangers": ({"setup.py": "x", "photo.jpg": "y"}, "there is no run in it"),
    "a zip in a zip": ({"inner.zip": b"PK\3\4"}, "there is no run in it"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_zip_file_without_runs(there, tmp_path, slip):
    content, sentence = SLIPS[slip]
    with pytest.raises(ValueError, match=sentence):
        take_in(there, members(tmp_path / "runs.zip", **content))


def test_a_bomb_among_tables(there, tmp_path, monkeypatch):
    path = members(tmp_path / "runs.zip", **{"a.csv": CURVES, "b.csv": b"1" * 3_000_000})
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match="would unpack to 3 MB, over the limit of 1 MB"):
        take_in(there, path, most=1_000_000)
    monkeypatch.setattr(_box, "MOST_BYTES", 1_000_000)
    with pytest.raises(ValueError, match="would unpack"):
        take_in(there, path)
    assert there.runs() == []


def test_an_archive_inside_is_held_to_the_same_limit(here, there, tmp_path):
    path = pack_all(here, [make(here)], tmp_path / "runs.zip")
    inside = pack(here, here.runs()[0].id, tmp_path / "run.mtlrun")
    with zipfile.ZipFile(inside) as box:
        unpacked = sum(member.file_size for member in box.infolist())
    limit = (path.stat().st_size + unpacked) // 2
    assert path.stat().st_size < limit < unpacked
    (one,) = take_in(there, path, most=limit)
    assert "would unpack" in one.slip


def test_too_many_runs(there, tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "MOST_RUNS", 2)
    with pytest.raises(ValueError, match="at most 2 at once"):
        take_in(there, members(tmp_path / "runs.zip", **{f"{n}.csv": CURVES for n in range(3)}))
    assert there.runs() == []


def test_a_renamed_archive_is_known_by_what_is_in_it(here, there, tmp_path):
    run_id = make(here)
    path = pack(here, run_id, tmp_path / "from a friend.zip")
    (one,) = take_in(there, path, name="theirs")
    assert (one.run_id, there.run(run_id).name) == (run_id, "theirs")


def test_the_command_line_brings_in_what_it_can(here, tmp_path, capsys):
    path = members(tmp_path / "runs.zip", **{"a.csv": CURVES, "b.csv": "step\n"})
    url = ["--store", str(tmp_path / "there")]
    assert main(["import", str(path), "--json", *url]) == 1
    told = capsys.readouterr()
    assert [one["name"] for one in json.loads(told.out)] == ["a"]
    assert "b.csv: " in told.err
    assert main(["import", str(path), "--json", *url]) == 2, "nothing new came in"
    assert "nothing of" in capsys.readouterr().err
