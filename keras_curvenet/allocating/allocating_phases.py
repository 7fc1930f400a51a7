"""The epochs of allocating: when weights are learned, and what came up."""

import warnings

import keras
import tensorflow as tf

from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.probing.problem_counts import ProblemCounts
from keras_curvenet.replicas import sum_of_all_replicas


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


def changed_labels(y, y_pred, labels):
    """Bool `(batch,)`: where targets are not the labels of the curves.

    Args:
        y: Targets of the batch.
        y_pred: Predictions for it.
        labels: Int `(batch,)`, the curves'; -1 where they have none.
    """
    observed, _, invalid, not_one_hot = observed_labels(y, y_pred)
    is_known = tf.logical_not(invalid | not_one_hot) & (labels >= 0)
    return is_known & (observed != labels)


class StepProblems(ProblemCounts):
    """Counts problems inside the training step, for the end of the epoch.

    They are samples whose inputs are not finite, samples whose label is not
    that of the curves, and steps that were left out because their loss was not
    finite.
    """

    def __init__(self):
        super().__init__(["invalid inputs", "changed labels", "steps left out"])

    def count(self, invalid, changed, is_finite):
        """Adds the problems of a batch: bools `(batch,)`, and a scalar one."""
        of_samples = sum_of_all_replicas(
            tf.stack([tf.math.count_nonzero(x) for x in (invalid, changed)])
        )
        of_steps = tf.cast(tf.logical_not(is_finite), tf.int64)
        self.add(tf.concat([of_samples, [of_steps]], axis=0))


class AllocatingPhases(keras.callbacks.Callback):
    """Lets a `CurveWeightedModel` learn weights in the first epochs only.

    At the end of an epoch, it says what was wrong with the samples.

    Args:
        meta_epochs: Int >= 0. Weights are learned while the epoch's number is
            below it.
        trusts_changed_labels: Bool. Whether labels may differ from those of
            the curves.
    """

    def __init__(self, meta_epochs, trusts_changed_labels=False):
        super().__init__()
        self.meta_epochs = meta_epochs
        self.trusts_changed_labels = trusts_changed_labels
        self._warned_of = set()

    def on_epoch_begin(self, epoch, logs=None):
        self.model.begin_epoch(learns_weights=epoch < self.meta_epochs)

    def on_epoch_end(self, epoch, logs=None):
        found = self.model.problems.found()
        if found["changed labels"] and not self.trusts_changed_labels:
            raise ValueError(
                "Expected the labels that the loss curves were recorded with. "
                f"Received: {found['changed labels']} samples with another "
                f"label, in epoch {epoch + 1}. If labels were corrected since "
                "the probe, pass `trust_changed_labels=True`. If the dataset "
                "or its order is another one, probe it first."
            )
        self._warn_once(
            "invalid inputs",
            f"{found['invalid inputs']} sample(s) had inputs that are not "
            f"finite in epoch {epoch + 1}. They were left out. Remove them "
            "from the data.",
            found,
        )
        self._warn_once(
            "steps left out",
            f"{found['steps left out']} step(s) of epoch {epoch + 1} had a "
            "loss that is not finite. They were left out. Lower the learning "
            "rate if training diverges.",
            found,
        )

    def _warn_once(self, problem, message, found):
        if found[problem] and problem not in self._warned_of:
            self._warned_of.add(problem)
            warnings.warn(message, stacklevel=3)
