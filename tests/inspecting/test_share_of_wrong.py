import numpy as np
import planted
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.share_of_wrong import AnswerCounts
from keras_curvenet.inspecting.share_of_wrong import stratified_share


def share_of(num_samples, num_answers, num_wrong):
    counts = AnswerCounts(*map(np.array, (num_samples, num_answers, num_wrong)))
    return stratified_share(counts)


@pytest.mark.parametrize(
    ("num_wrong", "lower", "upper"),
    [
        # Wilson's interval of ten answers, as in every textbook.
        (0, 0.0, 0.2775),
        (3, 0.1078, 0.6032),
        (10, 0.7225, 1.0),
    ],
)
def test_one_layer_of_many(num_wrong, lower, upper):
    found = share_of([10**9], [10], [num_wrong])
    np.testing.assert_allclose(found, (num_wrong / 10, lower, upper), atol=5e-5)


def test_two_layers_by_hand():
    # 0.25 * 1/2 are wrong. Rates count this share as half an answer more:
    # 1.0625 / 2.5 = 0.425 and 0.0625 / 2.5 = 0.025. What is left of their
    # variances is 0.25 ** 2 * 0.98 / 2 * 0.425 * 0.575 = 0.00748398 and
    # 0.75 ** 2 * (1 - 2 / 300) / 2 * 0.025 * 0.975 = 0.00680977, of
    # 0.125 * 0.875 = 0.109375, as of 7.65195 answers. With 3.841459 /
    # 7.65195 = 0.502024, the ends are (0.125 + 0.251012 -+ sqrt(0.109375 *
    # 0.502024 + 0.251012 ** 2)) / 1.502024.
    found = share_of([100, 300], [2, 2], [1, 0])
    np.testing.assert_allclose(found, (0.125, 0.02172, 0.47895), atol=5e-6)


def test_layers_without_answers_are_like_the_nearest():
    found = share_of([10, 20, 30, 40], [0, 5, 0, 5], [0, 5, 0, 0])
    np.testing.assert_allclose(found, share_of([60, 40], [5, 5], [5, 0]))
    assert found.share == 0.6


@pytest.mark.parametrize("num_wrong", [[0, 0], [1, 0], [4, 6]])
def test_all_answers_leave_nothing_open(num_wrong):
    share, lower, upper = share_of([4, 6], [4, 6], num_wrong)
    assert share == sum(num_wrong) / 10
    np.testing.assert_allclose([lower, upper], share)


@pytest.mark.parametrize("share_wrong", [0.0, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("num_answers", [2, 5, 10])
def test_intervals_hold_the_truth(share_wrong, num_answers):
    rng = np.random.default_rng(0)
    num_samples = np.linspace(100, 250, 10).astype(int)
    rates = np.minimum(share_wrong * np.linspace(3.0, 0.0, 10) ** 2 / 2, 1.0)
    are_wrong = np.round(rates * num_samples).astype(int)
    truth = are_wrong.sum() / num_samples.sum()
    answers = np.full(10, num_answers)
    held = 0
    for _ in range(400):
        found = rng.hypergeometric(
            are_wrong, num_samples - are_wrong, num_answers
        )
        _, lower, upper = share_of(num_samples, answers, found)
        held += lower <= truth <= upper
    assert held >= 0.92 * 400


def test_share_of_curves():
    curves, is_wrong = planted.curves_of([200, 200])
    asked = kcn.labels_to_check(curves, num_labels=60)
    share, lower, upper = kcn.share_of_wrong_labels(
        curves, {i: not is_wrong[i] for i in asked}
    )
    assert abs(share - 0.25) < 0.05
    assert 0.15 < lower < 0.25 < upper < 0.35


def test_answers_on_the_worst_alone():
    curves, is_wrong = planted.curves_of([200, 200])
    worst = kcn.find_label_issues(curves, noise_rate=0.1)
    checked = {i: not is_wrong[i] for i in worst}
    with pytest.warns(UserWarning, match="from 2 of 10 layers.* 12% of the"):
        kcn.share_of_wrong_labels(curves, checked)
