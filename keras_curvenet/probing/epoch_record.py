"""The variables that a training step writes an epoch's record into."""

import numpy as np
import tensorflow as tf

from keras_curvenet.probing.checked_curves import class_dtype
from keras_curvenet.probing.observed_labels import LABEL_ADVICE
from keras_curvenet.probing.observed_labels import SOFT_ADVICE
from keras_curvenet.probing.problem_counts import ProblemCounts
from keras_curvenet.replicas import variable_of_all_replicas


class EpochRecord:
    """One epoch's record of every sample, and every sample's label.

    Args:
        num_samples: Int, the number of sample ids.

    Attributes:
        losses, margins, predicted, labels: Variables `(num_samples,)`.
        multi_hot: Bool variable, whether a target had not exactly one class.
        problems: `ProblemCounts` of the epoch.
    """

    def __init__(self, num_samples):
        self.num_samples = num_samples
        nothing = tf.fill([num_samples], np.float32(np.nan))
        self.losses = variable_of_all_replicas(nothing)
        self.margins = variable_of_all_replicas(nothing)
        # Int64, for which GPUs have all operations.
        no_class = tf.fill([num_samples], np.int64(-1))
        self.predicted = variable_of_all_replicas(no_class)
        self.labels = variable_of_all_replicas(no_class)
        self.problems = ProblemCounts(
            (
                "written",
                "out of range",
                "invalid labels",
                "changed labels",
                "soft labels",
            )
        )
        self.multi_hot = variable_of_all_replicas(False)

    def clear(self):
        """Forgets what the epoch before wrote, and keeps the labels."""
        nothing = tf.fill([self.num_samples], np.float32(np.nan))
        self.losses.assign(nothing)
        self.margins.assign(nothing)
        self.predicted.assign(tf.fill([self.num_samples], np.int64(-1)))
        self.problems.clear()

    def write(
        self,
        sample_ids,
        counted,
        losses,
        margins,
        predicted,
        labels,
        invalid,
        not_one_hot,
        soft,
    ):
        """Writes a batch; all arguments have shape `(batch,)`.

        Nothing is written of samples that are not `counted`. `margins` and
        `predicted` are None where there are none. An id out of range ends the
        epoch with an error (there is no way to raise one inside XLA); until
        then it overwrites nothing.
        """
        in_range = (sample_ids >= 0) & (sample_ids < self.num_samples)
        rows = tf.clip_by_value(sample_ids, 0, self.num_samples - 1)
        seen, invalid = in_range & counted, invalid & counted
        earlier = tf.gather(self.labels, rows)
        # Argmax means nothing on multi-hot rows, and they need no label.
        is_multi_hot = self.multi_hot | tf.reduce_any(not_one_hot & counted)
        changed = (earlier >= 0) & (earlier != labels) & seen
        changed &= tf.logical_not(is_multi_hot)
        losses = tf.where(tf.math.is_finite(losses), losses, np.inf)
        _write_rows(self.losses, rows, losses, seen)
        _write_rows(self.labels, rows, labels, seen & ~invalid & ~changed)
        if margins is not None:
            margins = tf.where(tf.math.is_finite(margins), margins, -np.inf)
            _write_rows(self.margins, rows, margins, seen)
            _write_rows(self.predicted, rows, predicted, seen)
        self.multi_hot.assign(is_multi_hot)
        flags = {
            "written": in_range,
            "out of range": ~in_range,
            "invalid labels": invalid,
            "changed labels": changed,
            "soft labels": changed & soft,
        }
        self.problems.add(
            {name: tf.math.count_nonzero(flags[name]) for name in flags}
        )

    def arrays(self):
        """Dict of arrays from which `assign` makes the same record."""
        variables = self._variables()
        return {name: variables[name].numpy() for name in variables}

    def assign(self, arrays):
        """Takes over what `arrays` gave."""
        variables = self._variables()
        for name, array in arrays.items():
            variables[name].assign(array)

    def _variables(self):
        """Dict from names to variables."""
        (counts,) = self.problems.variables
        return {
            "losses": self.losses,
            "margins": self.margins,
            "predicted": self.predicted,
            "labels": self.labels,
            "counts": counts,
            "multi_hot": self.multi_hot,
        }

    def known_predictions(self, num_classes):
        """The margins and predicted classes of the epoch, or two None.

        Args:
            num_classes: Int, or None where it is not known.

        Returns:
            Float32 and int arrays `(num_samples,)`.
        """
        margins = self.margins.numpy()
        if self.multi_hot.numpy() or np.isnan(margins).all():
            return None, None
        return margins, self.predicted.numpy().astype(class_dtype(num_classes))


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
        advice = (
            "The dataset's order differs from epoch to epoch: call "
            "`with_sample_ids` before `shuffle`, not after it."
        )
        if problems["soft labels"]:
            advice = f"Soft labels are among them: {SOFT_ADVICE} Else: {advice}"
        raise ValueError(
            "Expected a sample id to name the same sample in every epoch. "
            f"Received: {problems['changed labels']} id(s) whose label "
            f"changed in epoch {epoch + 1}. {advice} The epoch was not "
            "recorded."
        )
