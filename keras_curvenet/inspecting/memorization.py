"""How far a probe's network memorized wrong labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_curvenet.probing.loss_curves import LossCurves

# Labels whose mean likelihood rose by this were memorized.
_PLAIN_RISE = 0.05

# A network that half memorized wrong labels keeps them, and where this few look
# wrong, it may have memorized the others.
_HALF_MEMORIZED = 0.5
_LEAST_THAT_TELL = 0.05


def memorized_share(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> float:
    """How far the labels that look wrong were memorized in the end.

    As a network learns what is right, the likelihood that it gives to wrong
    labels falls. It rises, from the second quarter of the epochs to the last,
    only where the network learns them one by one, which it then goes on to do
    in training.

    In [0, 1]: 0 where the mean likelihood does not rise, 1 where it does by
    0.05 or more; 0 of losses without margins, which may be no crossentropies.
    """
    columns, size = curves.loss_columns, curves.num_epochs
    if curves.margin_columns is None or not looks_wrong.any():
        return 0.0
    early = _mean_likelihood(columns[size // 4 : size // 2 or 1], looks_wrong)
    late = _mean_likelihood(columns[3 * size // 4 :], looks_wrong)
    return float(np.clip(np.nan_to_num(late - early) / _PLAIN_RISE, 0.0, 1.0))


def wrong_labels_stayed_unlearned(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> bool:
    """Whether the curves show wrong labels, and that they were not learned.

    Where hardly a label looks wrong, none may be, or the network may have
    memorized all; and losses without margins do not tell either.
    """
    if curves.margin_columns is None or looks_wrong.mean() < _LEAST_THAT_TELL:
        return False
    return memorized_share(curves, looks_wrong) < _HALF_MEMORIZED


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
