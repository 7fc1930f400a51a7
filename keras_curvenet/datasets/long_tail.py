"""Long-tailed subsets of balanced data."""

import reprlib

import numpy as np
import numpy.typing as npt

from keras_curvenet.checked_arguments import as_float
from keras_curvenet.checked_arguments import as_int
from keras_curvenet.datasets.label_noise import as_class_labels


def long_tailed_indices(
    labels: npt.ArrayLike,
    imbalance_factor: float,
    max_per_class: int | None = None,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Chooses a long-tailed subset: class k keeps fewer samples than k - 1.

    Class k of C keeps `int(n_max * imbalance_factor ** (k / (C - 1)))`
    samples, drawn at random.

    Reference: [Cui et al., 2019](https://arxiv.org/abs/1901.05555), whose
    imbalance factor is the inverse of this one.

    Args:
        labels: Int `(num_samples,)`, class labels 0 to C - 1.
        imbalance_factor: Float in (0, 1]: size of the smallest class over
            size of the largest.
        max_per_class: Int >= 1, size of the largest class, or None for the
            size of the smallest class in `labels`, the largest for which
            every class has enough samples.
        seed: Int >= 0, of the draw. Defaults to 0.

    Returns:
        Int64 `(num_kept,)`: row numbers in increasing order.

    Raises:
        ValueError: If an argument is out of range, a class is missing, or a
            class has fewer samples than it should keep.

    Example:

    ```python
    import keras_curvenet as kcn
    import numpy as np

    labels = np.repeat(np.arange(10), 100)
    rows = kcn.datasets.long_tailed_indices(labels, imbalance_factor=0.05)
    np.bincount(labels[rows])  # 100, 71, ..., 5
    ```
    """
    labels = as_class_labels(labels)
    as_int("seed", seed, 0)
    imbalance_factor = as_float(
        "imbalance_factor",
        imbalance_factor,
        lambda factor: 0.0 < factor <= 1.0,
        "a float in (0, 1], the smallest class's size over the largest one's",
    )
    if labels.min() < 0:
        raise ValueError(
            "Invalid value for argument `labels`. Expected labels >= 0. "
            f"Received: a label of {labels.min()}."
        )
    counts = np.bincount(labels)
    if max_per_class is None:
        max_per_class = int(counts.min())
    else:
        as_int("max_per_class", max_per_class, 1)
    last = max(len(counts) - 1, 1)
    kept = [
        int(max_per_class * imbalance_factor ** (label / last))
        for label in range(len(counts))
    ]
    if max_per_class < 1 or (kept > counts).any():
        raise ValueError(
            "Invalid value for argument `max_per_class`. Expected an int >= 1 "
            "for which every class has enough of its "
            f"{reprlib.repr(counts.tolist())} samples. Received: max_per_class="
            f"{max_per_class}, which needs {reprlib.repr(kept)}."
        )
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(labels == label), size=size, replace=False)
        for label, size in enumerate(kept)
    ]
    return np.sort(np.concatenate(chosen))
