"""Which label each sample should probably have."""

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.class_votes import class_votes
from keras_curvenet.inspecting.given_values import as_class_probabilities
from keras_curvenet.probing.loss_curves import LossCurves


def suggested_labels(
    curves: LossCurves,
    is_issue: npt.NDArray[np.bool_],
    predictions: npt.ArrayLike | None = None,
) -> npt.NDArray[np.int64] | None:
    """The labels that predictions suggest.

    Args:
        curves: `LossCurves`.
        is_issue: Bool `(num_samples,)`, which labels are probably wrong.
        predictions: Float `(num_samples, num_classes)`, whose likeliest class
            is suggested. Or None for the class that was predicted in most
            epochs of the curves; for label issues another than the label,
            where one was predicted.

    Returns:
        Int64 `(num_samples,)`, -1 where nothing was predicted; or None where
        there are no predictions.
    """
    if predictions is not None:
        probabilities = as_class_probabilities(predictions, curves)
        likeliest = probabilities.argmax(axis=1)
        return np.where(probabilities.any(axis=1), likeliest, -1)
    if curves.predicted_columns is None:
        return None
    votes = class_votes(curves)
    is_other = (votes.other > votes.given) | (is_issue & (votes.other > 0))
    given = np.where(votes.given > 0, curves.labels, -1)
    return np.where(is_other, votes.other_class, given)
