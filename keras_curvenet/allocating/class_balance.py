"""Rare and frequent classes: what logit adjustment does to predictions."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.probing.class_predictions import class_columns
from keras_curvenet.replicas import sum_of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas


def log_frequencies(counts):
    """Float64 `(num_classes,)`: logarithms of the shares of all samples.

    Args:
        counts: Float `(num_classes,)`, at least one > 0. Zero counts as the
            smallest other one.
    """
    counts = np.where(counts > 0.0, counts, counts[counts > 0.0].min())
    return np.log(counts / counts.sum())


def estimated_log_frequencies(start, labels, num_classes):
    """Logarithms of the classes' shares of the weights at the start.

    Args:
        start: Float `(num_samples,)`, logits at which weights start.
        labels: Int `(num_samples,)`, -1 for samples of no class.
        num_classes: Int.

    Returns:
        Float64 `(num_classes,)`.
    """
    weights = 1.0 / (1.0 + np.exp(-start.astype(np.float64)))
    known = labels >= 0
    return log_frequencies(
        np.bincount(labels[known], weights[known], num_classes)
    )


class ClassFrequencies:
    """Log frequencies of the classes, those of the targets trained on.

    A network's predictions follow the frequencies of its targets. Where these
    are labels and beliefs mixed, they are counted in each epoch, for the next.

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

    def start_anew(self, other):
        """Starts from the present frequencies of another object."""
        self.logarithms.assign(other.logarithms)
        self._counts.assign(tf.zeros_like(self._counts))


def adjusted_predictions(y_pred, log_frequencies, from_logits):
    """Predictions to which the classes' log frequencies are added as logits.

    A loss of these teaches a network to tell classes apart beyond their
    frequencies, so that its own predictions do not favour frequent classes.
    With equal frequencies nothing changes.

    Reference: [Menon et al., 2021](https://arxiv.org/abs/2007.07314).

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
