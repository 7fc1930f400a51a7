"""Which classes a network took each sample for, epoch by epoch."""

from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.probing.loss_curves import LossCurves

# So many samples' votes are counted at a time: these stay near the processor.
_CHUNK = 2**14


class ClassVotes(NamedTuple):
    """In how many epochs which class was predicted, of each sample.

    Attributes:
        given: Int32 `(num_samples,)`, epochs in which it was the given label.
        other: Int32 `(num_samples,)`, epochs of the most frequent other class.
        other_class: Int64 `(num_samples,)`, that class: of several, the one
            that was predicted last. -1 where no other one was predicted.
        seen: Int32 `(num_samples,)`, epochs in which any class was predicted.
    """

    given: npt.NDArray[np.int32]
    other: npt.NDArray[np.int32]
    other_class: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int32]


def class_votes(curves: LossCurves, epochs: slice | None = None) -> ClassVotes:
    """Counts the predicted classes of each sample over the epochs.

    Args:
        curves: `LossCurves` with predicted classes.
        epochs: Which epochs. None for all but the first tenth, in which a
            network knows little.

    Returns:
        `ClassVotes`.

    Raises:
        ValueError: If the curves have no predicted classes.
    """
    if curves.predicted_columns is None:
        raise invalid_value(
            "curves",
            "curves with predicted classes",
            f"{curves}. Record them with a LossCurveRecorder, or pass "
            "`LossCurves(..., predicted_classes=...)`.",
        )
    if epochs is None:
        epochs = slice(curves.num_epochs // 10, None)
    columns = curves.predicted_columns[epochs]
    size = curves.num_samples
    given, other, seen = np.zeros((3, size), np.int32)
    other_class = np.full(size, -1, np.int64)
    for start in range(0, size, _CHUNK):
        part = slice(start, start + _CHUNK)
        predicted = np.stack([column[part] for column in columns])
        is_class = predicted >= 0
        is_given = is_class & (predicted == curves.labels[part])
        seen[part] = np.count_nonzero(is_class, axis=0)
        given[part] = np.count_nonzero(is_given, axis=0)
        predicted[is_given] = -1
        other[part], other_class[part] = _most_frequent(predicted)
    return ClassVotes(given, other, other_class, seen)


def _most_frequent(
    predicted: npt.NDArray[np.signedinteger[Any]],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The most votes for one class, and that class: 0 and -1 without any.

    Args:
        predicted: Int `(num_epochs, n)`; -1 is no vote.
    """
    count_type = np.min_scalar_type(len(predicted))
    most = np.zeros(predicted.shape[1], count_type)
    winner = np.full(predicted.shape[1], -1, predicted.dtype)
    for epoch, present in enumerate(predicted):
        # A class has all of its votes where it is predicted last.
        is_same = (predicted[: epoch + 1] == present).view(np.uint8)
        votes = np.add.reduce(is_same, axis=0, dtype=count_type)
        leads = (votes >= most) & (present >= 0)
        most = np.where(leads, votes, most)
        winner = np.where(leads, present, winner)
    return most, winner
