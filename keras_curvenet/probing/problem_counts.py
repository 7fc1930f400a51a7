"""Counts of problems, kept inside a training step."""

import tensorflow as tf

from keras_curvenet.replicas import variable_of_all_replicas


class ProblemCounts:
    """Counts problems inside a training step, for the end of the epoch.

    Args:
        names: List of strings, what is counted.
    """

    def __init__(self, names):
        self._names = list(names)
        self._counts = variable_of_all_replicas(
            tf.zeros([len(self._names)], tf.int64)
        )

    @property
    def variables(self):
        """List of the variables that count."""
        return [self._counts]

    def add(self, counts):
        """Adds int64 `(num_names,)`, in the order of the names."""
        self._counts.assign_add(counts)

    def clear(self):
        """Starts to count anew."""
        self._counts.assign(tf.zeros_like(self._counts))

    def found(self):
        """Dict of ints, what was counted since it was cleared."""
        counts = self._counts.numpy().tolist()
        return dict(zip(self._names, counts, strict=True))
