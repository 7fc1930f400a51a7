import numpy as np
import tensorflow as tf

from keras_curvenet.allocating.running_predictions import RunningPredictions


def update(running, sample_ids, probabilities):
    running.update(
        tf.constant(sample_ids, tf.int64), tf.constant(probabilities, "float32")
    )


def of_batch(running, sample_ids, probabilities=None):
    if probabilities is None:  # None of the samples is new.
        probabilities = np.full([len(sample_ids), running.num_classes], np.nan)
    return running.of_batch(
        tf.constant(sample_ids, tf.int64), tf.constant(probabilities, "float32")
    ).numpy()


def test_mean_by_hand():
    running = RunningPredictions(num_samples=4, num_classes=3)
    update(running, [2, 0], [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(
        of_batch(running, [0, 2]), [[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]]
    )
    update(running, [2], [[0.0, 1.0, 0.0]])
    # 0.8 * (0.5, 0.25, 0.25) + 0.2 * (0, 1, 0).
    expected = [[0.4, 0.4, 0.2], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(of_batch(running, [2, 0]), expected, atol=1e-3)
    update(running, [2], [[0.0, 0.0, 1.0]])
    expected = [[0.32, 0.32, 0.36]]
    np.testing.assert_allclose(of_batch(running, [2]), expected, atol=1e-3)


def test_present_predictions_stand_in_for_new_samples():
    running = RunningPredictions(num_samples=3, num_classes=2)
    update(running, [1], [[0.5, 0.5]])
    present = [[0.3, 0.7], [0.1, 0.9], [0.6, 0.4]]
    found = of_batch(running, [0, 1, 2], present)
    expected = np.array([[0.3, 0.7], [0.5, 0.5], [0.6, 0.4]], "float32")
    np.testing.assert_array_equal(found, expected)


def test_ten_of_twelve_classes_are_kept():
    running = RunningPredictions(num_samples=1, num_classes=12)
    probabilities = np.arange(1.0, 13.0)[::-1] / 78.0
    update(running, [0], [probabilities])
    # The shares of 12, 11, .., 3 of their sum, 75.
    expected = [*(np.arange(12.0, 2.0, -1.0) / 75.0), 0.0, 0.0]
    np.testing.assert_allclose(of_batch(running, [0]), [expected], rtol=1e-3)
    # A class that was dropped comes back when it is predicted.
    update(running, [0], [np.eye(12)[11]])
    assert of_batch(running, [0])[0, 11] > 0.15


def test_rows_that_are_not_finite_are_left_out():
    running = RunningPredictions(num_samples=3, num_classes=2)
    update(running, [0, 1], [[0.5, 0.5], [0.25, 0.75]])
    update(running, [0, 1, 2], [[np.nan, 1.0], [0.75, 0.25], [np.inf, 0.0]])
    found = of_batch(running, [0, 1, 2], [[0.0, 1.0]] * 3)
    expected = [[0.5, 0.5], [0.35, 0.65], [0.0, 1.0]]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_rows_sum_to_one_in_spite_of_rounding():
    rng = np.random.default_rng(0)
    running = RunningPredictions(num_samples=5, num_classes=7)
    ids, exact = np.arange(5), rng.dirichlet(np.ones(7), 5)
    update(running, ids, exact)
    for _ in range(6):
        present = rng.dirichlet(np.ones(7), 5)
        exact = 0.8 * exact + 0.2 * present
        update(running, ids, present)
    found = of_batch(running, ids)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(found, exact, atol=2e-3)  # They are float16.
