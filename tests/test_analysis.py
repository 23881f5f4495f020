"""Conflict from Gramians: against the gradients themselves, by hand, and on what goes wrong in practice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtl_core import analysis

numbers = st.floats(-100, 100, allow_nan=False, width=32)


def halves_of(gradients_HTP):
    """The Gramian [1, 2T, 2T] of gradients on two halves."""
    rows = np.asarray(gradients_HTP, dtype=np.float64).reshape(-1, np.shape(gradients_HTP)[-1])
    return (rows @ rows.T)[None]


@given(arrays(np.float64, (2, 3, 4), elements=numbers), arrays(np.float64, (2, 3), elements=st.integers(0, 40)))
def test_the_full_gramian_is_that_of_the_weighted_mean_gradients(gradients, counts):
    full = analysis.full_gramian(halves_of(gradients), counts)[0]
    for i in range(3):
        for j in range(3):
            if 0 in (counts[:, i].sum(), counts[:, j].sum()):
                assert np.isnan(full[i, j])
                continue
            mean_i, mean_j = (np.average(gradients[:, t], axis=0, weights=counts[:, t]) for t in (i, j))
            assert full[i, j] == pytest.approx(mean_i @ mean_j, rel=1e-9, abs=1e-6)


def test_the_hand_case_of_the_papers():
    gram = [[1.0, -0.5], [-0.5, 1.25]]  # g1 = (1, 0), g2 = (-.5, 1)
    assert analysis.cosines(gram)[0, 1] == pytest.approx(-0.4472, abs=1e-4)
    assert analysis.magnitude_similarity(gram)[0, 1] == pytest.approx(0.9938, abs=1e-4)
    assert analysis.norms(gram) == pytest.approx([1, 1.25**0.5])
    assert analysis.conflict_fraction(analysis.cosines(gram)) == 1


def test_stages_add_up():
    first, second = halves_of([[[1.0, 0.0]], [[0.0, 2.0]]]), halves_of([[[3.0]], [[1.0]]])
    both = np.concatenate([first, second])
    joined = halves_of([[[1.0, 0.0, 3.0]], [[0.0, 2.0, 1.0]]])
    assert analysis.over_stages(both) == pytest.approx(joined[0])


def test_the_cross_cosine_by_hand():
    # task 0: (1, 0) on a, (0, 1) on b; task 1: (0, 2) on a, (-1, 0) on b
    gram = halves_of([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [-1.0, 0.0]]])[0]
    cross = analysis.cross_cosines(gram)
    assert cross[0, 1] == pytest.approx((-1 + 1) / 2)  # 0 on a with 1 on b: -1; 0 on b with 1 on a: +1
    assert np.diagonal(cross) == pytest.approx([0, 0])
    assert analysis.noise_floor(gram) == pytest.approx([0, 0])


@given(arrays(np.float64, (2, 3, 5), elements=numbers), st.sampled_from([1e-10, 1.0, 1e10]))
def test_cosines_are_symmetric_bounded_and_blind_to_scale(gradients, scale):
    gram = halves_of(gradients)[0]
    for measure in (analysis.cosines, analysis.cross_cosines):
        matrix = measure(gram)
        assert np.array_equal(matrix, matrix.T, equal_nan=True)
        assert not (np.abs(matrix) > 1).any()
    big = np.abs(gradients).max() > 1e-3  # smaller ones vanish when squared
    if big:
        assert analysis.cross_cosines(gram * scale**2) == pytest.approx(analysis.cross_cosines(gram), abs=1e-6, nan_ok=True)


def noisy(n_steps, true_TP, noise, rng):
    """Gramians [N, 2T, 2T] of true gradients plus noise that is independent between the halves."""
    halves = true_TP + noise * rng.normal(size=(n_steps, 2, *np.shape(true_TP)))
    rows = halves.reshape(n_steps, -1, np.shape(true_TP)[-1])
    return rows @ rows.transpose(0, 2, 1)


def test_the_cross_cosine_is_like_for_like_with_the_noise_floor_and_the_full_cosine_is_not():
    """Two tasks with the very same gradient: only noise can keep their cosine from 1."""
    same = np.ones((2, 50))
    gram = noisy(400, same, 2.0, np.random.default_rng(0))
    cross = analysis.cross_cosines(gram).mean(axis=0)
    floor = np.diagonal(cross).mean()
    full = analysis.cosines(analysis.full_gramian(gram[:, None], np.ones((2, 2))))[:, 0].mean(axis=0)
    assert cross[0, 1] == pytest.approx(floor, abs=0.01)
    assert full[0, 1] > floor + 0.08


def test_the_denoised_cosine_finds_the_true_one_under_noise():
    true = np.zeros((3, 40))
    true[0, :10], true[1, :10], true[1, 10:20], true[2, 30:] = (
        1,
        -1,
        np.sqrt(3),
        1,
    )  # cosine of 0 and 1: -1/2; 2 is at right angles
    gram = noisy(4000, true, 3.0, np.random.default_rng(1))
    assert analysis.cross_cosines(gram).mean(axis=0)[0, 1] > -0.2, "noise hides most of the conflict"
    denoised = analysis.denoised_cosines(gram)
    assert denoised[0, 1] == pytest.approx(-0.5, abs=0.08)
    assert denoised[0, 2] == pytest.approx(0, abs=0.08)


def test_nothing_but_noise_has_no_denoised_cosine():
    opposite_halves = noisy(1, np.zeros((2, 3)), 0.0, np.random.default_rng(0))
    assert np.isnan(analysis.denoised_cosines(opposite_halves)).all()


def test_a_gradient_of_zero_has_a_length_and_no_direction():
    gram = halves_of([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    full = analysis.full_gramian(gram, np.ones((2, 2)))[0]
    assert analysis.norms(full) == pytest.approx([0, 1])
    assert np.isnan(analysis.cosines(full)[0]).all()
    assert analysis.cosines(full)[1, 1] == 1
    assert analysis.magnitude_similarity(full)[0, 1] == 0
    assert np.isnan(analysis.magnitude_similarity(full)[0, 0])
    assert np.isnan(analysis.conflict_fraction(analysis.cosines(full)))


def test_a_task_without_labels_is_left_out_and_the_others_are_not():
    gram = halves_of([[[np.nan, np.nan], [1.0, 0.0]], [[0.0, 2.0], [1.0, 1.0]]])
    counts = np.array([[0, 4], [4, 4]])  # task 0 has labels on half b only
    full = analysis.full_gramian(gram, counts)[0]
    assert full[0, 0] == pytest.approx(4)
    assert full[0, 1] == pytest.approx(1)
    cross = analysis.cross_cosines(gram[0], counts)
    assert np.isnan(cross[0, 0]), "one half cannot be compared with itself"
    assert cross[0, 1] == pytest.approx(0), "half b of task 0 with half a of task 1"
    assert np.isnan(analysis.full_gramian(gram, [[0, 4], [0, 4]])[0][0]).all()


@pytest.mark.parametrize("size", [1e-30, 1e10, 1e150])
def test_tiny_and_huge_gradients_keep_their_angles(size):
    gram = halves_of(size * np.array([[[1.0, 0.0], [-1.0, 1.0]], [[1.0, 0.0], [-1.0, 1.0]]]))
    full = analysis.full_gramian(gram, np.ones((2, 2)))[0]
    assert analysis.cosines(full)[0, 1] == pytest.approx(-(0.5**0.5))
    assert analysis.magnitude_similarity(full)[0, 1] == pytest.approx(2 * 2**0.5 / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_blew_up_gives_nan_and_no_warning(bad):
    gram = np.full((4, 4), bad)
    for measure in (analysis.cosines, analysis.cross_cosines, analysis.magnitude_similarity, analysis.denoised_cosines):
        values = measure(gram[None]) if measure is analysis.denoised_cosines else measure(gram)
        assert np.isnan(values).all()


def test_opposite_and_equal_gradients():
    gram = halves_of([[[1.0, 2.0], [-1.0, -2.0]], [[1.0, 2.0], [-1.0, -2.0]]])[0]
    assert analysis.cross_cosines(gram) == pytest.approx(np.array([[1, -1], [-1, 1]]))


def test_no_stage_and_no_step_have_shapes_but_no_numbers():
    nothing = np.empty((0, 0, 6, 6))
    assert analysis.over_stages(nothing).shape == (0, 6, 6)
    assert analysis.full_gramian(nothing, np.empty((0, 2, 3))).shape == (0, 0, 3, 3)
    assert analysis.cross_cosines(nothing).shape == (0, 0, 3, 3)
    unshared = analysis.over_stages(np.empty((2, 0, 6, 6)))
    assert np.isnan(analysis.cross_cosines(unshared)).all()


def test_fractions_count_what_is_known():
    cosine = np.array([[1, -0.5, np.nan], [-0.5, 1, 0.2], [np.nan, 0.2, -0.1]])
    assert analysis.conflict_fraction(cosine) == 0.5
    assert analysis.floor_conflict_fraction(cosine) == pytest.approx(1 / 3)
    assert np.isnan(analysis.conflict_fraction(np.eye(1)))
    assert analysis.mean_over(np.array([[1.0, np.nan], [3.0, np.nan]])) == pytest.approx([2, np.nan], nan_ok=True)


HAND = [[1.0, -0.5], [-0.5, 1.25]]  # g1 = (1, 0), g2 = (-.5, 1)


def test_the_curvature_measure_by_hand():
    assert analysis.curvature_measure(HAND)[0, 1] == pytest.approx(0.8 * 3.25 / 1.25)
    right_angles = analysis.curvature_measure(np.diag([4.0, 9.0]))
    assert right_angles[0, 1] == pytest.approx(1)
    for size in (1e-30, 1e150):
        assert analysis.curvature_measure(np.array(HAND) * size**2)[0, 1] == pytest.approx(2.08)


def test_the_curvature_measure_of_equal_opposite_and_zero_gradients():
    assert analysis.curvature_measure([[1.0, 1.0], [1.0, 1.0]])[0, 1] == 0, "in line: surgery has nothing to do"
    assert np.isnan(analysis.curvature_measure([[1.0, -1.0], [-1.0, 1.0]])[0, 1]), "they cancel out"
    assert analysis.curvature_measure([[1.0, -2.0], [-2.0, 4.0]])[0, 1] == 0
    assert np.isnan(analysis.curvature_measure([[1.0, 0.0], [0.0, 0.0]])[0, 1])


@given(arrays(np.float64, (2, 5), elements=numbers))
def test_the_curvature_measure_is_its_formula(rows):
    a, b = rows
    size_a, size_b, together = np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(a + b)
    if min(size_a, size_b, together) < 1e-2 * (size_a + size_b) or size_a + size_b < 1e-3:
        return
    cosine = a @ b / size_a / size_b
    expected = (1 - cosine**2) * np.linalg.norm(a - b) ** 2 / together**2
    assert analysis.curvature_measure(rows @ rows.T)[0, 1] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_shortest_mix_by_hand():
    assert analysis.min_norm(HAND) == pytest.approx(np.hypot(4, 6) / 13)
    assert analysis.min_norm(np.eye(4)) == pytest.approx(0.5)
    assert analysis.min_norm([[1.0, -1.0], [-1.0, 1.0]]) == pytest.approx(0, abs=1e-9)
    assert analysis.min_norm(np.diag([4.0, 0.0])) == 0, "a task at its own optimum"
    assert analysis.min_norm([[4.0]]) == 2


@given(arrays(np.float64, (3, 4), elements=numbers), arrays(np.float64, 3, elements=st.floats(0.01, 1)))
def test_no_mix_is_shorter_than_the_shortest(rows, weights):
    mixed = np.linalg.norm(weights / weights.sum() @ rows)
    shortest = analysis.min_norm(rows @ rows.T)
    assert 0 <= shortest <= mixed + 1e-2 * np.abs(rows).max(initial=0)  # as exact as a float32 Gramian allows
    assert shortest <= np.linalg.norm(rows, axis=1).min() + 1e-2 * np.abs(rows).max(initial=0)


def test_the_condition_number_by_hand():
    assert analysis.condition_number(np.diag([1.0, 100.0])) == pytest.approx(10)
    assert analysis.condition_number(np.eye(3) * 1e-20) == pytest.approx(1)
    assert analysis.condition_number([[1.0, 0.6], [0.6, 1.0]]) == pytest.approx(2)  # eigenvalues 1.6 and .4
    assert analysis.condition_number([[1.0, 1.0], [1.0, 1.0]]) == pytest.approx(1), "over the singular values above zero"
    assert np.isnan(analysis.condition_number(np.zeros((2, 2))))


def test_tasks_without_a_gradient_stay_out_of_the_shortest_mix():
    gram = np.array([[1.0, np.nan, -0.5], [np.nan] * 3, [-0.5, np.nan, 1.25]])
    assert analysis.min_norm(gram) == pytest.approx(np.hypot(4, 6) / 13)
    assert analysis.condition_number(gram) == analysis.condition_number(HAND)
    for measure in (analysis.min_norm, analysis.condition_number):
        assert np.isnan(measure(np.full((2, 3, 3), np.nan))).all()
        assert np.isnan(measure(np.full((3, 3), np.inf)))
        assert measure(np.empty((0, 3, 3))).shape == (0,)
        assert np.isnan(measure(np.empty((4, 0, 0)))).all()
