"""Which labels to look at: a few that tell how many are wrong, and which."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_int
from keras_curvenet.inspecting.checked_labels import as_checked_labels
from keras_curvenet.inspecting.label_quality import label_quality_scores
from keras_curvenet.inspecting.ranking_layers import NUM_LAYERS
from keras_curvenet.inspecting.ranking_layers import layers_of_ranking
from keras_curvenet.probing.loss_curves import LossCurves


def labels_to_check(
    curves: LossCurves,
    num_labels: int = 50,
    seed: int = 0,
    checked: Any = None,
) -> npt.NDArray[np.int64]:
    """Ids of the samples whose labels tell most, once someone looks at them.

    A stratified sample: the ranking by `label_quality_scores` is cut into ten
    layers, which are smaller at its suspicious end, where answers vary most.
    From each come equally many, spread over its classes. So answers on all of
    them estimate how many labels are wrong without bias, whatever the ranking
    is worth. The order is random and tells nothing.

    Args:
        curves: `LossCurves` of two epochs or more.
        num_labels: Int >= 1. Defaults to 50. There are fewer where no more
            samples were seen.
        seed: Int >= 0, of the draw. Defaults to 0.
        checked: The answers so far, as `label_quality_scores` takes them, or
            None. Others are asked, so that with them each layer has equally
            many.

    Returns:
        Int64 ids.

    Raises:
        ValueError: If it has fewer than two epochs, or another argument is
            no such int or no answers on these labels.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    losses = np.random.default_rng(0).uniform(size=(200, 10))
    curves = kcn.LossCurves(losses, labels=np.arange(200) % 2)
    first = kcn.labels_to_check(curves, num_labels=20)
    checked = {sample_id: True for sample_id in first}
    more = kcn.labels_to_check(curves, num_labels=30, checked=checked)
    ```
    """
    as_int("num_labels", num_labels, 1)
    as_int("seed", seed, 0)
    layers = layers_of_ranking(label_quality_scores(curves))
    asked = as_checked_labels(checked, curves).asked
    num_asked = np.bincount(layers[asked], minlength=NUM_LAYERS)
    layers[asked] = -1
    rng = np.random.default_rng(seed)
    num_left = np.bincount(layers[layers >= 0], minlength=NUM_LAYERS)
    chosen = [
        _spread_over_classes(np.flatnonzero(layers == layer), size, curves, rng)
        for layer, size in enumerate(
            _evened_out(num_asked, num_left, num_labels, rng)
        )
    ]
    return rng.permutation(np.concatenate(chosen))


def _evened_out(
    num_asked: npt.NDArray[np.int64],
    num_left: npt.NDArray[np.int64],
    num_labels: int,
    rng: np.random.Generator,
) -> list[int]:
    """How many more each layer gives, so that all have been asked as often."""
    most = np.minimum(num_left, num_labels)
    # The first of a layer to come is its (num_asked + 1)th, and so on.
    turns = np.concatenate(
        [np.arange(k, k + m) for k, m in zip(num_asked, most, strict=True)]
    )
    layers = np.repeat(np.arange(NUM_LAYERS), most)
    order = np.lexsort([rng.permutation(NUM_LAYERS)[layers], turns])
    chosen = layers[order[:num_labels]]
    sizes: list[int] = np.bincount(chosen, minlength=NUM_LAYERS).tolist()
    return sizes


def _spread_over_classes(
    sample_ids: npt.NDArray[np.int64],
    size: int,
    curves: LossCurves,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """So many of the ids, each equally probable: a systematic sample.

    They lie in equal steps in an order by class, random within each.
    """
    if size == 0:
        return sample_ids[:0]
    sample_ids = rng.permutation(sample_ids)
    by_class = np.argsort(curves.labels[sample_ids], kind="stable")
    places = np.arange(size) * len(sample_ids) + rng.integers(len(sample_ids))
    return np.asarray(sample_ids[by_class[places // size]])
