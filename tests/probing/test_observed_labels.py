import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet as kcn

N = 8


def record(y, loss, units=3, activation="softmax", label_fn=None, epochs=2):
    """Curves of a tiny model on targets `y`."""
    x, _ = testing_utils.tiny_data(len(y))
    model = testing_utils.tiny_model(units=units, activation=activation)
    model.compile("sgd", loss, run_eagerly=True)
    recorder = kcn.LossCurveRecorder(label_fn=label_fn)
    model.fit(
        kcn.with_sample_ids((x, y)).shuffle(len(y)).batch(3),
        epochs=epochs,
        callbacks=[recorder],
        verbose=0,
    )
    return recorder.loss_curves


LABELS = np.array([0, 1, 2, 2, 1, 0, 1, 1])


@pytest.mark.parametrize(
    "dtype, shape",
    [
        ("int32", (N,)),
        ("int64", (N, 1)),
        ("uint8", (N,)),
        ("float32", (N,)),
        ("float32", (N, 1)),
    ],
)
def test_integers_are_the_class(dtype, shape):
    y = LABELS.astype(dtype).reshape(shape)
    curves = record(y, "sparse_categorical_crossentropy", units=4)
    assert curves.labels.tolist() == LABELS.tolist()
    assert curves.num_classes == 4  # The number of outputs.


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_one_hot_by_argmax(smoothing):
    y = np.eye(3, dtype="float32")[LABELS] * (1 - smoothing) + smoothing / 3
    curves = record(y, "categorical_crossentropy")
    assert curves.labels.tolist() == LABELS.tolist()
    assert curves.num_classes == 3


@pytest.mark.parametrize("low, high", [(0, 1), (0.1, 0.9)])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_binary_by_one_half(low, high, shape):
    classes = np.array([0, 1, 1, 0, 0, 1, 0, 0])
    y = np.where(classes == 1, high, low).astype("float32").reshape(shape)
    curves = record(y, "binary_crossentropy", 1, "sigmoid")
    assert curves.labels.tolist() == classes.tolist()
    assert curves.num_classes == 2


def test_multi_hot_is_one_class():
    y = np.eye(3, dtype="float32")[LABELS]
    y[::2] = [1, 0, 1]
    curves = record(y, "binary_crossentropy", 3, "sigmoid")
    assert curves.labels.tolist() == [0] * N
    assert curves.num_classes == 1


def test_multi_hot_whose_extra_labels_come_late():
    y = np.eye(3, dtype="float32")[LABELS]
    y[-1] = 1
    curves = record(y, "binary_crossentropy", 3, "sigmoid", epochs=3)
    assert curves.labels.tolist() == [0] * N
    assert curves.values.shape == (N, 3)


def test_multi_hot_goes_on_in_another_recorder(tmp_path):
    x, _ = testing_utils.tiny_data(N)
    y = np.eye(3, dtype="float32")[LABELS]
    y[-1] = 1  # The first batches look one-hot.
    model = testing_utils.tiny_model(activation="sigmoid")
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    data = kcn.with_sample_ids((x, y)).batch(2)
    for epoch in range(2):
        recorder = kcn.LossCurveRecorder(tmp_path / "curves.npz")
        model.fit(
            data,
            epochs=epoch + 1,
            initial_epoch=epoch,
            callbacks=[recorder],
            verbose=0,
        )
    curves = recorder.loss_curves
    assert curves.values.shape == (N, 2)
    assert curves.num_classes == 1


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_label_fn(dtype):
    y = np.eye(3, dtype="float32")[LABELS]
    y[:, 0] = 1
    curves = record(
        y,
        "binary_crossentropy",
        3,
        "sigmoid",
        label_fn=lambda y: tf.cast(tf.reduce_sum(y, axis=-1) - 1, dtype),
    )
    assert curves.labels.tolist() == (LABELS > 0).astype(int).tolist()
    assert curves.num_classes == 2


def test_label_fn_of_several_outputs():
    x, y = testing_utils.tiny_data(N)
    inputs = keras.Input((testing_utils.NUM_INPUTS,))
    model = keras.Model(
        inputs,
        {
            "class": keras.layers.Dense(3)(inputs),
            "size": keras.layers.Dense(1)(inputs),
        },
    )
    loss = {"class": testing_utils.sparse_loss(), "size": "mse"}
    model.compile("sgd", loss, run_eagerly=True)
    recorder = kcn.LossCurveRecorder(label_fn=lambda y: y["class"])
    targets = {"class": y, "size": x[:, 0]}
    model.fit(
        kcn.with_sample_ids((x, targets)).batch(4),
        callbacks=[recorder],
        verbose=0,
    )
    np.testing.assert_array_equal(recorder.loss_curves.labels, y)


# --- Errors ------------------------------------------------------------------


@pytest.mark.parametrize(
    "label_fn, match",
    [
        (lambda y: tf.cast(y, tf.float32), "Received: float32 of shape"),
        (lambda y: tf.one_hot(y, 3, dtype=tf.int32), "int32 of shape .*, 3"),
        (lambda y: tf.constant(0), r"Received: int32 of shape \(\)"),
        (lambda y: y > 0, "Received: bool of shape"),
    ],
)
def test_label_fn_that_gives_no_classes(label_fn, match):
    with pytest.raises(ValueError, match=f"`label_fn`.*{match}"):
        record(LABELS, "sparse_categorical_crossentropy", label_fn=label_fn)


def test_label_fn_of_another_length():
    with pytest.raises(ValueError, match="`label_fn`"):
        record(
            LABELS,
            "sparse_categorical_crossentropy",
            label_fn=lambda y: tf.zeros([1], tf.int32),
        )


def test_label_fn_that_is_no_function():
    with pytest.raises(TypeError, match="Received: label_fn='class'"):
        kcn.LossCurveRecorder(label_fn="class")


def test_negative_label_of_label_fn():
    with pytest.raises(ValueError, match=r"Received: 2 target\(s\)"):
        record(
            LABELS,
            "sparse_categorical_crossentropy",
            label_fn=lambda y: tf.cast(y, tf.int32) - 1,
        )


def mean_squared_error_of_index(y_true, y_pred):
    """A loss that takes any target of shape (batch, 1) for any outputs."""
    return tf.reduce_mean(tf.square(tf.cast(y_true, tf.float32) - y_pred), -1)


def test_labels_that_are_not_integral():
    y = LABELS.astype("float32")[:, np.newaxis]
    y[3:5] += 0.5
    with pytest.raises(ValueError, match=r"Received: 2 target\(s\) of another"):
        record(y, mean_squared_error_of_index)


@pytest.mark.parametrize("label", [-1, 3, 7])
def test_labels_out_of_range_for_a_tolerant_loss(label):
    y = LABELS[:, np.newaxis].copy()
    y[5] = label
    with pytest.raises(ValueError, match=r"Received: 1 target\(s\) of another"):
        record(y, mean_squared_error_of_index)


@pytest.mark.parametrize("label", [-1, 3])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_labels_out_of_range(label, activation):
    y = LABELS.copy()
    y[5] = label
    loss = testing_utils.sparse_loss(from_logits=activation is None)
    with pytest.raises(ValueError, match="[Rr]eceived"):
        record(y, loss, activation=activation)


@pytest.mark.parametrize("target", [-0.5, 2.0, np.nan])
def test_binary_targets_out_of_range(target):
    y = np.array([0, 1, 1, 0, 0, 1, 0, target], "float32")
    with pytest.raises(ValueError, match=r"Received: 1 target\(s\) of another"):
        record(y, "mse", 1, None)


def test_regression_targets_name_the_way_out():
    y = np.linspace(-3, 3, N).astype("float32")
    with pytest.raises(ValueError, match="Pass `label_fn`"):
        record(y, "mse", 1, None)
