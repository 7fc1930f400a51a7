"""The training loss, as a function of the learned weights."""

import keras
import tensorflow as tf

from keras_curvenet.allocating.class_balance import adjusted_predictions
from keras_curvenet.allocating.class_balance import log_probabilities
from keras_curvenet.probing.per_sample_loss import PerSampleLoss
from keras_curvenet.replicas import mean_of_all_replicas
from keras_curvenet.replicas import undo_scaling


def mixed_losses(losses, weights, believed, log_predicted):
    """Crossentropies of labels that are trusted by their weight only.

    `w * loss + s * crossentropy(believed)`. What stands in for a label counts
    as far as that is not trusted and the belief is sure: `s = (1 - w) *
    sum(believed ** 2)`, the probability that two guesses by the belief agree. A
    belief that is spread over many classes says nothing of this sample; trained
    on in full, it smooths away what a slow learner has yet to learn
    (`benchmarks/RESULTS.md`, "Beliefs that are not sure").

    Weights are factors of whole losses, not parts of a target: TensorFlow's
    crossentropies have no second derivative with respect to their targets.

    Reference: CMW-Net-SL ([Shu et al.,
    2023](https://arxiv.org/abs/2202.05613)), soft label, where all beliefs
    count in full.

    Args:
        losses: Float `(batch,)`, of the given labels.
        weights: Float `(batch,)` >= 0. Of those above 1, nothing is missing
            that a belief could stand in for.
        believed: Float `(batch, num_classes)`, probabilities.
        log_predicted: Float `(batch, num_classes)`, log-probabilities.

    Returns:
        Float32 `(batch,)`.
    """
    weights = tf.cast(weights, losses.dtype)
    stand_ins = stand_in_weights(weights, believed)
    of_believed = -tf.reduce_sum(believed * log_predicted, axis=1)
    return weights * losses + stand_ins * of_believed


def stand_in_weights(weights, believed):
    """How much a belief counts in a label's place.

    Args:
        weights: Float `(batch,)`, of the labels.
        believed: Float `(batch, num_classes)`, probabilities.

    Returns:
        Float `(batch,)`.
    """
    sureness = tf.reduce_sum(tf.square(believed), axis=1)
    return tf.maximum(1.0 - weights, 0.0) * sureness


def relative_weights(weights):
    """Weights `(batch,)` divided by their mean in the whole batch.

    Their common level would be a learning rate, which the meta loss drives to
    one of its ends: all weights at their minimum, or at their maximum.
    """
    return tf.math.divide_no_nan(weights, mean_of_all_replicas(weights))


def times(sample_weight, weights):
    """The user's sample weights, in any structure, times the learned ones."""

    def multiply(own):
        if not own.dtype.is_floating:
            own = tf.cast(own, weights.dtype)
        ones = [1] * (len(own.shape) - 1)
        return own * tf.reshape(tf.cast(weights, own.dtype), [-1, *ones])

    return keras.tree.map_structure(multiply, sample_weight)


class TrainingLoss:
    """The loss of the virtual and of the actual step.

    Args:
        compile_loss: Keras's `CompileLoss`, the compiled losses.
        from_logits: Bool, whether the one output's predictions are logits; or
            None where they are no class predictions.
        frequencies: `ClassFrequencies`, for logit adjustment, or None.

    Attributes:
        from_logits, frequencies: As given.
    """

    def __init__(self, compile_loss, from_logits, frequencies):
        self._compile_loss = compile_loss
        self._per_sample_loss = PerSampleLoss(
            compile_loss._user_loss,
            compile_loss._user_loss_weights,
            compile_loss.output_names,
        )
        self.from_logits = from_logits
        self.frequencies = frequencies

    def settings(self):
        """Tuple of all that a traced step depends on."""
        frequencies = self.frequencies
        return (
            self._compile_loss,
            self.from_logits,
            frequencies and frequencies.follows_targets,
            frequencies and frequencies.num_classes,
        )

    def predictions(self, y_pred):
        """What the loss is taken of: predictions, adjusted for rare classes."""
        if self.frequencies is None:
            return y_pred
        adjusted = [
            adjusted_predictions(
                output, self.frequencies.logarithms, self.from_logits
            )
            for output in keras.tree.flatten(y_pred)
        ]
        return keras.tree.pack_sequence_as(y_pred, adjusted)

    def count_classes(self, labels, weights, believed):
        """Counts what the batch is trained on, for the next epoch.

        Args:
            labels: Int `(batch,)`, -1 for samples of no class.
            weights: Float `(batch,)`, the learned ones.
            believed: Float `(batch, num_classes)`, or None.
        """
        if self.frequencies is None:
            return
        num_classes = self.frequencies.num_classes
        weights = tf.cast(weights, tf.float32)
        targets = weights[:, tf.newaxis] * tf.one_hot(labels, num_classes)
        if believed is not None:
            stand_ins = stand_in_weights(weights, believed)
            targets += stand_ins[:, tf.newaxis] * believed
        self.frequencies.count(targets)

    def probabilities(self, predictions):
        """Float32 `(batch, num_classes)`, without gradients."""
        return tf.stop_gradient(tf.exp(self._log_probabilities(predictions)))

    def __call__(self, y, predictions, sample_weight, weights, believed=None):
        """Scalar loss of a batch, without regularization.

        Args:
            y: Targets.
            predictions: What `predictions` made of the model's output.
            sample_weight: The user's.
            weights: Float `(batch,)`, the learned ones.
            believed: Float `(batch, num_classes)`: probabilities that stand in
                for labels as far as these are not trusted, or None.
        """
        if believed is not None:
            losses = mixed_losses(
                self._per_sample_loss(y, predictions),
                weights,
                believed,
                self._loss_weight() * self._log_probabilities(predictions),
            )
            (own,) = keras.tree.flatten(sample_weight)
            own = tf.reshape(tf.cast(own, losses.dtype), [-1])
            loss = tf.reduce_mean(own * losses)
            return tf.cast(loss, keras.config.floatx())
        sample_weight = self._per_sample_loss.aligned(
            y, predictions, times(sample_weight, relative_weights(weights))
        )
        return undo_scaling(self._compile_loss(y, predictions, sample_weight))

    def _loss_weight(self):
        """The one output's, by which its loss is multiplied already."""
        weights = keras.tree.flatten(self._compile_loss._user_loss_weights)
        return 1.0 if weights in ([], [None]) else weights[0]

    def _log_probabilities(self, predictions):
        (output,) = keras.tree.flatten(predictions)
        return log_probabilities(output, self.from_logits)
