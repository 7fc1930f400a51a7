"""When weights are learned, when they are frozen, and what came of it."""

import warnings

import keras
import numpy as np

# Weights that are all below this, or spread less within every class, make a
# warning: training goes on without most samples, or as if it were plain.
_COLLAPSED_ABOVE_MINIMUM = 0.05
_LEAST_SPREAD = 1e-4


class AllocatingPhases(keras.callbacks.Callback):
    """Lets a `CurveWeightedModel` learn weights in the first epochs only.

    After them, its CurveNet is the one of the epoch with the lowest meta loss.

    Args:
        meta_epochs: Int >= 0. Weights are learned while the epoch's number is
            below it.
    """

    def __init__(self, meta_epochs):
        super().__init__()
        self.meta_epochs = meta_epochs
        self._was_learning = False

    def on_epoch_begin(self, epoch, logs=None):
        learns = epoch < self.meta_epochs
        if epoch == 0:
            self.model.best_curve_net.forget()
        if self._was_learning and not learns:
            self._warn()
        self._was_learning = learns
        self.model.learns_weights = learns
        self.model.make_train_function()

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        if epoch < self.meta_epochs:
            meta_loss = float(model.meta_loss_tracker.result())
            model.best_curve_net.update(model.curve_net, meta_loss)
        if epoch == self.meta_epochs - 1:
            model.best_curve_net.restore(model.curve_net)

    def on_train_end(self, logs=None):
        if self._was_learning:
            self._warn()

    def _warn(self):
        model = self.model
        warn_if_weights_tell_nothing(
            model.sample_weights(),
            model.curve_labels,
            getattr(model.curve_net, "min_weight", 0.0),
        )


def warn_if_weights_tell_nothing(weights, labels, min_weight):
    """Warns where weights collapsed or tell no samples of a class apart.

    Args:
        weights: Float `(num_samples,)`.
        labels: Int `(num_samples,)`, classes.
        min_weight: Float, the smallest possible weight.
    """
    if weights.max() < min_weight + _COLLAPSED_ABOVE_MINIMUM:
        warnings.warn(
            "The sample weights collapsed: all are at most "
            f"{weights.max():.3f}, near the minimum of {min_weight}. Following "
            "training samples does not lower the meta set's loss: check the "
            "meta set's labels, or lower the meta optimizer's learning rate.",
            stacklevel=2,
        )
        return
    spread = max(
        float(np.ptp(weights[labels == label])) for label in np.unique(labels)
    )
    if spread < _LEAST_SPREAD:
        warnings.warn(
            "The sample weights do not vary within any class (by "
            f"{spread:.1e} at most): CurveNet tells no samples apart. Learn "
            "for more epochs, with a higher meta learning rate, or from longer "
            "loss curves.",
            stacklevel=2,
        )
