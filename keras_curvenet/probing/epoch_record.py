"""The variables that a training step writes an epoch's record into."""

import numpy as np
import tensorflow as tf

from keras_curvenet.replicas import variable_of_all_replicas


class EpochRecord:
    """One epoch's loss and margin of every sample, and every sample's label.

    Args:
        num_samples: Int, the number of sample ids.
    """

    _PROBLEMS = ("written", "out of range", "invalid labels", "changed labels")

    def __init__(self, num_samples):
        self.num_samples = num_samples
        self.losses = variable_of_all_replicas(
            tf.fill([num_samples], np.float32(np.nan))
        )
        self.margins = variable_of_all_replicas(
            tf.fill([num_samples], np.float32(np.nan))
        )
        self.labels = variable_of_all_replicas(
            tf.fill([num_samples], np.int64(-1))
        )
        self._counts = variable_of_all_replicas(
            tf.zeros([len(self._PROBLEMS)], tf.int64)
        )
        self._multi_hot = variable_of_all_replicas(False)
        self._predictions, self._summed = None, None

    def clear(self):
        """Forgets what the epoch before wrote, and keeps the labels."""
        self.losses.assign(tf.fill([self.num_samples], np.float32(np.nan)))
        self.margins.assign(tf.fill([self.num_samples], np.float32(np.nan)))
        self._counts.assign(tf.zeros_like(self._counts))
        if self._predictions is not None:
            self._predictions.assign(tf.zeros_like(self._predictions))

    def write(self, sample_ids, losses, margins, labels, invalid, not_one_hot):
        """Writes a batch; all arguments have shape `(batch,)`.

        `margins` is None where there are none.
        """
        in_range = (sample_ids >= 0) & (sample_ids < self.num_samples)
        rows = tf.clip_by_value(sample_ids, 0, self.num_samples - 1)
        earlier = tf.gather(self.labels, rows)
        # Argmax means nothing on multi-hot rows, and they need no label.
        is_multi_hot = self._multi_hot | tf.reduce_any(not_one_hot)
        changed = (earlier >= 0) & (earlier != labels) & in_range
        changed &= tf.logical_not(is_multi_hot)
        losses = tf.where(tf.math.is_finite(losses), losses, np.inf)
        # An id out of range ends the epoch with an error (there is no way to
        # raise one inside XLA); until then it overwrites nothing.
        losses = tf.where(in_range, losses, tf.gather(self.losses, rows))
        labels = tf.where(in_range & ~invalid & ~changed, labels, earlier)
        self.losses.scatter_update(tf.IndexedSlices(losses, rows))
        self.labels.scatter_update(tf.IndexedSlices(labels, rows))
        if margins is not None:
            margins = tf.where(tf.math.is_finite(margins), margins, -np.inf)
            margins = tf.where(in_range, margins, tf.gather(self.margins, rows))
            self.margins.scatter_update(tf.IndexedSlices(margins, rows))
        self._multi_hot.assign(is_multi_hot)
        counted = (in_range, ~in_range, invalid, changed)
        self._counts.assign_add(
            tf.stack([tf.math.count_nonzero(flags) for flags in counted])
        )

    def write_predictions(self, sample_ids, probabilities):
        """Writes a batch's class probabilities `(batch, num_classes)`."""
        if self._predictions is None:
            with tf.init_scope():
                self.make_predictions(probabilities.shape[1])
        in_range = (sample_ids >= 0) & (sample_ids < self.num_samples)
        rows = tf.clip_by_value(sample_ids, 0, self.num_samples - 1)
        earlier = tf.gather(self._predictions, rows)
        usable = in_range & tf.reduce_all(
            tf.math.is_finite(probabilities), axis=1
        )
        probabilities = tf.where(usable[:, tf.newaxis], probabilities, earlier)
        self._predictions.scatter_update(tf.IndexedSlices(probabilities, rows))

    def make_predictions(self, num_classes):
        """Makes room for predictions, where there is none yet."""
        if self._predictions is not None:
            return
        shape = [self.num_samples, num_classes]
        self._predictions = variable_of_all_replicas(tf.zeros(shape))
        self._summed = variable_of_all_replicas(tf.zeros(shape))

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
        return {
            "losses": self.losses,
            "margins": self.margins,
            "labels": self.labels,
            "counts": self._counts,
            "multi_hot": self._multi_hot,
            "predictions": self._predictions,
            "summed": self._summed,
        }

    def known_margins(self):
        """Float32 `(num_samples,)`, or None where the epoch has no margins."""
        margins = self.margins.numpy()
        if self.is_multi_hot() or np.isnan(margins).all():
            return None
        return margins

    @property
    def has_predictions(self):
        """Bool: whether predictions were ever written."""
        return self._predictions is not None

    def forget_predictions(self):
        """Forgets the sums over the epochs so far."""
        if self.has_predictions:
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
        """Float32 `(num_samples, num_classes)`, weighted sums over epochs."""
        return self._summed.numpy()

    def problems(self):
        """Dict of what was counted in this epoch."""
        return dict(
            zip(self._PROBLEMS, self._counts.numpy().tolist(), strict=True)
        )

    def is_multi_hot(self):
        """Bool: whether a target had another number of classes than one."""
        return bool(self._multi_hot.numpy())

    def set_multi_hot(self, is_multi_hot):
        """Sets what earlier epochs showed."""
        self._multi_hot.assign(is_multi_hot)
