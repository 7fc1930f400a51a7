"""Layers of the ranking of labels, from the most suspicious on."""

import numpy as np
import numpy.typing as npt

# Their sizes grow in equal steps: that hardly any label is wrong at the
# trustworthy end, few answers tell.
_RELATIVE_SIZES = np.linspace(1.0, 2.5, 10)

NUM_LAYERS = len(_RELATIVE_SIZES)


def layers_of_ranking(
    scores: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """Int64 `(num_samples,)`: a layer from 0, the worst, to 9; -1 for NaN.

    Samples with equal scores are in the same layer, so layers may be empty.
    """
    layers = np.full(len(scores), -1)
    ranked = ~np.isnan(scores)
    if ranked.any():
        depths = np.cumsum(_RELATIVE_SIZES)[:-1] / _RELATIVE_SIZES.sum()
        limits = np.quantile(scores[ranked], depths)
        layers[ranked] = np.searchsorted(limits, scores[ranked], side="left")
    return layers


def layer_counts(layers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Int64 `(10,)`: how many of these samples are in each layer."""
    return np.bincount(layers[layers >= 0], minlength=NUM_LAYERS)
