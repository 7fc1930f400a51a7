"""How much of what looks right a probe has learned."""

import numpy as np
import numpy.typing as npt

from keras_curvenet.probing.loss_curves import LossCurves


def share_predicted(
    curves: LossCurves, looks_right: npt.NDArray[np.bool_]
) -> float:
    """Share of the labels that look right which the network itself predicts.

    In the last half of the epochs. Where it is small, the network was still
    learning what is right, and more epochs tell more (`benchmarks/RESULTS.md`,
    "A longer probe").

    Args:
        curves: `LossCurves`.
        looks_right: Bool `(num_samples,)`.

    Returns:
        Float in [0, 1]; NaN of losses without margins, and where no label
        looks right.
    """
    if curves.margin_columns is None:
        return np.nan
    num_predicted, num_seen = 0, 0
    for column in curves.margin_columns[curves.num_epochs // 2 :]:
        margins = column[looks_right]
        num_predicted += int(np.count_nonzero(margins > 0.0))
        num_seen += int(np.count_nonzero(~np.isnan(margins)))
    return num_predicted / num_seen if num_seen else np.nan
