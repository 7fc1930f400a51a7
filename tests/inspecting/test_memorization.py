"""Whether wrong labels were memorized, by hand."""

import numpy as np
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.memorization import wrong_labels_stayed_unlearned

LOOKS_WRONG = np.arange(6) < 2


def curves_of(early, late, with_margins=True):
    """Of the two labels that look wrong, likelihoods early and at the end.

    Of 20 epochs, 5 to 9 are early, and 15 to 19 the last quarter; in all others
    the likelihood is 0.5.
    """
    likelihoods = np.full((6, 20), 0.5)
    likelihoods[:2, 5:10] = early
    likelihoods[:2, 15:] = late
    margins = np.zeros((6, 20)) if with_margins else None
    return kcn.LossCurves(-np.log(likelihoods), np.zeros(6, int), 1, margins)


@pytest.mark.parametrize(
    ("late", "expected"),
    [(0.05, True), (0.124, True), (0.126, False), (0.9, False)],
)
def test_by_how_much_the_likelihood_rises(late, expected):
    curves = curves_of(0.1, late)
    assert wrong_labels_stayed_unlearned(curves, LOOKS_WRONG) is expected


def test_other_labels_do_not_count():
    assert wrong_labels_stayed_unlearned(curves_of(0.1, 0.9), ~LOOKS_WRONG)


@pytest.mark.parametrize(("num_wrong", "expected"), [(4, False), (5, True)])
def test_a_few_that_stay_unlearned_do_not_tell(num_wrong, expected):
    curves = kcn.LossCurves(
        np.full((100, 20), 1.0),
        np.zeros(100, int),
        margins=np.zeros((100, 20)),
    )
    assert (
        wrong_labels_stayed_unlearned(curves, np.arange(100) < num_wrong)
        is expected
    )


def test_losses_without_margins_may_be_no_crossentropies():
    curves = curves_of(0.1, 0.1, with_margins=False)
    assert wrong_labels_stayed_unlearned(curves, LOOKS_WRONG) is False


@pytest.mark.parametrize(("late", "expected"), [(0.124, True), (0.126, False)])
def test_samples_without_a_loss_do_not_count(late, expected):
    whole = curves_of(0.1, late)
    values, margins = whole.values.copy(), whole.margins.copy()
    values[0, 15:], margins[0, 15:] = np.nan, np.nan
    values[1, 7], margins[1, 7] = np.nan, np.nan
    curves = kcn.LossCurves(values, whole.labels, 1, margins)
    assert wrong_labels_stayed_unlearned(curves, LOOKS_WRONG) is expected


@pytest.mark.parametrize("num_epochs", [2, 3, 4, 7])
def test_any_number_of_epochs(num_epochs):
    likelihoods = np.linspace(0.1, 0.9, num_epochs)[np.newaxis].repeat(4, 0)
    curves = kcn.LossCurves(
        -np.log(likelihoods),
        np.zeros(4, int),
        margins=np.zeros((4, num_epochs)),
    )
    assert not wrong_labels_stayed_unlearned(curves, np.ones(4, bool))
