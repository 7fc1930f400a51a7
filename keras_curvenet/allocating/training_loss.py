"""The losses of the training steps, as functions of the learned weights."""

import keras
import tensorflow as tf

from keras_curvenet.allocating.logit_adjustment import ClassFrequencies
from keras_curvenet.allocating.logit_adjustment import LogitAdjustedCrossentropy
from keras_curvenet.allocating.logit_adjustment import adjusted_predictions
from keras_curvenet.allocating.logit_adjustment import estimated_log_frequencies
from keras_curvenet.allocating.logit_adjustment import log_probabilities
from keras_curvenet.allocating.running_predictions import RunningPredictions
from keras_curvenet.private_names import CompileLoss
from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.per_sample_loss import PerSampleLoss
from keras_curvenet.replicas import mean_of_all_replicas
from keras_curvenet.replicas import share_of_batch_mean
from keras_curvenet.replicas import undo_scaling


def mixed_losses(losses, weights, running, log_predicted):
    """Crossentropies of labels that are trusted by their weight only.

    `w * loss + s * crossentropy(running)`. What stands in for a label counts
    as far as that is not trusted and the prediction is sure: `s = (1 - w) *
    sum(running ** 2)`, the probability that two guesses by it agree. One that
    is spread over many classes says nothing of this sample; trained on in
    full, it smooths away what a slow learner has yet to learn.

    Weights are factors of whole losses, not parts of a target: TensorFlow's
    crossentropies have no second derivative with respect to their targets.

    Reference: CMW-Net-SL ([Shu et al.,
    2023](https://arxiv.org/abs/2202.05613)), soft label, where all predictions
    count in full.

    Args:
        losses: Float `(batch,)`, of the given labels.
        weights: Float `(batch,)` >= 0. Of those above 1, nothing is missing
            that a prediction could stand in for.
        running: Float `(batch, num_classes)`, probabilities.
        log_predicted: Float `(batch, num_classes)`, log-probabilities.

    Returns:
        Float32 `(batch,)`.
    """
    weights = tf.cast(weights, losses.dtype)
    stand_ins = stand_in_weights(weights, running)
    of_running = -tf.reduce_sum(running * log_predicted, axis=1)
    return weights * losses + stand_ins * of_running


def stand_in_weights(weights, running):
    """How much a running prediction counts in a label's place.

    Args:
        weights: Float `(batch,)`, of the labels.
        running: Float `(batch, num_classes)`, probabilities.

    Returns:
        Float `(batch,)`.
    """
    sureness = tf.reduce_sum(tf.square(running), axis=1)
    return tf.maximum(1.0 - weights, 0.0) * sureness


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


class CompiledLosses:
    """The losses of `compile` in the forms that the steps need.

    Args:
        loss: The user's, in any form that `compile` takes.
        loss_weights: The user's, or None.
        output_names: The base model's.
        meta_loss: The user's loss of the meta set, or None for `loss` without
            logit adjustment, since the meta set is balanced.

    Attributes:
        loss, meta_loss: As given.
    """

    def __init__(self, loss, loss_weights, output_names, meta_loss):
        self.loss, self.meta_loss = loss, meta_loss
        self._of_outputs = loss_weights, output_names
        self._compile_loss = self._compiled(loss)
        self._compiled_meta_loss = self._compiled(
            _without_adjustment(loss) if meta_loss is None else meta_loss
        )
        self._per_sample_loss = self._unreduced(loss)
        self._per_sample_meta_loss = self._unreduced(
            _without_adjustment(loss) if meta_loss is None else meta_loss
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
        self,
        prepared,
        num_classes,
        soft_labels,
        balance_classes,
        normalize_weights,
    ):
        """The loss of the virtual and of the actual step.

        Args:
            prepared: `PreparedCurves` of the samples that are trained on.
            num_classes: Int, the number of classes that the model predicts, or
                None where they are not those of the curves.
            soft_labels, balance_classes, normalize_weights: As of
                `CurveWeightedModel`.

        Returns:
            `TrainingLoss`.

        Raises:
            ValueError: If a part is required that the loss does not allow.
        """
        from_logits = None if num_classes is None else are_logits(self.loss)
        if from_logits is None:
            self._refuse_if_required("soft_labels", soft_labels, num_classes)
            self._refuse_if_required(
                "balance_classes", balance_classes, num_classes
            )
            return TrainingLoss(
                self._compile_loss,
                self._per_sample_loss,
                normalizes=normalize_weights is not False,
            )
        running_predictions = None
        if soft_labels is not False:
            running_predictions = RunningPredictions(
                len(prepared.labels), num_classes
            )
        if running_predictions is not None and normalize_weights:
            raise ValueError(
                "Invalid value for argument `normalize_weights`. Expected True "
                "only without soft labels, where a weight is the share that a "
                "label has beside what the network predicts. Received: "
                f"normalize_weights=True, soft_labels={soft_labels}. Leave it "
                "out, or pass `soft_labels=False`."
            )
        plain = _without_adjustment(self.loss)
        return TrainingLoss(
            self._compiled(plain),
            self._unreduced(plain),
            normalizes=normalize_weights is not False,
            from_logits=from_logits,
            loss_weight=keras.tree.flatten(self._of_outputs[0])[0],
            frequencies=self._frequencies(
                prepared, num_classes, balance_classes
            ),
            running_predictions=running_predictions,
        )

    def _refuse_if_required(self, name, value, num_classes):
        if value:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected True only "
                "with a Keras crossentropy of one output, whose classes are "
                f"those of the curves. Received: {name}=True with loss="
                f"{self.loss!r}, and a model that predicts "
                f"{num_classes or 'no'} classes of the curves. Leave it out."
            )

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
        """A loss of the same outputs, with the same loss weights."""
        loss_weights, output_names = self._of_outputs
        return CompileLoss(loss, loss_weights, output_names=output_names)

    def _unreduced(self, loss):
        return PerSampleLoss(loss, *self._of_outputs)


class TrainingLoss:
    """The loss of the virtual and of the actual step.

    Args:
        compile_loss: Keras's `CompileLoss`.
        per_sample_loss: `PerSampleLoss` of the same losses.
        normalizes: Bool, whether weights are divided by their mean, where no
            predictions stand in for labels.
        from_logits: Bool, whether the one output's predictions are logits; or
            None where they are no class predictions.
        loss_weight: Float, the one output's; or None.
        frequencies: `ClassFrequencies`, for logit adjustment, or None.
        running_predictions: `RunningPredictions` that stand in for labels as
            far as these are not trusted, or None.

    Attributes:
        from_logits, frequencies, running_predictions: As given.
    """

    def __init__(
        self,
        compile_loss,
        per_sample_loss,
        normalizes,
        from_logits=None,
        loss_weight=None,
        frequencies=None,
        running_predictions=None,
    ):
        self._compile_loss = compile_loss
        self._per_sample_loss = per_sample_loss
        self._normalizes = normalizes
        self.from_logits = from_logits
        self._loss_weight = 1.0 if loss_weight is None else loss_weight
        self.frequencies = frequencies
        self.running_predictions = running_predictions

    def go_on_from(self, earlier):
        """Takes over what a `TrainingLoss` of the same samples followed."""
        if self.running_predictions and earlier.running_predictions:
            self.running_predictions = earlier.running_predictions
        frequencies, before = self.frequencies, earlier.frequencies
        if frequencies and before:
            if frequencies.follows_targets and before.follows_targets:
                self.frequencies = before

    def of_batch(self, y, y_pred, sample_weight, sample_ids):
        """`BatchLoss` of a batch after its forward pass."""
        return BatchLoss(self, y, y_pred, sample_weight, sample_ids)

    def adjusted(self, y_pred):
        """Predictions that the loss is taken of: adjusted for rare classes."""
        if self.frequencies is None:
            return y_pred
        adjusted = [
            adjusted_predictions(
                output, self.frequencies.logarithms, self.from_logits
            )
            for output in keras.tree.flatten(y_pred)
        ]
        return keras.tree.pack_sequence_as(y_pred, adjusted)

    def factors(self, weights):
        """Float `(batch,)`: by what losses are multiplied."""
        return relative_weights(weights) if self._normalizes else weights

    def per_sample(self, y, predictions):
        """Float32 `(batch,)`: the loss of every sample, unweighted."""
        return self._per_sample_loss(y, predictions)

    def log_probabilities(self, predictions):
        """Float32 `(batch, num_classes)`."""
        (output,) = keras.tree.flatten(predictions)
        return log_probabilities(output, self.from_logits)

    def __call__(self, y, predictions, sample_weight, weights, running=None):
        """Scalar loss of a batch, without regularization.

        Args:
            y: Targets.
            predictions: What `adjusted` made of the model's output.
            sample_weight: The user's.
            weights: Float `(batch,)`, the learned ones.
            running: Float `(batch, num_classes)`: probabilities that stand in
                for labels as far as these are not trusted, or None.
        """
        if running is None:
            sample_weight = self._per_sample_loss.aligned(
                y,
                predictions,
                multiplied_by(sample_weight, self.factors(weights)),
            )
            return undo_scaling(
                self._compile_loss(y, predictions, sample_weight)
            )
        losses = mixed_losses(
            self._per_sample_loss(y, predictions),
            weights,
            running,
            self._loss_weight * self.log_probabilities(predictions),
        )
        (own,) = keras.tree.flatten(sample_weight)
        own = tf.reshape(tf.cast(own, losses.dtype), [-1])
        return tf.cast(tf.reduce_mean(own * losses), keras.config.floatx())


class BatchLoss:
    """The loss of a batch, as a function of its samples' weights.

    One forward pass serves the virtual and the actual step: each calls this
    with its own weights.

    Args:
        training_loss: `TrainingLoss`.
        y: Targets.
        y_pred: The model's predictions.
        sample_weight: The user's.
        sample_ids: Int `(batch,)`.
    """

    def __init__(self, training_loss, y, y_pred, sample_weight, sample_ids):
        self._training_loss = training_loss
        self._y, self._sample_weight = y, sample_weight
        self._sample_ids = sample_ids
        self._predictions = training_loss.adjusted(y_pred)
        self._present = self._running = None
        if training_loss.running_predictions is not None:
            self._present = tf.stop_gradient(
                tf.exp(training_loss.log_probabilities(self._predictions))
            )
            self._running = training_loss.running_predictions.of_batch(
                sample_ids, self._present
            )

    def __call__(self, weights):
        """Scalar loss: this replica's share of that of the whole batch."""
        loss = self._training_loss(
            self._y,
            self._predictions,
            self._sample_weight,
            weights,
            self._running,
        )
        return share_of_batch_mean(loss, tf.shape(weights)[0])

    def per_sample(self):
        """Float32 `(batch,)`: the loss of every sample, without gradients."""
        return tf.stop_gradient(
            self._training_loss.per_sample(self._y, self._predictions)
        )

    def note_targets(self, labels, weights):
        """Lets class frequencies and predictions follow what was trained on.

        Args:
            labels: Int `(batch,)`, -1 for samples of no class.
            weights: Float `(batch,)`, the learned ones.
        """
        frequencies = self._training_loss.frequencies
        if frequencies is not None:
            weights = tf.cast(weights, tf.float32)
            targets = weights[:, tf.newaxis] * tf.one_hot(
                labels, frequencies.num_classes
            )
            if self._running is not None:
                stand_ins = stand_in_weights(weights, self._running)
                targets += stand_ins[:, tf.newaxis] * self._running
            frequencies.count(targets)
        if self._present is not None:
            self._training_loss.running_predictions.update(
                self._sample_ids, self._present
            )


def _without_adjustment(loss):
    """The loss, or losses in any structure, without logit adjustment."""

    def unadjusted(part):
        if isinstance(part, LogitAdjustedCrossentropy):
            return part.without_adjustment()
        return part

    return keras.tree.map_structure(unadjusted, loss)
