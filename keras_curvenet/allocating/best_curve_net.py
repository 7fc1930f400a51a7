"""The best CurveNet so far, for the time when the weights are frozen."""

import keras
import numpy as np


class BestCurveNet(keras.layers.Layer):
    """Keeps CurveNet's variables of the epoch with the lowest meta loss.

    When the base model's training becomes unstable for some steps, every
    sample's training lowers the meta loss, and within an epoch all weights may
    rise to their maximum (or, where training does harm, fall to the minimum).
    Weights frozen just then would stay so.

    A layer only so that it is saved with the model.

    Args:
        curve_net: The built model or layer whose variables are kept.
    """

    def __init__(self, curve_net):
        super().__init__(name="best_curve_net", dtype="float32")
        self.meta_loss = self.add_weight(
            name="meta_loss",
            shape=(),
            initializer=keras.initializers.Constant(np.inf),
            trainable=False,
        )
        self.kept = [
            self.add_weight(
                name=f"kept_{index}",
                shape=variable.shape,
                dtype=variable.dtype,
                initializer="zeros",
                trainable=False,
            )
            for index, variable in enumerate(curve_net.variables)
        ]
        self.built = True

    def forget(self):
        """Starts anew: the next epoch is the best so far."""
        self.meta_loss.assign(np.inf)

    def update(self, curve_net, meta_loss):
        """Keeps the variables if the epoch's meta loss is the lowest."""
        if meta_loss < float(self.meta_loss):
            self.meta_loss.assign(meta_loss)
            for kept, variable in zip(
                self.kept, curve_net.variables, strict=True
            ):
                kept.assign(variable)

    def restore(self, curve_net):
        """Gives the network what was kept, if anything was."""
        if np.isfinite(float(self.meta_loss)):
            for kept, variable in zip(
                self.kept, curve_net.variables, strict=True
            ):
                variable.assign(kept)
