"""The learning rate of the probing stage."""

import keras

from keras_curvenet.checked_arguments import as_float
from keras_curvenet.checked_arguments import as_int


def _is_positive(rate):
    return rate > 0.0


def _schedule_of(optimizer):
    """The name of what an optimizer's learning rate follows, or None."""
    rate = optimizer.get_config()["learning_rate"]
    return rate["class_name"] if isinstance(rate, dict) else None


class ProbingSchedule(keras.callbacks.Callback):
    """Alternates high and low learning rates after a constant phase.

    In the constant phase the network learns what most of the data agrees on.
    Then the rate follows a square wave, starting high: clean samples are
    forgotten and learned again, mislabelled ones jump back up, and so their
    loss curves part. The compiled learning rate is back after training.

    Epochs are absolute, so that a `fit` with `initial_epoch` goes on in the
    same place.

    Reference: [Jiang et al., 2022](https://arxiv.org/abs/2201.00849), section
    on the probing stage. Its code uses 120 constant epochs of 300, cycles of 15
    epochs, rates 1e-2 and 1e-3, and an eighth of the batch size in the wave.

    Args:
        constant_epochs: Int >= 0. Epochs at the compiled learning rate.
        cycle_epochs: Int >= 1. Epochs at one rate before it changes.
        high: Float > 0. The wave's first learning rate.
        low: Float > 0, at most `high`. The wave's other learning rate.

    Raises:
        ValueError: If an argument is out of range, or the compiled optimizer
            follows a `LearningRateSchedule` of its own.

    Example:

    ```python
    import keras
    import keras_curvenet as kcn
    import numpy as np

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    schedule = kcn.ProbingSchedule(
        constant_epochs=2, cycle_epochs=1, high=1e-2, low=1e-3
    )
    model.fit(
        np.zeros((8, 4)), np.zeros((8, 3)), epochs=6, callbacks=[schedule]
    )
    ```
    """

    def __init__(self, constant_epochs, cycle_epochs, high, low):
        super().__init__()
        self.constant_epochs = as_int("constant_epochs", constant_epochs, 0)
        self.cycle_epochs = as_int("cycle_epochs", cycle_epochs, 1)
        self.high = as_float("high", high, _is_positive, "a float > 0")
        self.low = as_float("low", low, _is_positive, "a float > 0")
        if low > high:
            raise ValueError(
                "Invalid value for arguments `high` and `low`. Expected "
                f"0 < low <= high. Received: high={high}, low={low}."
            )
        self._compiled_rate = None
        self._rate_set_here = None

    def learning_rate(self, epoch):
        """Float rate of an epoch of the wave; None in the constant phase."""
        if epoch < self.constant_epochs:
            return None
        cycle = (epoch - self.constant_epochs) // self.cycle_epochs
        return self.high if cycle % 2 == 0 else self.low

    def set_model(self, model):
        super().set_model(model)
        optimizer = self._optimizer()
        if _schedule_of(optimizer) is not None:
            return  # Refused in a moment.
        # Before another callback resumes training in the wave. After an
        # interrupted fit, too, the rate left behind is one of the wave's.
        rate = float(optimizer.learning_rate.numpy())
        if rate != self._rate_set_here:
            self._compiled_rate = rate

    def on_train_begin(self, logs=None):
        schedule = _schedule_of(self._optimizer())
        if schedule is not None:
            raise ValueError(
                "ProbingSchedule sets the optimizer's learning rate. Expected "
                "an optimizer compiled with a float. Received: "
                f"learning_rate={schedule}. Compile it with a float learning "
                "rate."
            )

    def on_epoch_begin(self, epoch, logs=None):
        rate = self.learning_rate(epoch)
        optimizer = self._optimizer()
        if rate is not None:
            optimizer.learning_rate = rate
            self._rate_set_here = float(optimizer.learning_rate.numpy())
        elif self._rate_set_here == float(optimizer.learning_rate.numpy()):
            optimizer.learning_rate = self._compiled_rate

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(
                self._optimizer().learning_rate.numpy()
            )

    def on_train_end(self, logs=None):
        if self._rate_set_here is not None:
            self._optimizer().learning_rate = self._compiled_rate
            self._rate_set_here = None

    def _optimizer(self):
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)
