"""The training loss of one batch."""

import tensorflow as tf

from keras_curvenet.replicas import share_of_batch_mean


class BatchLoss:
    """The loss of a batch, as a function of its samples' weights.

    One forward pass serves the virtual and the actual step: each calls this
    with its own weights.

    Args:
        training_loss: `TrainingLoss`.
        beliefs: `RunningPredictions`, or None.
        y: Targets.
        y_pred: The model's predictions.
        sample_weight: The user's.
        sample_ids: Int `(batch,)`.
    """

    def __init__(
        self, training_loss, beliefs, y, y_pred, sample_weight, sample_ids
    ):
        self._training_loss, self._beliefs = training_loss, beliefs
        self._y, self._sample_weight = y, sample_weight
        self._sample_ids = sample_ids
        self._predictions = training_loss.predictions(y_pred)
        self._present = self._believed = None
        if beliefs is not None:
            self._present = training_loss.probabilities(self._predictions)
            self._believed = beliefs.of_batch(sample_ids, self._present)

    def __call__(self, weights):
        """Scalar loss: this replica's share of that of the whole batch."""
        loss = self._training_loss(
            self._y,
            self._predictions,
            self._sample_weight,
            weights,
            self._believed,
        )
        return share_of_batch_mean(loss, tf.shape(weights)[0])

    def update_targets(self, labels, weights):
        """Lets class frequencies and beliefs follow what was trained on.

        Args:
            labels: Int `(batch,)`, -1 for samples of no class.
            weights: Float `(batch,)`, the learned ones.
        """
        self._training_loss.count_classes(labels, weights, self._believed)
        if self._beliefs is not None:
            self._beliefs.update(self._sample_ids, self._present)
