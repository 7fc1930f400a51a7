"""How a classifier's predictions are read: as logits or probabilities."""

import keras
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
    """Whether predictions are logits, as the loss on them says.

    Args:
        loss: What a model of one output was compiled with as `loss`.

    Returns:
        True for logits, False for probabilities, and None where the loss does
        not tell: it is neither one of Keras's crossentropies, nor has it an
        attribute `from_logits`.
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
    """What a model predicts for inputs of a spec, as symbolic tensors.

    Args:
        model: A built `keras.Model`.
        x_spec: Structure of `tf.TensorSpec`.
    """
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
        from_logits: Bool. Whether they are logits, not probabilities.
    """
    y_pred = tf.cast(y_pred, tf.float32)
    if len(y_pred.shape) == 1:
        y_pred = y_pred[:, tf.newaxis]
    if y_pred.shape[1] != 1:
        return y_pred
    first = tf.zeros_like(y_pred) if from_logits else 1.0 - y_pred
    return tf.concat([first, y_pred], axis=1)


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
