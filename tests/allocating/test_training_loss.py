"""The training loss by hand."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from keras_curvenet.allocating import training_loss
from keras_curvenet.allocating.prepared_fit import prepared_curves
from keras_curvenet.logit_adjustment import ClassFrequencies
from keras_curvenet.logit_adjustment import log_frequencies

# What a loss with running predictions needs to know of its samples.
CURVES = prepared_curves(tiny_models.loss_curves())
SWITCHES = {
    "soft_labels": None,
    "balance_classes": False,
    "normalize_weights": None,
}

PREDICTED = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
RUNNING = np.array([[0.1, 0.8, 0.1], [0.5, 0.25, 0.25]])
LABELS = np.array([0, 2])
WEIGHTS = np.array([0.25, 0.75])
OWN = np.array([1.0, 2.0])

# Running predictions are as sure as the sum of their squares, 0.66 and 0.375.
# They stand in with 0.75 * 0.66 = 0.495 and 0.25 * 0.375 = 0.09375.
STAND_INS = np.array([0.495, 0.09375])

# (1 * (0.25 * 0.356675 + 0.495 * 1.553476)
#  + 2 * (0.75 * 0.916291 + 0.09375 * 1.132052)) / 2, where 0.356675 =
# -log(0.7), 1.553476 = -(0.1 log(0.7) + 0.8 log(0.2) + 0.1 log(0.1)), ...
BY_HAND = 1.2224178


def made(
    loss=tiny_models.SPARSE_LOSS,
    counts=None,
    from_logits=False,
    loss_weights=None,
):
    frequencies = counts and ClassFrequencies(
        log_frequencies(np.array(counts)), follows_targets=True
    )
    losses = training_loss.CompiledLosses(loss, loss_weights, None, None)
    made = losses.training_loss(CURVES, 3, SWITCHES, np.ones(len(LABELS)))
    return dataclasses.replace(
        made, from_logits=from_logits, frequencies=frequencies
    )


def value_of(loss, y=LABELS, y_pred=PREDICTED, own=OWN, running=RUNNING):
    return float(
        loss(
            keras.tree.map_structure(tf.constant, y),
            tf.constant(y_pred, tf.float32),
            keras.tree.map_structure(tf.constant, own),
            tf.constant(WEIGHTS, tf.float32),
            None if running is None else tf.constant(running, tf.float32),
        )
    )


def test_soft_labels_by_hand():
    of_labels = -np.log([0.7, 0.4])
    of_running = -np.sum(RUNNING * np.log(PREDICTED), axis=1)
    np.testing.assert_allclose(of_running, [1.553476, 1.132052], rtol=1e-6)
    losses = WEIGHTS * of_labels + STAND_INS * of_running
    assert np.mean(OWN * losses) == pytest.approx(BY_HAND, rel=1e-6)
    assert value_of(made()) == pytest.approx(BY_HAND, rel=1e-6)


def test_soft_labels_are_crossentropies_of_mixed_targets():
    targets = WEIGHTS[:, np.newaxis] * np.eye(3)[LABELS]
    targets += STAND_INS[:, np.newaxis] * RUNNING
    losses = -np.sum(targets * np.log(PREDICTED), axis=1)
    expected = np.mean(OWN * losses)
    assert value_of(made()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "from_logits", "y"),
    [
        (tiny_models.SPARSE_LOSS, False, LABELS[:, np.newaxis]),
        ("categorical_crossentropy", False, np.eye(3, dtype="float32")[LABELS]),
        ("crossentropy", False, LABELS),
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            True,
            LABELS,
        ),
    ],
)
def test_other_forms_of_targets_and_predictions(loss, from_logits, y):
    y_pred = np.log(PREDICTED) + 3.0 if from_logits else PREDICTED
    found = value_of(made(loss, from_logits=from_logits), y, y_pred)
    assert found == pytest.approx(BY_HAND, rel=1e-5)


@pytest.mark.parametrize(
    "own",
    [
        OWN.astype("float32"),
        OWN.astype("int64"),
        OWN[:, np.newaxis],
        {"a": OWN},
    ],
    ids=["float", "int", "column", "dict"],
)
def test_forms_of_the_users_sample_weight(own):
    assert value_of(made(), own=own) == pytest.approx(BY_HAND, rel=1e-6)


@pytest.mark.parametrize("loss_weights", [0.5, [0.5]])
def test_a_loss_weight_multiplies_both_parts(loss_weights):
    loss = made([tiny_models.SPARSE_LOSS], loss_weights=loss_weights)
    assert value_of(loss) == pytest.approx(0.5 * BY_HAND, rel=1e-6)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
@pytest.mark.parametrize("from_logits", [False, True])
def test_binary_predictions(shape, from_logits):
    # Probabilities 0.3 and 0.6 of class 1, labels 0 and 1; running 0.9, 0.5.
    predicted = np.array([[0.7, 0.3], [0.4, 0.6]])
    running = np.array([[0.1, 0.9], [0.5, 0.5]])
    # Running predictions are as sure as 0.82 and 0.5.
    stand_ins = np.array([0.75 * 0.82, 0.25 * 0.5])
    losses = WEIGHTS * -np.log([0.7, 0.6])
    losses -= stand_ins * np.sum(running * np.log(predicted), axis=1)
    y_pred = predicted[:, 1:]
    if from_logits:
        y_pred = np.log(y_pred / (1.0 - y_pred))
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    found = value_of(
        made(loss, from_logits=from_logits),
        np.array([0, 1]).reshape(shape),
        y_pred,
        running=running,
    )
    assert found == pytest.approx(np.mean(OWN * losses), rel=1e-5)


def test_weights_above_one_leave_nothing_to_predictions():
    losses, of_running = tf.constant([2.0, 2.0]), tf.zeros([2, 3])
    found = training_loss.mixed_losses(
        losses, tf.constant([1.0, 1.5]), of_running + 0.5, of_running - 7.0
    )
    np.testing.assert_allclose(found, [2.0, 3.0])


def test_predictions_stand_in_as_far_as_they_are_sure():
    stand_ins = training_loss.stand_in_weights(
        tf.constant([0.5, 0.0, 1.2]), tf.constant([[0.5, 0.5]] * 3)
    )
    np.testing.assert_allclose(stand_ins, [0.25, 0.5, 0.0])


@pytest.mark.parametrize("weight", [0.5, 1.0, 1.009])
def test_every_weight_has_a_gradient(weight):
    # A CurveNet's weights start slightly above 1.
    weights = tf.constant([weight])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        losses = training_loss.mixed_losses(
            tf.constant([2.0]), weights, tf.constant([[0.5]]), tf.ones([1, 1])
        )
    gradient = tape.gradient(losses, weights)
    # The prediction's own crossentropy is -0.5, and it is as sure as 0.25.
    expected = 2.125 if weight <= 1.0 else 2.0
    np.testing.assert_allclose(gradient, [expected])


def test_relative_weights_by_hand():
    # (0.5, 1.5) are relative to their mean already; own weights are not.
    expected = np.mean(OWN * np.array([0.5, 1.5]) * -np.log([0.7, 0.4]))
    found = value_of(made(), own=OWN.astype("float32"), running=None)
    assert found == pytest.approx(expected, rel=1e-6)


def test_relative_weights_with_ints_of_the_users():
    expected = np.mean(OWN * np.array([0.5, 1.5]) * -np.log([0.7, 0.4]))
    found = value_of(made(), own=OWN.astype("int64"), running=None)
    assert found == pytest.approx(expected, rel=1e-6)


def test_relative_weights():
    found = training_loss.relative_weights(tf.constant([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found, [0.5, 1.0, 1.5])
    zeros = training_loss.relative_weights(tf.zeros([2]))
    np.testing.assert_array_equal(zeros, [0.0, 0.0])


def test_a_common_factor_of_relative_weights_has_no_gradient():
    factor, weights = tf.constant(3.0), tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(factor)
        relative = training_loss.relative_weights(factor * weights)
        loss = tf.reduce_sum(relative * [5.0, 7.0])
    np.testing.assert_allclose(tape.gradient(loss, factor), 0.0, atol=1e-6)


def test_multiplied_by_in_any_structure():
    weights = tf.constant([0.5, 2.0])
    own = {"a": tf.constant([1.0, 2.0]), "b": tf.constant([[1.0, 2.0]] * 2)}
    found = training_loss.multiplied_by(own, weights)
    np.testing.assert_allclose(found["a"], [0.5, 4.0])
    np.testing.assert_allclose(found["b"], [[0.5, 1.0], [2.0, 4.0]])


def test_adjusted_predictions_and_probabilities():
    loss = made(counts=[60.0, 30.0, 10.0])
    predictions = loss.adjusted({"label": tf.constant(PREDICTED, "float32")})
    products = PREDICTED * [0.6, 0.3, 0.1]
    expected = products / products.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictions["label"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        loss.log_probabilities(predictions), np.log(expected), rtol=1e-4
    )


def test_predictions_without_frequencies_are_the_models_own():
    y_pred = tf.constant(PREDICTED, tf.float32)
    assert made().adjusted(y_pred) is y_pred


def test_a_prediction_that_is_the_prediction_has_no_gradient():
    logits = tf.constant(np.log(PREDICTED), tf.float32)
    loss = made(
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        from_logits=True,
    )
    gradients = []
    for weights in ([0.25, 0.75], [1.0, 1.0]):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(
                tf.constant(LABELS),
                logits,
                tf.ones([2]),
                tf.constant(weights),
                tf.stop_gradient(tf.exp(loss.log_probabilities(logits))),
            )
        gradients.append(tape.gradient(value, logits).numpy())
    expected = gradients[1] * WEIGHTS[:, np.newaxis]
    np.testing.assert_allclose(gradients[0], expected, rtol=1e-5)


def test_what_is_trained_on_is_counted_for_the_next_epoch():
    loss = made(counts=[2.0, 1.0, 1.0])
    np.testing.assert_allclose(
        np.exp(loss.frequencies.logarithms), [0.5, 0.25, 0.25], rtol=1e-6
    )
    labels = tf.constant([0, 2, -1, 1])  # The third has no class.
    weights = tf.constant([0.75, 0.5, 1.0, 1.0])
    running = tf.constant(
        [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.2, 0.6]]
    )
    frequencies = loss.frequencies
    frequencies.count(training_loss.mixed_targets(labels, weights, running, 3))
    # Not before the epoch ends.
    np.testing.assert_allclose(
        np.exp(loss.frequencies.logarithms), [0.5, 0.25, 0.25], rtol=1e-6
    )
    loss.frequencies.follow()
    # The second prediction is as sure as 0.5.
    counts = np.array([0.75 + 0.125, 0.25 + 0.125 + 1.0, 0.5])
    np.testing.assert_allclose(
        np.exp(loss.frequencies.logarithms), counts / 2.75, rtol=1e-6
    )
    loss.frequencies.follow()  # Nothing was counted since.
    np.testing.assert_allclose(
        np.exp(loss.frequencies.logarithms), counts / 2.75, rtol=1e-6
    )


def test_targets_that_are_not_finite_are_not_counted():
    loss = made(counts=[2.0, 1.0, 1.0])
    running = tf.constant([[np.nan, 0.5, 0.5], [1.0, 0.0, 0.0]])
    loss.frequencies.count(
        training_loss.mixed_targets(
            tf.constant([0, 1]), tf.constant([0.5, 0.5]), running, 3
        )
    )
    loss.frequencies.follow()
    # Of the second sample; no class is taken to be absent.
    np.testing.assert_allclose(
        np.exp(loss.frequencies.logarithms), [1 / 3, 1 / 3, 1 / 3], rtol=1e-6
    )


def test_frequencies_of_the_users_own_loss_stay():
    frequencies = ClassFrequencies(
        log_frequencies(np.array([3.0, 1.0])), follows_targets=False
    )
    frequencies.count(tf.constant([[1.0, 5.0]]))
    frequencies.follow()
    np.testing.assert_allclose(
        np.exp(frequencies.logarithms), [0.75, 0.25], rtol=1e-6
    )
