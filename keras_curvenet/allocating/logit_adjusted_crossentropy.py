"""Crossentropy for training data with rare classes."""

import keras
import numpy as np

from keras_curvenet.allocating.class_balance import adjusted_predictions
from keras_curvenet.allocating.class_balance import log_frequencies


@keras.saving.register_keras_serializable(package="keras_curvenet")
class LogitAdjustedCrossentropy(keras.losses.Loss):
    """Crossentropy of logits to which the classes' log frequencies are added.

    A network trained with it has to tell the classes apart beyond their
    frequencies, so that its own predictions, to which nothing is added, do not
    favour frequent classes. With wrong labels, the frequencies of the right
    ones count: `estimate_class_counts`.

    For ordinary training: a `CurveWeightedModel` adjusts a plain crossentropy
    by itself. Where it is compiled with this loss, these counts are used, and
    the meta set's loss is the plain crossentropy: that set is balanced.

    Reference: [Menon et al., 2021](https://arxiv.org/abs/2007.07314).

    Args:
        class_counts: Number (or frequency) of each class's training samples
            with right labels, `(num_classes,)`, each >= 0. Zero counts as the
            smallest other one.
        from_logits: Bool. Whether predictions are logits, not probabilities.
            Defaults to False.
        temperature: Float >= 0, the factor of the log frequencies. With 0 this
            is the plain crossentropy. Defaults to 1.0.
        reduction: As of any Keras loss. Defaults to `"sum_over_batch_size"`.
        name: As of any Keras loss.
        dtype: As of any Keras loss.

    Call arguments:
        y_true: Int `(batch,)` or `(batch, 1)`, classes; or float `(batch,
            num_classes)`, one-hot.
        y_pred: Float `(batch, num_classes)`; for two classes `(batch, 1)` too.

    Raises:
        ValueError: If counts are not at least two numbers >= 0 with a positive
            one among them, or `temperature` is negative.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    loss = kcn.LogitAdjustedCrossentropy([900, 100], from_logits=True)
    loss(np.array([1]), np.zeros((1, 2)))  # -log(0.1)
    ```
    """

    def __init__(
        self,
        class_counts,
        from_logits=False,
        temperature=1.0,
        reduction="sum_over_batch_size",
        name="logit_adjusted_crossentropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        try:
            counts = np.asarray(class_counts, dtype=np.float64)
        except (TypeError, ValueError):
            counts = np.full(1, np.nan)  # Refused in a moment.
        are_counts = np.isfinite(counts).all() and (counts >= 0.0).all()
        if counts.ndim != 1 or counts.size < 2 or not are_counts:
            raise ValueError(
                "Invalid value for argument `class_counts`. Expected one "
                "number >= 0 for each of two or more classes. Received: "
                f"class_counts={class_counts}."
            )
        if not counts.any():
            raise ValueError(
                "Invalid value for argument `class_counts`. Expected a class "
                f"with samples. Received: class_counts={class_counts}."
            )
        if not temperature >= 0.0:
            raise ValueError(
                "Invalid value for argument `temperature`. Expected a float "
                f">= 0. Received: temperature={temperature}."
            )
        self.class_counts = counts.tolist()
        self.from_logits = from_logits
        self.temperature = float(temperature)
        self._log_frequencies = temperature * log_frequencies(counts)

    @property
    def log_frequencies(self):
        """Float64 `(num_classes,)`: what is added to the logits."""
        return self._log_frequencies

    def call(self, y_true, y_pred):
        is_binary = len(y_pred.shape) == 1 or y_pred.shape[-1] == 1
        num_classes = 2 if is_binary else y_pred.shape[-1]
        if num_classes != len(self.class_counts):
            raise ValueError(
                "Invalid value for argument `class_counts`. Expected a count "
                f"for each of the model's {num_classes} classes. "
                f"Received: {len(self.class_counts)} counts."
            )
        y_pred = adjusted_predictions(
            y_pred, self._log_frequencies, self.from_logits
        )
        if is_binary:
            y_true = keras.ops.reshape(y_true, (-1, 1))
            y_pred = keras.ops.reshape(y_pred, (-1, 1))
            loss = keras.losses.binary_crossentropy
        elif len(y_true.shape) == 2 and y_true.shape[1] == num_classes:
            loss = keras.losses.categorical_crossentropy
        else:
            loss = keras.losses.sparse_categorical_crossentropy
        return loss(y_true, y_pred, from_logits=self.from_logits)

    def without_adjustment(self):
        """The same loss for balanced data: the plain crossentropy."""
        return self.from_config({**self.get_config(), "temperature": 0.0})

    def get_config(self):
        return {
            **super().get_config(),
            "class_counts": self.class_counts,
            "from_logits": self.from_logits,
            "temperature": self.temperature,
        }
