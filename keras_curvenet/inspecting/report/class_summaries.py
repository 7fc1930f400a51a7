"""How many labels of each class are how good, in a few numbers."""

from typing import NamedTuple

import numpy as np

# Label quality is counted below 0.00, 0.01, ..., 1.00.
_THRESHOLDS = np.arange(101) / 100.0


class ClassSummaries(NamedTuple):
    """The classes that have samples, those with most label issues first."""

    labels: np.ndarray
    num_samples: np.ndarray  # That were seen.
    num_issues: np.ndarray
    num_below: np.ndarray  # By label quality, as `num_below` gives it.


def class_summaries(labels, scores, most_classes):
    """`ClassSummaries` of samples that were seen, of so many classes."""
    counts = np.bincount(labels, minlength=1)
    issues = np.bincount(labels[scores < 0.5], minlength=len(counts))
    order = np.argsort(-issues, kind="stable")
    chosen = order[counts[order] > 0][:most_classes]
    place = np.full(len(counts), -1)
    place[chosen] = np.arange(len(chosen))
    places = place[labels]
    bins = np.maximum(places, 0) * 101 + quality_bins(scores)
    histogram = np.bincount(bins[places >= 0], minlength=len(chosen) * 101)
    return ClassSummaries(
        chosen,
        counts[chosen],
        issues[chosen],
        _below(histogram.reshape(len(chosen), 101)),
    )


def quality_bins(scores):
    """Int: a score is below k / 100 exactly where its bin is below k."""
    return np.searchsorted(_THRESHOLDS[1:], scores, side="right")


def num_below(scores):
    """Int `(101,)`: how many scores are below 0.00, 0.01, ..., 1.00."""
    return _below(np.bincount(quality_bins(scores), minlength=101))


def _below(histogram):
    return np.cumsum(histogram, axis=-1) - histogram
