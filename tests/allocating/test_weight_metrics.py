import numpy as np
import pytest

from keras_curvenet.allocating import curve_net


def test_effective_sample_size_by_hand():
    metric = curve_net.EffectiveSampleSize()
    metric.update_state(np.array([1.0, 2.0], "float32"))
    # (1 + 2)^2 / (2 * (1 + 4)) = 0.9
    assert float(metric.result()) == pytest.approx(0.9)
    metric.update_state(np.array([0.0], "float32"))
    # Over both batches: 9 / (3 * 5) = 0.6
    assert float(metric.result()) == pytest.approx(0.6)


def test_effective_sample_size_of_equal_weights_is_one():
    metric = curve_net.EffectiveSampleSize()
    metric.update_state(np.full(10, 0.3, "float32"))
    assert float(metric.result()) == pytest.approx(1.0)


def test_effective_sample_size_starts_anew_after_reset():
    metric = curve_net.EffectiveSampleSize()
    metric.update_state(np.array([1.0, 0.0], "float32"))
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state(np.array([0.0, 0.0, 0.0, 5.0], "float32"))
    assert float(metric.result()) == pytest.approx(0.25)
