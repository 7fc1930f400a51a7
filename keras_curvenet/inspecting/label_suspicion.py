"""How suspicious every label is, and how many are probably wrong."""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.inspecting.most_wrong_labels import most_wrong_labels
from keras_curvenet.inspecting.unlearned_classes import spare_unlearned_classes
from keras_curvenet.probing.filled_curves import never_seen
from keras_curvenet.probing.loss_curves import LossCurves

_Array = npt.NDArray[Any]

# How much of a class's mean is subtracted from its samples' evidence. Nothing
# makes hard and rare classes look wrong; all of it hides wrong labels where
# they are most of a class. Whichever tells two groups apart best is taken.
_CLASS_SHARES = (0.25, 0.5)

# A class's mean counts as this many more samples of the mean of all classes.
_SHRINKAGE = 2.0

# Where losses do not fall into two groups (the share of `two_groups` is below
# this), a sample is suspect only if it is far out as well: this many
# interquartile ranges above the third quartile.
_LEAST_SEPARATION = 0.7
_FAR_OUT = 3.0

# Of more values, every so many is enough to choose a threshold among.
_MOST_THRESHOLDS = 1_000_000


class LabelSuspicion(NamedTuple):
    """What the curves say against the labels."""

    # By sample, high where its label is probably wrong, NaN where never seen.
    values: npt.NDArray[np.float64]
    num_suspects: int  # How many of the highest are probably wrong.


def label_suspicion(curves: LossCurves) -> LabelSuspicion:
    """How suspicious every label is, from margins where there are any.

    The evidence of an epoch is the loss, or the margin m as tanh(-m / 2): the
    difference of two probabilities, so that no single epoch outweighs the
    others. It is averaged over a range of epochs, and a part of the class's
    mean is subtracted. The range (all epochs, the first half, the last three
    quarters, the last half) and the part are those under which the samples
    fall most clearly into two groups: late epochs tell more while a network
    learns slowly, early ones once it has memorized wrong labels.

    As many labels are suspect as are in the upper group; of margins, at most
    as many as `most_wrong_labels` allows, and not many more of a class that
    the network has not learned (`spare_unlearned_classes`).
    """
    check_curves(curves)
    # Curves do not change, and many functions ask: the answer stays with them.
    answers: dict[str, LabelSuspicion] = vars(curves)
    if "_label_suspicion" not in answers:
        answers["_label_suspicion"] = _label_suspicion(curves)
    return answers["_label_suspicion"]


def check_curves(curves: Any) -> None:
    """Raises TypeError or ValueError where nothing can be read off."""
    if not isinstance(curves, LossCurves):
        raise invalid_type(
            "curves",
            "a `keras_curvenet.LossCurves`, such as `recorder.loss_curves`",
            f"{type(curves).__name__}.",
        )
    if curves.num_epochs < 2:
        expected = "loss curves of at least two epochs"
        raise invalid_value(
            "curves", expected, f"{curves}. Record more epochs."
        )


def two_groups(values: _Array) -> tuple[float, float]:
    """The threshold with most variance between its two sides, and its share.

    Values above the threshold are the upper group; it is empty where all
    values are equal. The share is that of the variance which lies between the
    groups: of a normal distribution 0.64, of an exponential one 0.65, of a
    uniform one 0.75.

    Reference: Otsu, "A threshold selection method from gray-level
    histograms", 1979.
    """
    values = np.sort(values)
    if np.ptp(values) <= 1e-12 * max(1.0, abs(values[-1])):
        return values[-1], 0.0
    sums = np.cumsum(values)
    size = np.arange(1, values.size, max(1, values.size // _MOST_THRESHOLDS))
    lower = sums[size - 1] / size
    upper = (sums[-1] - sums[size - 1]) / (values.size - size)
    share = size / values.size * (1.0 - size / values.size)
    between = share * (upper - lower) ** 2
    between[values[size] == values[size - 1]] = 0.0  # Not between equals.
    best = between.argmax()
    threshold = (values[size[best]] + values[size[best] - 1]) / 2.0
    return threshold, between[best] / values.var()


def _label_suspicion(curves: LossCurves) -> LabelSuspicion:
    columns = curves.margin_columns or curves.loss_columns
    unseen = never_seen(columns)
    values = np.full(curves.num_samples, np.nan)
    if unseen.all():
        return LabelSuspicion(values, 0)
    seen = ~unseen if unseen.any() else slice(None)
    labels = curves.labels[seen]
    has_margins = curves.margin_columns is not None

    def filled(column: _Array) -> _Array:
        statistics = curves.statistics_of(column)
        return statistics.filled(column, curves.labels)[seen]

    def evidence(column: _Array) -> _Array:
        return np.tanh(filled(-column) / 2.0) if has_margins else filled(column)

    values[seen], epochs, share = _most_telling(columns, evidence, labels)
    if not has_margins:
        return LabelSuspicion(values, _num_high_losses(values[seen]))

    low = _sum(columns[slice(*epochs)], lambda column: filled(-column))
    low = _relative(low / (epochs[1] - epochs[0]), labels, share)
    threshold, separation = two_groups(low)
    most = round(most_wrong_labels(curves, separation) * len(labels))
    num_suspects = min(int(np.count_nonzero(low > threshold)), most)
    values[seen], num_suspects = spare_unlearned_classes(
        values[seen], num_suspects, labels
    )
    return LabelSuspicion(values, num_suspects)


def _most_telling(
    columns: list[_Array], evidence: Callable[[_Array], _Array], labels: _Array
) -> tuple[_Array, tuple[int, int], float]:
    """The evidence that separates samples best, its epochs and its share."""
    size = len(columns)
    # All ranges are made of these three parts, each read once.
    limits = (0, size // 4, size // 2, size)
    parts = {
        part: _sum(columns[slice(*part)], evidence)
        for part in zip(limits, limits[1:], strict=False)
    }
    ranges = [(0, size), (0, size // 2), (size // 4, size), (size // 2, size)]
    best: tuple[Any, ...] = (-1.0,)
    for first, last in dict.fromkeys(ranges):
        inside = [parts[p] for p in parts if first <= p[0] and p[1] <= last]
        mean = sum(inside) / (last - first)
        for share in _CLASS_SHARES:
            relative = _relative(mean, labels, share)
            separation = two_groups(relative)[1]
            if separation > best[0]:
                best = separation, relative, (first, last), share
    return best[1:]


def _sum(columns: list[_Array], evidence: Callable[[_Array], _Array]) -> Any:
    """Float64 `(n,)`: the evidence of columns, a column at a time."""
    return sum(evidence(column).astype(np.float64) for column in columns)


def _relative(values: _Array, labels: _Array, share: float) -> _Array:
    """Mean evidence, minus a share of the class's mean."""
    sums = np.bincount(labels, values) + _SHRINKAGE * values.mean()
    means: _Array = sums / (np.bincount(labels) + _SHRINKAGE)
    return values - share * means[labels]


def _num_high_losses(suspicion: _Array) -> int:
    """How many samples are in the upper group, or far out of the only one."""
    threshold, separation = two_groups(suspicion)
    if separation < _LEAST_SEPARATION:
        first, third = np.quantile(suspicion, [0.25, 0.75])
        threshold = max(threshold, third + _FAR_OUT * (third - first))
    return int(np.count_nonzero(suspicion > threshold))
