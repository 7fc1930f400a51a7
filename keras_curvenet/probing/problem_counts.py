"""Counts of what is wrong with the samples of an epoch."""

import tensorflow as tf

from keras_curvenet.replicas import variable_of_all_replicas


class ProblemCounts:
    """Counts problems inside training steps, to be read at the epoch's end.

    A step can't raise an error under XLA, or on one of several replicas.

    Args:
        names: Strings, what is counted.
    """

    def __init__(self, names):
        self._names = tuple(names)
        self._counts = variable_of_all_replicas(
            tf.zeros([len(self._names)], tf.int64)
        )

    @property
    def variables(self):
        """List of the variables that count."""
        return [self._counts]

    def clear(self):
        """Starts to count anew."""
        self._counts.assign(tf.zeros_like(self._counts))

    def add(self, counts):
        """Adds what a step found.

        Args:
            counts: Dict from all of the names to int scalars, or bools, of all
                replicas together.
        """
        self._counts.assign_add(
            tf.stack([tf.cast(counts[name], tf.int64) for name in self._names])
        )

    def found(self):
        """Dict of ints: what was counted since it was cleared."""
        counts = self._counts.numpy().tolist()
        return dict(zip(self._names, counts, strict=True))
