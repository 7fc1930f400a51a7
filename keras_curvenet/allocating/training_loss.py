"""The losses of the training steps, as functions of the learned weights."""

import dataclasses

import keras
import tensorflow as tf

from keras_curvenet.allocating.running_predictions import RunningPredictions
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.logit_adjustment import ClassFrequencies
from keras_curvenet.logit_adjustment import LogitAdjustedCrossentropy
from keras_curvenet.logit_adjustment import adjusted_predictions
from keras_curvenet.logit_adjustment import estimated_log_frequencies
from keras_curvenet.logit_adjustment import log_probabilities
from keras_curvenet.logit_adjustment import without_adjustment
from keras_curvenet.private_names import CompileLoss
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.per_sample_loss import PerSampleLoss
from keras_curvenet.probing.per_sample_loss import with_values
from keras_curvenet.replicas import mean_of_all_replicas
from keras_curvenet.replicas import share_of_batch_mean
from keras_curvenet.replicas import sum_of_all_replicas
from keras_curvenet.replicas import undo_scaling


def mixed_losses(losses, weights, running, log_predicted):
    """Float32 `(batch,)`: losses of labels that are trusted by their weight.

    `w * loss + s * crossentropy(running)`. What stands in for a label counts
    as far as that is not trusted and the prediction is sure: `s = (1 - w) *
    sum(running ** 2)`. One that is spread over many classes says nothing of
    this sample, and smooths away what a slow learner has yet to learn.

    Weights are factors of whole losses, not parts of a target: TensorFlow's
    crossentropies have no second derivative with respect to their targets.

    Reference: CMW-Net-SL ([Shu et al.,
    2023](https://arxiv.org/abs/2202.05613)), where s is 1 - w.

    Args:
        losses: Float `(batch,)`, of the given labels.
        weights: Float `(batch,)` >= 0.
        running: Float `(batch, num_classes)`, probabilities.
        log_predicted: Float `(batch, num_classes)`, log-probabilities.
    """
    weights = tf.cast(weights, losses.dtype)
    stand_ins = stand_in_weights(weights, running)
    of_running = -tf.reduce_sum(running * log_predicted, axis=1)
    return weights * losses + stand_ins * of_running


def stand_in_weights(weights, running):
    """Float `(batch,)`: how much a running prediction counts for a label."""
    sureness = tf.reduce_sum(tf.square(running), axis=1)
    return tf.maximum(1.0 - weights, 0.0) * sureness


def mixed_targets(labels, weights, running, num_classes):
    """Float32 `(batch, num_classes)`: what `mixed_losses` trains on.

    Args:
        labels: Int `(batch,)`, -1 for samples of no class.
        weights: Float `(batch,)`, of the labels.
        running: Float `(batch, num_classes)`, or None for labels alone.
        num_classes: Int.
    """
    weights = tf.cast(weights, tf.float32)
    targets = weights[:, tf.newaxis] * tf.one_hot(labels, num_classes)
    if running is None:
        return targets
    return targets + stand_in_weights(weights, running)[:, tf.newaxis] * running


def relative_weights(weights):
    """Weights `(batch,)` divided by their mean in the whole batch.

    Their common level would be a learning rate, which the meta loss drives to
    one of its ends: all weights at their minimum, or at their maximum.
    """
    return tf.math.divide_no_nan(weights, mean_of_all_replicas(weights))


def multiplied_by(sample_weight, factors):
    """The user's sample weights, in any structure, times `(batch,)` factors."""

    def multiply(own):
        if not own.dtype.is_floating:
            own = tf.cast(own, factors.dtype)
        ones = [1] * (len(own.shape) - 1)
        return own * tf.reshape(tf.cast(factors, own.dtype), [-1, *ones])

    return keras.tree.map_structure(multiply, sample_weight)


def row_weights(sample_weight, dtype=tf.float32):
    """Float `(batch,)`: the user's weights of the samples of one output."""
    (own,) = keras.tree.flatten(sample_weight)
    return tf.reshape(tf.cast(own, dtype), [-1])


def relative_sample_weights(sample_weight, given):
    """The user's weights, in any structure, by the mean of those `given` > 0.

    A step that is not an optimizer's would go as far as their common level.
    """
    count = total = 0.0
    for part in keras.tree.flatten(given):
        part = tf.maximum(tf.cast(part, tf.float32), 0.0)
        count += tf.math.count_nonzero(part, dtype=tf.float32)
        total += tf.reduce_sum(part)
    sums = sum_of_all_replicas(tf.stack([count, total]))
    return multiplied_by(sample_weight, tf.math.divide_no_nan(sums[0], sums[1]))


class CompiledLosses:
    """The losses of `compile` in the forms that the steps need.

    Args:
        loss, loss_weights: The user's, in any form that `compile` takes.
        output_names: The base model's, or None.
        meta_loss: The user's loss of the meta set, or None for `loss` without
            logit adjustment, since the meta set is balanced.

    Attributes:
        loss, meta_loss: As given.
    """

    def __init__(self, loss, loss_weights, output_names, meta_loss):
        self.loss, self.meta_loss = loss, meta_loss
        self._of_outputs = loss_weights, output_names
        self._reduced, self._per_sample = self._forms_of(loss)
        self._reduced_meta, self._per_sample_meta = self._forms_of(
            without_adjustment(loss) if meta_loss is None else meta_loss
        )

    def _forms_of(self, loss):
        """Keras's `CompileLoss` and our `PerSampleLoss` of a loss."""
        loss_weights, output_names = self._of_outputs
        loss = keras.tree.map_structure(with_values, loss)
        return (
            CompileLoss(loss, loss_weights, output_names=output_names),
            PerSampleLoss(loss, loss_weights, output_names),
        )

    def aligned(self, y, y_pred, sample_weight):
        """Weights with the rank that the losses have: `PerSampleLoss`."""
        return self._per_sample.aligned(y, y_pred, sample_weight)

    def of_meta_batch(self, y, y_pred, sample_weight):
        """Scalar loss of a batch of the meta set."""
        try:
            sample_weight = self._per_sample_meta.aligned(
                y, y_pred, relative_sample_weights(sample_weight, sample_weight)
            )
            return undo_scaling(self._reduced_meta(y, y_pred, sample_weight))
        except (TypeError, ValueError) as error:  # While a step is traced.
            raise invalid_value(
                "meta_data",
                "targets that the meta loss takes",
                f"targets {y} ({error}).",
            ) from error

    def training_loss(self, curves, num_classes, switches, own_weights):
        """The loss of the virtual and of the actual step.

        Args:
            curves: `PreparedCurves` of the samples that are trained on.
            num_classes: Int, the number of classes that the model predicts, or
                None where they are not those of the curves.
            switches: Dict of `soft_labels`, `balance_classes` and
                `normalize_weights`, as of `CurveWeightedModel`.
            own_weights: Float `(num_samples,)`, the user's.

        Raises:
            ValueError: If a part is required that the loss does not allow.
        """
        normalizes = switches["normalize_weights"] is not False
        from_logits = None if num_classes is None else are_logits(self.loss)
        if from_logits is None:
            self._refuse_required(switches, num_classes)
            return TrainingLoss(self._reduced, self._per_sample, normalizes)
        has_soft_labels = switches["soft_labels"] is not False
        if has_soft_labels and switches["normalize_weights"]:
            raise invalid_value(
                "normalize_weights",
                "True only without soft labels, where a weight is the share "
                "that a label has beside a prediction",
                f"normalize_weights=True, soft_labels={switches['soft_labels']}"
                ". Leave it out, or pass `soft_labels=False`.",
            )
        (loss,) = keras.tree.flatten(self.loss)
        return TrainingLoss(
            *self._forms_of(without_adjustment(self.loss)),
            normalizes,
            from_logits,
            keras.tree.flatten(self._of_outputs[0])[0],
            self._frequencies(
                curves, num_classes, switches["balance_classes"], own_weights
            ),
            RunningPredictions(len(curves.labels), num_classes)
            if has_soft_labels
            else None,
            getattr(with_values(loss), "reduction", "mean"),
        )

    def _refuse_required(self, switches, num_classes):
        for name in ("soft_labels", "balance_classes"):
            if switches[name]:
                raise invalid_value(
                    name,
                    "True only with a Keras crossentropy of one output, whose "
                    "classes are those of the curves",
                    f"{name}=True with loss={self.loss!r}, and a model that "
                    f"predicts {num_classes or 'no'} classes of the curves. "
                    "Leave it out.",
                )

    def _frequencies(self, curves, num_classes, balance_classes, own_weights):
        """Those that the loss has, or estimated ones, or None."""
        (loss,) = keras.tree.flatten(self.loss)
        if isinstance(loss, LogitAdjustedCrossentropy):
            return ClassFrequencies(loss.log_frequencies, follows_targets=False)
        if balance_classes is False:
            return None
        estimated = estimated_log_frequencies(
            curves.start, curves.labels, num_classes, own_weights
        )
        return ClassFrequencies(estimated, follows_targets=True)


@dataclasses.dataclass(eq=False)
class TrainingLoss:
    """The loss of the virtual and of the actual step.

    Args:
        reduced: Keras's `CompileLoss`.
        unreduced: `PerSampleLoss` of the same losses.
        normalizes: Bool, whether weights are divided by their mean, where no
            predictions stand in for labels.
        from_logits: Bool, whether the one output's predictions are logits; or
            None where they are no class predictions.
        loss_weight: Float, the one output's; or None.
        frequencies: `ClassFrequencies`, for logit adjustment, or None.
        running_predictions: `RunningPredictions` that stand in for labels as
            far as these are not trusted, or None.
        reduction: String, the one output's loss's.
    """

    reduced: CompileLoss
    unreduced: PerSampleLoss
    normalizes: bool = True
    from_logits: bool | None = None
    loss_weight: float | None = None
    frequencies: ClassFrequencies | None = None
    running_predictions: RunningPredictions | None = None
    reduction: str = "mean"

    def go_on_from(self, earlier):
        """Takes over what a `TrainingLoss` of the same samples followed."""
        if self.running_predictions and earlier.running_predictions:
            self.running_predictions = earlier.running_predictions
        own, before = self.frequencies, earlier.frequencies
        if own and before and own.follows_targets and before.follows_targets:
            self.frequencies = before

    def adjusted(self, y_pred):
        """Predictions that the loss is taken of: adjusted for rare classes."""
        if self.frequencies is None:
            return y_pred
        logarithms = self.frequencies.logarithms
        return keras.tree.map_structure(
            lambda output: adjusted_predictions(
                output, logarithms, self.from_logits
            ),
            y_pred,
        )

    def log_probabilities(self, predictions):
        """Float32 `(batch, num_classes)`."""
        (output,) = keras.tree.flatten(predictions)
        return log_probabilities(output, self.from_logits)

    def factors(self, weights):
        """Float `(batch,)`: by what losses are multiplied."""
        return relative_weights(weights) if self.normalizes else weights

    def __call__(self, y, predictions, sample_weight, weights, running=None):
        """Scalar loss of a batch, without regularization.

        Args:
            y: Targets.
            predictions: What `adjusted` made of the model's output.
            sample_weight: The user's.
            weights: Float `(batch,)`, the learned ones.
            running: Float `(batch, num_classes)`, running predictions, or None.
        """
        if running is None:
            sample_weight = multiplied_by(sample_weight, self.factors(weights))
            sample_weight = self.unreduced.aligned(
                y, predictions, sample_weight
            )
            return undo_scaling(self.reduced(y, predictions, sample_weight))
        loss_weight = 1.0 if self.loss_weight is None else self.loss_weight
        losses, counted = self.unreduced.with_counted(y, predictions)
        losses = mixed_losses(
            losses,
            weights,
            running,
            loss_weight * self.log_probabilities(predictions),
        )
        own = row_weights(sample_weight, losses.dtype)
        ones = tf.ones_like(losses)
        if counted is not None:  # The others have no label to stand in for.
            ones = tf.cast(counted, losses.dtype)
            own *= ones
        loss = tf.reduce_sum(own * losses)
        if self.reduction == "sum":
            loss = undo_scaling(loss)
        else:
            over = own if self.reduction == "mean_with_sample_weight" else ones
            loss = tf.math.divide_no_nan(loss, tf.reduce_sum(over))
        return tf.cast(loss, keras.config.floatx())


class BatchLoss:
    """The loss of a batch, as a function of its samples' weights.

    One forward pass serves the virtual and the actual step: each calls this
    with its own weights.

    Args:
        training_loss: `TrainingLoss`.
        y, y_pred, sample_weight, sample_ids: Of the batch.
        trained_on: Float `(batch,)`, 0 for samples that are held out; or None.

    Attributes:
        sample_weight: The user's, 0 for samples that are held out.
        has_weight: Bool `(batch,)`, which samples weights and masks leave.
    """

    def __init__(
        self, training_loss, y, y_pred, sample_weight, sample_ids, trained_on
    ):
        self._loss, self._sample_ids = training_loss, sample_ids
        self._y, self._predictions = y, training_loss.adjusted(y_pred)
        self._given = self.sample_weight = sample_weight
        if trained_on is not None:
            self.sample_weight = multiplied_by(sample_weight, trained_on)
        _, self.has_weight = training_loss.unreduced.with_counted(
            y, self._predictions, sample_weight
        )
        self._present = self._running = None
        if training_loss.running_predictions is not None:
            self._present = tf.stop_gradient(
                tf.exp(training_loss.log_probabilities(self._predictions))
            )
            self._running = training_loss.running_predictions.of_batch(
                sample_ids, self._present
            )

    def __call__(self, weights, sample_weight=None):
        """Scalar loss: this replica's share of that of the whole batch."""
        if sample_weight is None:
            sample_weight = self.sample_weight
        loss = self._loss(
            self._y, self._predictions, sample_weight, weights, self._running
        )
        return share_of_batch_mean(loss, tf.shape(weights)[0])

    def virtual(self, weights):
        """The loss of the virtual step."""
        return self(
            weights, relative_sample_weights(self.sample_weight, self._given)
        )

    def per_sample(self):
        """Float32 `(batch,)`: the loss of every sample, without gradients."""
        return tf.stop_gradient(
            self._loss.unreduced(self._y, self._predictions)
        )

    def note_targets(self, labels, weights):
        """Lets frequencies and predictions follow what was trained on.

        Args:
            labels: Int `(batch,)`, -1 for samples of no class.
            weights: Float `(batch,)`, the learned ones.
        """
        frequencies = self._loss.frequencies
        if frequencies is not None:
            own = tf.where(self.has_weight, row_weights(self._given), 0.0)
            targets = mixed_targets(
                labels, weights, self._running, frequencies.num_classes
            )
            frequencies.count(own[:, tf.newaxis] * targets)
        if self._present is not None:
            self._loss.running_predictions.update(
                self._sample_ids, self._present
            )
