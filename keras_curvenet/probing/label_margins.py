"""Margins: by how much the given label leads before all other classes."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.class_predictions import class_columns


def label_margins(y_pred, labels, from_logits):
    """The margin of every sample of a batch.

    It is the log-probability of the given label minus the largest one of the
    other classes: the difference of their logits. Where it is negative, the
    model believes in another class.

    Reference: [Pleiss et al., 2020](https://arxiv.org/abs/2001.10528).

    Args:
        y_pred: Predictions `(batch, num_classes)`; for two classes `(batch,)`
            or `(batch, 1)` too, the logit or probability of class 1.
        labels: Int `(batch,)`: the given class.
        from_logits: Bool. Whether predictions are logits. Probabilities are
            clipped at `keras.config.epsilon()`.

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


def margins_if_told(loss, y_pred, labels, num_classes):
    """The margins of a batch, or None where the model does not tell them.

    Args:
        loss: What the model was compiled with as `loss`. It has to say whether
            predictions are logits or probabilities.
        y_pred: The model's predictions for the batch.
        labels: Int `(batch,)`, what `observed_labels` read from the targets.
        num_classes: The number of classes it found in them, or None. With one
            class, or classes that are not the outputs, there are no margins.
    """
    from_logits = are_logits(loss)
    if from_logits is None or num_classes is None or num_classes < 2:
        return None
    (y_pred,) = keras.tree.flatten(y_pred)  # Classes come from one output.
    return label_margins(y_pred, labels, from_logits)
