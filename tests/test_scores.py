"""Comparisons against published rows and numbers by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.cli.app import main
from mtl_core.scores import delta_m, delta_p, hypervolume, mean_rank, on_front

# NYUv2 as in Navon et al. 2022, table 2: mIoU, pixel accuracy; absolute, relative error; mean, median angle, within 11.25, 22.5, 30°
SINGLE_TASK = [38.30, 63.76, 0.6754, 0.2780, 25.01, 19.21, 30.14, 57.20, 69.15]
HIGHER = [True, True, False, False, False, False, True, True, True]
PUBLISHED = {
    "LS": ([39.29, 65.33, 0.5493, 0.2263, 28.15, 23.96, 22.09, 47.50, 61.08], 5.59),
    "RLW": ([37.17, 63.77, 0.5759, 0.2410, 28.27, 24.18, 22.26, 47.05, 60.62], 7.78),
    "DWA": ([39.11, 65.31, 0.5510, 0.2285, 27.61, 23.18, 24.17, 50.18, 62.39], 3.57),
    "UW": ([36.87, 63.17, 0.5446, 0.2260, 27.04, 22.61, 23.54, 49.05, 63.65], 4.06),
    "MGDA": ([30.47, 59.90, 0.6070, 0.2555, 24.88, 19.45, 29.18, 56.88, 69.36], 1.38),
    "PCGrad": ([38.06, 64.64, 0.5550, 0.2325, 27.41, 22.80, 23.86, 49.83, 63.14], 3.97),
    "GradDrop": ([39.39, 65.12, 0.5455, 0.2279, 27.48, 22.96, 23.38, 49.44, 62.87], 3.58),
    "CAGrad": ([39.79, 65.49, 0.5486, 0.2250, 26.31, 21.58, 25.61, 52.36, 65.58], 0.19),
    "Nash-MTL": ([40.13, 65.93, 0.5261, 0.2171, 25.26, 20.08, 28.40, 55.47, 68.15], -4.05),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_rows_are_recomputed(name: str) -> None:
    row, published = PUBLISHED[name]
    assert delta_m(SINGLE_TASK, row, HIGHER) == pytest.approx(published, abs=0.006)


# NYUv2 at another size, as the README of auto-λ (Liu et al. 2022) has it: mIoU, absolute error of depth, mean angle, one per task
AUTO_LAMBDA_SINGLE = [43.37, 52.24, 22.40]
AUTO_LAMBDA = {
    "Equal": ([44.64, 43.32, 24.48], 3.57),
    "DWA": ([45.14, 43.06, 24.17], 4.58),
    "GradDrop": ([45.39, 43.23, 24.18], 4.65),
    "PCGrad": ([45.15, 42.38, 24.13], 5.09),
    "Uncertainty": ([45.98, 41.26, 24.09], 6.50),
    "CAGrad": ([46.14, 41.91, 23.52], 7.05),
    "Auto-Lambda": ([47.17, 40.97, 23.68], 8.21),
    "Auto-Lambda + CAGrad": ([48.26, 39.82, 22.81], 11.07),
}


@pytest.mark.parametrize("name", AUTO_LAMBDA)
def test_published_rows_in_the_other_convention_are_recomputed(name: str) -> None:
    row, published = AUTO_LAMBDA[name]
    assert delta_p(AUTO_LAMBDA_SINGLE, row, [True, False, False]) == pytest.approx(published, abs=0.006)


def test_no_change_is_zero_without_a_sign() -> None:
    assert str(delta_m([1.0, 2.0], [1.0, 2.0], [True, False])) == "0.0"


def test_delta_p_weighs_tasks_alike() -> None:
    row = [value * 1.1 for value in SINGLE_TASK]  # 10 % up: better where higher is better
    assert delta_p(SINGLE_TASK, row, HIGHER, [[0, 1], [2, 3], [4, 5, 6, 7, 8]]) == pytest.approx((10 - 10 + 2) / 3)
    assert delta_p(SINGLE_TASK, row, HIGHER) == pytest.approx(10 / 9)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10), st.booleans()), min_size=1, max_size=8))
def test_the_two_conventions_differ_by_sign_where_every_metric_is_a_task(rows: list[tuple[float, float, bool]]) -> None:
    baseline, method, higher = (list(column) for column in zip(*rows, strict=True))
    assert delta_m(baseline, method, higher) == pytest.approx(-delta_p(baseline, method, higher))
    assert delta_m(baseline, baseline, higher) == 0


def test_a_negative_baseline_keeps_the_direction() -> None:
    assert delta_m([-1.0], [-0.5], [True]) == pytest.approx(-50)  # an R² of −1 that becomes −½ is better


def test_ranks_share_ties() -> None:
    assert mean_rank([[1.0], [1.0], [2.0], [0.0]], [False]).tolist() == [2.5, 2.5, 4.0, 1.0]


def test_hypervolume_by_hand_and_against_a_grid() -> None:
    assert hypervolume([[1, 3], [2, 2], [3, 1]], [4, 4]) == 6.0
    assert hypervolume([[1, 3], [2, 2], [3, 1], [2.5, 2.5], [5, 0], [2, 2]], [4, 4]) == 6.0
    assert hypervolume([[5, 5]], [4, 4]) == 0.0
    assert hypervolume([[3, 1], [1, 3]], [0, 0], [True, True]) == 5.0
    points = np.random.default_rng(0).uniform(0, 1, (12, 2))
    axis = (np.arange(1000) + 0.5) / 1000
    x, y = np.meshgrid(axis, axis)
    covered = np.any([(x >= a) & (y >= b) for a, b in points], axis=0).mean()
    assert hypervolume(points, [1, 1]) == pytest.approx(covered, abs=2e-3)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=10))
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    front = on_front(points, [False, True])
    for point, is_on in zip(points, front, strict=True):
        beaten = any(a <= point[0] and b >= point[1] and (a, b) != point for a, b in points)
        assert is_on == (not beaten)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (([1.0], [1.0, 2.0], [True]), "as many numbers of each kind"),
        (([], [], []), "at least one"),
        (([0.0, 1.0], [1.0, 1.0], [True, True]), "baseline number 1 is 0"),
        (([1.0], [float("nan")], [True]), "finite"),
        (([1.0, 1e-308], [1.0, 1e308], [True, True]), "baseline number 2: from 1e-308 to 1e\\+308"),
        (([1e308], [-1e308], [True]), "beyond all percents"),
        (([5e-324], [1.0], [False]), "beyond all percents"),
    ],
)
def test_slips(arguments: tuple[list[float], list[float], list[bool]], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        delta_m(*arguments)


@pytest.mark.parametrize("groups", [[[0], [0, 1]], [[0]], [[0, 1], []], [[0, 2]]])
def test_groups_hold_each_metric_once(groups: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        delta_p([1.0, 1.0], [1.0, 2.0], [True, True], groups)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = json.dumps(PUBLISHED["LS"][0])
    command = ["delta-m", "--baseline", json.dumps(SINGLE_TASK), "--method", row, "--higher-is-better", json.dumps(HIGHER)]
    assert main([*command, "--groups", "[[0,1],[2,3],[4,5,6,7,8]]", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"delta_m": pytest.approx(5.589, abs=1e-3), "delta_p": pytest.approx(0.878, abs=1e-3)}
    assert main(command) == 0
    assert "Δm +5.59 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"--baseline": "38"}, "must be a list"),
        ({"--baseline": "[1"}, "must be JSON"),
        ({"--method": '["x", 1]'}, "numbers only"),
        ({"--method": "[1, NaN]"}, "finite"),
        ({"--higher-is-better": "[2, 0]"}, "1 (or true)"),
        ({"--groups": "[0, 1]"}, "lists of positions"),
        ({"--baseline": f"[1, {'9' * 400}]"}, "numbers below 1e308"),
        ({"--baseline": "[1, 5e-324]"}, "beyond all percents"),
    ],
)
def test_slips_on_the_command_line(changed: dict[str, str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"--baseline": "[1, 2]", "--method": "[1, 1]", "--higher-is-better": "[1, 0]", **changed}
    assert main(["delta-m", *(text for pair in options.items() for text in pair), "--json"]) == 2
    said = capsys.readouterr()
    assert part in said.err
    assert not said.out
