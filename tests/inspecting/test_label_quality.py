import numpy as np
import pytest

import keras_curvenet as kcn


def planted_curves(
    num_samples=400, noise_rate=0.3, num_classes=2, num_epochs=20, seed=0
):
    """Curves that fall where labels are right, and stay up where wrong."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_samples) % num_classes
    is_wrong = rng.uniform(size=num_samples) < noise_rate
    level = np.where(is_wrong, 2.0, np.linspace(2.0, 0.1, num_epochs)[:, None])
    noise = rng.normal(scale=0.3, size=(num_samples, num_epochs))
    return kcn.LossCurves(np.abs(level.T + noise), labels), is_wrong


# Scores, issues and rates of planted errors.


def test_planted_errors_are_found():
    curves, is_wrong = planted_curves()
    scores = kcn.label_quality_scores(curves)
    assert scores.shape == (400,) and scores.dtype == np.float64
    assert (scores >= 0.0).all() and (scores <= 1.0).all()
    assert scores[is_wrong].max() < 0.5 < scores[~is_wrong].min()
    issues = kcn.find_label_issues(curves)
    assert set(issues) == set(np.flatnonzero(is_wrong))
    assert (np.diff(scores[issues]) >= 0.0).all()
    rates = [is_wrong[curves.labels == label].mean() for label in range(2)]
    np.testing.assert_allclose(kcn.estimate_noise_rates(curves), rates)
    counts = np.bincount(curves.labels[~is_wrong])
    np.testing.assert_array_equal(kcn.estimate_class_counts(curves), counts)


def test_few_wrong_labels_are_found():
    curves, is_wrong = planted_curves(2000, noise_rate=0.02)
    issues = kcn.find_label_issues(curves)
    assert is_wrong[issues].mean() > 0.9
    assert np.isin(np.flatnonzero(is_wrong), issues).mean() > 0.5


@pytest.mark.parametrize("num_classes", [1, 2, 40])
def test_clean_data_has_few_issues(num_classes):
    curves, _ = planted_curves(400, 0.0, num_classes)
    assert len(kcn.find_label_issues(curves)) <= 4


def test_issues_of_a_given_noise_rate():
    curves, _ = planted_curves()
    scores = kcn.label_quality_scores(curves)
    worst = kcn.find_label_issues(curves, noise_rate=0.1)
    np.testing.assert_array_equal(worst, np.argsort(scores)[:40])
    assert kcn.find_label_issues(curves, noise_rate=0.0).size == 0
    assert kcn.find_label_issues(curves, noise_rate=1.0).size == 400


def test_issues_of_noise_rates_by_class():
    curves, _ = planted_curves()
    scores = kcn.label_quality_scores(curves)
    issues = kcn.find_label_issues(curves, noise_rate=[0.05, 0.2])
    assert np.bincount(curves.labels[issues]).tolist() == [10, 40]
    assert (np.diff(scores[issues]) >= 0.0).all()


def test_the_order_of_samples_does_not_matter():
    curves, _ = planted_curves()
    order = np.random.default_rng(1).permutation(400)
    mixed = kcn.LossCurves(curves.values[order], curves.labels[order])
    np.testing.assert_allclose(
        kcn.label_quality_scores(mixed),
        kcn.label_quality_scores(curves)[order],
        rtol=1e-6,
    )


def test_a_rare_class_is_not_taken_for_wrong_labels():
    rng = np.random.default_rng(0)
    head = np.linspace(2.0, 0.1, 20) + rng.normal(scale=0.1, size=(300, 20))
    tail = np.linspace(2.5, 0.6, 20) + rng.normal(scale=0.1, size=(12, 20))
    wrong = 2.2 + rng.normal(scale=0.1, size=(60, 20))
    labels = np.repeat([0, 1, 0, 1], [300, 12, 56, 4])
    curves = kcn.LossCurves(np.concatenate([head, tail, wrong]), labels)
    issues = kcn.find_label_issues(curves)
    np.testing.assert_array_equal(np.sort(issues), np.arange(312, 372))


def test_losses_may_be_negative():
    curves, is_wrong = planted_curves()
    shifted = kcn.LossCurves(curves.values - 3.0, curves.labels)
    issues = kcn.find_label_issues(shifted)
    assert set(issues) == set(np.flatnonzero(is_wrong))


# Gaps, and what cannot be.


def test_a_class_without_finite_losses_is_the_most_suspect():
    curves, _ = planted_curves(noise_rate=0.0)
    values = np.concatenate([curves.values, np.full((1, 20), np.inf)])
    curves = kcn.LossCurves(values, [*curves.labels, 2])
    scores = kcn.label_quality_scores(curves)
    assert scores[-1] == 0.5 < scores[:-1].min()


def test_unseen_samples_have_no_score():
    curves, is_wrong = planted_curves()
    values, labels = curves.values.copy(), curves.labels.copy()
    values[:3], labels[:3] = np.nan, -1
    gaps = kcn.LossCurves(values, labels)
    scores = kcn.label_quality_scores(gaps)
    assert np.isnan(scores[:3]).all() and np.isfinite(scores[3:]).all()
    issues = kcn.find_label_issues(gaps)
    assert set(issues) == set(np.flatnonzero(is_wrong)) - {0, 1, 2}
    assert kcn.find_label_issues(gaps, noise_rate=1.0).size == 397
    assert np.isfinite(kcn.estimate_noise_rates(gaps)).all()


def test_losses_that_were_not_finite_are_suspect():
    curves, is_wrong = planted_curves()
    values = curves.values.copy()
    values[5], values[6, ::2] = np.inf, np.nan
    scores = kcn.label_quality_scores(kcn.LossCurves(values, curves.labels))
    assert scores[5] < 0.5
    assert (scores[6] < 0.5) == is_wrong[6]


def test_no_sample_was_seen():
    curves = kcn.LossCurves(np.full((3, 4), np.nan), [-1, -1, -1])
    assert np.isnan(kcn.label_quality_scores(curves)).all()
    assert kcn.find_label_issues(curves).size == 0
    assert kcn.estimate_noise_rates(curves).tolist() == [0.0]


def test_equal_curves_have_no_issues():
    curves = kcn.LossCurves(np.ones((6, 4)), [0, 0, 0, 1, 1, 1])
    assert (kcn.label_quality_scores(curves) >= 0.5).all()
    assert kcn.find_label_issues(curves).size == 0


def test_classes_without_samples():
    curves = kcn.LossCurves(np.ones((3, 4)), [0, 0, 2], num_classes=5)
    assert kcn.estimate_noise_rates(curves).tolist() == [0.0] * 5
    assert kcn.estimate_class_counts(curves).tolist() == [2, 0, 1, 0, 0]


@pytest.mark.parametrize(
    "function",
    [
        kcn.label_quality_scores,
        kcn.find_label_issues,
        kcn.estimate_noise_rates,
        kcn.estimate_class_counts,
        kcn.select_meta_samples,
        kcn.sample_verdicts,
    ],
)
def test_invalid_curves(function):
    with pytest.raises(TypeError, match="Received: ndarray"):
        function(np.ones((3, 4)))
    with pytest.raises(ValueError, match="at least two epochs"):
        function(kcn.LossCurves(np.ones((3, 1)), [0, 1, 1]))


@pytest.mark.parametrize("noise_rate", [-0.1, 1.1, [0.1], [[0.1, 0.1]], np.nan])
def test_invalid_noise_rate(noise_rate):
    curves, _ = planted_curves()
    with pytest.raises(ValueError, match="Received: noise_rate="):
        kcn.find_label_issues(curves, noise_rate=noise_rate)
