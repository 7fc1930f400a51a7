import numpy as np
import pytest
import tensorflow as tf

from keras_curvenet.allocating import allocating_phases

NAN = np.nan


def test_without_invalid_inputs_by_hand():
    x = {
        "a": tf.constant([[1.0, 2.0], [NAN, 4.0], [5.0, 6.0]]),
        "b": tf.constant([1, 2, 3]),
        "c": tf.constant([1.0, 2.0, np.inf]),
    }
    own = {"out": tf.constant([[1.0], [1.0], [1.0]])}
    x, own, invalid = allocating_phases.without_invalid_inputs(x, own)
    np.testing.assert_array_equal(invalid, [False, True, True])
    np.testing.assert_array_equal(x["a"], [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(x["b"], [1, 2, 3])
    np.testing.assert_array_equal(x["c"], [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(own["out"], [[1.0], [0.0], [0.0]])


@pytest.mark.parametrize(
    ("y", "columns", "expected"),
    [
        ([0, 1, 2, 0], 3, [False, True, False, False]),
        ([[0], [1], [2], [0]], 3, [False, True, False, False]),
        # Class 7 does not exist.
        ([7, 1, 2, 0], 3, [False, True, False, False]),
        (np.eye(3)[[0, 1, 2, 0]], 3, [False, True, False, False]),
        # The second row is no distribution.
        ([[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]], 3, [False] * 4),
        ([0.0, 1.0, 0.0, 1.0], 1, [False, True, True, False]),
    ],
)
def test_changed_labels(y, columns, expected):
    labels = [0, 0, 2, -1] if columns == 3 else [0, 0, 1, -1]
    y = tf.constant(np.array(y))
    arguments = y, tf.zeros([4, columns]), tf.constant(labels, tf.int64)
    found = allocating_phases.changed_labels(*arguments)
    np.testing.assert_array_equal(found, expected)


def test_counts():
    problems = allocating_phases.StepProblems()
    for is_finite in (True, False):
        problems.count(
            tf.constant([True, False, True]),
            tf.constant([False, False, True]),
            tf.constant(is_finite),
        )
    assert problems.found() == {
        "invalid inputs": 4,
        "changed labels": 2,
        "steps left out": 1,
    }
    problems.clear()
    assert set(problems.found().values()) == {0}
