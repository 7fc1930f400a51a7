"""Class probabilities from whatever a classifier predicts."""

import keras
import tensorflow as tf

from keras_curvenet.probing.class_predictions import are_logits
from keras_curvenet.probing.class_predictions import class_columns


def predicted_probabilities(loss, y_pred):
    """Float32 `(batch, num_classes)`: the probabilities of the classes.

    Args:
        loss: What the model was compiled with as `loss`. Predictions are
            logits where it says `from_logits`, and probabilities otherwise.
        y_pred: The model's predictions for a batch, of one output: a row for
            each sample, or one number for two classes.

    Raises:
        ValueError: If there are several outputs or positions.
    """
    outputs = keras.tree.flatten(y_pred)
    if len(outputs) != 1 or len(outputs[0].shape) not in (1, 2):
        shapes = [tuple(output.shape) for output in outputs]
        raise ValueError(
            "Invalid value for argument `record_predictions`. Expected True "
            "only for a classifier with one output of shape (batch, "
            f"num_classes). Received: outputs of shapes {shapes}. Leave it "
            "out."
        )
    from_logits = bool(are_logits(loss))
    predictions = class_columns(outputs[0], from_logits)
    return tf.nn.softmax(predictions) if from_logits else predictions
