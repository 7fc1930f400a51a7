"""How suspicious every label is, and how many are probably wrong."""

import weakref
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.most_wrong_labels import most_wrong_labels
from keras_curvenet.inspecting.two_groups import two_groups
from keras_curvenet.inspecting.unlearned_classes import (
    judged_by_what_was_learned,
)
from keras_curvenet.probing.filled_curves import never_seen
from keras_curvenet.probing.loss_curves import LossCurves

# How much of a sample's class is subtracted from its evidence. Nothing makes
# hard and rare classes look wrong; all of it hides wrong labels where they are
# most of a class. Whichever tells two groups apart best is taken.
_CLASS_SHARES = (0.25, 0.5)

# Samples of all classes that a class's mean evidence is shrunk toward.
_SHRINKAGE = 2.0

# Where losses do not fall into two groups (share of the variance between them
# below this), a sample is suspect only if it is far out as well: this many
# interquartile ranges above the third quartile.
_LEAST_SEPARATION = 0.7
_FAR_OUT = 3.0

# What curves said; they do not change, and many functions ask.
_KNOWN: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class LabelSuspicion(NamedTuple):
    """What the curves say against the labels.

    Attributes:
        values: Float64 `(num_samples,)`, high where the label is probably
            wrong; NaN for samples that were never seen.
        num_suspects: Int, how many of the highest are probably wrong.
    """

    values: npt.NDArray[np.float64]
    num_suspects: int


def label_suspicion(curves: LossCurves) -> LabelSuspicion:
    """How suspicious every label is, from margins where there are any.

    The evidence of an epoch is the loss, or the margin m as tanh(-m / 2): minus
    the difference of two probabilities, in which no single epoch outweighs the
    others. It is averaged over some epochs, and a part of the class's mean is
    subtracted. Of four ranges of epochs (all, the first half, the last three
    quarters, the last half) and two parts, those are taken under which the
    samples fall most clearly into two groups: late epochs tell more while a
    network learns slowly, early ones once it knows wrong labels by heart.

    How many are suspect: as many as are in the upper group; of margins, at
    most as many as `most_wrong_labels` allows, and not many more of a class
    that the network has not learned (`judged_by_what_was_learned`). How well
    that works: `benchmarks/RESULTS.md`, "What the curves find".

    Args:
        curves: `LossCurves` of two epochs or more.

    Raises:
        TypeError: If `curves` is not a `LossCurves`.
        ValueError: If it has fewer than two epochs.
    """
    checked_curves(curves)
    if curves not in _KNOWN:
        _KNOWN[curves] = _suspicion(curves)
    return _KNOWN[curves]


def _suspicion(curves):
    """What `label_suspicion` says the first time it is asked."""
    columns = curves.margin_columns or curves.loss_columns
    unseen = never_seen(columns)
    values = np.full(curves.num_samples, np.nan)
    if unseen.all():
        return LabelSuspicion(values, 0)
    seen = ~unseen if unseen.any() else slice(None)
    labels = curves.labels[seen]
    has_margins = curves.margin_columns is not None

    def filled(column):
        statistics = curves.statistics_of(column)
        return statistics.filled(column, curves.labels)[seen]

    def evidence(column):
        return np.tanh(filled(-column) / 2.0) if has_margins else filled(column)

    values[seen], epochs, share = _most_telling(columns, evidence, labels)
    if not has_margins:
        return LabelSuspicion(values, _num_high_losses(values[seen]))

    raw = _sum(columns[slice(*epochs)], lambda column: filled(-column))
    raw = _relative(raw / (epochs[1] - epochs[0]), labels, share)
    threshold, separation = two_groups(raw)
    num_low_margins = np.count_nonzero(raw > threshold)
    most = most_wrong_labels(curves, separation)
    num_suspects = min(num_low_margins, round(most * len(labels)))
    values[seen], num_suspects = judged_by_what_was_learned(
        values[seen], num_suspects, labels
    )
    return LabelSuspicion(values, num_suspects)


def checked_curves(curves):
    """Raises TypeError or ValueError where nothing can be read off."""
    if not isinstance(curves, LossCurves):
        raise TypeError(
            "Invalid value for argument `curves`. Expected a "
            "`keras_curvenet.LossCurves`, such as `recorder.loss_curves`. "
            f"Received: {type(curves).__name__}."
        )
    if curves.num_epochs < 2:
        raise ValueError(
            "Invalid value for argument `curves`. Expected loss curves of at "
            f"least two epochs. Received: {curves}. Record more epochs."
        )


def _sum(columns, evidence):
    """Float64 `(n,)`: the evidence of columns, a column at a time."""
    return sum(evidence(column).astype(np.float64) for column in columns)


def _most_telling(columns, evidence, labels):
    """Relative evidence that separates samples best, and how it was made.

    Args:
        columns: List of columns, of two epochs or more.
        evidence: Function of a column to float `(n,)`.
        labels: Int `(n,)`.

    Returns:
        Tuple of the relative evidence, the range of epochs and the class's
        share.
    """
    size = len(columns)
    # All ranges are made of these three parts, each read once.
    limits = (0, size // 4, size // 2, size)
    parts = {
        limits[i : i + 2]: _sum(columns[slice(*limits[i : i + 2])], evidence)
        for i in range(3)
    }
    best = None
    for epochs in dict.fromkeys(
        [(0, size), (0, size // 2), (size // 4, size), (size // 2, size)]
    ):
        if epochs[0] == epochs[1]:
            continue
        mean = sum(
            part
            for (first, last), part in parts.items()
            if epochs[0] <= first and last <= epochs[1]
        ) / (epochs[1] - epochs[0])
        for share in _CLASS_SHARES:
            relative = _relative(mean, labels, share)
            separation = two_groups(relative)[1]
            if best is None or separation > best[0]:
                best = separation, relative, epochs, share
    return best[1:]


def _relative(values, labels, share):
    """Mean evidence, minus a share of the class's mean."""
    counts = np.bincount(labels)
    means = np.bincount(labels, values) + _SHRINKAGE * values.mean()
    return values - share * (means / (counts + _SHRINKAGE))[labels]


def _num_high_losses(suspicion):
    """How many samples are in the upper group, or far out of the only one."""
    threshold, separation = two_groups(suspicion)
    if separation < _LEAST_SEPARATION:
        first, third = np.quantile(suspicion, [0.25, 0.75])
        threshold = max(threshold, third + _FAR_OUT * (third - first))
    return np.count_nonzero(suspicion > threshold)
