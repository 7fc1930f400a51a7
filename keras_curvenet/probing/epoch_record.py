"""The variables that a training step writes an epoch's record into."""

import numpy as np
import tensorflow as tf

from keras_curvenet.probing.observed_labels import LABEL_ADVICE
from keras_curvenet.probing.problem_counts import ProblemCounts
from keras_curvenet.replicas import variable_of_all_replicas


class EpochRecord:
    """One epoch's loss and margin of every sample, and every sample's label.

    Args:
        num_samples: Int, the number of sample ids.

    Attributes:
        losses, margins, labels: Variables `(num_samples,)`.
        multi_hot: Bool variable, whether a target had not exactly one class.
        problems: `ProblemCounts` of the epoch.
    """

    def __init__(self, num_samples):
        self.num_samples = num_samples
        nothing = tf.fill([num_samples], np.float32(np.nan))
        self.losses = variable_of_all_replicas(nothing)
        self.margins = variable_of_all_replicas(nothing)
        self.labels = variable_of_all_replicas(
            tf.fill([num_samples], np.int64(-1))
        )
        self.problems = ProblemCounts(
            ("written", "out of range", "invalid labels", "changed labels")
        )
        self.multi_hot = variable_of_all_replicas(False)
        self._predictions, self._summed = None, None

    def clear(self):
        """Forgets what the epoch before wrote, and keeps the labels."""
        nothing = tf.fill([self.num_samples], np.float32(np.nan))
        self.losses.assign(nothing)
        self.margins.assign(nothing)
        self.problems.clear()
        if self._predictions is not None:
            self._predictions.assign(tf.zeros_like(self._predictions))

    def write(self, sample_ids, losses, margins, labels, invalid, not_one_hot):
        """Writes a batch; all arguments have shape `(batch,)`.

        `margins` is None where there are none.
        """
        in_range, rows = self._rows(sample_ids)
        earlier = tf.gather(self.labels, rows)
        # Argmax means nothing on multi-hot rows, and they need no label.
        is_multi_hot = self.multi_hot | tf.reduce_any(not_one_hot)
        changed = (earlier >= 0) & (earlier != labels) & in_range
        changed &= tf.logical_not(is_multi_hot)
        losses = tf.where(tf.math.is_finite(losses), losses, np.inf)
        _write_rows(self.losses, rows, losses, in_range)
        _write_rows(self.labels, rows, labels, in_range & ~invalid & ~changed)
        if margins is not None:
            margins = tf.where(tf.math.is_finite(margins), margins, -np.inf)
            _write_rows(self.margins, rows, margins, in_range)
        self.multi_hot.assign(is_multi_hot)
        flags = {
            "written": in_range,
            "out of range": ~in_range,
            "invalid labels": invalid,
            "changed labels": changed,
        }
        self.problems.add(
            {name: tf.math.count_nonzero(flags[name]) for name in flags}
        )

    def write_predictions(self, sample_ids, probabilities):
        """Writes a batch's class probabilities `(batch, num_classes)`."""
        if self._predictions is None:
            with tf.init_scope():
                self.make_predictions(probabilities.shape[1])
        in_range, rows = self._rows(sample_ids)
        finite = tf.reduce_all(tf.math.is_finite(probabilities), axis=1)
        usable = (in_range & finite)[:, tf.newaxis]
        _write_rows(self._predictions, rows, probabilities, usable)

    def _rows(self, sample_ids):
        """Which ids are in range, and rows that are, for all of them.

        An id out of range ends the epoch with an error (there is no way to
        raise one inside XLA); until then it overwrites nothing.
        """
        in_range = (sample_ids >= 0) & (sample_ids < self.num_samples)
        return in_range, tf.clip_by_value(sample_ids, 0, self.num_samples - 1)

    def make_predictions(self, num_classes):
        """Makes room for predictions, where there is none yet."""
        if self._predictions is None:
            nothing = tf.zeros([self.num_samples, num_classes])
            self._predictions = variable_of_all_replicas(nothing)
            self._summed = variable_of_all_replicas(nothing)

    def arrays(self, within_epoch):
        """Dict of arrays from which `assign` makes the same record.

        Args:
            within_epoch: Bool. Whether what this epoch recorded so far is
                wanted too, beside what outlasts an epoch.
        """
        variables = self._variables()
        names = list(variables) if within_epoch else ["summed"]
        return {
            name: variables[name].numpy()
            for name in names
            if variables[name] is not None
        }

    def assign(self, arrays):
        """Takes over what `arrays` gave."""
        if "summed" in arrays:
            self.make_predictions(arrays["summed"].shape[1])
        variables = self._variables()
        for name, array in arrays.items():
            variables[name].assign(array)

    def _variables(self):
        """Dict from names to variables, or None where there are none."""
        (counts,) = self.problems.variables
        return {
            "losses": self.losses,
            "margins": self.margins,
            "labels": self.labels,
            "counts": counts,
            "multi_hot": self.multi_hot,
            "predictions": self._predictions,
            "summed": self._summed,
        }

    def known_margins(self):
        """Float32 `(num_samples,)`, or None where the epoch has no margins."""
        margins = self.margins.numpy()
        if self.multi_hot.numpy() or np.isnan(margins).all():
            return None
        return margins

    def forget_predictions(self):
        """Forgets the sums over the epochs so far."""
        if self._summed is not None:
            self._summed.assign(tf.zeros_like(self._summed))

    def add_predictions(self):
        """Adds the epoch's predictions to the sums, by its median loss."""
        losses = self.losses.numpy()
        finite = losses[np.isfinite(losses)]
        if finite.size:
            lowest = min(0.0, finite.min())  # Losses may be negative.
            weight = np.median(finite) - lowest
            self._summed.assign_add(weight * self._predictions)

    def summed_predictions(self):
        """Float32 `(num_samples, num_classes)`, sums over epochs, or None."""
        return None if self._summed is None else self._summed.numpy()


def _write_rows(variable, rows, values, usable):
    """Writes values into a variable's rows, where they are usable."""
    values = tf.where(usable, values, tf.gather(variable, rows))
    variable.scatter_update(tf.IndexedSlices(values, rows))


def refuse_problems(record, epoch):
    """Raises ValueError where an `EpochRecord`, or None, can't be trusted."""
    problems = record.problems.found() if record else {}
    if not any(problems.values()):
        raise ValueError(
            "LossCurveRecorder recorded nothing in epoch "
            f"{epoch + 1}. Expected batches with sample ids in the "
            "training step. Received: none. Use one recorder per `fit`, "
            "and a dataset that is not empty."
        )
    if problems["out of range"]:
        raise ValueError(
            "Expected sample ids from 0 to "
            f"{record.num_samples - 1}. Received: "
            f"{problems['out of range']} id(s) outside, in epoch "
            f"{epoch + 1}. Do not change the ids that `with_sample_ids` "
            "gave. The epoch was not recorded."
        )
    if problems["invalid labels"]:
        raise ValueError(
            "Expected targets that are class labels: integers from 0 to "
            "the number of outputs - 1, one-hot rows, or binary targets in "
            f"[0, 1]. Received: {problems['invalid labels']} target(s) of "
            f"another kind in epoch {epoch + 1}. Correct them. If the "
            f"targets are no classes: {LABEL_ADVICE} The epoch was not "
            "recorded."
        )
    if problems["changed labels"]:
        raise ValueError(
            "Expected a sample id to name the same sample in every epoch. "
            f"Received: {problems['changed labels']} id(s) whose label "
            f"changed in epoch {epoch + 1}. The dataset's order differs "
            "from epoch to epoch: call `with_sample_ids` before `shuffle`, "
            "not after it. The epoch was not recorded."
        )
