"""How far a probe came to know wrong labels by heart."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_curvenet.inspecting.most_wrong_labels import early_epochs
from keras_curvenet.probing.loss_curves import LossCurves

# A rise of the likelihood that chance and hard samples explain, and one that
# nothing but learning by heart does.
_LEAST_RISE = 0.02
_PLAIN_RISE = 0.05

# Of few labels that look wrong, many are hard samples, and learned late: from
# this share of all on, wrong labels are most of them.
_NOT_FEW = 0.1


def known_by_heart(
    curves: LossCurves, looks_wrong: npt.NDArray[np.bool_]
) -> float:
    """How far the labels that look wrong were learned in the end.

    As a network learns what is right, the likelihood that it gives to wrong
    labels falls. It rises only where the network learns them one by one, and
    then it goes on to do so in the training that follows. So it is compared
    between early epochs and the last quarter (`benchmarks/RESULTS.md`, "What a
    wrong label kept costs, and a right one lost").

    Args:
        curves: `LossCurves`.
        looks_wrong: Bool `(num_samples,)`.

    Returns:
        Float in [0, 1]: 0 where the mean likelihood rises by no more than 0.02,
        1 where it does by 0.05 or more, but at most ten times the share of
        labels that look wrong; 0 of losses without margins, which may be no
        crossentropies.
    """
    if curves.margin_columns is None or not looks_wrong.any():
        return 0.0
    columns = curves.loss_columns
    early = _mean_likelihood(columns[early_epochs(len(columns))], looks_wrong)
    late = _mean_likelihood(columns[3 * len(columns) // 4 :], looks_wrong)
    rise = (late - early - _LEAST_RISE) / (_PLAIN_RISE - _LEAST_RISE)
    most = min(1.0, looks_wrong.mean() / _NOT_FEW)
    return float(np.clip(np.nan_to_num(rise), 0.0, most))


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
