"""One epoch of all curves without gaps, from what its classes have."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


def never_seen(
    columns: Sequence[npt.NDArray[np.float32]],
) -> npt.NDArray[np.bool_]:
    """Bool `(num_samples,)`: which samples are NaN in all columns."""
    unseen = np.ones(len(columns[0]), bool)
    for column in columns:
        unseen &= np.isnan(column)
    return unseen


class ColumnStatistics(NamedTuple):
    """What the classes have in one epoch.

    Attributes:
        class_means: Float32 `(num_classes,)`, each shrunk toward the overall
            mean.
        overall_mean: Float.
        fillers: Float32 `(num_classes,)`, for samples that were not seen.
        largest: Float32 `(num_classes,)`, for values that were not finite.
    """

    class_means: npt.NDArray[np.float32]
    overall_mean: float
    fillers: npt.NDArray[np.float32]
    largest: npt.NDArray[np.float32]

    def filled(
        self, column: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Float32 `(n,)`, all finite: values of samples of these labels."""
        column = np.array(column, np.float32)
        if not np.isfinite(column).all():
            labels = np.maximum(labels, 0)
            missing = np.isnan(column)
            column[missing] = self.fillers[labels[missing]]
            infinite = np.isposinf(column)
            column[infinite] = self.largest[labels[infinite]]
        return column

    def centered(
        self, column: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """The same relative to the classes' means."""
        means = self.class_means[np.maximum(labels, 0)]
        return self.filled(column, labels) - means


def column_statistics(
    column: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    shrinkage: float,
) -> ColumnStatistics:
    """What the classes have in one epoch.

    Args:
        column: Float32 `(num_samples,)`: NaN where a sample was not seen, which
            is filled with the mean of the class, and +inf where a value was
            not finite, which becomes the class's largest finite one (that of
            all classes, where it has none).
        labels: Int `(num_samples,)`; -1 for a sample of no class.
        num_classes: Int.
        shrinkage: Float >= 0. As how many more samples of the overall mean a
            class's mean counts.
    """
    counted = np.isfinite(column) & (labels >= 0)
    if counted.all():
        known, known_labels = column, labels
    else:
        known, known_labels = column[counted], labels[counted]
    sums = np.bincount(known_labels, known, num_classes)
    counts = np.bincount(known_labels, minlength=num_classes)
    overall = sums.sum() / max(counts.sum(), 1)
    means = (sums + shrinkage * overall) / (counts + shrinkage)
    fillers = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    largest = np.zeros(num_classes)
    if np.isposinf(column).any():
        largest = np.full(num_classes, -np.inf)
        np.maximum.at(largest, known_labels, known)
        of_all = known.max() if known.size else 0.0
        largest = np.where(counts > 0, largest, of_all)
    return ColumnStatistics(
        means.astype(np.float32),
        float(overall),
        fillers.astype(np.float32),
        largest.astype(np.float32),
    )
