"""What a training step reads beside its batch."""

import dataclasses

import tensorflow as tf

from keras_curvenet.allocating.batch_loss import BatchLoss
from keras_curvenet.allocating.prepared_curves import PreparedCurves
from keras_curvenet.allocating.running_predictions import RunningPredictions
from keras_curvenet.allocating.training_loss import TrainingLoss
from keras_curvenet.probing.loss_curves import LossCurves
from keras_curvenet.replicas import variable_of_all_replicas


@dataclasses.dataclass(frozen=True, eq=False)
class StepParts:
    """What `fit` makes of its arguments for the training step.

    Args:
        loss_curves: `LossCurves` of all samples.
        prepared: `PreparedCurves` of all samples.
        loss: `TrainingLoss`.
        beliefs: `RunningPredictions`, or None where nothing believed is
            trained on.
        frozen_weights: Float32 variable `(num_samples,)`: the samples' weights
            from the time on when they are no longer learned.
        compares_labels: Bool, whether targets are of the curves' classes.
        trusts_changed_labels: Bool, as of `fit`.
    """

    loss_curves: LossCurves
    prepared: PreparedCurves
    loss: TrainingLoss
    beliefs: RunningPredictions | None
    frozen_weights: tf.Variable
    compares_labels: bool
    trusts_changed_labels: bool

    def is_traced_as(self, other):
        """Bool: whether a step traced with these serves the others."""
        return (
            self.loss.settings() == other.loss.settings()
            and self.beliefs is other.beliefs
            and self.frozen_weights is other.frozen_weights
            and self.compares_labels == other.compares_labels
            and self.trusts_changed_labels == other.trusts_changed_labels
        )

    def batch_loss(self, *batch):
        """`BatchLoss` of a batch `(y, y_pred, sample_weight, sample_ids)`."""
        return BatchLoss(self.loss, self.beliefs, *batch)

    def freeze(self, weights):
        """Keeps weights `(n,)`, perhaps those of more samples."""
        num_samples = self.frozen_weights.shape[0]
        self.frozen_weights.assign(weights[:num_samples])

    def trusting(self, weights, changed):
        """The weights, and 1 where a label was changed since, if asked for."""
        if not self.trusts_changed_labels:
            return weights
        return tf.where(changed, tf.ones_like(weights), weights)


def step_parts(
    earlier,
    loss_curves,
    prepared,
    loss,
    num_samples,
    num_classes,
    soft_labels,
    trusts_changed_labels,
):
    """The parts for a `fit`; of an earlier one, what fits is kept.

    Args:
        earlier: `StepParts`, or None in the first `fit`.
        loss_curves: `LossCurves` of all samples.
        prepared: `PreparedCurves` of all samples.
        loss: `TrainingLoss`.
        num_samples: Int, the number of sample ids.
        num_classes: Int, the number of classes that the model predicts, or
            None where they are not those of the curves.
        soft_labels, trusts_changed_labels: As of `CurveWeightedModel`.

    Returns:
        `StepParts`.
    """
    beliefs = frozen_weights = None
    if earlier is not None:
        beliefs, frozen_weights = earlier.beliefs, earlier.frozen_weights
    if loss.from_logits is None or soft_labels is False:
        beliefs = None
    elif beliefs is None or not beliefs.fits(num_samples, num_classes):
        beliefs = RunningPredictions(num_samples, num_classes)
    elif earlier.loss_curves is not loss_curves:
        beliefs.clear()  # They may be of other samples.
    if frozen_weights is None or frozen_weights.shape[0] != num_samples:
        frozen_weights = variable_of_all_replicas(tf.zeros([num_samples]))
    # Without a crossentropy, a single output may be no binary decision.
    compares_labels = num_classes is not None and (
        loss.from_logits is not None or num_classes > 2
    )
    parts = StepParts(
        loss_curves,
        prepared,
        loss,
        beliefs,
        frozen_weights,
        compares_labels,
        trusts_changed_labels,
    )
    if earlier is None or not parts.is_traced_as(earlier):
        return parts
    if earlier.loss_curves is not loss_curves and loss.frequencies is not None:
        earlier.loss.frequencies.start_anew(loss.frequencies)
    return dataclasses.replace(parts, loss=earlier.loss)
