"""How suspicious every label is, and how many are probably wrong."""

import warnings
from typing import Any
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value
from keras_curvenet.checked_arguments import listed
from keras_curvenet.inspecting.class_members import members_of_classes
from keras_curvenet.inspecting.class_votes import class_votes
from keras_curvenet.probing.filled_curves import never_seen
from keras_curvenet.probing.loss_curves import LossCurves

_Array = npt.NDArray[Any]

# How much of its class's mean is subtracted from a sample's evidence. Nothing
# of it makes hard and rare classes look wrong, all of it hides wrong labels
# where they are most of a class.
_CLASS_SHARE = 0.2

# A class that is predicted less often than this share of its labels is hardly
# learned: of its labels, no more are taken for wrong than of all.
_HARDLY_LEARNED = 0.03

# Of all samples, so many times the share of wrong labels is possible that the
# surest part has.
_SUREST = 0.1
_MOST_BEYOND_SUREST = 2.0

# Two readings of how many labels are wrong differ widely beyond this.
_WIDE_RANGE = 0.4

# Losses fall into two groups where the share of `two_groups` is above this: it
# is more than one group has, of a normal or an exponential distribution.
_LEAST_SEPARATION = 0.66

# Of more values, every so many is enough to choose a threshold among.
_MOST_THRESHOLDS = 1_000_000


class LabelSuspicion(NamedTuple):
    """What the curves say against the labels.

    Attributes:
        values: Float64 `(num_samples,)`, high where a label is probably wrong,
            NaN for samples that were never seen.
        num_suspects: Int, how many of the highest are probably wrong.
        share_range: Tuple of floats, the least and the most that may be wrong,
            as shares of the samples; NaN of losses alone.
        doubts: Tuple of strings, what the curves do not tell.
    """

    values: npt.NDArray[np.float64]
    num_suspects: int
    share_range: tuple[float, float] = (np.nan, np.nan)
    doubts: tuple[str, ...] = ()


def label_suspicion(curves: LossCurves) -> LabelSuspicion:
    """How suspicious every label is, from margins where there are any.

    The evidence of an epoch is the loss, or the margin m as tanh(-m / 2): the
    difference of two probabilities, so that no single epoch outweighs the
    others. Suspicion is its mean over the epochs, less a part of the class's
    mean. `_share_of_wrong` says how many are wrong; of losses alone, those are
    that are in the upper of two groups.
    """
    check_curves(curves)
    # Curves do not change, and many functions ask: the answer stays with them.
    answers: dict[str, LabelSuspicion] = vars(curves)
    if "_label_suspicion" not in answers:
        answers["_label_suspicion"] = _label_suspicion(curves)
        for doubt in answers["_label_suspicion"].doubts:
            warnings.warn(doubt, stacklevel=3)
    return answers["_label_suspicion"]


def revised_suspicion(
    curves: LossCurves, own: _Array, others: _Array
) -> LabelSuspicion:
    """How suspicious labels are once a trained network has said its part.

    What it predicts is evidence as an epoch's margins are, and counts as much
    as the suspicion of the curves. As many labels are taken for wrong as it
    finds less likely than another class.

    Args:
        curves: `LossCurves`.
        own: Float `(num_samples,)`, the predicted likelihood of each label, 0
            where nothing was predicted of a sample.
        others: Float `(num_samples,)`, that of the likeliest other class.
    """
    has_margins = curves.margin_columns is not None
    seen = ~never_seen(curves.margin_columns or curves.loss_columns)
    values = np.where(seen, 0.0, np.nan)  # Losses are no differences.
    if has_margins:
        values = label_suspicion(curves).values.copy()
    predicted = seen & (own + others > 0.0)
    own, others = own[predicted], others[predicted]
    evidence = (others - own) / (others + own)
    values[predicted] = (values[predicted] + evidence) / 2.0
    labels = curves.labels
    given = _counts(curves, labels[predicted])
    likelier = _counts(curves, labels[predicted][own > others])
    share = np.count_nonzero(others > own) / max(own.size, 1)
    values[seen], num_suspects = _spared(
        values[seen], share, labels[seen], likelier < _HARDLY_LEARNED * given
    )
    return LabelSuspicion(values, num_suspects)


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
    seen = ~never_seen(columns)
    values = np.full(curves.num_samples, np.nan)
    if not seen.any():
        return LabelSuspicion(values, 0)
    labels = curves.labels[seen]
    relative = _relative(_mean_evidence(curves)[seen], labels)
    if curves.margin_columns is None:
        values[seen] = relative
        num_suspects = _num_high_losses(relative)
        return LabelSuspicion(values, num_suspects)
    share, share_range = _share_of_wrong(curves)
    half = curves.num_epochs // 2
    values[seen], num_suspects = _spared(
        relative, share, labels, _hardly_learned(curves, slice(0, half))
    )
    in_the_end = _hardly_learned(curves, slice(half, None))
    doubts = _doubts(curves, share, share_range, in_the_end)
    return LabelSuspicion(values, num_suspects, share_range, doubts)


def _mean_evidence(curves: LossCurves) -> _Array:
    """Float64 `(num_samples,)`, the mean over the epochs."""
    has_margins = curves.margin_columns is not None
    total = np.zeros(curves.num_samples)
    for column in curves.margin_columns or curves.loss_columns:
        against = -column if has_margins else column
        filled = curves.statistics_of(against).filled(against, curves.labels)
        total += np.tanh(filled / 2.0) if has_margins else filled
    return total / curves.num_epochs


def _relative(values: _Array, labels: npt.NDArray[np.int64]) -> _Array:
    """Values less a share of the class's mean."""
    size = np.maximum(np.bincount(labels), 1)
    means: _Array = np.bincount(labels, values) / size
    return values - _CLASS_SHARE * means[labels]


def _hardly_learned(curves: LossCurves, epochs: slice) -> npt.NDArray[np.bool_]:
    """Bool `(num_classes,)`: which are predicted for few of their samples.

    Where predicted classes are not recorded, those count that are the given
    label.
    """
    predicted, given = np.zeros((2, curves.num_classes), np.int64)
    for epoch in range(curves.num_epochs)[epochs]:
        margins = curves.margin_columns[epoch]  # type: ignore[index]
        given += _counts(curves, curves.labels[~np.isnan(margins)])
        if curves.predicted_columns is None:
            predicted += _counts(curves, curves.labels[margins > 0.0])
        else:
            classes = curves.predicted_columns[epoch]
            predicted += _counts(curves, classes[classes >= 0])
    return predicted < _HARDLY_LEARNED * given


def _counts(curves: LossCurves, classes: _Array) -> npt.NDArray[np.int64]:
    return np.bincount(classes, minlength=curves.num_classes)


def _share_of_wrong(curves: LossCurves) -> tuple[float, tuple[float, float]]:
    """How many labels are wrong, between the least and the most.

    Each sample decides for its label or against it: by how many epochs more the
    network predicts the label than the other class it predicts most, times how
    sure it is (the mean probability of the likelier one). Of the first half of
    the epochs, before wrong labels are memorized. Where predicted classes are
    not recorded, by how much the label is likelier than any other class.
    """
    half = curves.num_epochs // 2
    own, others, count = np.zeros((3, curves.num_samples), np.float32)
    for loss, margin in zip(
        curves.loss_columns[:half],
        curves.margin_columns[:half],  # type: ignore[index]
        strict=True,
    ):
        own += np.nan_to_num(np.exp(-loss))
        with np.errstate(invalid="ignore"):  # Both infinite: nothing is known.
            of_other = np.exp(np.minimum(-loss - margin, 0.0))
        others += np.nan_to_num(of_other)
        count += ~np.isnan(margin)
    seen = count > 0
    own, others = own[seen] / count[seen], others[seen] / count[seen]
    decisions = own - others
    if curves.predicted_columns is not None:
        decisions = _leads(curves, slice(0, half))[seen]
        decisions *= np.maximum(own, others)
    return _share_of_contradicted(own, others, decisions)


def _leads(curves: LossCurves, epochs: slice) -> _Array:
    """Float32 in [-1, 1]: votes for the label less those for another class."""
    given, other, _, seen = class_votes(curves, epochs)
    leads: _Array = (given - other).astype(np.float32)
    return leads / np.maximum(seen, 1).astype(np.float32)


def _share_of_contradicted(
    own: _Array, others: _Array, decisions: _Array
) -> tuple[float, tuple[float, float]]:
    """How many labels are wrong, by samples' decisions for or against them.

    What decides against labels, of all samples, is the least that is wrong: no
    label is where the network is undecided. The most has as many wrong ones
    among the undecided as among the decided. Between both rates, the geometric
    mean is taken for the undecided.

    Hard samples are undecided, too. But a network is seldom sure of them, so
    that at most twice as many are taken for wrong as it contradicts among the
    samples it is surest of (of few samples, one more is counted).

    Args:
        own, others: Float `(n,)`, likelihoods of the label and of the likeliest
            other class.
        decisions: Float `(n,)` in [-1, 1], below 0 against the label.
    """
    against = float(np.maximum(-decisions, 0.0).sum())
    decided = float(np.abs(decisions).sum())
    if against == 0.0:
        return 0.0, (0.0, 0.0)
    least, most = against / decisions.size, against / decided
    undecided = 1.0 - decided / decisions.size
    share = least + undecided * np.sqrt(least * most)
    surest = np.maximum(own, others)
    is_sure = surest >= np.quantile(surest, 1.0 - _SUREST)
    contradicted = np.count_nonzero(others[is_sure] > own[is_sure])
    limit = (contradicted + 1) / (np.count_nonzero(is_sure) + 2)
    share = min(share, _MOST_BEYOND_SUREST * limit)
    return share, (min(least, share), most)


def _spared(
    values: _Array,
    share: float,
    labels: npt.NDArray[np.int64],
    hardly_learned: npt.NDArray[np.bool_],
) -> tuple[_Array, int]:
    """Suspicion in which no class is suspect because it was not learned.

    The suspects are the given share of the classes that were learned. Of one
    that is hardly learned no greater share is, by subtracting from the
    suspicion of its samples.
    """
    is_learned = ~hardly_learned[labels]
    if is_learned.all() or not is_learned.any():
        return values, round(share * len(values))
    num_suspects = round(share * np.count_nonzero(is_learned))
    threshold = _above(values[is_learned], num_suspects)
    for members in members_of_classes(labels):
        if not is_learned[members[0]]:
            own = _above(values[members], round(share * len(members)))
            values[members] -= max(own - threshold, 0.0)
    return values, int(np.count_nonzero(values > threshold))


def _above(values: _Array, size: int) -> float:
    """A number that so many of the values are above."""
    ranked = np.sort(values)[::-1]
    if size == 0:
        return float(ranked[0])
    if size == len(ranked):
        return float(ranked[-1]) - 1.0
    return float(ranked[size - 1 : size + 1].mean())


def _doubts(
    curves: LossCurves,
    share: float,
    share_range: tuple[float, float],
    hardly_learned: npt.NDArray[np.bool_],
) -> tuple[str, ...]:
    """What the curves do not tell, in words."""
    doubts = []
    least, most = share_range
    if most - least > _WIDE_RANGE:
        doubts.append(
            f"{curves} do not tell how many labels are wrong: between "
            f"{least:.0%} and {most:.0%}. {share:.0%} is taken. Hard samples "
            "and wrong labels look alike while a network is unsure. Probe for "
            "more epochs if it was still learning, or look at fifty labels: "
            "`labels_to_check` chooses them, and `checked` takes the answers."
        )
    if hardly_learned.any():
        classes = listed(np.flatnonzero(hardly_learned).tolist())
        doubts.append(
            f"The network predicts hardly any sample as class(es) {classes}: "
            "it has not learned them, and tells neither which of their labels "
            "are wrong nor which other samples are theirs. Probe for more "
            "epochs, or with a loss that counts rare classes more."
        )
    return tuple(doubts)


def _num_high_losses(suspicion: _Array) -> int:
    """How many samples are in the upper of two groups, if there are two."""
    threshold, separation = two_groups(suspicion)
    if separation < _LEAST_SEPARATION:
        return 0
    return int(np.count_nonzero(suspicion > threshold))
