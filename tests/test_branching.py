"""Where to branch: advice from made-up runs whose conflict is known, and none where nobody could tell."""

import numpy as np
import pytest

from mtl_core.branching import LEAST, suggest_depth

STAGES = ["conv 1", "conv 2", "conv 3"]


def run_of(cosines, *, n=60, noise=1.0, size=40, seed=0):
    """Gramians [N, S, 4, 4] of two tasks whose true gradients have these cosines per stage, and counts.

    ``noise``: length of each half's noise against the gradients' length of 1.
    """
    rng = np.random.default_rng(seed)
    gramian = np.empty((n, len(cosines), 4, 4))
    for s, cosine in enumerate(cosines):
        true = np.zeros((2, size))
        true[0, 0], true[1, 0], true[1, 1] = 1, cosine, (1 - cosine**2) ** 0.5
        halves = true + noise * rng.normal(size=(n, 2, 2, size)) / size**0.5
        rows = halves.reshape(n, 4, size)
        gramian[:, s] = rows @ rows.transpose(0, 2, 1)
    return gramian, np.full((n, 2, 2), 16)


@pytest.mark.parametrize(
    ("cosines", "depth"),
    [((0.5, 0.5, -0.5), 2), ((0.5, -0.5, -0.5), 1), ((-0.6, -0.6, -0.6), 0), ((0.5, 0.5, 0.5), 3), ((0.3, 0.0, 0.0), 3)],
)
def test_the_depth_is_where_the_tasks_begin_to_fight(cosines, depth):
    advice = suggest_depth(*run_of(cosines), STAGES)
    assert advice.depth == depth
    assert [one.verdict for one in advice.evidence] == ["fights" if c < 0 else "agrees" for c in cosines]
    assert [one.stage for one in advice.evidence] == STAGES
    if 0 < depth < 3:
        assert f"up to {STAGES[depth - 1]}" in advice.sentence
        assert advice.sentence.endswith(f"try depth {depth}.")


def test_tasks_at_right_angles_are_no_fight_although_half_of_their_steps_conflict():
    advice = suggest_depth(*run_of([0.0] * 3, noise=0.5, n=200), STAGES)
    assert advice.depth == 3
    for one in advice.evidence:
        assert 0.35 < one.below < 0.65
        assert one.floor_below < 0.05


def test_chance_alone_rarely_looks_like_a_fight_and_a_slight_one_is_none():
    found = [suggest_depth(*run_of([0.0], n=40, seed=seed), STAGES[:1]).depth for seed in range(60)]
    assert found.count(0) <= 3, "one in forty by the interval alone"
    (sure,) = suggest_depth(*run_of([-0.05], noise=0.3, n=300), STAGES[:1]).evidence
    assert sure.cross + sure.margin < 0
    assert sure.verdict == "agrees"


def test_a_fight_below_stages_that_agree_is_told_and_no_depth_is_advised():
    advice = suggest_depth(*run_of([-0.6, 0.5, 0.5]), STAGES)
    assert advice.depth is None
    assert "fight in conv 1, but not above" in advice.sentence


def test_too_few_measurements_give_no_advice():
    advice = suggest_depth(*run_of([0.5, -0.9, -0.9], n=LEAST - 1), STAGES)
    assert (advice.depth, advice.evidence) == (None, ())
    assert f"needs {LEAST} measurements, there are {LEAST - 1}" in advice.sentence
    assert suggest_depth(*run_of([0.5, -0.9, -0.9], n=LEAST), STAGES).depth == 1


def test_batches_that_are_all_noise_give_no_advice_and_the_stage_is_named():
    advice = suggest_depth(*run_of([0.0, 0.0, 0.0], noise=60.0), STAGES)
    assert advice.depth is None
    assert "in conv 3 a task disagrees with itself" in advice.sentence


def test_noise_in_a_low_stage_does_not_hide_a_fight_at_the_top():
    clear, counts = run_of([0.0, 0.5, -0.8], noise=0.5)
    noisy, _ = run_of([0.0, 0.0, 0.0], noise=60.0)
    clear[:, 0] = noisy[:, 0]
    advice = suggest_depth(clear, counts, STAGES)
    assert [one.verdict for one in advice.evidence] == ["unclear", "agrees", "fights"]
    assert advice.depth == 2
    clear[:, 1] = noisy[:, 1]
    assert suggest_depth(clear, counts, STAGES).depth is None, "where the fight begins cannot be told"


def test_nothing_to_branch():
    gramian, counts = run_of([0.5])
    assert suggest_depth(gramian[:, :0], counts, []).depth is None
    alone = suggest_depth(gramian[:, :, ::2, ::2], counts[:, :, :1], STAGES[:1])
    assert alone.depth is None
    assert "two tasks" in alone.sentence
    assert suggest_depth(np.empty((0, 3, 4, 4)), np.empty((0, 2, 2)), STAGES).depth is None


def test_gradients_that_blew_up_or_vanished_are_unclear():
    gramian, counts = run_of([0.5, 0.5, 0.5])
    gramian[10:20] = np.nan
    assert {one.verdict for one in suggest_depth(gramian, counts, STAGES).evidence} == {"agrees"}
    gramian[:] = 0
    advice = suggest_depth(gramian, counts, STAGES)
    assert advice.depth is None
    assert {one.verdict for one in advice.evidence} == {"unclear"}
