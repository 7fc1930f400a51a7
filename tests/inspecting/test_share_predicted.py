"""How much of what looks right a probe has learned, by hand."""

import numpy as np
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.report.report_page import share_predicted

LOOKS_RIGHT = np.arange(5) < 4


def curves_of(margins):
    margins = np.asarray(margins, np.float32)
    return kcn.LossCurves(
        np.log1p(np.exp(-margins)), np.zeros(len(margins), int), 1, margins
    )


def test_last_half_of_what_looks_right():
    margins = np.ones((5, 4))
    margins[:, :2] = -1.0  # Early epochs do not count,
    margins[0, 3] = -1.0
    margins[1, 2:] = [0.0, -2.0]  # nor does a tie;
    margins[4, 2:] = -1.0  # nor does what looks wrong.
    assert share_predicted(curves_of(margins), LOOKS_RIGHT) == 5 / 8


def test_samples_without_a_margin_do_not_count():
    margins = np.ones((5, 4))
    margins[0, 3] = np.nan
    margins[1, 2] = -1.0
    assert share_predicted(curves_of(margins), LOOKS_RIGHT) == 6 / 7


def test_nothing_is_known():
    curves = curves_of(np.ones((5, 4)))
    assert np.isnan(share_predicted(curves, np.zeros(5, bool)))
    without = kcn.LossCurves(curves.values, np.zeros(5, int), 1)
    assert np.isnan(share_predicted(without, LOOKS_RIGHT))


@pytest.mark.parametrize("num_epochs", [2, 3])
def test_shortest_curves(num_epochs):
    margins = np.full((5, num_epochs), -1.0)
    margins[:, -1] = 1.0
    last_half = num_epochs - num_epochs // 2
    expected = 1 / last_half
    assert share_predicted(curves_of(margins), LOOKS_RIGHT) == expected
