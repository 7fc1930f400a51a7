"""How suspicious labels are, and how many are wrong, from both curves."""

import warnings

import numpy as np
import planted
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting import label_suspicion

NUM_EPOCHS = 20


def planted_margins(
    noise_rate=0.3,
    num_samples=2000,
    sure=8.0,
    learned_from=0.0,
    fitted_from=None,
    seed=0,
):
    """Curves of a network that says how sure it is, of two of four classes.

    The given class and the network's own choice have the logits; what the
    network gives to the labels of right samples is at most the share of right
    labels among all.

    Args:
        noise_rate: Share of wrong labels.
        sure: How far the logits of sure samples are apart without noise.
        learned_from: Share of the epochs before which nothing is known.
        fitted_from: Epoch from which wrong labels are known by heart, or None.
    """
    rng = np.random.default_rng(seed)
    is_wrong = rng.uniform(size=num_samples) < noise_rate
    # A network that has learned the noise is no surer than it.
    ceiling = np.log((1.0 - noise_rate) / max(noise_rate, 1e-3) * 3.0)
    level = min(sure, ceiling) * rng.uniform(0.7, 1.0, size=num_samples)
    progress = np.clip(
        (np.arange(NUM_EPOCHS) / NUM_EPOCHS - learned_from) * 10.0, 0.05, 1.0
    )
    margins = np.where(is_wrong, -level, level)[:, None] * progress
    margins = margins + rng.normal(scale=0.3, size=margins.shape)
    if fitted_from is not None:
        margins[:, fitted_from:] = 6.0 + 0.1 * margins[:, fitted_from:]
    # The other two classes are as probable as the smaller of these two.
    smaller = np.minimum(margins, 0.0) - np.maximum(margins, 0.0)
    lead = -np.log1p(3.0 * np.exp(smaller))
    losses = -np.where(margins > 0.0, lead, lead + margins)
    labels = np.arange(num_samples) % 4
    return kcn.LossCurves(losses, labels, 4, margins), is_wrong


def suspicion_of(curves):
    return label_suspicion.label_suspicion(curves)


# By hand.


def test_suspicion_of_losses_by_hand():
    # The last epoch tells two groups apart best: it is taken alone. One class:
    # a part of its mean is the same for all.
    losses = [[3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [4.0, 10.0]]
    values, num_suspects = suspicion_of(kcn.LossCurves(losses, [0, 0, 0, 0]))
    np.testing.assert_allclose(values - values[0], [0.0, 0.0, 0.0, 10.0])
    assert num_suspects == 1


def test_margins_are_compared_as_differences_of_probabilities():
    margins = np.array([[4.0, 4.0], [4.0, 4.0], [4.0, 4.0], [-2.0, -2.0]])
    curves = kcn.LossCurves(np.ones((4, 2)), [0, 0, 0, 0], 1, margins)
    values, _ = suspicion_of(curves)
    difference = np.tanh(1.0) - np.tanh(-2.0)
    np.testing.assert_allclose(values - values[0], [0, 0, 0, difference])


def test_a_part_of_the_class_mean_is_subtracted():
    # Two samples of the mean of all, 2, are added to the class's three.
    evidence = np.array([1.0, 1.0, 1.0, 4.0, 3.0])
    relative = label_suspicion._relative(
        evidence, np.array([0, 0, 0, 1, 1]), 0.5
    )
    means = np.array([3.0 + 4.0, 7.0 + 4.0]) / [5.0, 4.0]
    expected = evidence - 0.5 * np.repeat(means, [3, 2])
    np.testing.assert_allclose(relative, expected)


def test_margins_count_where_there_are_any():
    curves, _ = planted_margins()
    misleading = kcn.LossCurves(
        -curves.values, curves.labels, 4, curves.margins
    )
    np.testing.assert_array_equal(
        suspicion_of(curves).values, suspicion_of(misleading).values
    )


# Planted wrong labels.


@pytest.mark.parametrize("noise_rate", [0.1, 0.2, 0.4, 0.6])
def test_as_many_as_are_wrong_are_found(noise_rate):
    curves, is_wrong = planted_margins(noise_rate)
    issues = kcn.find_label_issues(curves)
    assert abs(len(issues) / 2000 - is_wrong.mean()) < 0.06
    assert is_wrong[issues].mean() > 0.95


def test_none_is_found_where_none_is_wrong():
    curves, _ = planted_margins(0.0)
    assert len(kcn.find_label_issues(curves)) <= 0.03 * 2000


def test_hard_samples_are_not_taken_for_wrong():
    """A network that has learned little, of labels that are all right."""
    rng = np.random.default_rng(0)
    epochs, ease = np.arange(20), rng.gamma(1.0, size=(2000, 1))
    margins = 0.2 * ease * epochs - 0.8 + rng.normal(0.0, 0.5, (2000, 20))
    # Two of ten classes are likely, each sample's own and another.
    rest = 8.0 * np.exp(-1.0 - np.abs(margins))
    losses = np.log1p(np.exp(-margins) + rest)
    labels = np.arange(2000) % 4
    curves = kcn.LossCurves(losses, labels, 4, margins)
    with pytest.warns(UserWarning, match="what is right, for more"):
        assert len(kcn.find_label_issues(curves)) <= 0.03 * 2000


def test_early_epochs_count_where_wrong_labels_are_learned_later():
    curves, is_wrong = planted_margins(0.3, fitted_from=8)
    issues = kcn.find_label_issues(curves)
    assert is_wrong[issues].mean() > 0.95
    assert np.isin(np.flatnonzero(is_wrong), issues).mean() > 0.8


def test_late_epochs_count_where_little_is_learned_before():
    curves, is_wrong = planted_margins(0.3, learned_from=0.5)
    scores = kcn.label_quality_scores(curves)
    assert scores[is_wrong].max() < scores[~is_wrong].min()


def test_curves_that_cannot_tell_how_many_are_wrong_say_so():
    curves = planted.unclear_curves()
    with pytest.warns(UserWarning, match="probe for fewer epochs"):
        issues = kcn.find_label_issues(curves)
    assert len(issues) <= 0.01 * 1000


def test_curves_that_can_tell_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kcn.find_label_issues(planted_margins(0.3)[0])
        kcn.find_label_issues(planted_margins(0.0)[0])


# What is unusual.


def test_a_class_of_which_all_labels_look_wrong():
    curves, _ = planted_margins(0.3)
    labels = np.where(np.arange(2000) % 20 == 0, 3, np.arange(2000) % 3)
    margins = np.where(
        (labels == 3)[:, None], -1.5 * np.abs(curves.margins), curves.margins
    )
    curves = kcn.LossCurves(curves.values, labels, 4, margins)
    with pytest.warns(UserWarning, match=r"class\(es\) \[3\] look wrong"):
        rates = kcn.estimate_noise_rates(curves)
    # A network that had not learned the class would say the same of it.
    assert rates[:3].max() < rates[3] < 0.45
    # It is said once of the same curves.
    chosen = kcn.select_meta_samples(curves, samples_per_class=10)
    assert np.bincount(curves.labels[chosen]).tolist() == [10] * 4


def test_one_class():
    curves, _ = planted_margins()
    curves = kcn.LossCurves(curves.values, np.zeros(2000, int), 1)
    assert np.isfinite(kcn.label_quality_scores(curves)).all()


def test_two_epochs_of_margins():
    curves, is_wrong = planted_margins(0.3)
    part = kcn.LossCurves(
        curves.values[:, -2:], curves.labels, 4, curves.margins[:, -2:]
    )
    issues = kcn.find_label_issues(part)
    assert is_wrong[issues].mean() > 0.9


def test_unseen_samples_and_margins_that_are_not_finite():
    curves, is_wrong = planted_margins(0.3)
    values, margins = curves.values.copy(), curves.margins.copy()
    labels = curves.labels.copy()
    values[0], margins[0], labels[0] = np.nan, np.nan, -1
    values[1, 3], margins[1, 3] = np.inf, -np.inf
    values[2, 5], margins[2, 5] = np.nan, np.nan
    curves = kcn.LossCurves(values, labels, 4, margins)
    scores = kcn.label_quality_scores(curves)
    assert np.isnan(scores[0]) and np.isfinite(scores[1:]).all()
    issues = kcn.find_label_issues(curves)
    assert is_wrong[issues].mean() > 0.95


def test_margins_of_any_scale():
    curves, _ = planted_margins(0.3)
    huge = kcn.LossCurves(curves.values, curves.labels, 4, 1e6 * curves.margins)
    assert np.isfinite(kcn.label_quality_scores(huge)).all()


def test_far_out_by_hand():
    # One group: its quartiles are 1 and 3, so that only what is above 9 counts.
    suspicion = np.array([0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 4.0])
    assert label_suspicion._num_high_losses(suspicion) == 0
    far = np.append(suspicion, 9.5)
    assert label_suspicion._num_high_losses(far) == 1


@pytest.mark.parametrize("value", [None, [[1.0, 2.0]]])
def test_invalid_type(value):
    with pytest.raises(TypeError, match="argument `curves`"):
        suspicion_of(value)


# Two groups of values.


@pytest.mark.parametrize(
    ("values", "threshold"),
    [
        ([0.0, 0.0, 0.0, 1.0, 1.0], 0.5),
        ([0.0, 1.0, 2.0, 10.0], 6.0),
        ([3.0, 1.0, -5.0, -6.0, 2.0], -2.0),
    ],
)
def test_two_groups_by_hand(values, threshold):
    found, share = label_suspicion.two_groups(np.array(values))
    assert found == threshold
    values = np.array(values)
    means = [values[values > found].mean(), values[values <= found].mean()]
    between = np.where(values > found, *means).var()
    assert share == pytest.approx(between / values.var())


def test_two_groups_of_equal_values():
    assert label_suspicion.two_groups(np.full(4, 2.0)) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [("standard_normal", 0.637), ("standard_exponential", 0.648)],
)
def test_one_group_is_below_the_least_separation(draw, expected):
    values = getattr(np.random.default_rng(0), draw)(100_000)
    share = label_suspicion.two_groups(values)[1]
    assert share == pytest.approx(expected, abs=0.01)
    assert share < label_suspicion._LEAST_SEPARATION
