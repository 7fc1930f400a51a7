import keras
import numpy as np
import pytest
import tensorflow as tf
import testing_utils

import keras_curvenet as kcn

N = 10


def record(model, x, y, sample_weight=None, batch_size=4, label_fn=None):
    """Curves of one epoch at learning rate 0 or whatever was compiled."""
    data = (x, y) if sample_weight is None else (x, y, sample_weight)
    dataset = kcn.with_sample_ids(data)
    recorder = kcn.LossCurveRecorder(label_fn=label_fn)
    model.fit(dataset.batch(batch_size), callbacks=[recorder], verbose=0)
    return recorder.loss_curves


def compiled(model, loss, run_eagerly=True, **kwargs):
    model.compile(
        keras.optimizers.SGD(0.0), loss, run_eagerly=run_eagerly, **kwargs
    )
    return model


def one_class(y):
    return tf.zeros(tf.shape(y)[:1], tf.int32)


def probabilities_of(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


# --- Categorical -------------------------------------------------------------

SPARSE = {
    "string": "sparse_categorical_crossentropy",
    "function": keras.losses.sparse_categorical_crossentropy,
    "instance": keras.losses.SparseCategoricalCrossentropy(),
    "auto": "crossentropy",
    "abbreviation": "ce",
    "in a list": ["sparse_categorical_crossentropy"],
    "sum": keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
    "unreduced mean": keras.losses.SparseCategoricalCrossentropy(
        reduction="mean_with_sample_weight"
    ),
}


@pytest.mark.parametrize(
    "name, shape", [("string", "(n, 1)"), *((name, "(n,)") for name in SPARSE)]
)
def test_sparse_categorical(name, shape):
    x, y = testing_utils.tiny_data(N)
    model = testing_utils.tiny_model(activation="softmax")
    probabilities = model.predict(x, verbose=0)
    targets = y if shape == "(n,)" else y[:, np.newaxis]
    curves = record(compiled(model, SPARSE[name]), x, targets)
    expected = -np.log(probabilities[np.arange(N), y])
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, y)
    assert curves.num_classes == 3


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_crossentropy",
        keras.losses.categorical_crossentropy,
        keras.losses.CategoricalCrossentropy(),
        "crossentropy",
    ],
)
def test_one_hot_categorical(loss):
    x, y = testing_utils.tiny_data(N)
    model = testing_utils.tiny_model(activation="softmax")
    probabilities = model.predict(x, verbose=0)
    targets = keras.utils.to_categorical(y, 3)
    curves = record(compiled(model, loss), x, targets)
    expected = -np.log(probabilities[np.arange(N), y])
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, y)


@pytest.mark.parametrize("is_sparse", [True, False])
def test_categorical_from_logits(is_sparse):
    x, y = testing_utils.tiny_data(N)
    model = testing_utils.tiny_model()
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    if is_sparse:
        loss, targets = testing_utils.sparse_loss(), y
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        targets = keras.utils.to_categorical(y, 3)
    curves = record(compiled(model, loss), x, targets)
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


# --- Binary ------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy",
        keras.losses.binary_crossentropy,
        keras.losses.BinaryCrossentropy(),
        "crossentropy",
    ],
)
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_binary(loss, shape):
    x, y = testing_utils.tiny_data(N, num_classes=2)
    model = testing_utils.tiny_model(units=1, activation="sigmoid")
    p = model.predict(x, verbose=0)[:, 0]
    targets = y.reshape(shape).astype("float32")
    curves = record(compiled(model, loss), x, targets)
    expected = -np.log(np.where(y == 1, p, 1 - p))
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, y)
    assert curves.num_classes == 2


def test_binary_from_logits():
    x, y = testing_utils.tiny_data(N, num_classes=2)
    model = testing_utils.tiny_model(units=1)
    logits = model.predict(x, verbose=0)[:, 0]
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    curves = record(compiled(model, loss), x, y)
    expected = np.log1p(np.exp(np.where(y == 1, -logits, logits)))
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


def test_loss_options_are_kept():
    x, y = testing_utils.tiny_data(N)
    model = testing_utils.tiny_model()
    p = probabilities_of(model.predict(x, verbose=0))
    smoothed = 0.7 * np.eye(3)[y] + 0.3 / 3
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.3
    )
    curves = record(compiled(model, loss), x, np.eye(3)[y].astype("float32"))
    expected = -(smoothed * np.log(p)).sum(axis=-1)
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


def test_custom_loss_function_and_class():
    def squared(y_true, y_pred):
        return tf.square(y_true - y_pred)  # One value per sample and output.

    class Squared(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return squared(y_true, y_pred)

    x, _ = testing_utils.tiny_data(N)
    y = x[:, :3] * 2
    for loss in (squared, Squared()):
        model = testing_utils.tiny_model()
        expected = np.mean((y - model.predict(x, verbose=0)) ** 2, axis=-1)
        curves = record(compiled(model, loss), x, y, label_fn=one_class)
        np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


# --- Which value: before the update, unweighted, without regularization ------


def linear_model(learning_rate):
    model = keras.Sequential(
        [keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_loss_is_that_before_the_update(steps_per_execution):
    x = np.array([[1.0], [2.0], [1.0]], "float32")
    y = np.array([[1.0], [2.0], [0.0]], "float32")
    model = linear_model(0.1)
    model.steps_per_execution = steps_per_execution
    curves = record(model, x, y, batch_size=1, label_fn=one_class)
    # Loss (w x - y)^2, gradient 2 x (w x - y), w <- w - 0.1 * gradient.
    # w = 0.00: loss (0.0 - 1)^2 = 1.0000, gradient -2.0
    # w = 0.20: loss (0.4 - 2)^2 = 2.5600, gradient -6.4
    # w = 0.84: loss (0.84 - 0)^2 = 0.7056
    np.testing.assert_allclose(
        curves.values[:, 0], [1.0, 2.56, 0.7056], rtol=1e-5
    )


def test_loss_is_unweighted_and_training_is_weighted():
    x = np.array([[1.0], [2.0]], "float32")
    y = np.array([[1.0], [2.0]], "float32")
    model = linear_model(0.1)
    weights = np.array([0.5, 3.0], "float32")
    curves = record(model, x, y, weights, batch_size=1, label_fn=one_class)
    # w = 0.0: loss 1, weighted gradient 0.5 * -2 = -1
    # w = 0.1: loss (0.2 - 2)^2 = 3.24, weighted 3 * 2 * 2 * -1.8 = -21.6
    np.testing.assert_allclose(curves.values[:, 0], [1.0, 3.24], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], [[2.26]], rtol=1e-5)


def test_weight_of_zero_still_records_the_loss():
    x, y = testing_utils.tiny_data(N)
    model = compiled(testing_utils.tiny_model(), testing_utils.sparse_loss())
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    curves = record(model, x, y, np.zeros(N, "float32"))
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


def test_regularization_is_left_out():
    x, y = testing_utils.tiny_data(N)
    model = keras.Sequential(
        [
            keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(9)),
            keras.layers.ActivityRegularization(l1=5.0),
        ]
    )
    expected = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    compiled(model, testing_utils.sparse_loss())
    curves = record(model, x, y)
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


def test_training_mode_of_batch_normalization():
    x, y = testing_utils.tiny_data(N)
    model = keras.Sequential(
        [
            keras.Input((testing_utils.NUM_INPUTS,)),
            keras.layers.BatchNormalization(epsilon=1e-3),
            keras.layers.Dense(3),
        ]
    )
    compiled(model, testing_utils.sparse_loss())
    inference = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    normalized = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)
    kernel, bias = model.layers[-1].get_weights()
    training = testing_utils.cross_entropy(normalized @ kernel + bias, y)
    values = record(model, x, y, batch_size=N).values[:, 0]
    np.testing.assert_allclose(values, training, rtol=1e-3)
    assert np.abs(values - inference).max() > 0.01


def test_dropout_mask_is_that_of_the_training_step():
    keras.utils.set_random_seed(0)
    x, y = testing_utils.tiny_data(N)
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    compiled(model, testing_utils.sparse_loss())
    recorder = kcn.LossCurveRecorder()
    history = model.fit(
        kcn.with_sample_ids((x, y)).batch(N),
        epochs=3,
        callbacks=[recorder],
        verbose=0,
    )
    values = recorder.loss_curves.values
    assert np.ptp(values, axis=1).max() > 0.01
    np.testing.assert_allclose(
        values.mean(axis=0), history.history["loss"], rtol=1e-5
    )


def test_mixed_float16():
    earlier = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = testing_utils.tiny_model()
        compiled(model, testing_utils.sparse_loss())
    finally:
        keras.config.set_dtype_policy(earlier)
    x, y = testing_utils.tiny_data(N)
    logits = model.predict(x, verbose=0)
    assert logits.dtype == np.float16
    values = record(model, x, y).values
    assert values.dtype == np.float32
    expected = testing_utils.cross_entropy(logits, y)
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-2)


# --- Positions ---------------------------------------------------------------

STEPS = 4


def token_data():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 6, size=(N, STEPS)).astype("int32")
    for sample in range(N):
        x[sample, 1 + sample % STEPS :] = 0  # Padding, 0 to 3 positions.
    y = rng.integers(3, size=(N, STEPS)).astype("int32")
    return x, y


def token_model(mask_zero):
    return keras.Sequential(
        [
            keras.Input((STEPS,), dtype="int32"),
            keras.layers.Embedding(6, 3, mask_zero=mask_zero),
            keras.layers.LSTM(3, return_sequences=True),
            keras.layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("mask_zero", [False, True])
def test_mean_over_unmasked_positions(mask_zero):
    x, y = token_data()
    model = compiled(token_model(mask_zero), testing_utils.sparse_loss())
    losses = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    mask = (x != 0) if mask_zero else np.ones_like(x)
    curves = record(model, x, y)
    expected = (losses * mask).sum(axis=1) / mask.sum(axis=1)
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, 0)
    assert curves.num_classes == 1


@pytest.mark.parametrize("mask_zero", [False, True])
def test_training_on_positions_is_as_without_ids(mask_zero):
    x, y = token_data()
    models = []
    for with_ids in (False, True):
        keras.utils.set_random_seed(0)
        model = token_model(mask_zero)
        model.compile(
            keras.optimizers.SGD(0.5),
            testing_utils.sparse_loss(),
            run_eagerly=True,
        )
        if with_ids:
            record(model, x, y)
        else:
            model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        models.append(model)
    for plain, recorded in zip(
        models[0].get_weights(), models[1].get_weights(), strict=True
    ):
        np.testing.assert_allclose(plain, recorded, rtol=1e-6, atol=1e-7)


def test_images_of_classes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2, 3, 1)).astype("float32")
    y = rng.integers(3, size=(N, 2, 3)).astype("int32")
    model = keras.Sequential([keras.layers.Conv2D(3, 1)])
    losses = testing_utils.cross_entropy(model.predict(x, verbose=0), y)
    curves = record(compiled(model, testing_utils.sparse_loss()), x, y)
    np.testing.assert_allclose(
        curves.values[:, 0], losses.mean(axis=(1, 2)), rtol=1e-4
    )


# --- Several inputs and outputs ----------------------------------------------


def two_headed_model(num_inputs, structure):
    inputs = [
        keras.Input((testing_utils.NUM_INPUTS,), name=name)
        for name in ("left", "right")[:num_inputs]
    ]
    joined = (
        keras.layers.Concatenate()(inputs) if num_inputs == 2 else inputs[0]
    )
    heads = [
        keras.layers.Dense(3, name="class")(joined),
        keras.layers.Dense(2, name="size")(joined),
    ]
    if structure == "dict":
        inputs = {tensor.name: tensor for tensor in inputs}
        heads = dict(zip(("class", "size"), heads, strict=True))
    return keras.Model(inputs, heads)


@pytest.mark.parametrize("structure", ["list", "dict"])
@pytest.mark.parametrize("loss_weights", [None, (0.25, 2.0)])
def test_several_inputs_and_outputs(structure, loss_weights):
    x, y = testing_utils.tiny_data(N)
    size = x[:, :2] * 3
    if structure == "dict":
        inputs = {"left": x, "right": 2 * x}
        targets = {"class": y, "size": size}
        losses = {"class": testing_utils.sparse_loss(), "size": "mse"}
        weights = loss_weights and dict(
            zip(("class", "size"), loss_weights, strict=True)
        )
    else:
        inputs, targets = [x, 2 * x], [y, size]
        losses = [testing_utils.sparse_loss(), "mse"]
        weights = loss_weights and list(loss_weights)
    model = two_headed_model(2, structure)
    compiled(model, losses, loss_weights=weights)
    predictions = model.predict(inputs, verbose=0)
    if structure == "dict":
        predictions = [predictions["class"], predictions["size"]]
    first, second = loss_weights or (1.0, 1.0)
    expected = first * testing_utils.cross_entropy(predictions[0], y)
    expected += second * ((predictions[1] - size) ** 2).mean(axis=1)
    curves = record(model, inputs, targets)
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)
    np.testing.assert_array_equal(curves.labels, 0)
    assert curves.num_classes == 1


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
def test_output_without_a_loss():
    x, y = testing_utils.tiny_data(N)
    model = two_headed_model(1, "dict")
    compiled(model, {"class": testing_utils.sparse_loss(), "size": None})
    logits = model.predict({"left": x}, verbose=0)["class"]
    expected = testing_utils.cross_entropy(logits, y)
    targets = {"class": y, "size": x[:, :2]}
    curves = record(model, {"left": x}, targets)
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


def test_outputs_of_different_rank():
    x, y = testing_utils.tiny_data(N)
    inputs = keras.Input((testing_utils.NUM_INPUTS,))
    steps = keras.layers.Reshape((2, 2))(inputs)
    model = keras.Model(
        inputs,
        [keras.layers.Dense(3)(inputs), keras.layers.Dense(3)(steps)],
    )
    compiled(model, [testing_utils.sparse_loss()] * 2)
    labels = np.stack([y, (y + 1) % 3], axis=1)
    logits = model.predict(x, verbose=0)
    expected = testing_utils.cross_entropy(logits[0], y)
    expected += testing_utils.cross_entropy(logits[1], labels).mean(axis=1)
    curves = record(model, x, [y, labels])
    np.testing.assert_allclose(curves.values[:, 0], expected, rtol=1e-4)


# --- What cannot work --------------------------------------------------------


def scalar(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))


def single_value(y_true, y_pred):
    return tf.reshape(scalar(y_true, y_pred), [1])


def mean_over_the_batch(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred), axis=0)


def keeps_all_axes(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred), keepdims=True)


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize(
    "loss, shape",
    [
        (scalar, r"\(\)"),
        (single_value, r"\(1,\)"),
        (keeps_all_axes, r"\(1, 1\)"),
        (mean_over_the_batch, r"\(3,\)"),
    ],
)
def test_loss_without_a_value_per_sample(loss, shape, drop_remainder):
    x, _ = testing_utils.tiny_data(N)
    model = compiled(testing_utils.tiny_model(), loss)
    dataset = kcn.with_sample_ids((x, x[:, :3]))
    recorder = kcn.LossCurveRecorder(label_fn=one_class)
    with pytest.raises(ValueError, match=f"Received: values of shape {shape}"):
        model.fit(
            dataset.batch(4, drop_remainder=drop_remainder),
            callbacks=[recorder],
            verbose=0,
        )


def test_model_without_a_loss():
    model = testing_utils.tiny_model()
    model.compile("sgd")
    with pytest.raises(ValueError, match=f"Received: model '{model.name}' wi"):
        record(model, *testing_utils.tiny_data(N))
