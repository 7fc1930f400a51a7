"""The epochs of allocating: when weights are learned, and what came up."""

import warnings

import keras
import tensorflow as tf

from keras_curvenet.probing.observed_labels import SOFT_ADVICE
from keras_curvenet.probing.observed_labels import observed_labels
from keras_curvenet.probing.problem_counts import ProblemCounts
from keras_curvenet.replicas import num_replicas
from keras_curvenet.replicas import sum_of_all_replicas

# Problems that are warned of, each once.
_WARNINGS = {
    "invalid inputs": "{} sample(s) had inputs that are not finite in epoch "
    "{}, and that the model does not fill. They were left out. Remove them "
    "from the data.",
    "steps left out": "{} step(s) of epoch {} had a loss that is not finite. "
    "They were left out. Lower the learning rate if training diverges.",
}


def without_invalid_inputs(x, sample_weight, predict):
    """Puts zeros in place of inputs that a model can't take, of no weight.

    A single one of them would make the whole batch's normalization, and with
    it all weights of the model, not a number. Inputs that are not finite are
    judged by their predictions, since the model may fill them itself.

    Args:
        x, sample_weight: Of a batch, in any structure.
        predict: Function from `x` and `training` to predictions, called where
            some inputs are not finite.

    Returns:
        The inputs, the weights, and bool `(batch,)`: which samples are not
        taken.
    """
    not_finite = _not_finite(x)
    if not any(part.dtype.is_floating for part in keras.tree.flatten(x)):
        return x, sample_weight, not_finite

    def judged():
        invalid = not_finite & _not_finite(predict(x, training=False))
        if num_replicas() > 1:  # A normalization may talk to the others.
            return invalid
        others = _zeroed(x, invalid)
        mixes = tf.reduce_any(_not_finite(predict(others, training=True)))
        return invalid | (not_finite & mixes)

    invalid = tf.cond(tf.reduce_any(not_finite), judged, lambda: not_finite)
    return _zeroed(x, invalid), _zeroed(sample_weight, invalid), invalid


def _zeroed(batch, rows):
    """A structure with zeros in its rows of floats."""

    def zeroed(part):
        ones = [1] * (len(part.shape) - 1)
        zeros = tf.zeros_like(part)
        return tf.where(tf.reshape(rows, [-1, *ones]), zeros, part)

    return keras.tree.map_structure(
        lambda part: zeroed(part) if part.dtype.is_floating else part, batch
    )


def _not_finite(batch):
    """Bool `(batch,)`: which rows of a structure are not finite."""
    parts = keras.tree.flatten(batch)
    found = tf.zeros([tf.shape(parts[0])[0]], tf.bool)
    for part in parts:
        if part.dtype.is_floating:
            axes = list(range(1, len(part.shape)))
            finite = tf.reduce_all(tf.math.is_finite(part), axis=axes)
            found |= tf.logical_not(finite)
    return found


def changed_labels(y, y_pred, labels):
    """Bool `(batch,)`: where targets are not the labels, -1 for none."""
    observed, _, invalid, not_one_hot = observed_labels(y, y_pred)
    is_known = tf.logical_not(invalid | not_one_hot) & (labels >= 0)
    return is_known & (observed != labels)


class StepProblems(ProblemCounts):
    """Counts what went wrong in training steps, for the end of the epoch."""

    def __init__(self):
        super().__init__(
            [
                "trained on",
                "invalid inputs",
                "changed labels",
                "soft labels",
                "steps left out",
            ]
        )

    def count(self, batch, invalid, is_finite):
        """Adds the problems of a `PreparedBatch`.

        Args:
            batch: `PreparedBatch`.
            invalid: Bool `(batch,)`, as of `without_invalid_inputs`.
            is_finite: Bool scalar, whether the loss is.
        """
        flags = {
            "trained on": batch.loss.has_weight,
            "invalid inputs": invalid,
            "changed labels": batch.changed,
            "soft labels": batch.changed & batch.soft,
        }
        found = tf.stack([tf.math.count_nonzero(flags[name]) for name in flags])
        found = tf.unstack(sum_of_all_replicas(found))
        self.add(
            {
                **dict(zip(flags, found, strict=True)),
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
            advice = (
                "If labels were corrected since the probe, pass "
                "`trust_changed_labels=True`. If the dataset or its order is "
                "another one, probe it first."
            )
            if found["soft labels"]:
                advice = f"Soft labels are among them: {SOFT_ADVICE}"
            raise ValueError(
                "Expected the labels that the loss curves were recorded with. "
                f"Received: {found['changed labels']} samples with another "
                f"label, in epoch {epoch + 1}. {advice}"
            )
        if not found["trained on"]:
            raise ValueError(
                "Expected samples to train on. Received: none in epoch "
                f"{epoch + 1}: for {found['invalid inputs']} sample(s) with "
                "inputs that are not finite, no prediction is, and all others "
                "have a weight of 0. Fill what is missing, or begin the model "
                "with a layer that does."
            )
        for problem, message in _WARNINGS.items():
            if found[problem] and problem not in self._warned_of:
                self._warned_of.add(problem)
                warnings.warn(
                    message.format(found[problem], epoch + 1), stacklevel=2
                )
