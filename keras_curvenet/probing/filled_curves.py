"""Curves without gaps, and the mean curves of their classes."""

import numpy as np


def filled_curves(values, labels, num_classes, shrinkage):
    """Fills the gaps of curves from their classes.

    Args:
        values: Float `(num_samples, num_epochs)`. NaN is filled with the mean
            of the class in that epoch, and +inf with its largest finite value
            (that of all classes, where it has none).
        labels: Int `(num_samples,)`; -1 for a sample of no class.
        num_classes: Int.
        shrinkage: Float >= 0. As how many more samples of the overall mean a
            class's mean counts.

    Returns:
        Tuple of float64 arrays: the curves `(num_samples, num_epochs)`, the
        classes' means `(num_classes, num_epochs)`, each shrunk toward the
        overall mean, and the overall mean `(num_epochs,)`.
    """
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    sums = np.zeros((num_classes, values.shape[1]))
    counts = np.zeros_like(sums)
    largest = np.full_like(sums, -np.inf)
    for label in range(num_classes):
        members = labels == label
        rows, seen = values[members], finite[members]
        sums[label] = np.sum(rows, axis=0, where=seen)
        counts[label] = seen.sum(axis=0)
        largest[label] = np.max(rows, 0, where=seen, initial=-np.inf)
    overall = sums.sum(0) / np.maximum(counts.sum(0), 1)
    means = (sums + shrinkage * overall) / (counts + shrinkage)
    fillers = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    largest_of_all = np.where(counts.sum(0) > 0, largest.max(0), 0.0)
    largest = np.where(counts > 0, largest, largest_of_all)
    labels = np.maximum(labels, 0)
    values = np.where(np.isnan(values), fillers[labels], values)
    values = np.where(np.isposinf(values), largest[labels], values)
    return values, means, overall
