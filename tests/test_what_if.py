"""What if: every scheme's answer to a stored Gramian, and what follows from it by hand."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from schemes import HAND, NASTY, make

from mtl_core import what_if
from mtl_core.frames import what_if_frame
from mtl_core.frames.what_if import COLUMNS, TAKEN
from mtl_core.records import Measurement
from mtl_core.weightings import WEIGHTINGS

TASKS = ["a", "b"]
GRAM = (HAND @ HAND.T).numpy()  # of g1 = (1, 0), g2 = (−½, 1)
GRAMIAN = [variant.variant_name() for variant in WEIGHTINGS if variant.asks == "gramian"]


def measurement(rows, *, weights, losses=None, counts=None, changes=None, step=7, stages=1):
    """A measurement whose halves both have these gradients."""
    rows = np.asarray(rows, dtype=np.float64)
    both = np.concatenate([rows, rows])
    gramian = np.repeat((both @ both.T)[None] / stages, stages, axis=0).astype(np.float32)
    n = len(rows)
    vectors = (np.ones((2, n)) if counts is None else counts, np.ones(n) if losses is None else losses, weights)
    last = -(rows @ rows.T) @ np.nan_to_num(weights) if changes is None else changes
    arrays = (np.asarray(vector, dtype=np.float32) for vector in (*vectors, last))
    return Measurement(step, 0.7, 0.07, gramian, *arrays)


def table(measured, tasks=TASKS, **config):
    return what_if_frame(measured, tasks, "A scheme", {"weighting": {"name": "equal"}, **config})


def test_every_gramian_scheme_answers_and_equal_weights_are_there():
    found = {answer.scheme: answer for answer in what_if.answers(GRAM, np.ones(2), TASKS)}
    assert set(found) == {"equal", *GRAMIAN}
    assert {"mgda", "pcgrad", "cagrad"} <= set(found)
    assert found["equal"].weights == (1, 1)
    assert found["mgda"].weights == pytest.approx((7 / 13, 6 / 13))
    assert found["pcgrad"].weights == pytest.approx((1.5, 1.4))
    assert (found["mgda"].title, found["mgda"].note) == ("MGDA", "")


@pytest.mark.parametrize("name", GRAMIAN)
def test_the_answer_is_that_of_a_fresh_scheme(name):
    """Twice: a scheme that remembers must not remember from one question to the next."""
    for _ in range(2):
        what_if._answers.cache_clear()
        answer = next(a for a in what_if.answers(GRAM, np.array([1.0, 2.0]), TASKS, seed=3) if a.scheme == name)
        scheme = make(name, 2)
        scheme.setting.generator.set_state(what_if.stream(3, "weighting").get_state())
        weights = scheme.weights(torch.from_numpy(GRAM.copy()), torch.tensor([1.0, 2.0], dtype=torch.float64)) * scheme.factor
        assert answer.weights == pytest.approx(weights.detach().tolist(), rel=1e-6)


def test_the_runs_own_scheme_answers_with_the_runs_knobs_and_a_bad_one_with_a_sentence():
    def cagrad(**knobs):
        chosen = {"name": "cagrad", **knobs}
        return next(a for a in what_if.answers(GRAM, np.ones(2), TASKS, chosen=chosen) if a.scheme == "cagrad")

    assert cagrad(c=0.0).weights == pytest.approx((0.5, 0.5))
    assert cagrad().weights != pytest.approx((0.5, 0.5))
    broken = cagrad(radius=7)
    assert np.isnan(broken.weights).all()
    assert broken.note.startswith("No answer: no knob of weighting cagrad is called 'radius'")


def test_answers_say_what_they_leave_out():
    notes = {answer.scheme: answer.note for answer in what_if.answers(GRAM, np.ones(2), TASKS)}
    assert notes["pcgrad"] == "It draws at random; this is one draw."
    stateful = [name for name in GRAMIAN if list(make(name, 2).state_dict())]
    assert all("It remembers earlier steps" in notes[name] for name in stateful)
    one_by_one = what_if.answers(GRAM, np.ones(2), TASKS, chosen={"name": "mgda", "on": "representation"})
    assert "shared representation" in next(a.note for a in one_by_one if a.scheme == "mgda")


def test_a_scheme_that_looks_at_the_last_stage_gets_that():
    last = np.diag([1.0, 9.0])
    chosen = {"name": "mgda", "on": "last_stage"}
    (answer,) = (a for a in what_if.answers(GRAM, np.ones(2), TASKS, last_TT=last, chosen=chosen) if a.scheme == "mgda")
    assert answer.weights == pytest.approx((0.9, 0.1))
    assert "last shared stage" in answer.note


def test_the_same_question_is_asked_once():
    gram = np.diag([1.0, 2.0, 3.0])
    first = what_if.answers(gram, np.ones(3), ["a", "b", "c"])
    assert what_if.answers(gram.copy(), np.ones(3), ["a", "b", "c"]) is first
    assert what_if.answers(gram, np.ones(3), ["a", "b", "c"], seed=1) is not first


@pytest.mark.parametrize("n_tasks", [2, 5])
def test_all_schemes_answer_fast(n_tasks):
    rng = np.random.default_rng(n_tasks)
    names, spans = [f"t{i}" for i in range(n_tasks)], []
    for _ in range(6):
        rows = rng.normal(size=(n_tasks, 30))
        start = time.perf_counter()
        what_if.answers(rows @ rows.T, np.ones(n_tasks), names)
        spans.append(time.perf_counter() - start)
    assert min(spans) < 0.1, "seconds"


@pytest.mark.parametrize("rows", NASTY.values(), ids=NASTY)
def test_nasty_gradients_give_numbers_or_sentences(rows):
    for measured in (measurement(rows, weights=[1, 1, 1]), measurement(rows, weights=[np.nan] * 3)):
        frame = table(measured, ["a", "b", "c"])
        assert list(frame.columns) == COLUMNS
        assert len(frame) == 3 * (len(GRAMIAN) + 2)
        assert ((frame["gain"].abs() <= 1) | frame["gain"].isna()).all()
        silent = frame[frame["gain"].isna() & (frame["scheme"] != TAKEN)]
        has_pull = np.abs(np.asarray(rows)).sum(axis=1)[silent["task"].cat.codes] > 0
        assert (silent["note"][has_pull] != "").all(), "no number without a sentence"


def test_the_hand_case():
    """Taken: equal weights, d = (½, 1), |d|² = 1.25. MGDA: w = (7, 6)/13, d = (4, 6)/13."""
    frame = table(measurement(HAND, weights=[1, 1], losses=[2, 4]))
    rows = frame.astype({"task": "str"}).set_index(["scheme", "task"])
    assert frame["step"].unique().tolist() == [7]
    taken = rows.loc[TAKEN]
    assert taken["title"].unique().tolist() == ["The step taken (A scheme)"]
    assert taken["share"].tolist() == [0.5, 0.5]
    assert [*taken["cosine"], *taken["length"]] == pytest.approx([1] * 4)
    length = 1.25**0.5
    assert taken["change"].tolist() == pytest.approx([-0.5 / length, -0.75 / length])  # −(Gw)ᵢ / |d|
    assert taken["percent"].tolist() == pytest.approx([-25 / length, -18.75 / length])
    assert taken["gain"].tolist() == pytest.approx([0.5 / length, 0.75 / 1.25], rel=1e-6)
    mgda, direction = rows.loc["mgda"], np.array([4, 6]) / 13
    assert mgda["share"].tolist() == pytest.approx([7 / 13, 6 / 13], rel=1e-6)
    assert mgda["length"].tolist() == pytest.approx([np.linalg.norm(direction) / length] * 2, rel=1e-6)
    cosine = direction @ [0.5, 1] / np.linalg.norm(direction) / length
    assert mgda["cosine"].tolist() == pytest.approx([cosine] * 2, rel=1e-6)


def test_the_step_taken_comes_first_then_equal_weights_then_the_nearest():
    frame = table(measurement([[1.0, 0, 0], [-0.5, 1, 0], [0, -3, 1]], weights=[1, 1, 1]), ["a", "b", "c"])
    order = frame.drop_duplicates("scheme")
    assert order["scheme"].tolist()[:2] == [TAKEN, "equal"]
    cosines = order["cosine"].tolist()[2:]
    assert cosines == sorted(cosines, reverse=True)


def test_a_step_without_weights_shows_its_measured_changes():
    frame = table(measurement(HAND, weights=[np.nan, np.nan], losses=[2, 0], changes=[-0.2, 0.1]))
    taken = frame[frame["scheme"] == TAKEN]
    assert "weights are not known" in taken["note"].iloc[0]
    assert taken["change"].tolist() == pytest.approx([-0.2, 0.1])
    assert taken["percent"].tolist() == pytest.approx([-10, np.nan], nan_ok=True)
    assert taken["gain"].tolist() == pytest.approx([1, -0.1 / 1.25**0.5 / 0.2])
    assert frame["cosine"].isna().all(), "nothing to compare directions with"
    assert frame[frame["scheme"] == "mgda"]["gain"].notna().all()


def test_a_task_without_labels_is_left_out_of_the_question():
    rows = [[1.0, 0.0], [3.0, 3.0], [-0.5, 1.0]]
    counts = [[4, 0, 4], [4, 0, 4]]
    frame = table(measurement(rows, weights=[1, 0, 1], counts=counts), ["a", "b", "c"]).astype({"task": "str"})
    mgda = frame[frame["scheme"] == "mgda"].set_index("task")
    assert mgda["weight"].to_dict() == pytest.approx({"a": 7 / 13, "b": np.nan, "c": 6 / 13}, nan_ok=True, rel=1e-6)
    assert np.isnan(mgda.loc["b", "gain"])
    assert mgda.loc["a", "gain"] > 0


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_a_step_at_which_a_run_diverged_has_a_sentence_for_every_scheme(number):
    measured = measurement([[1, 0], [0, 1]], weights=[1, 1], losses=[1e32, np.inf])
    frame = table(replace(measured, gramian=np.full_like(measured.gramian, number)))
    assert frame["weight"][frame["scheme"] != TAKEN].isna().all()
    assert set(frame["note"][frame["scheme"] != TAKEN]) == {"No answer: no task has a finite gradient here."}
    assert set(frame["scheme"]) == {TAKEN, "equal", *GRAMIAN}


def test_a_step_that_stands_still_says_so():
    frame = table(measurement([[1.0, 2.0], [-1.0, -2.0]], weights=[1, 0.5]))
    mgda = frame[frame["scheme"] == "mgda"]
    assert mgda["length"].tolist() == [0, 0]
    assert mgda["gain"].isna().all()
    assert mgda["note"].iloc[0].startswith("It stands still here")


@given(
    arrays(np.float32, (3, 4), elements=st.floats(-10, 10, width=32)),
    arrays(np.float32, 3, elements=st.floats(0.125, 4, width=32)),
)
def test_products_from_the_gramian_are_those_of_the_gradients(rows, weights):
    frame = table(measurement(rows, weights=weights), ["a", "b", "c"])
    directions = {scheme: part["weight"].to_numpy() @ rows.astype(float) for scheme, part in frame.groupby("scheme")}
    longest = np.linalg.norm(rows, axis=1).max()
    for scheme, part in frame.groupby("scheme"):
        d, taken = directions[scheme], directions[TAKEN]
        size = np.abs(part["weight"]).sum() * longest
        if not np.linalg.norm(d) > 0.05 * size > 1e-3:
            continue  # lost in the rounding of float32
        for task, gradient in enumerate(rows.astype(float)):
            if np.linalg.norm(gradient) > 0.05 * longest:
                cosine = d @ gradient / np.linalg.norm(d) / np.linalg.norm(gradient)
                assert part["gain"].iloc[task] == pytest.approx(cosine, abs=2e-3)
        if np.linalg.norm(taken) > 0.05 * weights.sum() * longest:
            assert part["length"].iloc[0] == pytest.approx(np.linalg.norm(d) / np.linalg.norm(taken), rel=2e-2)


def test_nothing_measured_is_an_empty_table():
    assert list(what_if_frame(None, TASKS, "", {}).columns) == COLUMNS
    assert what_if_frame(None, TASKS, "", {}).empty
    alone = measurement(HAND, weights=[1, 1])
    unshared = Measurement(1, 0.1, 0.1, alone.gramian[:0], alone.counts, alone.losses, alone.weights, alone.changes)
    assert table(unshared).empty


def test_torch_comes_in_only_when_the_table_is_asked_for():
    code = """
import sys, json
from mtl_core import frames
before = "torch" in sys.modules
frames.what_if_frame(None, ["a"], "", {})
print(json.dumps([before, "torch" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False]
