"""Whether a probe's network memorized wrong labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_curvenet.probing.loss_curves import LossCurves

# By how much the mean likelihood of labels rises that are memorized.
_RISE = 0.025

# Where fewer labels look wrong, the network may have memorized the others.
_LEAST_THAT_TELL = 0.05


def wrong_labels_stayed_unlearned(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> bool:
    """Whether the curves show wrong labels, and that they were not learned.

    As a network learns what is right, the likelihood that it gives to wrong
    labels falls. It rises, from the second quarter of the epochs to the last,
    only where the network learns them one by one, which it then goes on to do
    in training.

    Where hardly a label looks wrong, none may be, or the network may have
    memorized all. Losses without margins may be no crossentropies, and do not
    tell.
    """
    if curves.margin_columns is None or looks_wrong.mean() < _LEAST_THAT_TELL:
        return False
    columns, size = curves.loss_columns, curves.num_epochs
    early = _mean_likelihood(columns[size // 4 : size // 2 or 1], looks_wrong)
    late = _mean_likelihood(columns[3 * size // 4 :], looks_wrong)
    return not late - early > _RISE


def _mean_likelihood(
    columns: Sequence[npt.NDArray[np.float32]], chosen: npt.NDArray[np.bool_]
) -> float:
    """Of the chosen samples' labels, in those epochs that have them; or NaN."""
    total, count = 0.0, 0
    for column in columns:
        likelihoods = np.exp(-column[chosen], dtype=np.float32)
        total += float(np.nansum(likelihoods, dtype=np.float64))
        count += int(np.count_nonzero(~np.isnan(likelihoods)))
    return total / count if count else np.nan
