import types

import numpy as np
import pytest
import tensorflow as tf

from keras_curvenet.allocating import allocating_phases

NAN = np.nan


def test_without_invalid_inputs_by_hand():
    x = {
        "a": tf.constant([[1.0, 2.0], [NAN, 4.0], [5.0, 6.0], [NAN, 7.0]]),
        "b": tf.constant([1, 2, 3, 4]),
        "c": tf.constant([1.0, 2.0, np.inf, 3.0]),
    }
    own = {"out": tf.constant([[1.0], [1.0], [1.0], [1.0]])}

    def predict(x, training):  # The model can fill the fourth sample's gap.
        if training:  # What it could not fill is 0 by now.
            assert x["c"].numpy().tolist() == [1.0, 0.0, 0.0, 3.0]
            return tf.ones([4, 1])
        return tf.constant([[NAN], [NAN], [np.inf], [0.5]])

    x, own, invalid = allocating_phases.without_invalid_inputs(x, own, predict)
    np.testing.assert_array_equal(invalid, [False, True, True, False])
    np.testing.assert_array_equal(
        x["a"], [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0], [NAN, 7.0]]
    )
    np.testing.assert_array_equal(x["b"], [1, 2, 3, 4])
    np.testing.assert_array_equal(x["c"], [1.0, 0.0, 0.0, 3.0])
    np.testing.assert_array_equal(own["out"], [[1.0], [0.0], [0.0], [1.0]])


def test_samples_that_spoil_others_in_training_mode_are_left_out():
    x, own = tf.constant([[1.0], [np.inf], [2.0]]), tf.ones([3])

    def predict(x, training):  # As BatchNormalization before a tanh.
        del x
        return tf.fill([3, 1], NAN if training else 1.0)

    x, own, _ = allocating_phases.without_invalid_inputs(x, own, predict)
    np.testing.assert_array_equal(x, [[1.0], [0.0], [2.0]])
    np.testing.assert_array_equal(own, [1.0, 0.0, 1.0])


def test_nothing_is_predicted_of_finite_inputs():
    x, own = tf.ones([2, 3]), tf.ones([2])
    _, own, invalid = allocating_phases.without_invalid_inputs(
        x, own, predict=lambda x, training: pytest.fail("predicted")
    )
    assert not invalid.numpy().any() and own.numpy().all()


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
    batch = types.SimpleNamespace(
        loss=types.SimpleNamespace(
            has_weight=tf.constant([False, True, False])
        ),
        changed=tf.constant([False, True, True]),
        soft=tf.constant([True, True, False]),
    )
    for is_finite in (True, False):
        problems.count(
            batch, tf.constant([True, False, True]), tf.constant(is_finite)
        )
    assert problems.found() == {
        "trained on": 2,
        "invalid inputs": 4,
        "changed labels": 4,
        "soft labels": 2,
        "steps left out": 1,
    }
    problems.clear()
    assert set(problems.found().values()) == {0}
