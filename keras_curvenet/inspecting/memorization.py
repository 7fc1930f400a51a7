"""How far a probe's network memorized wrong labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.most_wrong_labels import early_epochs
from keras_curvenet.probing.loss_curves import LossCurves

# A rise of the likelihood that chance and hard samples explain, and one that
# nothing but memorization does.
_LEAST_RISE = 0.02
_PLAIN_RISE = 0.05

# Of few labels that look wrong, many are hard samples, and learned late: from
# this share of all on, wrong labels are most of them.
_NOT_FEW = 0.1

# A network that half memorized wrong labels keeps them, and where this few look
# wrong, it may have memorized the others.
_HALF_MEMORIZED = 0.5
_LEAST_THAT_TELL = 0.05


def memorized_share(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> float:
    """How far the labels that look wrong were memorized in the end.

    As a network learns what is right, the likelihood that it gives to wrong
    labels falls. It rises, from early epochs to the last quarter, only where
    the network learns them one by one, which it then goes on to do in training.

    In [0, 1]: 0 where the mean likelihood rises by no more than 0.02, 1 where
    it does by 0.05 or more, but at most ten times the share of labels that look
    wrong; 0 of losses without margins, which may be no crossentropies.
    """
    most = min(1.0, float(looks_wrong.mean()) / _NOT_FEW)
    return min(float(np.nan_to_num(_share_of_rise(curves, looks_wrong))), most)


def wrong_labels_stayed_unlearned(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> bool:
    """Whether the curves show wrong labels, and that they were not learned.

    Where hardly a label looks wrong, none may be, or the network may have
    memorized all; and losses without margins do not tell either.
    """
    if looks_wrong.mean() < _LEAST_THAT_TELL:
        return False
    return _share_of_rise(curves, looks_wrong) < _HALF_MEMORIZED


def _share_of_rise(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> float:
    """In [0, 1], from the least rise to the plain one; NaN if not known."""
    if curves.margin_columns is None:
        return np.nan
    columns = curves.loss_columns
    early = _mean_likelihood(columns[early_epochs(len(columns))], looks_wrong)
    late = _mean_likelihood(columns[3 * len(columns) // 4 :], looks_wrong)
    rise = (late - early - _LEAST_RISE) / (_PLAIN_RISE - _LEAST_RISE)
    return float(np.clip(rise, 0.0, 1.0))


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
