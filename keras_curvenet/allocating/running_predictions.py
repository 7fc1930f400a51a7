"""What the model in training has come to believe of every sample."""

import tensorflow as tf

# How much of the mean is kept when a sample's next prediction comes.
_MOMENTUM = 0.8

# Classes that are kept of each sample, the most probable ones.
_MOST_CLASSES = 10


class RunningPredictions:
    """A running mean of the class probabilities of every training sample.

    Of many classes only the ten most probable are kept: 6 bytes for each, at
    most 60 bytes a sample.

    Args:
        num_samples: Int, the number of sample ids.
        num_classes: Int.
    """

    def __init__(self, num_samples, num_classes):
        self.num_samples, self.num_classes = num_samples, num_classes
        self._num_kept = min(num_classes, _MOST_CLASSES)
        shape = [num_samples, self._num_kept]
        self._probabilities = tf.Variable(
            tf.zeros(shape, tf.float16), trainable=False
        )
        # As floats: TensorFlow has no int32 variables on a GPU.
        self._classes = tf.Variable(
            tf.zeros(shape, tf.float32), trainable=False
        )

    def fits(self, num_samples, num_classes):
        """Bool: whether these are the numbers it was made for."""
        return (self.num_samples, self.num_classes) == (
            num_samples,
            num_classes,
        )

    def clear(self):
        """Forgets all: the ids are those of other samples."""
        self._probabilities.assign(tf.zeros_like(self._probabilities))

    def of_batch(self, sample_ids, probabilities):
        """What is believed of a batch of samples.

        Args:
            sample_ids: Int `(batch,)`.
            probabilities: Float32 `(batch, num_classes)`: the present ones,
                which stand in for those of samples that are new.

        Returns:
            Float32 `(batch, num_classes)`; rows sum to 1.
        """
        kept = tf.cast(tf.gather(self._probabilities, sample_ids), tf.float32)
        classes = tf.cast(tf.gather(self._classes, sample_ids), tf.int32)
        means = tf.reduce_sum(
            tf.one_hot(classes, self.num_classes) * kept[:, :, tf.newaxis],
            axis=1,
        )
        totals = tf.reduce_sum(means, axis=1, keepdims=True)
        means = tf.math.divide_no_nan(means, totals)
        return tf.where(totals > 0.0, means, probabilities)

    def update(self, sample_ids, probabilities):
        """Takes a batch's present probabilities into the means.

        Rows that are not finite are left out.
        """
        before = self.of_batch(sample_ids, probabilities)
        means = _MOMENTUM * before + (1.0 - _MOMENTUM) * probabilities
        finite = tf.reduce_all(tf.math.is_finite(means), 1, keepdims=True)
        kept, classes = tf.math.top_k(means, self._num_kept)
        kept = tf.where(
            finite,
            tf.cast(kept, tf.float16),
            tf.gather(self._probabilities, sample_ids),
        )
        classes = tf.where(
            finite,
            tf.cast(classes, tf.float32),
            tf.gather(self._classes, sample_ids),
        )
        self._probabilities.scatter_update(tf.IndexedSlices(kept, sample_ids))
        self._classes.scatter_update(tf.IndexedSlices(classes, sample_ids))
