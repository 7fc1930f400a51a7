"""CurveNet: from loss curves to sample weights."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_ints
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.replicas import mean_of_all_replicas

# Where the reference code's last bias starts: at weights of 0.99.
_FIRST_BIAS = 4.5

# Samples whose weights are taken at a time, of all.
_BLOCK = 8192

# How much of the running mean of corrections is kept from batch to batch.
_MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="keras_curvenet")
class CurveNet(keras.Model):
    """Maps a sample's loss curve and observed class to a sample weight.

    A small multi-layer perceptron reads the curve, an embedding of the class
    is added twice, and a second one gives the weight, a sigmoid plus a small
    minimum. Curves are as `LossCurves.class_centered` prepares them.
    `CurveWeightedModel` makes one of the right size by itself.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849), section
    "CurveNet", and the sizes and initializers of the reference code. There all
    weights start near 1; with `corrects_quality` they start at the label
    quality.

    Args:
        num_classes: Int >= 1. Number of classes of the observed labels.
        curve_length: Int >= 1. Number of epochs in a prepared curve; twice
            that for one that reads margins beside the losses.
        curve_units: Sequence of ints, the layers that read the curve. The
            last is also the embedding's size. Defaults to `(128, 128, 64)`.
        weight_units: Sequence of ints, the layers after the embedding.
            Defaults to `(128, 64)`.
        min_weight: Float >= 0. The smallest weight; the largest is 1 more.
            Defaults to 0.02.
        initial_logit: Float, where the last bias starts, or None for 4.5, so
            that weights start near 1. Corrections start at 0.
        corrects_quality: Bool. Whether the network's output is a correction,
            0 at first, of logits that are the third input. Its mean over the
            batch (in inference mode, a running mean) is subtracted: CurveNet
            tells samples apart, and leaves how many labels are wrong to the
            label quality. Defaults to False.
        **kwargs: `name`, `dtype` and `trainable`, as of any Keras model. The
            dtype is float32 by default, whatever the global policy.

    Call arguments:
        inputs: `[curves, labels]`, float32 `(batch, curve_length)` and int
            `(batch,)`; with `corrects_quality` `[curves, labels, start]`,
            the last float `(batch,)`, the logits that are corrected.
        training: Bool, whether the batch's own mean correction is subtracted.

    Returns: float32 `(batch,)`, each in `[min_weight, 1 + min_weight]`.

    Raises:
        ValueError: If a size is not a positive int, `min_weight` is negative,
            or `initial_logit` is given with `corrects_quality`.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    curve_net = kcn.CurveNet(num_classes=10, curve_length=38)
    weights = curve_net([np.zeros((5, 38), "float32"), np.arange(5)])
    ```
    """

    def __init__(
        self,
        num_classes,
        curve_length,
        curve_units=(128, 128, 64),
        weight_units=(128, 64),
        min_weight=0.02,
        initial_logit=None,
        corrects_quality=False,
        **kwargs,
    ):
        if curve_units in ((), []) or min_weight < 0.0:
            raise invalid_value(
                "curve_units` or `min_weight",
                "at least one layer and a float >= 0",
                f"curve_units={curve_units}, min_weight={min_weight}.",
            )
        first_bias = 0.0 if corrects_quality else _FIRST_BIAS
        if initial_logit is not None:
            first_bias = float(initial_logit)
        if corrects_quality and initial_logit is not None:
            raise invalid_value(
                "initial_logit",
                "None with `corrects_quality=True`, where weights start at the "
                "label quality",
                f"initial_logit={initial_logit}. Leave it out.",
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_classes = as_int("num_classes", num_classes, 1)
        self.curve_length = as_int("curve_length", curve_length, 1)
        self.curve_units = as_ints("curve_units", curve_units, 1)
        self.weight_units = as_ints("weight_units", weight_units, 1)
        self.min_weight = float(min_weight)
        self.initial_logit = initial_logit
        self.corrects_quality = bool(corrects_quality)
        dtype = self.dtype_policy
        self.curve_layers = [
            _hidden(units, f"curve_{index}", dtype)
            for index, units in enumerate(self.curve_units)
        ]
        self.class_embedding = keras.layers.Embedding(
            self.num_classes,
            self.curve_units[-1],
            embeddings_initializer="glorot_uniform",
            dtype=dtype,
            name="class_embedding",
        )
        self.weight_layers = [
            _hidden(units, f"weight_{index}", dtype)
            for index, units in enumerate(self.weight_units)
        ]
        self.logit = keras.layers.Dense(
            1,
            kernel_initializer="zeros" if corrects_quality else "glorot_normal",
            bias_initializer=keras.initializers.Constant(first_bias),
            dtype=dtype,
            name="logit",
        )
        inputs = [(None, self.curve_length), (None,), (None,)]
        if corrects_quality:
            self.mean_correction = self.add_weight(
                name="mean_correction",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        self.build(inputs if corrects_quality else inputs[:2])

    def build(self, input_shape):
        size = self.curve_length
        for layer in self.curve_layers:
            layer.build((None, size))
            size = layer.units
        self.class_embedding.build((None,))
        for layer in [*self.weight_layers, self.logit]:
            layer.build((None, size))
            size = layer.units

    def call(self, inputs, training=False):
        features, labels, *start = inputs
        for layer in self.curve_layers:
            features = layer(features)
        features = features + 2.0 * self.class_embedding(labels)
        for layer in self.weight_layers:
            features = layer(features)
        logits = keras.ops.squeeze(self.logit(features), axis=-1)
        if self.corrects_quality:
            logits = start[0] + self._centered(logits, training)
        return keras.ops.sigmoid(logits) + self.min_weight

    def _centered(self, corrections, training):
        """Corrections relative to their mean."""
        if not training:
            return corrections - self.mean_correction
        mean = mean_of_all_replicas(corrections)
        self.mean_correction.assign(
            _MOMENTUM * self.mean_correction + (1.0 - _MOMENTUM) * mean
        )
        return corrections - mean

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "curve_length": self.curve_length,
            "curve_units": list(self.curve_units),
            "weight_units": list(self.weight_units),
            "min_weight": self.min_weight,
            "initial_logit": self.initial_logit,
            "corrects_quality": self.corrects_quality,
        }


def _hidden(units, name, dtype):
    return keras.layers.Dense(
        units,
        activation="relu",
        kernel_initializer="glorot_normal",
        dtype=dtype,
        name=name,
    )


def reads_current_loss(curve_net):
    """Bool: whether a curve net reads each sample's loss in the present step.

    As Meta-Weight-Net does, in place of the curve.
    """
    return getattr(curve_net, "reads_current_loss", False)


def weights_by(curve_net, prepared, losses=None, training=False):
    """Weights `(batch,)` by the present CurveNet.

    Args:
        curve_net: A built model or layer from `[curves, labels]`, or one that
            `corrects_quality` from `[curves, labels, start]`.
        prepared: Tuple `(curves, labels, start)`, rows of `PreparedCurves`.
        losses: Float `(batch,)` of the present step, which stand in for curves
            where a curve net `reads_current_loss`.
        training: Bool.
    """
    curves, labels, start = prepared
    if reads_current_loss(curve_net):
        curves = losses[:, tf.newaxis]
    # A sample that was never seen has no class, and no curve but zeros.
    inputs = [curves, tf.maximum(labels, 0)]
    if getattr(curve_net, "corrects_quality", False):
        return curve_net([*inputs, start], training=training)
    return curve_net(inputs)


def weights_of_all(curve_net, prepared):
    """Float32 array `(num_samples,)`: the weights of all `PreparedCurves`."""
    blocks = [
        [rows[start : start + _BLOCK] for rows in prepared.tables]
        for start in range(0, len(prepared.labels), _BLOCK)
    ]
    weights = [weights_by(curve_net, block).numpy() for block in blocks]
    return np.concatenate(weights).astype(np.float32)


class EffectiveSampleSize(keras.Metric):
    """The share of samples that count: `(sum w)^2 / (n * sum w^2)`.

    1 where all weights are equal, 1 / n where one sample has all the weight.
    """

    def __init__(self, name="effective_sample_size", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_variable((), "zeros", name="count")
        self.total = self.add_variable((), "zeros", name="total")
        self.squares = self.add_variable((), "zeros", name="squares")

    def update_state(self, weights, sample_weight=None):
        weights = keras.ops.cast(weights, self.dtype)
        size = keras.ops.cast(keras.ops.size(weights), self.dtype)
        self.count.assign_add(size)
        self.total.assign_add(keras.ops.sum(weights))
        self.squares.assign_add(keras.ops.sum(keras.ops.square(weights)))

    def result(self):
        return keras.ops.divide_no_nan(
            keras.ops.square(self.total), self.count * self.squares
        )
