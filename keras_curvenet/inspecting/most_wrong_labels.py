"""How many labels can be wrong, by what the network is sure of."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_curvenet.probing.loss_curves import LossCurves

# Where margins are of one group only (this is a normal distribution's share),
# early epochs don't say how many labels are wrong: what the network was unsure
# of may be what it had not learned yet. If late ones say much less, it is open
# which is right.
_LEAST_SEPARATION_OF_MARGINS = 0.64
_MOST_DISAGREEMENT = 0.1

# The surest samples: above this quantile of the likelihood of their label.
_SUREST = 0.8

# Of whatever class the network is sure: above this quantile.
_SUREST_OF_ANY = 0.9

# Of all samples, so many times that share of wrong labels is possible.
_MOST_BEYOND_SUREST = 2.0


def most_wrong_labels(curves: LossCurves, separation: float) -> float:
    """The largest share of wrong labels that the predictions allow.

    Before a network memorizes labels, the likelihood that it gives to the
    labels of the samples it is surest of levels off at the share of right ones
    among their like: with labels that are all right it approaches 1, with a
    third of them wrong 2/3. It is read off at the 0.8 quantile of the samples
    in the early epochs.

    A network that has learned little allows more than there are: it is unsure
    of hard samples, too. So the limit is at most twice the share of labels that
    a sure network contradicts in the same epochs (of few samples, one more is
    counted): hard samples are not among these. Where margins are of one group
    only (`separation` is the share that `two_groups` gives), the limit is also
    what the last half of the epochs allows, and the share of labels that a sure
    network contradicts in the second quarter.
    """
    size = curves.num_epochs
    early = _unexplained(curves.loss_columns[early_epochs(size)])
    if separation >= _LEAST_SEPARATION_OF_MARGINS:
        contradicted = _contradicted(curves, early_epochs(size))
        share = (np.count_nonzero(contradicted) + 1) / (contradicted.size + 2)
        return min(early, _MOST_BEYOND_SUREST * share)
    late = _unexplained(curves.loss_columns[size // 2 :])
    contradicted = _contradicted(curves, slice(size // 4, size // 2))
    least = min(late, float(contradicted.mean()) if contradicted.size else 1.0)
    if early - late > _MOST_DISAGREEMENT:
        warnings.warn(
            f"{curves} do not tell how many labels are wrong: between "
            f"{least:.0%} and {early:.0%}. {least:.0%} is taken, and label "
            "quality is a ranking only. If the network learned nearly all "
            "labels, probe for fewer epochs; if it was still learning what is "
            "right, for more.",
            stacklevel=5,
        )
    return min(early, least)


def early_epochs(num_epochs: int) -> slice:
    """The epochs before labels are memorized, of two or more, but the first."""
    first = max(1, num_epochs // 10)
    return slice(first, max(num_epochs // 4, first) + 1)


def _unexplained(columns: Sequence[npt.NDArray[np.float32]]) -> float:
    """1 minus the likelihood of the labels that the network is surest of."""
    likelihoods = np.zeros(len(columns[0]))
    counts = np.zeros(len(likelihoods), np.int32)
    for column in columns:
        likelihoods += np.nan_to_num(np.exp(-column, dtype=np.float32))
        counts += ~np.isnan(column)
    if not counts.any():
        return 1.0
    likelihoods = likelihoods[counts > 0] / counts[counts > 0]
    return float(np.clip(1.0 - np.quantile(likelihoods, _SUREST), 0.0, 1.0))


def _contradicted(curves: LossCurves, epochs: slice) -> npt.NDArray[np.bool_]:
    """Bool, of the tenth of the samples that a network is surest of.

    Sure of whatever class: where it is not that of the label, the label is
    wrong, and not only hard to learn.
    """
    own, others = np.zeros((2, curves.num_samples))
    margin_columns = (curves.margin_columns or [])[epochs]
    loss_columns = curves.loss_columns[epochs]
    for losses, margins in zip(loss_columns, margin_columns, strict=True):
        own += np.nan_to_num(np.exp(-losses))
        with np.errstate(invalid="ignore"):  # Both infinite: nothing is known.
            of_other = np.exp(np.minimum(-losses - margins, 0.0))
        others += np.nan_to_num(of_other)
    surest = np.maximum(own, others)
    known = surest[surest > 0.0]
    if not known.size:
        return np.empty(0, bool)
    is_sure = surest >= np.quantile(known, _SUREST_OF_ANY)
    return np.compress(is_sure, others > own)
