import numpy as np
import pytest

from keras_curvenet.inspecting.label_suspicion import _LEAST_SEPARATION
from keras_curvenet.inspecting.two_groups import two_groups


@pytest.mark.parametrize(
    ("values", "threshold"),
    [
        ([0.0, 0.0, 0.0, 1.0, 1.0], 0.5),
        ([0.0, 1.0, 2.0, 10.0], 6.0),
        ([3.0, 1.0, -5.0, -6.0, 2.0], -2.0),
    ],
)
def test_two_groups_by_hand(values, threshold):
    found, share = two_groups(np.array(values))
    assert found == threshold
    values = np.array(values)
    means = [values[values > found].mean(), values[values <= found].mean()]
    between = np.where(values > found, *means).var()
    assert share == pytest.approx(between / values.var())


def test_two_groups_of_equal_values():
    assert two_groups(np.full(4, 2.0)) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [("standard_normal", 0.637), ("standard_exponential", 0.648)],
)
def test_one_group_is_below_the_least_separation(draw, expected):
    values = getattr(np.random.default_rng(0), draw)(100_000)
    share = two_groups(values)[1]
    assert share == pytest.approx(expected, abs=0.01)
    assert share < _LEAST_SEPARATION
