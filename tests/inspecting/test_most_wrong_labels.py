"""How many labels can be wrong, by hand."""

import numpy as np
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.most_wrong_labels import most_wrong_labels


def test_most_wrong_labels_by_hand():
    # Of 20 epochs, 2 to 5 are early, and 10 to 19 late. Of ten samples, the
    # 0.8 quantile of the likelihoods is 0.2 of the way from the eighth to the
    # ninth.
    likelihoods = np.full((10, 20), 0.5)
    likelihoods[8:, 2:6] = 0.9
    likelihoods[8:, 10:] = 0.95
    curves = kcn.LossCurves(
        -np.log(likelihoods),
        np.zeros(10, int),
        margins=np.full((10, 20), -0.1),  # All labels are contradicted.
    )
    assert most_wrong_labels(curves, 0.8) == pytest.approx(0.5 - 0.2 * 0.4)
    assert most_wrong_labels(curves, 0.6) == pytest.approx(0.5 - 0.2 * 0.45)


def test_no_more_are_wrong_than_a_sure_network_contradicts():
    # Of 20 samples it is surest of three: in the second quarter of the epochs,
    # it gives the labels 0.6, 0.7 and 0.2, and another class 0.4, 0.3 and 0.8.
    likelihoods = np.full((20, 8), 0.25)
    others = np.full((20, 8), 0.3)  # Unsure, and more often wrong than right.
    likelihoods[:3, 2:4] = np.array([0.6, 0.7, 0.2])[:, None]
    others[:3, 2:4] = np.array([0.4, 0.3, 0.8])[:, None]
    others[:3, 4:] = 0.7  # Too late to count.
    curves = kcn.LossCurves(
        -np.log(likelihoods),
        np.zeros(20, int),
        margins=np.log(likelihoods / others),
    )
    # The 0.9 quantile is above 0.6: two are left, of which one contradicts.
    assert most_wrong_labels(curves, 0.6) == pytest.approx(0.5)
    assert most_wrong_labels(curves, 0.8) == pytest.approx(0.75)


@pytest.mark.parametrize("num_epochs", [2, 3, 4, 7, 40])
def test_most_wrong_labels_of_any_number_of_epochs(num_epochs):
    curves = kcn.LossCurves(
        np.full((5, num_epochs), np.log(4.0)),
        np.zeros(5, int),
        margins=np.full((5, num_epochs), -0.1),
    )
    assert most_wrong_labels(curves, 1.0) == pytest.approx(0.75)


def test_epochs_without_a_sample_do_not_count():
    values = np.full((5, 8), np.log(2.0))
    values[:, 1] = np.nan
    values[0, 2] = np.nan
    margins = np.where(np.isnan(values), np.nan, -0.1)
    curves = kcn.LossCurves(values, np.zeros(5, int), margins=margins)
    assert most_wrong_labels(curves, 1.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("num_contradicted", "limit"), [(0, 2 / 12), (1, 4 / 12), (3, 8 / 12)]
)
def test_at_most_twice_what_an_early_sure_network_contradicts(
    num_contradicted, limit
):
    # Of 100 samples it is surest of ten, in the first quarter of the epochs.
    likelihoods, others = np.full((100, 8), 0.25), np.full((100, 8), 0.3)
    sure = np.linspace(0.8, 0.9, 10)[:, None]
    likelihoods[:10, 1:3], others[:10, 1:3] = sure, 1.0 - sure
    swapped = slice(num_contradicted)
    likelihoods[swapped], others[swapped] = (
        others[swapped].copy(),
        likelihoods[swapped].copy(),
    )
    others[:, 3:] = 0.7  # Too late to count.
    curves = kcn.LossCurves(
        -np.log(likelihoods),
        np.zeros(100, int),
        margins=np.log(likelihoods / others),
    )
    assert most_wrong_labels(curves, 0.8) == pytest.approx(limit)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_nothing_is_known_of_the_second_quarter(loss):
    losses = np.full((20, 8), np.log(4.0))
    losses[:, 2:4] = np.nan, loss
    margins = np.where(np.isnan(losses), np.nan, -0.1)
    curves = kcn.LossCurves(losses, np.zeros(20, int), margins=margins)
    assert most_wrong_labels(curves, 0.6) == pytest.approx(0.75)


def test_predictions_that_were_not_finite_contradict_nothing():
    losses = np.full((20, 8), np.log(4.0))
    margins = np.full((20, 8), 0.1)
    losses[3, 2:4], margins[3, 2:4] = np.inf, -np.inf
    curves = kcn.LossCurves(losses, np.zeros(20, int), margins=margins)
    assert most_wrong_labels(curves, 0.6) == 0.0
