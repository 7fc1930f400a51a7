import keras
import numpy as np
import pytest
import tensorflow as tf
import test_loss_curve_recorder as recording
import testing_utils

import keras_curvenet as kcn
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.class_predictions import label_margins
from keras_curvenet.probing.class_predictions import likeliest_classes
from keras_curvenet.probing.class_predictions import predictions_if_told
from keras_curvenet.probing.epoch_record import EpochRecord

N = recording.N
NAN = np.nan
INF = np.inf

# --- Margins of a batch ------------------------------------------------------


def margins_of(y_pred, labels, from_logits, dtype="float32"):
    y_pred = tf.constant(np.array(y_pred), dtype)
    margins = label_margins(y_pred, tf.constant(labels), from_logits)
    assert margins.dtype == tf.float32
    assert margins.shape == (len(labels),)
    return margins.numpy()


def test_logits_by_hand():
    logits = [[1.0, 4.0, 2.5], [1.0, 4.0, 2.5], [-3.0, -3.0, -7.0]]
    margins = margins_of(logits, [1, 0, 0], from_logits=True)
    # 4 - 2.5; 1 - 4; -3 - -3.
    np.testing.assert_array_equal(margins, [1.5, -3.0, 0.0])


def test_probabilities_by_hand():
    probabilities = [[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]
    margins = margins_of(probabilities, [1, 0, 2], from_logits=False)
    # log(0.8 / 0.1), log(0.1 / 0.8), log(0.5 / 0.25).
    np.testing.assert_allclose(margins, np.log([8, 1 / 8, 2]), rtol=1e-6)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_binary_logits_by_hand(shape):
    logits = np.reshape([1.5, 1.5, -2.0, -2.0], shape)
    margins = margins_of(logits, [1, 0, 1, 0], from_logits=True)
    np.testing.assert_array_equal(margins, [1.5, -1.5, -2.0, 2.0])


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_binary_probabilities_by_hand(shape):
    probabilities = np.reshape([0.8, 0.8, 0.5, 0.25], shape)
    margins = margins_of(probabilities, [1, 0, 0, 0], from_logits=False)
    # log(0.8 / 0.2), log(0.2 / 0.8), log(0.5 / 0.5), log(0.75 / 0.25).
    np.testing.assert_allclose(
        margins, np.log([4, 1 / 4, 1, 3]), rtol=1e-5, atol=1e-7
    )


def test_probabilities_are_clipped_at_epsilon():
    largest = -np.log(keras.config.epsilon())
    margins = margins_of([[0.0, 1.0]] * 2, [0, 1], from_logits=False)
    np.testing.assert_allclose(margins, [-largest, largest], rtol=1e-6)
    margins = margins_of([1.0, 1.0], [0, 1], from_logits=False)
    np.testing.assert_allclose(margins, [-largest, largest], rtol=1e-6)


def test_logits_and_their_probabilities_agree():
    logits = np.random.default_rng(0).normal(size=(20, 5))
    labels = np.arange(20) % 5
    margins = margins_of(logits, labels, from_logits=True)
    probabilities = keras.ops.softmax(logits)
    np.testing.assert_allclose(
        margins_of(probabilities, labels, from_logits=False),
        margins,
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_prediction_that_is_not_finite(bad, column, from_logits):
    y_pred = np.full((2, 3), 1 / 3)
    y_pred[0, column] = bad
    margins = margins_of(y_pred, [1, 1], from_logits)
    np.testing.assert_array_equal(margins, [-INF, 0.0])


def test_label_out_of_range_is_no_crash():
    assert margins_of([[1.0, 2.0]] * 2, [-1, 2], from_logits=True).size == 2


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precision_is_computed_in_float32(dtype):
    margins = margins_of([[0.0, 1.0]], [0], False, dtype)
    np.testing.assert_allclose(margins, [np.log(1e-7)], rtol=1e-6)


def test_ids_out_of_range_overwrite_nothing():
    record = EpochRecord(3)
    nothing = np.zeros(3, bool)
    labels = np.zeros(3, "int64")
    for ids, margins in (([0, 1, 2], [1, 2, 3]), ([-1, 1, 3], [7, INF, 9])):
        record.write(
            tf.constant(ids, tf.int64),
            ~nothing,
            tf.zeros(3),
            tf.constant(margins, tf.float32),
            tf.constant([0, 1, 2], tf.int64),
            labels,
            nothing,
            nothing,
            nothing,
        )
    margins, predicted = record.known_predictions(3)
    assert margins.tolist() == [1, -INF, 3]
    assert predicted.tolist() == [0, 1, 2]
    record.clear()
    assert record.known_predictions(3) == (None, None)


# --- Which losses tell -------------------------------------------------------


class OwnLoss(keras.losses.Loss):
    def __init__(self, from_logits=None):
        super().__init__()
        if from_logits is not None:
            self.from_logits = from_logits

    def call(self, y_true, y_pred):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def categorical_crossentropy(y_true, y_pred):
    """No function of Keras, though it has the name of one."""
    return keras.losses.mean_squared_error(y_true, y_pred)


@pytest.mark.parametrize(
    "loss, name",
    [
        ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"),
        ("CategoricalCrossentropy", "categorical_crossentropy"),
        ("CategoricalFocalCrossentropy", "categorical_focal_crossentropy"),
        ("BinaryCrossentropy", "binary_crossentropy"),
        ("BinaryFocalCrossentropy", "binary_focal_crossentropy"),
    ],
)
def test_crossentropies_of_keras(loss, name):
    assert are_logits(getattr(keras.losses, loss)(from_logits=True)) is True
    assert are_logits(getattr(keras.losses, loss)()) is False
    assert are_logits(loss) is False
    assert are_logits(getattr(keras.losses, name)) is False
    assert are_logits(name) is False
    assert are_logits({"output": name}) is False


def test_other_losses_that_tell():
    adjusted = kcn.LogitAdjustedCrossentropy
    assert are_logits(adjusted([1, 2], from_logits=True)) is True
    assert are_logits(adjusted([1, 2])) is False
    assert are_logits(OwnLoss(True)) is True
    assert are_logits(OwnLoss(False)) is False
    for name in ("crossentropy", "ce", "CE", "bce"):
        assert are_logits(name) is False


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "hinge",
        "kl_divergence",
        keras.losses.mean_squared_error,
        keras.losses.CategoricalHinge(),
        OwnLoss(),
        categorical_crossentropy,
        lambda y_true, y_pred: y_pred[:, 0],
    ],
)
def test_losses_that_do_not_tell(loss):
    assert are_logits(loss) is None
    assert predictions_if_told(loss, tf.zeros((2, 3)), tf.zeros(2), 3) == (
        None,
        None,
    )


def test_likeliest_classes_by_hand():
    def classes_of(y_pred, from_logits=False):
        y_pred = tf.constant(y_pred, tf.float32)
        return likeliest_classes(y_pred, from_logits).numpy().tolist()

    assert classes_of([[0.1, 0.8, 0.1], [0.4, 0.2, 0.4]]) == [1, 0]
    assert classes_of([[1.0, NAN], [INF, 1.0], [-5.0, -3.0]]) == [-1, -1, 1]
    # Of one output, by 0.5, as binary targets.
    assert classes_of([0.5, 0.6, NAN]) == [0, 1, -1]
    assert classes_of([[-0.1], [0.1]], from_logits=True) == [0, 1]


# --- Recorded ----------------------------------------------------------------


def expected_margins(model, x, labels):
    """Margins in NumPy, from the logits a model predicts."""
    logits = model.predict(x, verbose=0).astype("float64")
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    rows = np.arange(len(x))
    given = logits[rows, labels]
    logits[rows, labels] = -INF
    return given - logits.max(axis=1)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_equal_to_the_margins_of_model_outputs(steps_per_execution):
    x, y = testing_utils.tiny_data(N)
    model = recording.compiled_model(
        learning_rate=0.0, steps_per_execution=steps_per_execution
    )
    data = recording.train_data().shuffle(N).batch(4)  # 4, 4 and 2.
    curves = recording.record(model, data).loss_curves
    assert curves.margins.dtype == np.float32
    assert curves.margins.shape == (N, 2)
    expected = expected_margins(model, x, y)
    assert (expected > 0).any() and (expected < 0).any()
    assert curves.predicted_classes.dtype == np.int16
    assert_predicted(curves, model, x)
    for epoch in range(2):
        np.testing.assert_allclose(
            curves.margins[:, epoch], expected, rtol=1e-4, atol=1e-5
        )


def assert_predicted(curves, model, x):
    """Asserts the classes of a model whose outputs are logits, at rest."""
    logits = model.predict(x, verbose=0)
    is_binary = logits.shape[1] == 1
    expected = logits[:, 0] > 0 if is_binary else logits.argmax(axis=1)
    assert len(set(expected.tolist())) > 1
    assert curves.predicted_classes.shape == curves.values.shape
    for column in curves.predicted_columns:
        np.testing.assert_array_equal(column, expected)


def record_at_rest(y, loss, units=3, activation=None, label_fn=None):
    """A model that does not learn, and its curves on targets `y`."""
    keras.utils.set_random_seed(0)
    x, _ = testing_utils.tiny_data(len(y))
    model = testing_utils.tiny_model(units=units, activation=activation)
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    data = kcn.with_sample_ids((x, y)).shuffle(len(y)).batch(4)
    recorder = kcn.LossCurveRecorder(label_fn=label_fn)
    return model, recording.record(model, data, recorder).loss_curves


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_one_hot_targets(smoothing):
    x, labels = testing_utils.tiny_data(N)
    y = np.eye(3, dtype="float32")[labels] * (1 - smoothing) + smoothing / 3
    loss = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    model, curves = record_at_rest(y, loss)
    expected = expected_margins(model, x, labels)
    assert_predicted(curves, model, x)
    np.testing.assert_allclose(
        curves.margins[:, 1], expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("from_logits", [False, True])
def test_binary_targets(from_logits, shape):
    x, labels = testing_utils.tiny_data(N, num_classes=2)
    y = labels.reshape(shape).astype("float32")
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    activation = None if from_logits else "sigmoid"
    model, curves = record_at_rest(y, loss, 1, activation)
    model.layers[-1].activation = keras.activations.linear
    model.predict_function = None
    expected = expected_margins(model, x, labels)
    assert_predicted(curves, model, x)
    np.testing.assert_allclose(
        curves.margins[:, 0], expected, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("loss", ["crossentropy", OwnLoss(from_logits=False)])
def test_probabilities_and_integer_targets(loss):
    x, y = testing_utils.tiny_data(N)
    model, curves = record_at_rest(y, loss, activation="softmax")
    model.layers[-1].activation = keras.activations.linear
    model.predict_function = None
    expected = expected_margins(model, x, y)
    assert_predicted(curves, model, x)
    np.testing.assert_allclose(
        curves.margins[:, 0], expected, rtol=1e-3, atol=1e-5
    )


def test_mixed_precision():
    x, y = testing_utils.tiny_data(N)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = testing_utils.tiny_model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(keras.optimizers.SGD(0.0), testing_utils.sparse_loss())
    curves = recording.record(model).loss_curves
    assert curves.margins.dtype == np.float32
    expected = expected_margins(model, x, y)
    np.testing.assert_allclose(curves.margins[:, 0], expected, atol=1e-2)


def test_no_second_forward_pass():
    model = recording.compiled_model()
    model.fit(recording.plain_data().batch(4), verbose=0)
    with testing_utils.count_traces(model) as traces:
        with testing_utils.count_forward_passes(model) as passes:
            recorder = recording.record(model, epochs=3)
    assert recorder.loss_curves.margins.shape == (N, 3)
    assert passes.count == 3 * 3
    assert traces.count == 1


def test_samples_not_seen_have_no_margins():
    data = recording.train_data().batch(4).take(1)
    curves = recording.record(recording.compiled_model(), data).loss_curves
    seen = np.isfinite(curves.margins)
    np.testing.assert_array_equal(seen, np.isfinite(curves.values))
    assert np.isnan(curves.margins[~seen]).all()
    np.testing.assert_array_equal(curves.predicted_classes >= 0, seen)
    assert (curves.predicted_classes[~seen] == -1).all()
    assert seen.sum() == 2 * 4


def test_samples_whose_predictions_are_not_finite():
    x, y = testing_utils.tiny_data(N)
    x[2] = NAN
    data = kcn.with_sample_ids((x, y)).batch(N)
    with recording.warns("was not finite"):
        curves = recording.record(
            recording.compiled_model(), data, epochs=1
        ).loss_curves
    assert np.isneginf(curves.margins[2]).all()
    np.testing.assert_array_equal(
        np.flatnonzero(curves.predicted_classes < 0), [2]
    )
    assert np.isfinite(np.delete(curves.margins, 2, axis=0)).all()


def test_label_fn_has_no_margins():
    _, y = testing_utils.tiny_data(N)
    loss = testing_utils.sparse_loss()
    _, curves = record_at_rest(y, loss, label_fn=lambda y: y)
    assert curves.margins is None
    assert curves.predicted_classes is None


def test_regression_has_no_margins():
    _, y = testing_utils.tiny_data(N)
    _, curves = record_at_rest(np.eye(3, dtype="float32")[y], "mse")
    assert curves.margins is None
    assert curves.predicted_classes is None


@pytest.mark.parametrize("extra", [slice(None, None, 2), slice(-1, None)])
def test_multi_hot_has_no_margins(extra):
    _, labels = testing_utils.tiny_data(N)
    y = np.eye(3, dtype="float32")[labels]
    y[extra] = 1
    _, curves = record_at_rest(y, "bce", activation="sigmoid")
    assert curves.num_classes == 1
    assert curves.margins is None


def test_dataset_that_turns_out_multi_hot_later_loses_its_margins():
    _, labels = testing_utils.tiny_data(N)
    y = np.eye(3, dtype="float32")[labels]
    y[-1] = 1
    model = testing_utils.tiny_model(activation="sigmoid")
    model.compile("sgd", "bce", run_eagerly=True)
    x, _ = testing_utils.tiny_data(N)
    data = kcn.with_sample_ids((x, y)).repeat().batch(5)
    recorder = kcn.LossCurveRecorder()
    known = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: shapes.append(
            np.shape(recorder.loss_curves.margins)
            + np.shape(recorder.loss_curves.predicted_classes)
        )
    )
    shapes = []
    recording.record(
        model, data, recorder, epochs=3, steps_per_epoch=1, callbacks=[known]
    )
    assert shapes == [(N, 1, N, 1), (), ()]
    assert recorder.loss_curves.num_epochs == 3


def test_positions_have_no_margins():
    x, _ = testing_utils.tiny_data(N)
    layers = [keras.layers.Dense(4), keras.layers.Reshape((2, 2))]
    model = keras.Sequential(layers)
    model.compile("sgd", testing_utils.sparse_loss(), run_eagerly=True)
    y = np.zeros((N, 2), "int32")
    data = kcn.with_sample_ids((x, y)).batch(4)
    assert recording.record(model, data).loss_curves.margins is None


def test_several_outputs_have_no_margins():
    x, y = testing_utils.tiny_data(N)
    inputs = keras.Input((testing_utils.NUM_INPUTS,))
    outputs = [keras.layers.Dense(3)(inputs) for _ in range(2)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", [testing_utils.sparse_loss()] * 2, run_eagerly=True)
    data = kcn.with_sample_ids((x, (y, y))).batch(4)
    assert recording.record(model, data).loss_curves.margins is None
