"""Running predictions: what the model has come to predict of every sample."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_curvenet.inspecting.label_quality import scores_of
from keras_curvenet.inspecting.label_suspicion import revised_suspicion
from keras_curvenet.replicas import of_all_replicas
from keras_curvenet.replicas import variable_of_all_replicas

# How much of the mean is kept when a sample's next prediction comes.
_MOMENTUM = 0.8

# Classes that are kept of each sample, the most probable ones.
_MOST_CLASSES = 10

# How much of the log frequencies is taken out of predictions: all of it makes
# rare classes likelier than they are, nothing of it hides them.
_FREQUENCY_SHARE = 0.5

# Samples that are judged at a time.
_BLOCK = 65536


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

    def of_batch(self, sample_ids, probabilities):
        """The running predictions of a batch of samples.

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


def revised_quality(loss_curves, running_predictions, frequencies):
    """The label quality of all samples, revised by what the model predicts.

    Not to be trained on: weights that follow what the network predicts confirm
    its errors.

    Args:
        loss_curves: `LossCurves` of all samples.
        running_predictions: `RunningPredictions` of the first samples.
        frequencies: `ClassFrequencies`, what logits are adjusted by, or None.

    Returns:
        Float64 `(num_samples,)`, NaN for samples that were never seen.
    """
    num_classes = running_predictions.num_classes
    nothing = np.zeros((1, num_classes), np.float32)
    adjusted_by = nothing[0]
    if frequencies is not None:
        adjusted_by = frequencies.logarithms.numpy()
    own, others = np.zeros((2, loss_curves.num_samples))
    num_samples = running_predictions.num_samples
    for start in range(0, num_samples, _BLOCK):
        ids = np.arange(start, min(start + _BLOCK, num_samples))
        own[ids], others[ids] = likelihoods_of(
            np.maximum(loss_curves.labels[ids], 0),
            running_predictions.of_batch(ids, nothing).numpy(),
            adjusted_by,
        )
    return scores_of(revised_suspicion(loss_curves, own, others))


def likelihoods_of(
    labels: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.float32],
    log_frequencies: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Likelihoods of the labels, and of the likeliest other classes.

    Args:
        labels: Int `(n,)`, the observed classes, >= 0.
        predicted: Float `(n, num_classes)`, mean probabilities of the
            predictions that the loss was taken of; rows of zeros where there
            are none.
        log_frequencies: Float `(num_classes,)`, what logits were adjusted by.

    Returns:
        Two of float32 `(n,)`, 0 where there are no predictions.
    """
    unadjusted = predicted * np.exp(-_FREQUENCY_SHARE * log_frequencies)
    totals = unadjusted.sum(axis=1, keepdims=True)
    unadjusted = unadjusted / np.where(totals > 0.0, totals, 1.0)
    rows = np.arange(len(labels))
    own = unadjusted[rows, labels]
    unadjusted[rows, labels] = 0.0
    return own, unadjusted.max(axis=1)
