"""``weigh`` on the command line: values known by hand, one line of strict JSON per answer, and a batch that no bad line ends."""

import io
import json
import sys

import pytest

from mtl_core.cli.app import main

GRADIENTS = "[[1,0],[-0.5,1]]"


def strict(text):
    """Read JSON as a reader does that knows no NaN."""

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("arguments", "weights", "direction"),
    [
        (["equal"], [1, 1], [0.5, 1]),
        (["mgda"], [7 / 13, 6 / 13], [4 / 13, 6 / 13]),
        (["pcgrad"], [1.5, 1.4], [0.8, 1.4]),
        (["fixed", "weights=[0.25,0.75]"], [0.25, 0.75], [-0.125, 0.75]),
        (["equal", "scale=mean"], [0.5, 0.5], [0.25, 0.5]),
        (["uncertainty", "--losses", "[1, 1]"], [0.5, 0.5], [0.25, 0.5]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_weigh(arguments, weights, direction, capsys):
    assert main(["weigh", *arguments, "--gradients", GRADIENTS]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    answer = strict(out)
    assert answer["weights"] == pytest.approx(weights, abs=1e-12)
    assert answer["direction"] == pytest.approx(direction, abs=1e-12)


def test_weigh_cagrad_by_hand(capsys):
    assert main(["weigh", "cagrad", "c=0.5", "--gradients", GRADIENTS]) == 0
    assert strict(capsys.readouterr().out)["direction"] == pytest.approx([0.4579, 0.6868], abs=1e-4)


def test_weigh_with_chance_repeats_itself(capsys):
    answers = []
    for seed in ("1", "1", "2"):
        assert main(["weigh", "rlw", "--seed", seed, "--gradients", GRADIENTS]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_weigh_batch_answers_line_by_line(tmp_path, monkeypatch, capsys):
    good = {"scheme": "mgda", "gradients": [[1, 0], [-0.5, 1]]}
    bad = [
        "junk",
        "[]",
        "7",
        json.dumps({**good, "scheme": "mgad"}),
        json.dumps({**good, "knobs": {"c": 1}}),
        json.dumps({**good, "colour": 1}),
        json.dumps({**good, "seed": "x"}),
        '{"scheme": "mgda", "gradients": [[NaN, 1], [1, 1]]}',
        '{"scheme": "mgda", "gradients": [[1], [1, 2]]}',
        '{"scheme": "mgda", "gradients": []}',
        '{"scheme": "mgda"}',
        "[" * 100_000,
        "\xff",
    ]
    lines = [json.dumps(good), *bad, json.dumps({**good, "losses": [1, 2], "seed": 0, "knobs": {}})]
    file = tmp_path / "batch.jsonl"
    file.write_bytes("\n".join(lines).encode("latin-1"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    for source in (str(file), "-"):
        assert main(["weigh", "--batch", source]) == 0
        out = capsys.readouterr().out
        answers = [strict(line) for line in out.splitlines()]
        assert len(answers) == len(lines)
        assert all(set(answer) == {"error"} and len(answer["error"]) < 300 for answer in answers[1:-1])
        assert answers[0] == answers[-1]
        assert answers[0]["weights"] == pytest.approx([7 / 13, 6 / 13])
