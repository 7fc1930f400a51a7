"""How predictions are read: as logits, margins, and likeliest classes."""

import keras
import numpy as np
import tensorflow as tf

# What these names and functions get are probabilities.
_SHORTHANDS = ("crossentropy", "ce")
_CROSSENTROPIES = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.categorical_focal_crossentropy,
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
)


def are_logits(loss):
    """Whether the compiled `loss` of one output takes predictions as logits.

    None where it does not tell: it is neither one of Keras's crossentropies,
    nor has it an attribute `from_logits`.
    """
    loss = keras.tree.flatten(loss)[0]
    if isinstance(loss, str):
        if loss.lower() in _SHORTHANDS:
            return False
        loss = keras.losses.get(loss)
    if hasattr(loss, "from_logits"):
        return bool(loss.from_logits)
    return False if loss in _CROSSENTROPIES else None


def predictions_spec(model, x_spec):
    """What a built model predicts for inputs of a spec: symbolic tensors."""
    inputs = keras.tree.map_structure(
        lambda spec: keras.KerasTensor(spec.shape, spec.dtype.name), x_spec
    )
    return model.compute_output_spec(inputs)


def class_columns(y_pred, from_logits):
    """Float32 `(batch, num_classes)`: predictions with a column a class.

    Args:
        y_pred: Predictions `(batch, num_classes)`; or `(batch,)` or
            `(batch, 1)`, one number for two classes, which becomes two: the
            logits 0 and z, or the probabilities 1 - p and p.
        from_logits: Bool.
    """
    y_pred = tf.cast(y_pred, tf.float32)
    if len(y_pred.shape) == 1:
        y_pred = y_pred[:, tf.newaxis]
    if y_pred.shape[1] != 1:
        return y_pred
    first = tf.zeros_like(y_pred) if from_logits else 1.0 - y_pred
    return tf.concat([first, y_pred], axis=1)


def label_margins(y_pred, labels, from_logits):
    """The margin of every sample of a batch.

    It is the log-probability of the given label minus the largest one of the
    other classes: the difference of their logits. Where it is negative, the
    model believes in another class.

    Reference: [Pleiss et al., 2020](https://arxiv.org/abs/2001.10528).

    Args:
        y_pred: Predictions, as of `class_columns`.
        labels: Int `(batch,)`: the given class.
        from_logits: Bool. Probabilities are clipped at
            `keras.config.epsilon()`.

    Returns:
        Float32 `(batch,)`; -inf where a prediction is not finite.
    """
    scores = class_columns(y_pred, from_logits)
    usable = tf.reduce_all(tf.math.is_finite(scores), axis=1)
    if not from_logits:
        scores = tf.math.log(tf.maximum(scores, keras.config.epsilon()))
    given = tf.one_hot(labels, scores.shape[1], True, False, dtype=tf.bool)
    margins = tf.reduce_sum(tf.where(given, scores, 0.0), axis=1)
    margins -= tf.reduce_max(tf.where(given, -np.inf, scores), axis=1)
    return tf.where(usable, margins, -np.inf)


def likeliest_classes(y_pred, from_logits):
    """The class of each sample of a batch that the model believes in most.

    Args:
        y_pred, from_logits: As of `class_columns`.

    Returns:
        Int64 `(batch,)`, the first of several that are equally likely; -1
        where a prediction is not finite.
    """
    scores = class_columns(y_pred, from_logits)
    usable = tf.reduce_all(tf.math.is_finite(scores), axis=1)
    return tf.where(usable, tf.argmax(scores, axis=1), np.int64(-1))


def predictions_if_told(loss, y_pred, labels, num_classes):
    """The margins and predicted classes of a batch, where a model tells them.

    Args:
        loss: What the model was compiled with as `loss`.
        y_pred: The model's predictions for the batch.
        labels, num_classes: What `observed_labels` read from the targets. With
            one class, or classes that are not the outputs, there are none.

    Returns:
        A tuple of what `label_margins` and `likeliest_classes` return, or of
        two None.
    """
    from_logits = are_logits(loss)
    if from_logits is None or num_classes is None or num_classes < 2:
        return None, None
    (y_pred,) = keras.tree.flatten(y_pred)  # Classes come from one output.
    margins = label_margins(y_pred, labels, from_logits)
    return margins, likeliest_classes(y_pred, from_logits)
