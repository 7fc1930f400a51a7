"""What `CurveWeightedModel.compile` makes of the losses it is given."""

import keras

from keras_curvenet.allocating.class_balance import estimated_log_frequencies
from keras_curvenet.allocating.logit_adjusted_crossentropy import (
    LogitAdjustedCrossentropy,
)
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.per_sample_loss import PerSampleLoss


class CompiledLosses:
    """The user's loss in the forms that the steps need.

    Args:
        compile_loss: Keras's `CompileLoss`, what `compile` made of `loss`.
        loss: The user's, in any form that `compile` takes.
        meta_loss: The user's loss of the meta set, or None for `loss` without
            logit adjustment, since the meta set is balanced.

    Attributes:
        loss, meta_loss: As given.
        plain: `CompileLoss` of `loss` without logit adjustment.
    """

    def __init__(self, compile_loss, loss, meta_loss):
        self.loss, self.meta_loss = loss, meta_loss
        self._compile_loss = compile_loss
        self.plain = self._compiled(_without_adjustment(loss))
        self._compiled_meta_loss = self._compiled(
            _without_adjustment(loss) if meta_loss is None else meta_loss
        )
        self._per_sample_loss = PerSampleLoss(compile_loss)
        self._per_sample_meta_loss = PerSampleLoss(self._compiled_meta_loss)

    def aligned(self, y, y_pred, sample_weight):
        """Weights with the rank that the losses have: `PerSampleLoss`."""
        return self._per_sample_loss.aligned(y, y_pred, sample_weight)

    def of_meta_batch(self, y, y_pred, sample_weight):
        """Scalar loss of a batch of the meta set."""
        align = self._per_sample_meta_loss.aligned
        return self._compiled_meta_loss(
            y, y_pred, align(y, y_pred, sample_weight)
        )

    def are_logits(self):
        """Bool, or None where the loss is no crossentropy."""
        return are_logits(self.loss)

    def log_frequencies(self, prepared, num_classes, is_estimated):
        """What is added to logits: as the loss says, or estimated, or None.

        Args:
            prepared: `PreparedCurves` of the samples that are trained on.
            num_classes: Int.
            is_estimated: Bool, whether to estimate where the loss has none.
        """
        (loss,) = keras.tree.flatten(self.loss)
        if isinstance(loss, LogitAdjustedCrossentropy):
            return loss.log_frequencies
        if not is_estimated:
            return None
        return estimated_log_frequencies(
            prepared.quality, prepared.labels, num_classes
        )

    def _compiled(self, loss):
        """Another loss of the same outputs, with the same loss weights."""
        return type(self._compile_loss)(
            loss,
            self._compile_loss._user_loss_weights,
            output_names=self._compile_loss.output_names,
        )


def _without_adjustment(loss):
    """The loss, or losses in any structure, without logit adjustment."""

    def unadjusted(part):
        if isinstance(part, LogitAdjustedCrossentropy):
            return part.without_adjustment()
        return part

    return keras.tree.map_structure(unadjusted, loss)
