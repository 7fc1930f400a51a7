"""How suspicious every label is, and how many are probably wrong."""

import warnings
from typing import NamedTuple

import numpy as np

from keras_curvenet.inspecting.two_groups import two_groups
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

# Where margins are of one group only (this is a normal distribution's share),
# early epochs don't say how many labels are wrong: what the network was unsure
# of may be what it had not learned yet. If late ones say much less, it is open
# which is right.
_LEAST_SEPARATION_OF_MARGINS = 0.64
_MOST_DISAGREEMENT = 0.1

# The surest samples: above this quantile of the likelihood of their label.
_SUREST = 0.8


class LabelSuspicion(NamedTuple):
    """What the curves say against the labels.

    Attributes:
        values: Float64 `(num_samples,)`, high where the label is probably
            wrong; NaN for samples that were never seen.
        num_suspects: Int, how many of the highest are probably wrong.
    """

    values: np.ndarray
    num_suspects: int


def label_suspicion(curves):
    """How suspicious every label is, from margins where there are any.

    The evidence of an epoch is the loss, or the margin m as tanh(-m / 2): minus
    the difference of two probabilities, in which no single epoch outweighs the
    others. It is averaged over some epochs, and a part of the class's mean is
    subtracted. Of four ranges of epochs (all, the first half, the last three
    quarters, the last half) and two parts, those are taken under which the
    samples fall most clearly into two groups: late epochs tell more while a
    network learns slowly, early ones once it knows wrong labels by heart.

    How many are suspect: as many as are in the upper group; of margins, at
    most as many as `most_wrong_labels` allows. How well that works:
    `benchmarks/RESULTS.md`, "Finding wrong labels".

    Args:
        curves: `LossCurves` of two epochs or more.

    Raises:
        TypeError: If `curves` is not a `LossCurves`.
        ValueError: If it has fewer than two epochs.
    """
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
    recorded = curves.values if curves.margins is None else curves.margins
    seen = ~np.isnan(recorded).all(axis=1)
    values = np.full(curves.num_samples, np.nan)
    if not seen.any():
        return LabelSuspicion(values, 0)
    labels = curves.labels[seen]
    if curves.margins is None:
        losses = curves.filled()[0][seen]
        values[seen], _ = _most_telling(losses, labels)
        return LabelSuspicion(values, _num_high_losses(values[seen]))
    margins = curves.filled_margins()[0][seen]
    values[seen], how = _most_telling(np.tanh(-margins / 2.0), labels)
    raw = _relative(-margins, labels, *how)
    threshold, separation = two_groups(raw)
    num_low_margins = np.count_nonzero(raw > threshold)
    most = most_wrong_labels(curves, separation)
    return LabelSuspicion(
        values, min(num_low_margins, round(most * len(labels)))
    )


def most_wrong_labels(curves, separation):
    """The largest share of wrong labels that the predictions allow.

    Before a network knows labels by heart, the likelihood that it gives to the
    labels of the samples it is surest of levels off at the share of right ones
    among their like: with labels that are all right it approaches 1, with a
    third of them wrong 2/3. It is read off at the 0.8 quantile of the samples
    in the first quarter of the epochs, without the very first; where margins
    are of one group only, in the last half, if that allows less. A network
    that has learned little allows more than there are.

    Args:
        curves: `LossCurves` of a crossentropy.
        separation: Float, that of the two groups of margins.

    Returns:
        Float in [0, 1].
    """
    size = curves.num_epochs
    first = max(1, size // 10)
    early = _unexplained(curves.values[:, first : max(size // 4, first) + 1])
    if separation >= _LEAST_SEPARATION_OF_MARGINS:
        return early
    late = _unexplained(curves.values[:, size // 2 :])
    if early - late > _MOST_DISAGREEMENT:
        warnings.warn(
            f"{curves} do not tell how many labels are wrong: between "
            f"{late:.0%} and {early:.0%}. {late:.0%} is taken, and label "
            "quality is a ranking only. If the network learned nearly all "
            "labels, probe for fewer epochs; if it was still learning what is "
            "right, for more.",
            stacklevel=4,
        )
    return min(early, late)


def _unexplained(losses):
    """1 minus the likelihood of the labels that the network is surest of."""
    seen = ~np.isnan(losses)
    counts = seen.sum(axis=1)
    if not counts.any():
        return 1.0
    likelihoods = np.where(seen, np.exp(-losses), 0.0).sum(axis=1)
    likelihoods = likelihoods[counts > 0] / counts[counts > 0]
    return float(np.clip(1.0 - np.quantile(likelihoods, _SUREST), 0.0, 1.0))


def _most_telling(evidence, labels):
    """Relative evidence that separates samples best, and how it was made."""
    size = evidence.shape[1]
    ranges = [(0, size), (0, size // 2), (size // 4, size), (size // 2, size)]
    candidates = [
        (epochs, share)
        for epochs in dict.fromkeys(ranges)
        if epochs[0] < epochs[1]
        for share in _CLASS_SHARES
    ]
    relative = [_relative(evidence, labels, *how) for how in candidates]
    best = np.argmax([two_groups(values)[1] for values in relative])
    return relative[best], candidates[best]


def _relative(evidence, labels, epochs, share):
    """Mean evidence over epochs, minus a share of the class's mean."""
    values = evidence[:, slice(*epochs)].mean(axis=1)
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
