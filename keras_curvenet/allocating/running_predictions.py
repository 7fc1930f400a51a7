"""What the model in training has come to believe of every sample."""

import numpy as np
import tensorflow as tf

from keras_curvenet.replicas import of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas

# How much of the mean is kept when a sample's next prediction comes.
_MOMENTUM = 0.8

# Classes that are kept of each sample, the most probable ones.
_MOST_CLASSES = 10


class RunningPredictions:
    """A running mean of the class probabilities of every training sample.

    Of many classes only the ten most probable are kept, 60 bytes a sample; up
    to ten classes take 2 bytes each.

    Args:
        num_samples: Int, the number of sample ids.
        num_classes: Int.
    """

    def __init__(self, num_samples, num_classes):
        self.num_samples, self.num_classes = num_samples, num_classes
        self._num_kept = min(num_classes, _MOST_CLASSES)
        self._keeps_all = num_classes <= _MOST_CLASSES
        self._probabilities = variable_of_all_replicas(
            tf.zeros([num_samples, self._num_kept], tf.float16)
        )
        # As floats: TensorFlow has no int32 variables on a GPU.
        num_named = 0 if self._keeps_all else self._num_kept
        self._classes = variable_of_all_replicas(
            tf.zeros([num_samples, num_named], tf.float32)
        )

    @property
    def variables(self):
        """List of the variables that hold them."""
        return [self._probabilities, self._classes]

    def fits(self, num_samples, num_classes):
        """Bool: whether these are the numbers it was made for."""
        return (self.num_samples, self.num_classes) == (
            num_samples,
            num_classes,
        )

    def clear(self):
        """Forgets all: the ids are those of other samples."""
        self._probabilities.assign(tf.zeros_like(self._probabilities))

    def start_from(self, predictions):
        """Takes over class probabilities as if they were the means so far.

        Args:
            predictions: Float `(n, num_classes)`, n >= `num_samples`, in
                [0, 1]. Rows of zeros are of samples that are new.

        Raises:
            ValueError: If they are something else.
        """
        predictions = np.asarray(predictions)
        expected = f"(at least {self.num_samples}, {self.num_classes})"
        if (
            predictions.ndim != 2
            or len(predictions) < self.num_samples
            or predictions.shape[1] != self.num_classes
        ):
            raise ValueError(
                "Invalid value for argument `predictions`. Expected class "
                f"probabilities of shape {expected}. Received: an array of "
                f"shape {predictions.shape}. Pass the recorder's "
                "`mean_predictions`, of the same dataset and classes."
            )
        predictions = predictions[: self.num_samples].astype(np.float32)
        if not ((predictions >= 0.0) & (predictions <= 1.001)).all():
            raise ValueError(
                "Invalid value for argument `predictions`. Expected class "
                "probabilities in [0, 1]. Received: values from "
                f"{predictions.min()} to {predictions.max()}. Pass "
                "probabilities, not logits."
            )
        if self._keeps_all:
            self._probabilities.assign(predictions.astype(np.float16))
            return
        order = np.argsort(-predictions, axis=1, kind="stable")
        classes = order[:, : self._num_kept]
        kept = np.take_along_axis(predictions, classes, axis=1)
        self._probabilities.assign(kept.astype(np.float16))
        self._classes.assign(classes.astype(np.float32))

    def of_batch(self, sample_ids, probabilities):
        """What is believed of a batch of samples.

        Args:
            sample_ids: Int `(batch,)`.
            probabilities: Float32 `(batch, num_classes)`: the present ones,
                which stand in for those of samples that are new.

        Returns:
            Float32 `(batch, num_classes)`; rows sum to 1.
        """
        means = tf.cast(tf.gather(self._probabilities, sample_ids), tf.float32)
        if not self._keeps_all:
            classes = tf.cast(tf.gather(self._classes, sample_ids), tf.int32)
            means = tf.reduce_sum(
                tf.one_hot(classes, self.num_classes) * means[:, :, tf.newaxis],
                axis=1,
            )
        totals = tf.reduce_sum(means, axis=1, keepdims=True)
        means = tf.math.divide_no_nan(means, totals)
        return tf.where(totals > 0.0, means, probabilities)

    def update(self, sample_ids, probabilities):
        """Takes a batch's present probabilities into the means.

        Rows that are not finite are left out. Of a batch that is split over
        replicas, all parts are taken in everywhere.
        """
        sample_ids = of_all_replicas(sample_ids)
        probabilities = of_all_replicas(probabilities)
        before = self.of_batch(sample_ids, probabilities)
        means = _MOMENTUM * before + (1.0 - _MOMENTUM) * probabilities
        finite = tf.reduce_all(tf.math.is_finite(means), 1, keepdims=True)
        kept = means
        if not self._keeps_all:
            kept, classes = tf.math.top_k(means, self._num_kept)
            classes = tf.where(
                finite,
                tf.cast(classes, tf.float32),
                tf.gather(self._classes, sample_ids),
            )
            self._classes.scatter_update(tf.IndexedSlices(classes, sample_ids))
        kept = tf.where(
            finite,
            tf.cast(kept, tf.float16),
            tf.gather(self._probabilities, sample_ids),
        )
        self._probabilities.scatter_update(tf.IndexedSlices(kept, sample_ids))
