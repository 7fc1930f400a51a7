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
    predicted = np.where(margins.T > 0.0, labels, (labels + 1) % 4).T
    return kcn.LossCurves(losses, labels, 4, margins, predicted), is_wrong


def without_classes(curves):
    return kcn.LossCurves(
        curves.values, curves.labels, curves.num_classes, curves.margins
    )


def suspicion_of(curves):
    return label_suspicion.label_suspicion(curves)


# By hand.


def test_suspicion_of_losses_by_hand():
    # Less a fifth of each class's mean; class 1 has no sample.
    losses = [[3.0, 1.0], [1.0, 1.0], [2.0, 4.0]]
    values, _, share_range, _ = suspicion_of(kcn.LossCurves(losses, [0, 0, 2]))
    means = np.array([1.5, 1.5, 3.0])
    np.testing.assert_allclose(values, [2.0, 1.0, 3.0] - means / 5.0)
    assert np.isnan(share_range).all()


def test_suspicion_of_margins_by_hand():
    margins = np.array([[2.0, 2.0], [1.0, 3.0], [2.0, 1.0], [-1.0, 1.0]])
    predicted = [[0, 0], [1, 0], [0, 0], [0, 1]]
    curves = kcn.LossCurves(
        np.ones((4, 2)), [0, 0, 0, 1], 2, margins, predicted
    )
    evidence = np.tanh(-margins / 2.0).mean(axis=1)
    means = np.repeat([evidence[:3].mean(), evidence[3]], [3, 1])
    np.testing.assert_allclose(
        suspicion_of(curves).values, evidence - means / 5.0, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        # Twice for the two samples, in the last half of the epochs.
        ([[0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 1]], []),
        ([[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]], [1]),
        (None, [1]),
    ],
)
def test_classes_that_are_hardly_learned_by_hand(predicted, expected):
    margins = np.array([[1.0] * 4, [1.0] * 4, [-1.0] * 4, [1.0, 1.0, -1, -1]])
    curves = kcn.LossCurves(
        np.ones((4, 4)), [0, 0, 1, 1], 2, margins, predicted
    )
    is_hardly_learned = label_suspicion._hardly_learned(curves, slice(2, 4))
    assert np.flatnonzero(is_hardly_learned).tolist() == expected


def curves_of_probabilities(own, other, predicted=None):
    own, other = np.array(own), np.array(other)
    margins = np.log(own) - np.log(other)
    return kcn.LossCurves(-np.log(own), [0, 1, 2, 2], 3, margins, predicted)


# The first half of four epochs counts. In it the last label is contradicted.
OWN = [[0.8, 0.8, 0.1, 0.1], [0.6, 0.4, 0.1, 0.1], [0.7, 0.7, 0.1, 0.1]]
OWN += [[0.2, 0.1, 0.9, 0.9]]
OTHER = [[0.1, 0.1, 0.8, 0.8], [0.2, 0.5, 0.8, 0.8], [0.2, 0.2, 0.8, 0.8]]
OTHER += [[0.6, 0.8, 0.1, 0.1]]


def test_the_share_of_wrong_labels_by_hand():
    predicted = [[0, 0, 1, 1], [1, 0, 0, 0], [2, 2, 0, 0], [0, 0, 2, 2]]
    curves = curves_of_probabilities(OWN, OTHER, predicted)
    # By two votes, none, two and minus two of two, times how sure it is.
    decisions = np.array([1.0, 0.0, 1.0, -1.0]) * [0.8, 0.55, 0.7, 0.7]
    check_share(curves, decisions)


def test_the_share_without_predicted_classes_by_hand():
    decisions = np.array([0.7, (0.4 - 0.1) / 2.0, 0.5, -(0.4 + 0.7) / 2.0])
    check_share(curves_of_probabilities(OWN, OTHER), decisions)


def check_share(curves, decisions):
    against, decided = -decisions.min(), np.abs(decisions).sum()
    least, most = against / 4.0, against / decided
    expected = least + (1.0 - decided / 4.0) * np.sqrt(least * most)
    share, share_range = label_suspicion._share_of_wrong(curves)
    assert share == pytest.approx(expected, rel=1e-6)
    assert share_range == pytest.approx((least, most), rel=1e-6)


def test_no_label_is_wrong_where_none_is_contradicted():
    own, other = np.full((4, 4), 0.8), np.full((4, 4), 0.1)
    predicted = np.tile([[0], [1], [2], [2]], 4)
    curves = curves_of_probabilities(own, other, predicted)
    assert label_suspicion._share_of_wrong(curves) == (0.0, (0.0, 0.0))


def test_of_a_class_that_is_hardly_learned_no_more_are_suspect_than_of_all():
    values = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    labels = np.repeat([1, 0], [5, 5])
    found, num_suspects = label_suspicion._spared(
        values.copy(), 0.4, labels, np.array([False, True])
    )
    # Of either class, two of five may be.
    assert num_suspects == 4
    np.testing.assert_allclose(found[:5], values[:5] - (7.5 - 2.5))
    np.testing.assert_array_equal(found[5:], values[5:])
    unchanged, num_suspects = label_suspicion._spared(
        values.copy(), 0.4, labels, np.array([False, False])
    )
    assert num_suspects == 4
    np.testing.assert_array_equal(unchanged, values)


# Planted wrong labels.


@pytest.mark.filterwarnings("ignore:.* do not tell how many")
@pytest.mark.parametrize("noise_rate", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("knows_classes", [True, False])
def test_as_many_as_are_wrong_are_found(noise_rate, knows_classes):
    curves, is_wrong = planted_margins(noise_rate)
    curves = curves if knows_classes else without_classes(curves)
    issues = kcn.find_label_issues(curves)
    # Too few, if anything, where the network is sure of little.
    assert 0.7 < len(issues) / is_wrong.sum() < 1.1
    assert is_wrong[issues].mean() > 0.9


def test_none_is_found_where_none_is_wrong():
    curves, _ = planted_margins(0.0)
    assert len(kcn.find_label_issues(curves)) <= 0.03 * 2000


def test_early_epochs_count_where_wrong_labels_are_learned_later():
    curves, is_wrong = planted_margins(0.3, fitted_from=10)
    issues = kcn.find_label_issues(curves)
    assert is_wrong[issues].mean() > 0.95
    assert np.isin(np.flatnonzero(is_wrong), issues).mean() > 0.8


@pytest.mark.filterwarnings("ignore:.* do not tell how many")
def test_late_epochs_rank_where_little_is_learned_before():
    curves, is_wrong = planted_margins(0.3, learned_from=0.5)
    scores = kcn.label_quality_scores(curves)
    assert scores[is_wrong].max() < scores[~is_wrong].min()


def test_curves_that_cannot_tell_how_many_are_wrong_say_so():
    curves = planted.unclear_curves()
    with pytest.warns(UserWarning, match="Probe for more epochs"):
        least, most = suspicion_of(curves).share_range
    assert least < 0.1 and most > 0.3
    assert 1000 * least < len(kcn.find_label_issues(curves)) < 1000 * most


def test_curves_that_can_tell_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kcn.find_label_issues(planted_margins(0.2)[0])
        kcn.find_label_issues(planted_margins(0.0)[0])


# What is unusual.


def test_a_class_that_was_never_learned():
    """Rare, and taken for class 0 in all epochs."""
    curves, is_wrong = planted_margins(0.2)
    is_rare = np.arange(2000) % 20 == 0
    labels = np.where(is_rare, 3, np.arange(2000) % 3)
    margins = np.where(
        is_rare[:, None], -np.abs(curves.margins), curves.margins
    )
    predicted = np.where(margins.T > 0.0, labels, (labels + 1) % 3).T
    curves = kcn.LossCurves(curves.values, labels, 4, margins, predicted)
    with pytest.warns(UserWarning, match=r"sample as class\(es\) \[3\]"):
        rates = kcn.estimate_noise_rates(curves)
    assert rates[3] == pytest.approx(rates[:3].mean(), abs=0.06)
    # It is said once of the same curves.
    chosen = kcn.select_meta_samples(curves, samples_per_class=10)
    assert np.bincount(labels[chosen]).tolist() == [10] * 4


def test_equal_margins_are_not_told_apart():
    margins = np.full((10, 4), 3.0)
    margins[0] = -3.0
    curves = kcn.LossCurves(np.full((10, 4), 0.1), [0] * 10, 1, margins)
    assert kcn.find_label_issues(curves).tolist() in ([], [0])


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


def test_number_of_high_losses_by_hand():
    one_group = np.random.default_rng(0).standard_normal(1000)
    assert label_suspicion._num_high_losses(one_group) == 0
    two_groups = np.array([0.0, 1.0, 1.0, 2.0, 9.0, 10.0])
    assert label_suspicion._num_high_losses(two_groups) == 2


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
