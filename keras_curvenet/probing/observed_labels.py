"""The observed class of every sample, read from the targets of a batch."""

import keras
import tensorflow as tf

LABEL_ADVICE = (
    "Pass `label_fn`, a function from a batch of targets to int class labels "
    "(batch,); `lambda y: tf.zeros(tf.shape(y)[0], tf.int32)` puts all samples "
    "into one class."
)

SOFT_ADVICE = (
    "leave MixUp and CutMix out, since a mixture has no label of its own; "
    "augmentations that keep labels, such as RandAugment, work."
)


def observed_labels(y, y_pred, label_fn=None):
    """Class labels of a batch, and which of its targets are not labels.

    Integer targets are taken as they are, one-hot (or soft) ones by argmax,
    binary ones by 0.5. Multi-hot targets, one target per position, and
    several outputs have no single class: all their samples are class 0,
    unless `label_fn` says better.

    Returns:
        A tuple `(labels, num_classes, invalid, not_one_hot)`: int64 `(batch,)`;
        int, or None where the predictions do not tell; bool `(batch,)`, where
        the target is no class label; bool `(batch,)`, where a row that was
        read as one-hot is not a distribution over the classes, which makes the
        whole dataset multi-hot.
    """
    batch = tf.shape(keras.tree.flatten(y_pred)[0])[0]
    nothing = tf.zeros([batch], tf.bool)
    if label_fn is not None:
        labels = tf.convert_to_tensor(label_fn(y))
        sizes = [
            part[0].shape[0] for part in map(keras.tree.flatten, (y_pred, y))
        ]
        is_batch = labels.shape.rank == 1 and labels.shape[0] in (None, *sizes)
        if not is_batch or not labels.dtype.is_integer:
            raise ValueError(
                "Invalid value for argument `label_fn`. Expected it to return "
                "int class labels of shape (batch,). Received: "
                f"{labels.dtype.name} of shape {tuple(labels.shape)}."
            )
        labels = tf.cast(labels, tf.int64)
        return labels, None, labels < 0, nothing
    one_class = tf.zeros([batch], tf.int64), 1, nothing, nothing
    outputs, targets = keras.tree.flatten(y_pred), keras.tree.flatten(y)
    if len(outputs) != 1 or len(targets) != 1:
        return one_class
    (y_pred,), y = outputs, tf.convert_to_tensor(targets[0])
    if len(y_pred.shape) == 1:
        y_pred = y_pred[:, tf.newaxis]
    if len(y.shape) == 1:
        y = y[:, tf.newaxis]
    if len(y.shape) != 2 or len(y_pred.shape) != 2:
        return one_class
    num_classes = y_pred.shape[-1]
    if y.shape[-1] == 1 and num_classes == 1:
        return _binary(y[:, 0])
    if y.shape[-1] == 1:
        return _integer(y[:, 0], num_classes)
    return _one_hot(y, num_classes)


def soft_rows(y, labels):
    """Bool `(batch,)`, as `labels`: where one-hot targets are between classes.

    MixUp and CutMix make such rows, and label smoothing does.
    """
    targets = keras.tree.flatten(y)
    y = tf.convert_to_tensor(targets[0])
    is_one_hot = len(targets) == 1 and len(y.shape) == 2 and y.shape[1] != 1
    if not (is_one_hot and y.dtype.is_floating):
        return tf.zeros_like(labels, tf.bool)
    return tf.reduce_max(y, axis=1) < 1.0 - 1e-3


def _binary(y):
    y = tf.cast(y, tf.float32)
    invalid = tf.logical_not((y >= 0.0) & (y <= 1.0))
    return tf.cast(y > 0.5, tf.int64), 2, invalid, tf.zeros_like(invalid)


def _integer(y, num_classes):
    labels = tf.cast(y, tf.int64)
    invalid = (labels < 0) | (labels >= num_classes)
    if y.dtype.is_floating:
        invalid |= tf.cast(labels, y.dtype) != y
    return labels, num_classes, invalid, tf.zeros_like(invalid)


def _one_hot(y, num_classes):
    y = tf.cast(y, tf.float32)
    total = tf.reduce_sum(y, axis=-1)
    not_one_hot = tf.reduce_any(y < 0.0, axis=-1) | (tf.abs(total - 1.0) > 1e-3)
    labels = tf.argmax(y, axis=-1)
    return labels, num_classes, tf.zeros_like(not_one_hot), not_one_hot
