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
    `loss_weights`, over positions the mean of those that count: that neither
    a layer nor the loss (`ignore_class`) masks.

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
        return self.with_counted(y, y_pred)[0]

    def with_counted(self, y, y_pred, sample_weight=None):
        """Every sample's loss, and which samples count.

        Args:
            y, y_pred: Targets and predictions.
            sample_weight: The user's, or None. What has a weight of 0, a
                sample or one of its positions, does not count.

        Returns:
            Float32 `(batch,)`, 0 where nothing of a sample counts; and bool
            `(batch,)`, whether anything does, or None where all do.
        """
        losses = self._compile_loss(y, y_pred, sample_weight)
        leaves = [loss for _, loss in flat_losses_of(self._compile_loss)]
        counted = [loss.counted for loss in leaves]
        if any(part is None for part in counted):
            counted = None
        else:
            counted = tf.reduce_any(tf.stack(counted), axis=0)
        return tf.cast(losses, tf.float32), counted

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


def with_values(loss):
    """A loss whose `call` gives values, and whose reduction is a scalar.

    Where a `Loss` does not reduce, Keras follows the gradient of the sum.
    """
    if not isinstance(loss, keras.losses.Loss):
        return loss
    is_called = type(loss).call is keras.losses.Loss.call
    if is_called or loss.reduction in (None, "none"):
        return _SummedLoss(loss, loss if is_called else loss.call)
    return loss


class _SummedLoss(keras.losses.Loss):
    """The sum of a loss that has a `__call__` of its own, or no reduction."""

    def __init__(self, loss, values):
        super().__init__(loss.name, reduction="sum", dtype=loss.dtype)
        self._values = values

    def call(self, y_true, y_pred):
        return self._values(y_true, y_pred)


class _UnreducedLoss(keras.losses.Loss):
    """A loss whose call returns the mean over each sample's positions.

    Attributes, of the latest call:
        rank: Int, the rank of the loss's values.
        counted: Bool `(batch,)`, whether any position of a sample counts;
            None where all do.
    """

    def __init__(self, loss):
        super().__init__(name=None if callable(loss) else str(loss))
        self.loss = loss
        self.rank, self.counted = 1, None

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Some names, as "crossentropy", depend on the shapes.
        resolver = CompileLoss(self.loss)
        resolver.build(y_true, y_pred)
        ((_, loss),) = flat_losses_of(resolver)
        loss, mask = with_values(loss), mask_of(y_pred)

        def convert(value):
            return keras.ops.convert_to_tensor(value, dtype=loss.dtype)

        values = loss.call(
            keras.tree.map_structure(convert, y_true),
            keras.tree.map_structure(convert, y_pred),
        )
        masks = [mask, mask_of(values), sample_weight]
        values = convert(values)
        _refuse_reduced(values, y_pred, loss.name)
        self.rank = len(values.shape)
        masks = [_like(m, values) for m in masks if m is not None]
        axes = list(range(1, self.rank))
        if not masks:
            self.counted = None
            return keras.ops.mean(values, axis=axes) if axes else values
        counts = tf.reduce_all(tf.stack(masks), axis=0)
        self.counted = tf.reduce_any(counts, axis=axes)
        return tf.math.divide_no_nan(
            tf.reduce_sum(tf.where(counts, values, 0.0), axis=axes),
            tf.reduce_sum(tf.cast(counts, values.dtype), axis=axes),
        )


def _like(mask, values):
    """Bool in the shape of `values`: where a mask, or a weight, is not 0."""
    mask = tf.cast(mask, tf.bool)
    rank = len(values.shape)
    while len(mask.shape) < rank:
        mask = mask[..., tf.newaxis]
    mask = tf.reduce_any(mask, axis=list(range(rank, len(mask.shape))))
    return mask & tf.ones_like(values, tf.bool)


def _refuse_reduced(values, y_pred, name):
    """Raises ValueError where losses are not one (or more) for each sample."""
    shape, batch = values.shape, keras.tree.flatten(y_pred)[0].shape[:1]
    if not tf.TensorShape(shape[:1]).is_compatible_with(batch):
        raise ValueError(
            f"Invalid value for argument `loss`. Expected loss '{name[:50]}' "
            "to give one value per sample, of shape (batch, ...). Received: "
            f"values of shape {tuple(shape)}. Return the losses unreduced (no "
            "mean over the batch), from `call` in a subclass of `keras.losses."
            "Loss`; Keras takes the mean itself."
        )
