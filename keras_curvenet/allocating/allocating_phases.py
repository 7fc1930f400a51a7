"""The epochs of allocating: when weights are learned, and what came up."""

import warnings

import keras
import tensorflow as tf

from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.probing.problem_counts import ProblemCounts
from keras_curvenet.replicas import sum_of_all_replicas

# Problems that are warned of, each once.
_WARNINGS = {
    "invalid inputs": "{} sample(s) had inputs that are not finite in epoch "
    "{}. They were left out. Remove them from the data.",
    "steps left out": "{} step(s) of epoch {} had a loss that is not finite. "
    "They were left out. Lower the learning rate if training diverges.",
}


def without_invalid_inputs(x, sample_weight):
    """Puts zeros in place of inputs that are not finite, of no weight.

    A single one of them would make the whole batch's normalization, and with
    it all weights of the model, not a number. Returns the inputs, the weights,
    and bool `(batch,)`: which samples were not finite.
    """
    parts = keras.tree.flatten(x)
    invalid = tf.zeros([tf.shape(parts[0])[0]], tf.bool)
    for part in parts:
        if part.dtype.is_floating:
            axes = list(range(1, len(part.shape)))
            finite = tf.reduce_all(tf.math.is_finite(part), axis=axes)
            invalid |= tf.logical_not(finite)

    def zeroed(part):
        ones = [1] * (len(part.shape) - 1)
        rows = tf.reshape(invalid, [-1, *ones])
        return tf.where(rows, tf.zeros_like(part), part)

    x = keras.tree.map_structure(
        lambda part: zeroed(part) if part.dtype.is_floating else part, x
    )
    return x, keras.tree.map_structure(zeroed, sample_weight), invalid


def changed_labels(y, y_pred, labels):
    """Bool `(batch,)`: where targets are not the labels, -1 for none."""
    observed, _, invalid, not_one_hot = observed_labels(y, y_pred)
    is_known = tf.logical_not(invalid | not_one_hot) & (labels >= 0)
    return is_known & (observed != labels)


class StepProblems(ProblemCounts):
    """Counts what went wrong in training steps, for the end of the epoch."""

    def __init__(self):
        super().__init__(["invalid inputs", "changed labels", "steps left out"])

    def count(self, invalid, changed, is_finite):
        """Adds the problems of a batch: bools `(batch,)`, and a scalar one."""
        found = tf.stack([tf.math.count_nonzero(x) for x in (invalid, changed)])
        found = sum_of_all_replicas(found)
        self.add(
            {
                "invalid inputs": found[0],
                "changed labels": found[1],
                "steps left out": tf.logical_not(is_finite),
            }
        )


class AllocatingPhases(keras.callbacks.Callback):
    """Lets a `CurveWeightedModel` learn weights in the first epochs only.

    At the end of an epoch, it says what was wrong with the samples. Its
    arguments are as of `fit`.
    """

    def __init__(self, meta_epochs, trusts_changed_labels):
        super().__init__()
        self._meta_epochs = meta_epochs
        self._trusts_changed_labels = trusts_changed_labels
        self._warned_of = set()

    def on_epoch_begin(self, epoch, logs=None):
        self.model.begin_epoch(learns_weights=epoch < self._meta_epochs)

    def on_epoch_end(self, epoch, logs=None):
        found = self.model.problems.found()
        if found["changed labels"] and not self._trusts_changed_labels:
            raise ValueError(
                "Expected the labels that the loss curves were recorded with. "
                f"Received: {found['changed labels']} samples with another "
                f"label, in epoch {epoch + 1}. If labels were corrected since "
                "the probe, pass `trust_changed_labels=True`. If the dataset "
                "or its order is another one, probe it first."
            )
        for problem, message in _WARNINGS.items():
            if found[problem] and problem not in self._warned_of:
                self._warned_of.add(problem)
                warnings.warn(
                    message.format(found[problem], epoch + 1), stacklevel=2
                )
