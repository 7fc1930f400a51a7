"""Logit adjustment: what the frequencies of classes do to a loss."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.checked_arguments import as_float
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.class_predictions import class_columns
from keras_curvenet.replicas import sum_of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas


@keras.saving.register_keras_serializable(package="keras_curvenet")
class LogitAdjustedCrossentropy(keras.losses.Loss):
    """Crossentropy of logits to which the classes' log frequencies are added.

    A network trained with it has to tell the classes apart beyond their
    frequencies, so that its own predictions, to which nothing is added, do not
    favour frequent classes. With wrong labels, the frequencies of the right
    ones count: `estimate_class_counts`.

    For ordinary training. A `CurveWeightedModel` adjusts a plain crossentropy
    by itself, and uses these counts where it is compiled with this loss.

    Reference: [Menon et al., 2021](https://arxiv.org/abs/2007.07314).

    Args:
        class_counts: Number (or frequency) of each class's training samples
            with right labels, `(num_classes,)`, each >= 0. Zero counts as the
            smallest other one.
        from_logits: Bool. Whether predictions are logits, not probabilities.
            Defaults to False.
        temperature: Float >= 0, the factor of the log frequencies. With 0 this
            is the plain crossentropy. Defaults to 1.0.
        reduction, name, dtype: As of any Keras loss.

    Call arguments:
        y_true: Int `(batch,)` or `(batch, 1)`, classes; or float `(batch,
            num_classes)`, one-hot.
        y_pred: Float `(batch, num_classes)`; for two classes `(batch, 1)` too.

    Raises:
        ValueError: If counts are not at least two numbers >= 0 with a positive
            one among them, or `temperature` is negative.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    loss = kcn.LogitAdjustedCrossentropy([900, 100], from_logits=True)
    loss(np.array([1]), np.zeros((1, 2)))  # -log(0.1)
    ```
    """

    def __init__(
        self,
        class_counts,
        from_logits=False,
        temperature=1.0,
        reduction="sum_over_batch_size",
        name="logit_adjusted_crossentropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        try:
            counts = np.asarray(class_counts, dtype=np.float64)
        except (TypeError, ValueError):
            counts = np.full(1, np.nan)  # Refused in a moment.
        are_counts = np.isfinite(counts).all() and (counts >= 0.0).all()
        are_counts = are_counts and counts.any()
        if counts.ndim != 1 or counts.size < 2 or not are_counts:
            raise invalid_value(
                "class_counts",
                "one number >= 0 for each of two or more classes, not all zero",
                f"class_counts={class_counts}.",
            )
        as_float("temperature", temperature, lambda t: t >= 0.0, "a float >= 0")
        self.class_counts = counts.tolist()
        self.from_logits = from_logits
        self.temperature = float(temperature)
        self._log_frequencies = temperature * log_frequencies(counts)

    @property
    def log_frequencies(self):
        """Float64 `(num_classes,)`: what is added to the logits."""
        return self._log_frequencies

    def call(self, y_true, y_pred):
        is_binary = len(y_pred.shape) == 1 or y_pred.shape[-1] == 1
        num_classes = 2 if is_binary else y_pred.shape[-1]
        if num_classes != len(self.class_counts):
            raise invalid_value(
                "class_counts",
                f"a count for each of the model's {num_classes} classes",
                f"{len(self.class_counts)} counts.",
            )
        y_pred = adjusted_predictions(
            y_pred, self._log_frequencies, self.from_logits
        )
        if is_binary:
            y_true = keras.ops.reshape(y_true, (-1, 1))
            y_pred = keras.ops.reshape(y_pred, (-1, 1))
            loss = keras.losses.binary_crossentropy
        elif len(y_true.shape) == 2 and y_true.shape[1] == num_classes:
            loss = keras.losses.categorical_crossentropy
        else:
            loss = keras.losses.sparse_categorical_crossentropy
        return loss(y_true, y_pred, from_logits=self.from_logits)

    def without_adjustment(self):
        """The same loss for balanced data: the plain crossentropy."""
        return self.from_config({**self.get_config(), "temperature": 0.0})

    def get_config(self):
        return {
            **super().get_config(),
            "class_counts": self.class_counts,
            "from_logits": self.from_logits,
            "temperature": self.temperature,
        }


def without_adjustment(loss):
    """The loss, or losses in any structure, without logit adjustment."""

    def unadjusted(part):
        if isinstance(part, LogitAdjustedCrossentropy):
            return part.without_adjustment()
        return part

    return keras.tree.map_structure(unadjusted, loss)


def log_frequencies(counts):
    """Float64 `(num_classes,)`: logarithms of the shares of all samples.

    Args:
        counts: Float `(num_classes,)`, at least one > 0. Zero counts as the
            smallest other one.
    """
    counts = np.where(counts > 0.0, counts, counts[counts > 0.0].min())
    return np.log(counts / counts.sum())


def estimated_log_frequencies(start, labels, num_classes, own_weights):
    """Float64 `(num_classes,)`: those of the weights at the start.

    Args:
        start: Float `(num_samples,)`, logits at which weights start.
        labels: Int `(num_samples,)`, -1 for samples of no class.
        num_classes: Int.
        own_weights: Float `(num_samples,)`, the user's, by which samples count.
    """
    weights = own_weights / (1.0 + np.exp(-start.astype(np.float64)))
    known = labels >= 0
    return log_frequencies(
        np.bincount(labels[known], weights[known], num_classes)
    )


class ClassFrequencies:
    """Log frequencies of the classes, those of the targets trained on.

    A network's predictions follow the frequencies of its targets. Where these
    are labels and predictions mixed, each epoch counts them for the next.

    Args:
        logarithms: Float `(num_classes,)`, to start from.
        follows_targets: Bool. Whether they change.

    Attributes:
        logarithms: Float32 variable `(num_classes,)`.
        num_classes: Int.
        follows_targets: As given.
    """

    def __init__(self, logarithms, follows_targets):
        self.logarithms = variable_of_all_replicas(
            tf.cast(logarithms, tf.float32)
        )
        self.num_classes = len(logarithms)
        self.follows_targets = follows_targets
        self._counts = variable_of_all_replicas(tf.zeros_like(self.logarithms))

    @property
    def variables(self):
        """List of the variables that hold them."""
        return [self.logarithms, self._counts]

    def count(self, targets):
        """Counts targets `(batch, num_classes)`, but those not finite."""
        targets = tf.where(tf.math.is_finite(targets), targets, 0.0)
        counts = sum_of_all_replicas(tf.reduce_sum(targets, axis=0))
        self._counts.assign_add(counts)

    def follow(self):
        """Takes over what was counted since, if anything was."""
        counts = self._counts.numpy().astype(np.float64)
        self._counts.assign(tf.zeros_like(self._counts))
        if self.follows_targets and counts.any():
            self.logarithms.assign(log_frequencies(counts))


def adjusted_predictions(y_pred, log_frequencies, from_logits):
    """Predictions to which the classes' log frequencies are added as logits.

    Args:
        y_pred: Predictions `(batch, num_classes)`; for two classes `(batch,)`
            or `(batch, 1)` too, the logit or probability of class 1.
        log_frequencies: Float `(num_classes,)`.
        from_logits: Bool. Whether predictions are logits, not probabilities.

    Returns:
        Predictions of the same kind, shape and dtype.
    """
    log_frequencies = tf.cast(log_frequencies, tf.float32)
    logits = tf.cast(y_pred, tf.float32)
    if len(y_pred.shape) == 2 and y_pred.shape[1] > 1:
        if from_logits:
            return tf.cast(logits + log_frequencies, y_pred.dtype)
        logits = _log(logits) + log_frequencies
        return tf.cast(tf.nn.softmax(logits), y_pred.dtype)
    shift = log_frequencies[1] - log_frequencies[0]
    if from_logits:
        return tf.cast(logits + shift, y_pred.dtype)
    logits = _log(logits) - _log(1.0 - logits) + shift
    return tf.cast(tf.sigmoid(logits), y_pred.dtype)


def log_probabilities(y_pred, from_logits):
    """Float32 `(batch, num_classes)`: the log-probability of every class.

    Args:
        y_pred, from_logits: As of `adjusted_predictions`.
    """
    columns = class_columns(y_pred, from_logits)
    return tf.nn.log_softmax(columns) if from_logits else _log(columns)


def _log(probabilities):
    epsilon = keras.config.epsilon()
    return tf.math.log(tf.clip_by_value(probabilities, epsilon, 1.0))
