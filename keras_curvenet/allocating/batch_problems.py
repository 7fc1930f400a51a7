"""What is wrong with the samples of training batches."""

import keras
import tensorflow as tf

from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.replicas import sum_of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas


def without_invalid_inputs(x, sample_weight):
    """Puts zeros in place of inputs that are not finite, of no weight.

    A single one of them would make the whole batch's normalization, and with
    it all weights of the model, not a number.

    Args:
        x: Inputs of a batch, in any structure.
        sample_weight: The user's weights, in any structure.

    Returns:
        Tuple of the inputs and weights, and bool `(batch,)`: which samples
        were not finite.
    """
    parts = keras.tree.flatten(x)
    invalid = tf.zeros([tf.shape(parts[0])[0]], tf.bool)
    for part in parts:
        if part.dtype.is_floating:
            finite = tf.math.is_finite(part)
            axes = list(range(1, len(part.shape)))
            invalid |= tf.logical_not(tf.reduce_all(finite, axis=axes))

    def zeroed(part):
        ones = [1] * (len(part.shape) - 1)
        rows = tf.reshape(invalid, [-1, *ones])
        return tf.where(rows, tf.zeros_like(part), part)

    def if_floating(part):
        return zeroed(part) if part.dtype.is_floating else part

    x = keras.tree.map_structure(if_floating, x)
    return x, keras.tree.map_structure(zeroed, sample_weight), invalid


def zero_unless(condition, gradients):
    """The gradients, or zeros: a step that is not finite is left out."""

    def zeroed(gradient):
        if gradient is None:
            return None
        if isinstance(gradient, tf.IndexedSlices):
            values = zeroed(gradient.values)
            return tf.IndexedSlices(
                values, gradient.indices, gradient.dense_shape
            )
        return tf.where(condition, gradient, tf.zeros_like(gradient))

    return [zeroed(gradient) for gradient in gradients]


class BatchProblems:
    """Counts problems inside the training step, for the end of the epoch.

    Attributes:
        NAMES: What is counted: samples whose inputs are not finite, samples
            whose label is not that of the curves, and steps that were left out
            because their loss was not finite.
        compares_labels: Bool, whether targets are of the curves' classes.
    """

    NAMES = ("invalid inputs", "changed labels", "steps left out")

    def __init__(self):
        self._counts = variable_of_all_replicas(
            tf.zeros([len(self.NAMES)], tf.int64)
        )
        self.compares_labels = True

    @property
    def variables(self):
        """List of the variables that count."""
        return [self._counts]

    def clear(self):
        """Starts to count anew."""
        self._counts.assign(tf.zeros_like(self._counts))

    def changed_labels(self, y, y_pred, labels):
        """Bool `(batch,)`: where targets are not the labels of the curves.

        Args:
            y: Targets of the batch.
            y_pred: Predictions for it.
            labels: Int `(batch,)`, the curves'; -1 where they have none.
        """
        if not self.compares_labels:
            return tf.zeros_like(labels, tf.bool)
        observed, _, invalid, not_one_hot = observed_labels(y, y_pred)
        is_known = tf.logical_not(invalid | not_one_hot) & (labels >= 0)
        return is_known & (observed != labels)

    def count(self, invalid, changed, is_finite):
        """Adds the problems of a batch: bools `(batch,)`, and a scalar one."""
        of_samples = sum_of_all_replicas(
            tf.stack([tf.math.count_nonzero(x) for x in (invalid, changed)])
        )
        of_steps = tf.cast(tf.logical_not(is_finite), tf.int64)
        self._counts.assign_add(tf.concat([of_samples, [of_steps]], axis=0))

    def found(self):
        """Dict of ints, what was counted since it was cleared."""
        return dict(zip(self.NAMES, self._counts.numpy().tolist(), strict=True))
