"""When weights are learned, when they are frozen, and what came of it."""

import math
import warnings

import keras
import numpy as np

# Weights that are all below this, or spread less within every class, make a
# warning: training goes on without most samples, or as if it were plain.
_COLLAPSED_ABOVE_MINIMUM = 0.05
_LEAST_SPREAD = 0.01

# The meta loss jumps where it more than doubles within an epoch, and rises by
# more than this: small losses vary.
_LEAST_JUMP = 0.05


class AllocatingPhases(keras.callbacks.Callback):
    """Lets a `CurveWeightedModel` learn weights in the first epochs only.

    An epoch in which the meta loss jumps up leaves CurveNet as it was.

    Args:
        meta_epochs: Int >= 0. Weights are learned while the epoch's number is
            below it.
    """

    def __init__(self, meta_epochs):
        super().__init__()
        self.meta_epochs = meta_epochs
        self._was_learning = False
        self._before = []
        self._steps_before = 0

    def on_epoch_begin(self, epoch, logs=None):
        learns = epoch < self.meta_epochs
        if epoch == 0:
            self.model.last_meta_loss.assign(np.inf)
        if learns:
            self._before = [(v, v.numpy()) for v in self._learned_variables()]
            self._steps_before = int(self.model.meta_optimizer.iterations)
        if self._was_learning and not learns:
            self._warn()
        self._was_learning = learns
        self.model.learns_weights = learns
        self.model.make_train_function()

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        learned = int(model.meta_optimizer.iterations) > self._steps_before
        if epoch >= self.meta_epochs or not learned:
            return
        meta_loss = float(logs["meta_loss"])  # Validation reset the tracker.
        last = float(model.last_meta_loss)
        # Not a number is a jump, too.
        if not meta_loss <= last + max(abs(last), _LEAST_JUMP):
            warnings.warn(
                f"The meta loss jumped from {last:.3g} to {meta_loss:.3g} in "
                f"epoch {epoch + 1}: training was unstable. CurveNet is put "
                "back to where it was before that epoch. A lower learning "
                "rate avoids this.",
                stacklevel=2,
            )
            for variable, value in self._before:
                variable.assign(value)
        model.last_meta_loss.assign(
            meta_loss if math.isfinite(meta_loss) else np.inf
        )

    def _learned_variables(self):
        """CurveNet's, and what its optimizer remembers of their gradients."""
        optimizer = self.model.meta_optimizer
        rate = optimizer.learning_rate  # A callback's, not learned.
        remembered = [v for v in optimizer.variables if v is not rate]
        return [*self.model.curve_net.variables, *remembered]

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
            f"{spread:.1e} at most): CurveNet tells no samples apart, as it "
            "should where all labels are right. If all are at their maximum "
            "and some classes are rare, compile with "
            "`LogitAdjustedCrossentropy(estimate_class_counts(curves))`, so "
            "that rare classes need no large weights. Otherwise learn for more "
            "epochs, with a higher meta learning rate, or from longer loss "
            "curves.",
            stacklevel=2,
        )
