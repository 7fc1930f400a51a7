"""Small models, data and curve nets that the allocating tests share."""

import warnings

import keras
import numpy as np
import tensorflow as tf

import keras_curvenet as kcn

NUM_SAMPLES = 24
NUM_CLASSES = 3
BATCH_SIZE = 8
SPARSE_LOSS = "sparse_categorical_crossentropy"


def arrays(num_samples=NUM_SAMPLES, seed=0):
    """Features `(n, 4)` and integer labels of three classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_samples, 4)).astype("float32")
    return x, np.arange(num_samples, dtype="int32") % NUM_CLASSES


def loss_curves(labels=None, num_epochs=6, num_classes=NUM_CLASSES):
    if labels is None:
        labels = arrays()[1]
    values = np.random.default_rng(1).uniform(size=(len(labels), num_epochs))
    return kcn.LossCurves(values, labels, num_classes)


def curves_with_wrong_labels(late_likelihood):
    """Of each class two labels look wrong, of likelihood 0.1, and this late."""
    labels = arrays()[1]
    looks_wrong = np.arange(NUM_SAMPLES) < 2 * NUM_CLASSES
    likelihoods = np.where(looks_wrong, 0.1, 0.7)[:, np.newaxis].repeat(20, 1)
    likelihoods[looks_wrong, 15:] = late_likelihood
    margins = np.where(looks_wrong, -4.0, 4.0)[:, np.newaxis].repeat(20, 1)
    return kcn.LossCurves(-np.log(likelihoods), labels, NUM_CLASSES, margins)


def meta_arrays():
    return arrays(6, seed=2)


def meta_dataset():
    """The meta set in one batch, always in the same order."""
    return tf.data.Dataset.from_tensor_slices(meta_arrays()).batch(6)


def with_ids(data=None, batch_size=BATCH_SIZE):
    """Batches with sample ids, always in the same order."""
    return kcn.with_sample_ids(data or arrays()).batch(batch_size)


def curve_net(**kwargs):
    arguments = {
        "num_classes": NUM_CLASSES,
        "curve_length": 6,
        "curve_units": (4,),
        "weight_units": (3,),
        "initial_logit": None if kwargs.get("corrects_quality") else 0.5,
    }
    return kcn.CurveNet(**{**arguments, **kwargs})


def sequential():
    return keras.Sequential(
        [keras.Input((4,)), *_hidden_layers(), _softmax()], name="sequential"
    )


def functional():
    x = outputs = keras.Input((4,))
    for layer in _hidden_layers():
        outputs = layer(outputs)
    return keras.Model(x, _softmax()(outputs), name="functional")


@keras.saving.register_keras_serializable(package="tiny_models")
class Subclassed(keras.Model):
    """The same layers once more, as a subclassed model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = _hidden_layers()
        self.softmax = _softmax()

    def build(self, input_shape):
        for layer in [*self.hidden, self.softmax]:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        for layer in self.hidden:
            inputs = layer(inputs)  # Keras hands `training` on.
        return self.softmax(inputs)


def subclassed():
    model = Subclassed(name="subclassed")
    model.build((None, 4))
    return model


def two_outputs():
    """Two outputs, of different kinds, from one hidden layer."""
    x = keras.Input((4,))
    hidden = keras.layers.Dense(5, activation="tanh", name="hidden")(x)
    label = keras.layers.Dense(3, activation="softmax", name="label")(hidden)
    size = keras.layers.Dense(1, name="size")(hidden)
    return keras.Model(x, {"label": label, "size": size}, name="two_outputs")


def masked_sequence():
    """One class for every position; id 0 is padding, and masked."""
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(7, 4, mask_zero=True),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ],
        name="masked_sequence",
    )


def linear(units=3, use_bias=False):
    """One Dense layer that starts at zero."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(
                units, use_bias=use_bias, kernel_initializer="zeros"
            ),
        ],
        name="linear",
    )


@keras.saving.register_keras_serializable(package="tiny_models")
class WeightByClass(keras.layers.Layer):
    """A curve net that only looks at the class: one weight for each.

    Args:
        class_weights: Floats, the weights to start from.
    """

    def __init__(self, class_weights, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.class_weights = [float(weight) for weight in class_weights]
        self.table = self.add_weight(
            shape=(len(self.class_weights),),
            initializer=lambda shape, dtype: tf.constant(
                self.class_weights, dtype
            ),
            name="table",
        )
        self.built = True

    def call(self, inputs):
        _, labels = inputs
        return keras.ops.take(self.table, labels, axis=0)

    def get_config(self):
        return {**super().get_config(), "class_weights": self.class_weights}


def constant_curve_net(class_weights=(1.0, 1.0, 1.0)):
    """A curve net without anything to learn."""
    return WeightByClass(class_weights, trainable=False)


class WeightByCurve(keras.layers.Layer):
    """A curve net without variables: the sigmoid of the curve's first loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs):
        return keras.ops.sigmoid(inputs[0][:, 0])


def two_layer_model():
    """No normalization, no Dropout: fast to trace."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ],
        name="two_layer_model",
    )


def caught_warnings(function, *args, **kwargs):
    """Messages of all warnings that a call makes, those of Keras too."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        function(*args, **kwargs)
    return [str(warning.message) for warning in record]


def values_of(variables):
    return [variable.numpy() for variable in variables]


def assert_all_close(actual, expected, tolerance=1e-6):
    assert len(actual) == len(expected) > 0
    for left, right in zip(actual, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def assert_all_equal(actual, expected):
    assert len(actual) == len(expected) > 0
    for left, right in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(left, right)


def _hidden_layers():
    return [
        keras.layers.Dense(
            6, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.05)
        ),
        keras.layers.BatchNormalization(momentum=0.8),
        keras.layers.Activation("tanh"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(5, activation="tanh", name="middle"),
        keras.layers.Dropout(0.2),
    ]


def _softmax():
    return keras.layers.Dense(NUM_CLASSES, activation="softmax", name="head")
