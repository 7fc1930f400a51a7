import numpy as np
import pytest
import tensorflow as tf

from keras_curvenet import logit_adjustment

COUNTS = np.array([60.0, 30.0, 10.0])


def logits(num_columns, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, num_columns)).astype("float32")


def softmax(values):
    exponentials = np.exp(values)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def sigmoid(values):
    return 1.0 / (1.0 + np.exp(-values))


def adjusted(y_pred, log_frequencies, from_logits):
    return logit_adjustment.adjusted_predictions(
        tf.constant(y_pred), log_frequencies, from_logits
    ).numpy()


def test_log_frequencies():
    found = logit_adjustment.log_frequencies(COUNTS)
    np.testing.assert_allclose(found, np.log([0.6, 0.3, 0.1]))
    zero = logit_adjustment.log_frequencies(np.array([6.0, 0.0, 2.0]))
    np.testing.assert_allclose(zero, np.log([0.6, 0.2, 0.2]))


def test_estimated_log_frequencies_by_hand():
    # Qualities 0.5, 0.8, 0.2, 0.5; the last sample has no class.
    found = logit_adjustment.estimated_log_frequencies(
        np.log([1.0, 4.0, 0.25, 1.0, 1.0]).astype("float32"),
        np.array([0, 0, 1, 1, -1]),
        2,
        np.array([1.0, 2.0, 0.5, 3.0, 9.0]),  # The user's own weights.
    )
    # 0.5 + 2 * 0.8 of class 0, 0.5 * 0.2 + 3 * 0.5 of class 1.
    np.testing.assert_allclose(found, np.log([2.1 / 3.7, 1.6 / 3.7]), rtol=1e-6)


def test_logits():
    log_frequencies = logit_adjustment.log_frequencies(COUNTS)
    found = adjusted(logits(3), log_frequencies, True)
    np.testing.assert_allclose(found, logits(3) + np.log(COUNTS / 100.0), 1e-6)


def test_probabilities():
    log_frequencies = logit_adjustment.log_frequencies(COUNTS)
    found = adjusted(softmax(logits(3)), log_frequencies, False)
    expected = softmax(logits(3) + np.log(COUNTS))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
@pytest.mark.parametrize("from_logits", [True, False])
def test_one_number_for_two_classes(shape, from_logits):
    # Class 1 is a quarter as frequent as class 0.
    log_frequencies = logit_adjustment.log_frequencies(np.array([80.0, 20.0]))
    values = logits(1).reshape(shape)
    expected = values + np.log(0.25)
    if not from_logits:
        values, expected = sigmoid(values), sigmoid(expected)
    found = adjusted(values, log_frequencies, from_logits)
    assert found.shape == shape
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("num_columns", [1, 3])
@pytest.mark.parametrize("from_logits", [True, False])
def test_equal_frequencies_change_nothing(num_columns, from_logits):
    counts = np.full(max(num_columns, 2), 7.0)
    values = logits(num_columns)
    if not from_logits:
        values = sigmoid(values) if num_columns == 1 else softmax(values)
    found = adjusted(
        values, logit_adjustment.log_frequencies(counts), from_logits
    )
    if from_logits and num_columns == 3:  # All are shifted by the same.
        found, values = softmax(found), softmax(values)
    np.testing.assert_allclose(found, values, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("num_columns", [1, 2])
@pytest.mark.parametrize("from_logits", [True, False])
def test_the_dtype_is_kept(dtype, num_columns, from_logits):
    values = np.full((2, num_columns), 0.5, dtype)
    found = adjusted(values, np.log([0.5, 0.5]), from_logits)
    assert found.dtype == dtype


def test_certain_predictions_stay_finite():
    found = adjusted(np.eye(3, dtype="float32"), np.log(COUNTS), False)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.eye(3), atol=1e-5)
    binary = adjusted(np.array([[0.0], [1.0]], "float32"), np.zeros(2), False)
    np.testing.assert_allclose(binary, [[0.0], [1.0]], atol=1e-6)


@pytest.mark.parametrize("from_logits", [True, False])
def test_log_probabilities(from_logits):
    values = logits(3)
    expected = np.log(softmax(values))
    y_pred = values if from_logits else softmax(values)
    found = logit_adjustment.log_probabilities(tf.constant(y_pred), from_logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
@pytest.mark.parametrize("from_logits", [True, False])
def test_log_probabilities_of_two_classes(shape, from_logits):
    values = logits(1)
    expected = np.log(np.concatenate([sigmoid(-values), sigmoid(values)], 1))
    y_pred = (values if from_logits else sigmoid(values)).reshape(shape)
    found = logit_adjustment.log_probabilities(tf.constant(y_pred), from_logits)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
