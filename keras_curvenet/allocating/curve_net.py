"""CurveNet: the network from a loss curve to a sample weight."""

import keras

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.checked_arguments import as_ints
from keras_curvenet.replicas import mean_of_all_replicas

# How much of the running mean of corrections is kept from batch to batch.
_MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="keras_curvenet")
class CurveNet(keras.Model):
    """Maps a sample's loss curve and observed class to a sample weight.

    A small multi-layer perceptron reads the curve, an embedding of the class
    is added twice, and a second one gives the weight, a sigmoid plus a small
    minimum. The last bias starts high, so that all weights start near 1.

    Only the network: it expects curves as `LossCurves.class_centered` prepares
    them. `CurveWeightedModel` makes one of the right size by itself, which
    reads margins beside losses and corrects the label quality.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849), section
    "CurveNet", and the sizes and initializers of the reference code. There all
    weights start near 1; with `corrects_quality` they start at the label
    quality, without which one of five seeds took to raising rare classes, wrong
    labels and all (`benchmarks/EARLIER.md`, "Where the weights start"). Their
    common level is left out since a belief is always closer to what the network
    does than a label: following the meta loss alone, all weights sink
    (`benchmarks/RESULTS.md`, "What CurveNet adds").

    Args:
        num_classes: Int >= 1. Number of classes of the observed labels.
        curve_length: Int >= 1. Number of epochs in a prepared curve; twice
            that where there are margins beside the losses.
        curve_units: Sequence of ints, the layers that read the curve. The
            last is also the embedding's size. Defaults to `(128, 128, 64)`.
        weight_units: Sequence of ints, the layers after the embedding.
            Defaults to `(128, 64)`.
        min_weight: Float >= 0. The smallest weight; the largest is 1 more.
            Defaults to 0.02.
        initial_logit: Float. Where the last bias starts. Defaults to 4.5.
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
            the last float `(batch,)`, the logits that are corrected: those of
            the label quality, or lower.
        training: Bool, whether the batch's mean correction is subtracted, and
            goes into the running mean.

    Returns: float32 `(batch,)`, each in `[min_weight, 1 + min_weight]`.

    Raises:
        ValueError: If a size is not a positive int, or `min_weight` negative.

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
        initial_logit=4.5,
        corrects_quality=False,
        **kwargs,
    ):
        if curve_units in ((), []) or min_weight < 0.0:
            raise ValueError(
                "Invalid value for argument `curve_units` or `min_weight`. "
                "Expected at least one layer and a float >= 0. Received: "
                f"curve_units={curve_units}, min_weight={min_weight}."
            )
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_classes = as_int("num_classes", num_classes, 1)
        self.curve_length = as_int("curve_length", curve_length, 1)
        self.curve_units = as_ints("curve_units", curve_units, 1)
        self.weight_units = as_ints("weight_units", weight_units, 1)
        self.min_weight = float(min_weight)
        self.initial_logit = float(initial_logit)
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
            bias_initializer=keras.initializers.Constant(
                0.0 if corrects_quality else self.initial_logit
            ),
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
