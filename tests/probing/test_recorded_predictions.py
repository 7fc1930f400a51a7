import keras
import numpy as np
import pytest
import testing_utils

import keras_curvenet as kcn

SPARSE = "sparse_categorical_crossentropy"


class Frozen(keras.callbacks.Callback):
    """Notes the model's predictions for all samples before each epoch."""

    def __init__(self, x):
        super().__init__()
        self.x = x
        self.predictions = []

    def on_epoch_begin(self, epoch, logs=None):
        self.predictions.append(self.model.predict(self.x, verbose=0))


def record(outputs, activation, loss, y=None, epochs=2, jit_compile=False):
    keras.utils.set_random_seed(0)
    x, labels = testing_utils.tiny_data()
    y = labels if y is None else y
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(outputs, activation)]
    )
    model.compile(keras.optimizers.SGD(0.5), loss=loss, jit_compile=jit_compile)
    recorder = kcn.LossCurveRecorder(record_predictions=True)
    frozen = Frozen(x)
    model.fit(
        kcn.with_sample_ids((x, y)).batch(20),  # One step an epoch.
        epochs=epochs,
        callbacks=[recorder, frozen],
        verbose=0,
    )
    return recorder, frozen.predictions


def weighted_mean(recorder, predictions):
    weights = np.median(recorder.loss_curves.values, axis=0)
    return np.average(predictions, axis=0, weights=weights)


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_mean_of_training_predictions(jit_compile):
    recorder, predictions = record(
        3, "softmax", SPARSE, jit_compile=jit_compile
    )
    mean = recorder.mean_predictions
    assert mean.shape == (20, 3) and mean.dtype == np.float32
    expected = weighted_mean(recorder, predictions)
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    assert (predictions[0] != predictions[1]).any()


def test_logits_become_probabilities():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    recorder, logits = record(3, None, loss)
    predictions = [keras.ops.softmax(values) for values in logits]
    expected = weighted_mean(recorder, np.array(predictions))
    np.testing.assert_allclose(recorder.mean_predictions, expected, rtol=1e-4)


@pytest.mark.parametrize("from_logits", [False, True])
def test_one_output_is_two_classes(from_logits):
    labels = (testing_utils.tiny_data()[1] > 0).astype("float32")
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    activation = None if from_logits else "sigmoid"
    recorder, outputs = record(1, activation, loss, labels[:, np.newaxis])
    outputs = np.array(outputs)
    if from_logits:
        outputs = 1.0 / (1.0 + np.exp(-outputs))
    expected = weighted_mean(recorder, outputs)[:, 0]
    mean = recorder.mean_predictions
    np.testing.assert_allclose(mean[:, 1], expected, rtol=1e-4)
    np.testing.assert_allclose(mean.sum(axis=1), 1.0, rtol=1e-5)


def test_samples_that_were_not_seen_have_no_predictions():
    x, y = testing_utils.tiny_data()
    model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    model.compile("sgd", SPARSE, run_eagerly=True)
    recorder = kcn.LossCurveRecorder(record_predictions=True)
    part = kcn.with_sample_ids((x, y)).batch(8).take(1)
    model.fit(part, epochs=2, callbacks=[recorder], verbose=0)
    sums = recorder.mean_predictions.sum(axis=1)
    np.testing.assert_allclose(sums, [1.0] * 8 + [0.0] * 12, rtol=1e-5)


def test_replaced_epochs_are_forgotten():
    x, y = testing_utils.tiny_data()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, run_eagerly=True)
    recorder = kcn.LossCurveRecorder(record_predictions=True)
    train = kcn.with_sample_ids((x, y)).batch(20)
    arguments = {"callbacks": [recorder], "verbose": 0, "shuffle": False}
    model.fit(train, epochs=3, **arguments)
    now = keras.ops.softmax(model.predict(x, verbose=0))
    with pytest.warns(UserWarning, match="are replaced"):
        model.fit(train, epochs=3, initial_epoch=2, **arguments)
    np.testing.assert_allclose(recorder.mean_predictions, now, rtol=1e-4)


def test_nothing_is_recorded_unless_asked_for():
    x, y = testing_utils.tiny_data()
    model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    model.compile("sgd", SPARSE, run_eagerly=True)
    recorder = kcn.LossCurveRecorder()
    train = kcn.with_sample_ids((x, y)).batch(8)
    model.fit(train, callbacks=[recorder], verbose=0)
    with pytest.raises(ValueError, match="record_predictions=True"):
        _ = recorder.mean_predictions


def test_outputs_that_are_no_classes_are_refused():
    x, _ = testing_utils.tiny_data()
    model = keras.Sequential([keras.layers.Reshape((2, 2))])
    model.compile("sgd", "mse", run_eagerly=True)
    train = kcn.with_sample_ids((x, x.reshape(-1, 2, 2))).batch(8)
    recorder = kcn.LossCurveRecorder(record_predictions=True)
    with pytest.raises(ValueError, match="argument `record_predictions`"):
        model.fit(train, callbacks=[recorder], verbose=0)
