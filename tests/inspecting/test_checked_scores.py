import sys

import numpy as np
import planted
import pytest

import keras_curvenet as kcn


@pytest.fixture(scope="module")
def data():
    curves, is_wrong = planted.curves_of([400, 400])
    asked = kcn.labels_to_check(curves)
    return curves, is_wrong, {int(i): not is_wrong[i] for i in asked}


def log_loss(probabilities, outcomes):
    return -np.log(np.where(outcomes, probabilities, 1 - probabilities)).mean()


def test_scores_are_probabilities():
    rng = np.random.default_rng(0)
    # The more suspicious, the more probably wrong, from 0.6 to 0.
    losses = np.linspace(2.0, 0.0, 2000)[:, np.newaxis] + np.zeros((2000, 3))
    curves = kcn.LossCurves(losses, np.zeros(2000, int))
    rates = np.linspace(0.6, 0.0, 2000)
    is_wrong = rng.uniform(size=2000) < rates
    asked = kcn.labels_to_check(curves, num_labels=200)
    checked = {int(i): not is_wrong[i] for i in asked}
    scores = kcn.label_quality_scores(curves, checked)
    others = np.setdiff1d(np.arange(2000), asked)
    assert np.abs(1.0 - scores - rates)[others].mean() < 0.06
    share = kcn.share_of_wrong_labels(curves, checked).share
    assert abs(np.mean(1.0 - scores) - share) < 0.02
    unchecked = kcn.label_quality_scores(curves)
    assert (np.diff(scores[others][np.argsort(unchecked[others])]) >= 0).all()
    base = log_loss(np.full(len(others), is_wrong.mean()), is_wrong[others])
    assert log_loss(1.0 - scores[others], is_wrong[others]) < base - 0.04


def test_what_was_checked_is_known(data):
    curves, is_wrong, checked = data
    ids = list(checked)
    scores = kcn.label_quality_scores(curves, checked)
    np.testing.assert_array_equal(scores[ids], ~is_wrong[ids])
    issues = kcn.find_label_issues(curves, checked=checked)
    num_wrong = np.count_nonzero(is_wrong[ids])
    assert is_wrong[issues[:num_wrong]].all()
    assert set(issues[:num_wrong]) <= set(ids)
    assert not set(issues[num_wrong:]) & set(ids)


@pytest.mark.parametrize("answer", [True, False])
def test_all_answers_are_the_same(data, answer):
    curves, _, checked = data
    checked = dict.fromkeys(checked, answer)
    scores = kcn.label_quality_scores(curves, checked)
    assert np.isfinite(scores).all()
    if answer:
        assert scores.mean() > 0.97
    else:
        assert scores.mean() < 0.06
    share = kcn.share_of_wrong_labels(curves, checked)
    assert share.share == (not answer)
    assert share.upper - share.lower < 0.08


def test_answers_against_the_ranking_leave_the_share():
    losses = np.linspace(2.0, 0.0, 500)[:, np.newaxis] + np.zeros((500, 3))
    curves = kcn.LossCurves(losses, np.zeros(500, int))
    asked = kcn.labels_to_check(curves)
    checked = {i: bool(i < 300) for i in asked.tolist()}
    scores = kcn.label_quality_scores(curves, checked)
    others = np.setdiff1d(np.arange(500), asked)
    assert np.ptp(scores[others]) == 0.0
    share = kcn.share_of_wrong_labels(curves, checked).share
    np.testing.assert_allclose(1.0 - scores[others[0]], share)


def test_samples_never_seen_stay_unknown():
    losses = np.random.default_rng(0).uniform(size=(60, 4))
    losses[50:] = np.nan
    labels = np.where(np.arange(60) < 50, 0, -1)
    curves = kcn.LossCurves(losses, labels)
    scores = kcn.label_quality_scores(curves, {3: False, 4: True})
    np.testing.assert_array_equal(np.isnan(scores), labels < 0)


def test_rates_of_classes():
    # Wrong labels are of the first class only, which losses do not show.
    losses = np.random.default_rng(0).uniform(size=(900, 4))
    curves = kcn.LossCurves(losses, np.arange(900) % 3, num_classes=4)
    asked = kcn.labels_to_check(curves, num_labels=300)
    checked = {int(i): bool(i % 3 > 0 or i % 2) for i in asked}
    rates = kcn.estimate_noise_rates(curves, checked)
    # Each class has about 100 answers, which count ten times as much as the
    # mean of 1 / 6 over the classes.
    expected = (np.array([0.5, 0.0, 0.0]) * 10.0 + 1.0 / 6.0) / 11.0
    np.testing.assert_allclose(rates[:3], expected, atol=0.05)
    assert rates[3] == 0.0


def test_report_says_what_was_answered(data):
    curves, is_wrong, checked = data
    predictions = np.eye(2)[curves.labels]
    report = kcn.label_report(curves, predictions, checked=checked)
    rows = report.set_index("sample_id").loc[list(checked)]
    wrong = is_wrong[list(checked)]
    np.testing.assert_array_equal(rows.is_issue, wrong)
    np.testing.assert_array_equal(rows.verdict == "suspect", wrong)
    np.testing.assert_array_equal(
        rows.suggested_label, np.where(wrong, 1 - rows.label, rows.label)
    )


def test_scikit_learn_is_needed(data, monkeypatch):
    curves, _, checked = data
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match="`pip install scikit-learn`"):
        kcn.label_quality_scores(curves, checked)
