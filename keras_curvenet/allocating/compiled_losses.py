"""What `CurveWeightedModel.compile` makes of the losses it is given."""

import keras

from keras_curvenet.allocating.class_balance import ClassFrequencies
from keras_curvenet.allocating.class_balance import estimated_log_frequencies
from keras_curvenet.allocating.logit_adjusted_crossentropy import (
    LogitAdjustedCrossentropy,
)
from keras_curvenet.allocating.training_loss import TrainingLoss
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.per_sample_loss import PerSampleLoss
from keras_curvenet.replicas import undo_scaling


class CompiledLosses:
    """The user's loss in the forms that the steps need.

    Args:
        compile_loss: Keras's `CompileLoss`, what `compile` made of `loss`.
        loss: The user's, in any form that `compile` takes.
        meta_loss: The user's loss of the meta set, or None for `loss` without
            logit adjustment, since the meta set is balanced.

    Attributes:
        loss, meta_loss: As given.
    """

    def __init__(self, compile_loss, loss, meta_loss):
        self.loss, self.meta_loss = loss, meta_loss
        self._compile_loss = compile_loss
        self._plain = self._compiled(_without_adjustment(loss))
        self._compiled_meta_loss = self._compiled(
            _without_adjustment(loss) if meta_loss is None else meta_loss
        )
        self._per_sample_loss, self._per_sample_meta_loss = (
            PerSampleLoss(part._user_loss, part._user_loss_weights, names)
            for names in [compile_loss.output_names]
            for part in (compile_loss, self._compiled_meta_loss)
        )

    def aligned(self, y, y_pred, sample_weight):
        """Weights with the rank that the losses have: `PerSampleLoss`."""
        return self._per_sample_loss.aligned(y, y_pred, sample_weight)

    def of_meta_batch(self, y, y_pred, sample_weight):
        """Scalar loss of a batch of the meta set."""
        align = self._per_sample_meta_loss.aligned
        try:
            loss = self._compiled_meta_loss(
                y, y_pred, align(y, y_pred, sample_weight)
            )
        except (TypeError, ValueError) as error:  # While a step is traced.
            raise ValueError(
                "Invalid value for argument `meta_data`. Expected targets that "
                f"the meta loss takes. Received: targets {y} ({error})."
            ) from error
        return undo_scaling(loss)

    def training_loss(
        self, prepared, num_classes, soft_labels, balance_classes
    ):
        """The loss of the virtual and of the actual step.

        Args:
            prepared: `PreparedCurves` of the samples that are trained on.
            num_classes: Int, the number of classes that the model predicts, or
                None where they are not those of the curves.
            soft_labels, balance_classes: As of `CurveWeightedModel`.

        Returns:
            `TrainingLoss`.

        Raises:
            ValueError: If a part is required that the loss does not allow.
        """
        from_logits = None if num_classes is None else are_logits(self.loss)
        if from_logits is not None:
            frequencies = self._frequencies(
                prepared, num_classes, balance_classes
            )
            return TrainingLoss(self._plain, from_logits, frequencies)
        required = {
            "soft_labels": soft_labels,
            "balance_classes": balance_classes,
        }
        for name, value in required.items():
            if value:
                raise ValueError(
                    f"Invalid value for argument `{name}`. Expected True only "
                    "with a Keras crossentropy of one output, whose classes "
                    f"are those of the curves. Received: {name}=True with "
                    f"loss={self.loss!r}, and a model that predicts "
                    f"{num_classes or 'no'} classes of the curves. Leave it "
                    "out."
                )
        return TrainingLoss(self._compile_loss, None, None)

    def _frequencies(self, prepared, num_classes, balance_classes):
        """Those that the loss has, or estimated ones, or None."""
        (loss,) = keras.tree.flatten(self.loss)
        if isinstance(loss, LogitAdjustedCrossentropy):
            return ClassFrequencies(loss.log_frequencies, follows_targets=False)
        if balance_classes is False:
            return None
        estimated = estimated_log_frequencies(
            prepared.start, prepared.labels, num_classes
        )
        return ClassFrequencies(estimated, follows_targets=True)

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
