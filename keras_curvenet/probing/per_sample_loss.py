"""One loss value per sample from whatever was given to `compile`."""

import keras
import tensorflow as tf

from keras_curvenet.private_names import CompileLoss
from keras_curvenet.private_names import flat_losses_of
from keras_curvenet.private_names import mask_of


class PerSampleLoss:
    """Computes every sample's own loss with a compiled model's losses.

    These are the losses before Keras reduces them: unweighted, without
    regularization terms, over several outputs the sum weighted with
    `loss_weights`, over positions the mean of the unmasked ones.

    Args:
        loss, loss_weights: As of `compile`.
        output_names: The model's, or None where it has none.
    """

    def __init__(self, loss, loss_weights=None, output_names=None):
        # Matches losses, outputs and loss weights just as Keras does for the
        # training loss; only its leaves do not reduce.
        self._compile_loss = CompileLoss(
            keras.tree.map_structure(
                lambda part: None if part is None else _UnreducedLoss(part),
                loss,
            ),
            loss_weights,
            output_names=output_names,
        )

    def __call__(self, y, y_pred):
        """Float32 `(batch,)`: every sample's loss, of targets as of `fit`."""
        return tf.cast(self._compile_loss(y, y_pred), tf.float32)

    def aligned(self, y, y_pred, sample_weight):
        """Gives weights `(batch,)` the rank that each output's losses have.

        Keras multiplies losses `(batch, d1, ..)` with weights of the same rank,
        or fails. Weights of any other form, and None, stay as they are.
        """
        if sample_weight is None or keras.tree.is_nested(sample_weight):
            return sample_weight
        if len(sample_weight.shape) != 1:
            return sample_weight
        self(y, y_pred)  # Finds the ranks; its values are not used.
        ranks = {
            path: loss.rank for path, loss in flat_losses_of(self._compile_loss)
        }

        def expanded(rank):
            return tf.reshape(sample_weight, [-1] + [1] * (rank - 1))

        if len(set(ranks.values())) == 1:
            return expanded(ranks.popitem()[1])
        return keras.tree.pack_sequence_as(
            y_pred,
            [
                expanded(ranks.get(path, 1))
                for path, _ in keras.tree.flatten_with_path(y_pred)
            ],
        )


class _UnreducedLoss(keras.losses.Loss):
    """A loss whose call returns the mean over each sample's positions.

    Attributes:
        rank: Int, the rank of the loss's values in the latest call.
    """

    def __init__(self, loss):
        super().__init__(name=None if callable(loss) else str(loss))
        self.loss = loss
        self.rank = 1

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Some names, as "crossentropy", depend on the shapes.
        resolver = CompileLoss(self.loss)
        resolver.build(y_true, y_pred)
        ((_, loss),) = flat_losses_of(resolver)
        mask = mask_of(y_pred)

        def convert(value):
            return keras.ops.convert_to_tensor(value, dtype=loss.dtype)

        values = loss.call(
            keras.tree.map_structure(convert, y_true),
            keras.tree.map_structure(convert, y_pred),
        )
        values = keras.ops.convert_to_tensor(values, dtype=loss.dtype)
        _refuse_reduced(values, y_pred, loss.name)
        self.rank = len(values.shape)
        return _mean_over_positions(values, mask)


def _refuse_reduced(values, y_pred, name):
    """Raises ValueError where losses are not one (or more) for each sample."""
    batch = keras.tree.flatten(y_pred)[0].shape[0]
    shape = tuple(values.shape)
    if len(shape) == 0 or shape[0] not in (None, batch):
        raise ValueError(
            f"Invalid value for argument `loss`. Expected loss '{name}' to "
            "give one value per sample, of shape (batch, ...). Received: "
            f"values of shape {shape}. Return the losses unreduced (no mean "
            "over the batch); Keras takes the mean itself."
        )


def _mean_over_positions(values, mask):
    """Mean of `values` `(batch, ...)` over all unmasked positions."""
    axes = list(range(1, len(values.shape)))
    if not axes:
        return values
    if mask is None:
        return keras.ops.mean(values, axis=axes)
    mask = keras.ops.cast(mask, values.dtype)
    while len(mask.shape) < len(values.shape):
        mask = keras.ops.expand_dims(mask, -1)
    mask = mask * keras.ops.ones_like(values)
    return keras.ops.divide_no_nan(
        keras.ops.sum(values * mask, axis=axes), keras.ops.sum(mask, axis=axes)
    )
