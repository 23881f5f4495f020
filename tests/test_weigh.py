"""``weigh``: one scheme's answer to gradients written down by hand, and nothing but a sentence for bad ones."""

import json
import math
import re

import numpy as np
import pytest

from mtl_core.weigh import answer_request, weigh, weigh_lines
from mtl_core.weightings import WEIGHTINGS

HAND = [[1, 0], [-0.5, 1]]


def test_the_hand_case() -> None:
    assert weigh("equal", HAND) == {"weights": [1.0, 1.0], "direction": [0.5, 1.0]}
    answer = weigh("mgda", HAND)
    assert answer["weights"] == pytest.approx([7 / 13, 6 / 13], abs=1e-15)
    assert weigh("pcgrad", HAND)["weights"] == pytest.approx([1.5, 1.4], abs=1e-15)
    assert weigh("cagrad", HAND, knobs={"c": 0.5})["direction"] == pytest.approx([0.4579, 0.6868], abs=5e-5)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_scheme_answers_in_plain_numbers(name: str) -> None:
    answer = weigh(name, [[1, 0, 2], [-0.5, 1, 0], [0, -1, 1]], [1, 2, 0.5], seed=3)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert len(answer["direction"]) == 3
    if answer["weights"] is not None:
        assert answer["direction"] == pytest.approx(np.array(answer["weights"]) @ [[1, 0, 2], [-0.5, 1, 0], [0, -1, 1]])
    again = weigh(name, [[1, 0, 2], [-0.5, 1, 0], [0, -1, 1]], [1, 2, 0.5], seed=3)
    assert again == answer


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_scale_is_a_factor_of_the_number_of_tasks(name: str) -> None:
    mean, total, published = (weigh(name, HAND, seed=1, knobs={"scale": scale}) for scale in ("mean", "sum", "published"))
    assert total["direction"] == pytest.approx([2 * d for d in mean["direction"]])
    assert published == (total if WEIGHTINGS[name].published_scale == "sum" else mean)


def test_seed_decides() -> None:
    assert len({weigh("rlw", HAND, seed=seed)["weights"][0] for seed in range(20)}) == 20


def test_losses_matter_to_schemes_that_read_them() -> None:
    knobs = {"normalise": "loss"}
    assert weigh("mgda", HAND, [1, 100], knobs=knobs) != weigh("mgda", HAND, knobs=knobs)
    assert weigh("mgda", HAND, [2, 2], knobs=knobs)["weights"] == pytest.approx([7 / 13, 6 / 13])


def test_arrays_are_welcome() -> None:
    assert weigh("equal", np.array(HAND, np.float32), np.ones(2, np.float32)) == weigh("equal", HAND)


BAD = [
    ({"scheme": "mgad", "gradients": HAND}, "Did you mean 'mgda'?"),
    ({"scheme": 3, "gradients": HAND}, "scheme must be the name of a weighting, got 3"),
    ({"scheme": "", "gradients": HAND}, "no weighting is called ''"),
    ({"scheme": "equal"}, "no gradients"),
    ({"gradients": HAND}, "no scheme"),
    ({"scheme": "equal", "gradients": None}, "list of rows"),
    ({"scheme": "equal", "gradients": "1"}, "list of rows"),
    ({"scheme": "equal", "gradients": [1, 2]}, "list of rows"),
    ({"scheme": "equal", "gradients": ["ab", "cd"]}, "list of rows"),
    ({"scheme": "equal", "gradients": {"0": [1]}}, "list of rows"),
    ({"scheme": "equal", "gradients": []}, "no gradients"),
    ({"scheme": "equal", "gradients": [[]]}, "t0 is empty"),
    ({"scheme": "equal", "gradients": [[1], []]}, "t1 is empty"),
    ({"scheme": "equal", "gradients": [[1, 2], [3]]}, "same length, got 2, 1"),
    ({"scheme": "equal", "gradients": [[1, "2"]]}, "numbers only, got '2'"),
    ({"scheme": "equal", "gradients": [[1, None]]}, "numbers only, got None"),
    ({"scheme": "equal", "gradients": [[1, True]]}, "numbers only, got True"),
    ({"scheme": "equal", "gradients": [[[1]]]}, "numbers only"),
    ({"scheme": "equal", "gradients": [[1, math.nan]]}, "finite"),
    ({"scheme": "equal", "gradients": [[1, -math.inf]]}, "finite"),
    ({"scheme": "equal", "gradients": [[10**400]]}, "too large for float64"),
    ({"scheme": "mgda", "gradients": [[1e200], [1e200]]}, "overflow"),
    ({"scheme": "equal", "gradients": [[1.7e308], [1.7e308]]}, "overflows float64"),
    ({"scheme": "equal", "gradients": HAND, "losses": [1]}, "one loss per task, got 1 losses for 2 gradients"),
    ({"scheme": "equal", "gradients": HAND, "losses": 1}, "losses must be a list"),
    ({"scheme": "equal", "gradients": HAND, "losses": [1, "a"]}, "losses must hold numbers only"),
    ({"scheme": "equal", "gradients": HAND, "losses": [1, math.inf]}, "finite"),
    ({"scheme": "rlw", "gradients": HAND, "seed": 1.5}, "seed must be a whole number"),
    ({"scheme": "rlw", "gradients": HAND, "seed": -1}, "seed must be a whole number"),
    ({"scheme": "rlw", "gradients": HAND, "seed": True}, "seed must be a whole number"),
    (
        {"scheme": "cagrad", "gradients": HAND, "knobs": {"d": 1}},
        "no knob of weighting cagrad is called 'd'. There are: scale, heads, on, c.",
    ),
    ({"scheme": "cagrad", "gradients": HAND, "knobs": {"c": "much"}}, "valid number"),
    ({"scheme": "cagrad", "gradients": HAND, "knobs": {"name": "mgda"}}, "no knob of weighting cagrad is called 'name'"),
    ({"scheme": "cagrad", "gradients": HAND, "knobs": [1]}, "knobs must be names with values"),
    ({"scheme": "fixed", "gradients": HAND, "knobs": {"weights": [1]}}, "one weight per task"),
    ({"scheme": "equal", "gradients": HAND, "loss": [1, 1]}, "Did you mean 'losses'?"),
    ([1, 2], "a request is an object"),
]


@pytest.mark.parametrize(("request_", "part"), BAD)
def test_slips_are_answered_in_a_sentence(request_: object, part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)) as caught:
        answer_request(request_)
    assert len(str(caught.value)) < 400


def test_a_batch_answers_line_by_line() -> None:
    lines = [
        json.dumps({"scheme": "equal", "gradients": HAND}),
        "",
        "  \n",
        "{not json",
        '{"scheme": "equal", "gradients": [[NaN]]}',
        "[" * 100_000,
        b"\xff\xfe\xfa",
        "[1" + "0" * 5000 + "]",
        json.dumps({"scheme": "pcgrad", "gradients": HAND, "losses": None, "seed": 5, "knobs": {}}) + "\n",
    ]
    answers = list(weigh_lines(lines))
    assert len(answers) == 7
    assert answers[0] == weigh("equal", HAND)
    assert answers[-1] == weigh("pcgrad", HAND, seed=5)
    assert all(set(answer) == {"error"} for answer in answers[1:-1])
    assert "not JSON" in answers[1]["error"]
    assert "finite" in answers[2]["error"]
    assert "deep" in answers[3]["error"]
    assert "UTF-8" in answers[4]["error"]


def test_a_batch_is_answered_as_it_comes() -> None:
    def endless() -> object:
        while True:
            yield json.dumps({"scheme": "equal", "gradients": HAND})

    assert next(iter(weigh_lines(endless()))) == weigh("equal", HAND)


def test_a_scheme_that_sees_gradients_tells_its_weights_where_its_step_is_a_mix_of_them() -> None:
    gradients = [[1.0, 0.0], [-0.5, 1.0]]
    excess = weigh("excess_mtl", gradients)
    assert excess["weights"] == pytest.approx([0.5, 0.5])
    assert excess["direction"] == pytest.approx([0.25, 0.5])
    assert weigh("graddrop", gradients)["weights"] is None
    assert weigh("db_mtl", gradients)["weights"] is None  # a mix of remembered gradients
