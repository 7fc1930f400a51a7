"""Metrics of the learned sample weights, as training logs show them."""

import keras


class EffectiveSampleSize(keras.Metric):
    """The share of samples that count: `(sum w)^2 / (n * sum w^2)`.

    1 where all weights are equal, 1 / n where one sample has all the weight.

    Args:
        name: String.
    """

    def __init__(self, name="effective_sample_size", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_variable((), "zeros", name="count")
        self.total = self.add_variable((), "zeros", name="total")
        self.squares = self.add_variable((), "zeros", name="squares")

    def update_state(self, weights, sample_weight=None):
        weights = keras.ops.cast(weights, self.dtype)
        size = keras.ops.cast(keras.ops.size(weights), self.dtype)
        self.count.assign_add(size)
        self.total.assign_add(keras.ops.sum(weights))
        self.squares.assign_add(keras.ops.sum(keras.ops.square(weights)))

    def result(self):
        return keras.ops.divide_no_nan(
            keras.ops.square(self.total), self.count * self.squares
        )
